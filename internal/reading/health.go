package reading

import (
	"sync"

	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
)

// health is whether a resource can be read, as far as that is to be told.
type health struct {
	log   klog.Logger
	told  func(error)
	clock clock.WithDelayedExecution

	mu    sync.Mutex
	over  bool
	err   error       // why it cannot be read, nil: it can, or nobody knows
	timer clock.Timer // until it is told; nil: nothing is under way
	said  bool
}

// begun is called when all is about to be read.
func (h *health) begun() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.timer == nil && !h.said && !h.over {
		h.timer = h.clock.AfterFunc(slow, h.tell)
	}
}

// failed is called after each attempt that failed.
func (h *health) failed(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	first := h.err == nil
	other := first || h.err.Error() != err.Error()
	h.err = err
	switch {
	case h.over:
	case h.said && other:
		h.say(err)
	case h.said || !first:
	default:
		h.stopTimer()
		h.timer = h.clock.AfterFunc(moment, h.tell)
	}
}

// ended is called with what an attempt ended with, which failed may have heard before in
// other words.
func (h *health) ended(err error) {
	h.mu.Lock()
	known := h.err != nil
	h.mu.Unlock()
	if !known {
		h.failed(err)
	}
}

// broken is failed, for what is told at once.
func (h *health) broken(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopTimer()
	h.err = err
	if !h.over {
		h.said = true
		h.say(err)
	}
}

// reads is called when all has been read, or a watch goes on where it ended.
func (h *health) reads() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopTimer()
	h.err = nil
	if h.said && !h.over {
		h.said = false
		h.log.Info("Can be read again")
		h.say(nil)
	}
}

func (h *health) tell() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over || h.timer == nil {
		return
	}
	h.timer = nil
	h.said = true
	err := h.err
	if err == nil {
		err = errNoAnswer
	}
	h.log.Error(err, "Cannot be read")
	h.say(err)
}

func (h *health) say(err error) {
	if h.told != nil {
		h.told(err)
	}
}

// stop ends it: nothing is told any more.
func (h *health) stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.over = true
	h.stopTimer()
}

func (h *health) stopTimer() {
	if h.timer != nil {
		h.timer.Stop()
		h.timer = nil
	}
}
