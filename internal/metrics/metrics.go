// Package metrics is what a hub measures of itself, for Prometheus.
//
// Everything is made by New, with the registerer that the caller chooses: there are no globals. Every method may be
// called on nil, does nothing then, does not block, and may be called by any number of goroutines.
//
// What can be a label's value is bounded. Clusters are those that Fleet.Joined has named and Fleet.Left has not, whose
// series go with them; regions and providers are those of clusters, zones those of the DNSZones; reasons and verbs that this package does not know are "Other",
// since a member may answer with any. Nothing that a user of a namespace names is a label.
package metrics

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// namespace is what the names of all metrics begin with.
const namespace = "hanse"

// Metrics are all metrics of a hub.
type Metrics struct {
	Hub          *Hub
	Fleet        *Fleet
	Propagation  *Propagation
	Objects      *Objects
	Losses       *Losses
	Workqueues   *Workqueues
	DNS          *DNS
	Certificates *Certificates
}

// New makes the metrics of a hub and registers them. It fails if r has metrics of these names already.
func New(r prometheus.Registerer) (*Metrics, error) {
	reg := &registrar{to: r}
	c := newClusters()
	reg.hub = newHub(reg)
	m := &Metrics{
		Hub:          reg.hub,
		Fleet:        newFleet(reg, c),
		Propagation:  newPropagation(reg, c),
		Workqueues:   newWorkqueues(reg, c),
		Objects:      newObjects(reg, c),
		Losses:       newLosses(reg, c),
		DNS:          newDNS(reg),
		Certificates: newCertificates(reg),
	}
	return m, errors.Join(reg.errs...)
}

// registrar makes collectors, and remembers which could not be registered.
type registrar struct {
	to   prometheus.Registerer
	hub  *Hub // counts panics of what is gathered
	errs []error
}

func (r *registrar) add(c prometheus.Collector) {
	if err := r.to.Register(c); err != nil {
		r.errs = append(r.errs, err)
	}
}

func (r *registrar) counter(name, help string, labels ...string) *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
	r.add(v)
	return v
}

func (r *registrar) gauge(name, help string, labels ...string) *prometheus.GaugeVec {
	v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, labels)
	r.add(v)
	return v
}

func (r *registrar) histogram(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: buckets}, labels)
	r.add(v)
	return v
}

// truth is a boolean as a gauge has it.
func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
