package metrics

import "github.com/prometheus/client_golang/prometheus"

// Kinds of what may be lost.
const (
	LossOfCluster  = "cluster"
	LossOfRegion   = "region"
	LossOfProvider = "provider"
)

// Loss is what the loss of a cluster, or of all clusters of a region or provider, would do.
type Loss struct {
	Kind, Name string
	// UnplacedReplicas would have no place, UnansweredNames of Services and hostnames no answer; QuorumsLost is how many
	// StatefulSets would have lost their quorum.
	UnplacedReplicas, UnansweredNames, QuorumsLost int
}

// Losses are the metrics of what would not survive the loss of clusters.
type Losses struct{ gathered[[]Loss] }

func newLosses(r *registrar, c *clusters) *Losses {
	l := &Losses{gathered[[]Loss]{hub: r.hub}}
	unplaced := l.desc("loss_unplaced_replicas", "Number of replicas that would have no place if the cluster, or all clusters of the region or provider, were lost.", "kind", "name")
	unanswered := l.desc("loss_unanswered_names", "Number of Services and hostnames that nothing would answer if the cluster, or all clusters of the region or provider, were lost.", "kind", "name")
	quorums := l.desc("loss_quorums_lost", "Number of StatefulSets that would have lost their quorum if the cluster, or all clusters of the region or provider, were lost.", "kind", "name")
	l.collect = func(all []Loss, emit emit) {
		for _, loss := range all {
			one := func() {
				emit(unplaced, prometheus.GaugeValue, float64(loss.UnplacedReplicas), loss.Kind, loss.Name)
				emit(unanswered, prometheus.GaugeValue, float64(loss.UnansweredNames), loss.Kind, loss.Name)
				emit(quorums, prometheus.GaugeValue, float64(loss.QuorumsLost), loss.Kind, loss.Name)
			}
			switch loss.Kind {
			case LossOfCluster:
				c.during(loss.Name, one)
			case LossOfRegion, LossOfProvider:
				one()
			}
		}
	}
	r.add(l)
	return l
}

// Source says whom to ask at each scrape; each cluster, region and provider is in what it returns once. It must not block, and
// may be called by several goroutines at once.
func (l *Losses) Source(source func() []Loss) {
	if l != nil {
		l.set(source)
	}
}
