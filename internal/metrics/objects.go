package metrics

import "github.com/prometheus/client_golang/prometheus"

// States of objects in a cluster.
const (
	// Synced objects are as the hub wants them.
	Synced = "synced"
	// Pending objects are still to be written or deleted.
	Pending = "pending"
	// Failing objects were refused by the cluster, or are in conflict with what was there.
	Failing = "failing"
	// Unknown objects are in a cluster that cannot be read.
	Unknown = "unknown"
)

// ObjectsSnapshot is how objects are at one moment.
type ObjectsSnapshot struct {
	Clusters map[string]ClusterObjects
	// UnplacedReplicas is how many replicas no cluster can take, of all workloads together; nil: it is not known.
	UnplacedReplicas *int
}

// ClusterObjects is how the hub's objects are in one cluster.
type ClusterObjects struct {
	// States is how many objects are in each state; states that are missing are not known.
	States map[string]int
	// Held is how many objects wait for hanse prune.
	Held int
	// Unreadable says that something there cannot be read, so that nobody knows how it is.
	Unreadable bool
	// FailedOver says that the cluster counts as lost, and its replicas run elsewhere.
	FailedOver bool
}

// Objects are the metrics of what is where.
type Objects struct{ gathered[ObjectsSnapshot] }

func newObjects(r *registrar, c *clusters) *Objects {
	o := &Objects{gathered[ObjectsSnapshot]{hub: r.hub}}
	states := o.desc("objects", "Number of the hub's objects in the cluster, by state: synced, pending, failing or unknown.", clusterLabel, "state")
	held := o.desc("deletions_held", "Number of objects in the cluster that the hub does not know and therefore does not delete until they are approved with hanse prune.", clusterLabel)
	unreadable := o.desc("cluster_objects_unreadable", "Whether the hub cannot read some of its objects in the cluster, so that their state is unknown.", clusterLabel)
	failedOver := o.desc("cluster_failed_over", "Whether the cluster counts as lost, so that its replicas have failed over to other clusters.", clusterLabel)
	unplaced := o.desc("unplaced_replicas", "Number of replicas, of all workloads, for which no cluster has room or is allowed.")
	o.collect = func(s ObjectsSnapshot, emit emit) {
		for name, cluster := range s.Clusters {
			c.during(name, func() {
				for state, n := range cluster.States {
					emit(states, prometheus.GaugeValue, float64(n), name, state)
				}
				emit(held, prometheus.GaugeValue, float64(cluster.Held), name)
				emit(unreadable, prometheus.GaugeValue, truth(cluster.Unreadable), name)
				emit(failedOver, prometheus.GaugeValue, truth(cluster.FailedOver), name)
			})
		}
		if s.UnplacedReplicas != nil {
			emit(unplaced, prometheus.GaugeValue, float64(*s.UnplacedReplicas))
		}
	}
	r.add(o)
	return o
}

// Source says whom to ask at each scrape. It must not block, and may be called by several goroutines at once.
func (o *Objects) Source(source func() ObjectsSnapshot) {
	if o != nil {
		o.set(source)
	}
}
