// Package rollout lets a change of a workload's pods go out to the clusters
// step by step: it says which of them may have it now, and why the others have
// to wait. It is pure: what it has to remember from one look at the members to
// the next is a State, which is kept in an annotation of the hub's object.
package rollout

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// State is how far a change has gone. It is written before anything is sent to a
// member on its account, so that a hub that is killed anywhere goes on where it was.
type State struct {
	// Revision of the pod template that goes out, or has gone out.
	Revision string `json:"revision"`
	// Proven is the revision that went everywhere before it; empty: none did.
	Proven string `json:"proven,omitempty"`
	// Done: the revision is everywhere, and new clusters get it at once.
	Done bool `json:"done,omitempty"`
	// Open is the clusters of earlier steps, sorted.
	Open []string `json:"open,omitempty"`
	// Step is the name of the step in motion, and Current its clusters, sorted.
	Step    string   `json:"step,omitempty"`
	Current []string `json:"current,omitempty"`
	// Began is when the step did, or was resumed; Ready since when all of it is
	// ready.
	Began time.Time  `json:"began,omitzero"`
	Ready *time.Time `json:"ready,omitempty"`
	// Stopped says why the rollout stopped by itself, and Failed which clusters
	// are to blame.
	Stopped string   `json:"stopped,omitempty"`
	Failed  []string `json:"failed,omitempty"`
	// Skipped is the clusters that have failed and are not waited for.
	Skipped []string `json:"skipped,omitempty"`
}

// Parse reads what String wrote.
func Parse(s string) (*State, error) {
	out := &State{}
	if err := json.Unmarshal([]byte(s), out); err != nil {
		return nil, fmt.Errorf("%q is not the state of a rollout: %w", s, err)
	}
	if out.Revision == "" {
		return nil, fmt.Errorf("%q is not the state of a rollout: it has no revision", s)
	}
	return out, nil
}

// String is the state as it is kept in an annotation.
func (s *State) String() string {
	out, err := json.Marshal(s)
	if err != nil {
		return "" // a struct of strings and times in this millennium
	}
	return string(out)
}

// Opens says whether a cluster may have a revision of the pod template. Without
// a state nothing is known of an earlier one: it goes everywhere.
func (s *State) Opens(cluster, revision string) bool {
	if s == nil {
		return true
	}
	return s.Revision == revision && (s.Done || slices.Contains(s.Open, cluster) || slices.Contains(s.Current, cluster))
}

func (s *State) clone() *State {
	out := *s
	out.Open, out.Current = slices.Clone(s.Open), slices.Clone(s.Current)
	out.Failed, out.Skipped = slices.Clone(s.Failed), slices.Clone(s.Skipped)
	return &out
}
