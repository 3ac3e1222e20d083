package failover

import "time"

// State is all that a Judge knows, as plain data, so that another can go on from there.
type State struct {
	CutOff   bool               `json:"cutOff,omitempty"`
	Contacts map[string]Contact `json:"contacts,omitempty"` // by cluster
}

// Contact is what is known of the looks at one cluster.
type Contact struct {
	Answered time.Time     `json:"answered,omitzero"`
	Failed   time.Time     `json:"failed,omitzero"`
	Failures int           `json:"failures,omitempty"`
	Since    time.Time     `json:"since,omitzero"`
	From     time.Time     `json:"from,omitzero"`
	Away     time.Duration `json:"away,omitempty"`
}

// State is what j knows.
func (j *Judge) State() State {
	s := State{CutOff: j.cutOff, Contacts: make(map[string]Contact, len(j.clusters))}
	for name, c := range j.clusters {
		s.Contacts[name] = Contact{c.answered, c.failed, c.failures, c.since, c.from, c.away}
	}
	return s
}

// Restore has j know what s says, and nothing else.
func (j *Judge) Restore(s State) {
	j.cutOff, j.failing, j.clusters = s.CutOff, 0, make(map[string]*contact, len(s.Contacts))
	for name, c := range s.Contacts {
		known := &contact{c.Answered, c.Failed, c.Failures, c.Since, c.From, c.Away}
		if j.clusters[name] = known; known.failing() {
			j.failing++
		}
	}
}
