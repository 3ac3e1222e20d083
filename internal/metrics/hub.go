package metrics

import "github.com/prometheus/client_golang/prometheus"

// Hub are the metrics of the process as a whole.
type Hub struct {
	leading *prometheus.GaugeVec
	panics  *prometheus.CounterVec
}

func newHub(r *registrar) *Hub {
	h := &Hub{
		leading: r.gauge("hub_leading", "Whether this hub is the one that propagates: 1 if it is, 0 if it waits for the lease that another hub on the same etcd holds."),
		panics: r.counter("panics_recovered_total",
			"Number of panics that were recovered, by the component that panicked. Each one is a bug in Hanse; its stack is in the hub's log.", "component"),
	}
	h.leading.WithLabelValues().Set(0)
	return h
}

// Leading says whether this hub propagates.
func (h *Hub) Leading(yes bool) {
	if h != nil {
		h.leading.WithLabelValues().Set(truth(yes))
	}
}

// Panicked counts a panic that was recovered. The component is a constant of the caller's.
func (h *Hub) Panicked(component string) {
	if h != nil {
		h.panics.WithLabelValues(component).Inc()
	}
}
