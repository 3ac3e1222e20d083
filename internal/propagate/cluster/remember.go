package cluster

import (
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/hanse-dev/hanse/internal/failover"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// Remembered is all that Losses know, as plain data.
type Remembered struct {
	Judge   failover.State
	Lost    []RememberedLoss
	Taints  []RememberedTaint
	Tainted bool
	Next    time.Time
}

// RememberedLoss is a cluster that was lost for workloads with that failover time.
type RememberedLoss struct {
	Cluster string
	After   time.Duration
}

// RememberedTaint is since when there is a taint that does not say it.
type RememberedTaint struct {
	Cluster, Key, Value string
	Effect              corev1.TaintEffect
	Since               time.Time
}

// Remember is what l knows.
func (l *Losses) Remember() Remembered {
	r := Remembered{Judge: l.judge.State(), Tainted: l.tainted, Next: l.next}
	for one := range l.lost.of {
		r.Lost = append(r.Lost, RememberedLoss{one.cluster, one.after})
	}
	for t, since := range l.taints {
		r.Taints = append(r.Taints, RememberedTaint{t.cluster, t.key, t.value, t.effect, since})
	}
	return r
}

// Restore has l know what r says, and nothing else.
func (l *Losses) Restore(r Remembered) {
	l.judge.Restore(r.Judge)
	l.lost.of, l.taints = map[loss]bool{}, map[taint]time.Time{}
	for _, one := range r.Lost {
		l.lost.of[loss{one.Cluster, one.After}] = true
	}
	for _, t := range r.Taints {
		l.taints[taint{t.Cluster, t.Key, t.Value, t.Effect}] = t.Since
	}
	l.tainted, l.next = r.Tainted, r.Next
}

// encodedSize is a Size as JSON.
type encodedSize struct {
	Nodes int32               `json:",omitempty"`
	Node  *schedule.Resources `json:",omitempty"`
}

// MarshalJSON encodes s; UnmarshalJSON makes of it one that says the same.
func (s Size) MarshalJSON() ([]byte, error) { return json.Marshal(encodedSize{s.nodes, s.node}) }

// UnmarshalJSON reads what MarshalJSON wrote.
func (s *Size) UnmarshalJSON(data []byte) error {
	var in encodedSize
	if err := json.Unmarshal(data, &in); err != nil {
		return fmt.Errorf("a recorded size of a cluster: %w", err)
	}
	s.nodes, s.node = in.Nodes, in.Node
	return nil
}
