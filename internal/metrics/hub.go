package metrics

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

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
	for _, component := range components() {
		h.panics.WithLabelValues(component)
	}
	return h
}

// components are those that panics are counted of. They are there from the start, so that a first panic is seen to be an
// increase.
func components() []string {
	return []string{"dns", "dns-lookup", "dns-probe", "fleet", "metrics", "propagation", "upstream", "watch"}
}

// Leading says whether this hub propagates.
func (h *Hub) Leading(yes bool) {
	if h != nil {
		h.leading.WithLabelValues().Set(truth(yes))
	}
}

// Panicked counts a panic that was recovered, of one of the components.
func (h *Hub) Panicked(component string) {
	if h != nil {
		if !slices.Contains(components(), component) {
			component = other
		}
		h.panics.WithLabelValues(component).Inc()
	}
}
