package decide

// Checkpoint is inputs that rebuild a World which decides as w.
func (w *World) Checkpoint() []Input { return nil }
