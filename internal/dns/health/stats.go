package health

// Stats is what a Prober has done, and what it knows.
type Stats struct {
	// Passed and Failed are how many probes did, since the Prober was made.
	Passed, Failed uint64
	// States is how many checks of the set are in each state.
	States map[string]int
}

// Stats sums up. It does not block for longer than to count the checks.
func (p *Prober) Stats() Stats {
	s := Stats{Passed: p.passes.Load(), Failed: p.failures.Load(), States: map[string]int{Up: 0, Down: 0, Unknown: 0}}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range p.targets {
		s.States[t.judge.state]++
	}
	return s
}

func (p *Prober) count(v verdict) {
	if v.passed {
		p.passes.Add(1)
	} else {
		p.failures.Add(1)
	}
}
