package cluster

import (
	"cmp"
	"maps"
	"time"

	"github.com/hanse-dev/hanse/internal/policy"
)

// Lost is which clusters are lost at a moment. It does not change. By the zero Lost none is.
type Lost struct {
	after time.Duration // the hub's own failover time; 0: off
	of    map[loss]bool
}

// loss is a cluster that is lost for workloads with a failover time; 0: for all, because it is to be left.
type loss struct {
	cluster string
	after   time.Duration
}

// For says whether a cluster is lost for the workloads of a policy: what they run there fails over.
func (l Lost) For(cluster string, p *policy.Policy) bool {
	return l.of[loss{cluster, afterFor(l.after, p)}] || l.of[loss{cluster: cluster}]
}

// Dead says whether the pods of a policy's workloads in a cluster that is out of reach are taken for not ready: when it
// is lost for them, or, where they are not to fail over, would be by the hub's own time.
func (l Lost) Dead(cluster string, p *policy.Policy) bool {
	return l.of[loss{cluster, cmp.Or(afterFor(l.after, p), l.settled())}] || l.For(cluster, p)
}

// With is l as if some clusters were lost for all.
func (l Lost) With(clusters ...string) Lost {
	of := maps.Clone(l.of)
	if of == nil {
		of = map[loss]bool{}
	}
	for _, name := range clusters {
		of[loss{cluster: name}] = true
	}
	l.of = of
	return l
}

// settled is when a cluster counts as lost for what nobody has said anything about.
func (l Lost) settled() time.Duration { return cmp.Or(max(0, l.after), settleWithout) }

// afterFor is the failover time of a policy's workloads, after the hub's own; 0: never.
func afterFor(after time.Duration, p *policy.Policy) time.Duration {
	switch {
	case !p.Failover.Enabled:
		return 0
	case p.Failover.After > 0:
		return p.Failover.After
	}
	return after
}
