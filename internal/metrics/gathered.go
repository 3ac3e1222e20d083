package metrics

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hanse-dev/hanse/internal/guard"
)

// gathered are metrics whose values are asked for when they are scraped, of a source that may come later than the
// metrics, or never. A panic of the source leaves them out of the scrape: it would end the process otherwise, since
// they are collected in goroutines of Prometheus' own.
type gathered[T any] struct {
	hub     *Hub
	source  atomic.Pointer[func() T]
	descs   []*prometheus.Desc
	collect func(T, emit)
}

// emit adds a value to a scrape; the labels are in the order of the Desc.
type emit func(d *prometheus.Desc, t prometheus.ValueType, value float64, labels ...string)

// desc describes one of the metrics.
func (g *gathered[T]) desc(name, help string, labels ...string) *prometheus.Desc {
	d := prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, labels, nil)
	g.descs = append(g.descs, d)
	return d
}

func (g *gathered[T]) set(source func() T) { g.source.Store(&source) }

func (g *gathered[T]) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range g.descs {
		ch <- d
	}
}

func (g *gathered[T]) Collect(ch chan<- prometheus.Metric) {
	source := g.source.Load()
	if source == nil {
		return
	}
	var all []prometheus.Metric
	err := guard.Run(func() error {
		g.collect((*source)(), func(d *prometheus.Desc, t prometheus.ValueType, value float64, labels ...string) {
			if m, err := prometheus.NewConstMetric(d, t, value, labels...); err == nil { // only a label that is no UTF-8 is an error
				all = append(all, m)
			}
		})
		return nil
	})
	if err != nil {
		g.hub.Panicked("metrics")
		return
	}
	for _, m := range all {
		ch <- m
	}
}
