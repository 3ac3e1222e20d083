package metrics

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// other is the value of a label for all values that are not known.
const other = "Other"

// Propagation are the metrics of deciding and delivering.
type Propagation struct {
	clusters  *clusters
	decisions *prometheus.HistogramVec
	writes    *prometheus.CounterVec
	took      *prometheus.HistogramVec
	latency   *prometheus.HistogramVec
}

func newPropagation(r *registrar, c *clusters) *Propagation {
	p := &Propagation{
		clusters: c,
		decisions: r.histogram("decision_duration_seconds",
			"How long it took to decide which clusters get an object and how many of its replicas.",
			[]float64{.00001, .000025, .0001, .00025, .001, .0025, .01, .025, .1, .25, 1, 2.5}),
		writes: r.counter("member_writes_total",
			"Number of writes to the cluster, by verb, class of the HTTP status code (none if there was no answer) and reason (OK, or the reason of the failure).",
			clusterLabel, "verb", "code", "reason"),
		took: r.histogram("member_write_duration_seconds", "How long writes to clusters took, successful or not, by verb.",
			[]float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}, "verb"),
		latency: r.histogram("propagation_duration_seconds",
			"Time from a write of an object at the hub until the cluster confirmed the write that follows from it.",
			[]float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300}, clusterLabel),
	}
	c.own(p.writes, p.latency)
	return p
}

// Decided counts a decision, and how long it took.
func (p *Propagation) Decided(took time.Duration) {
	if p != nil {
		p.decisions.WithLabelValues().Observe(took.Seconds())
	}
}

// Wrote counts a write to a cluster: verb is create, update, patch, apply or delete, err what came of it.
func (p *Propagation) Wrote(cluster, verb string, err error, took time.Duration) {
	if p == nil {
		return
	}
	switch verb {
	case "create", "update", "patch", "apply", "delete":
	default:
		verb = other
	}
	p.took.WithLabelValues(verb).Observe(took.Seconds())
	code, reason := outcome(err)
	p.clusters.during(cluster, func() { p.writes.WithLabelValues(cluster, verb, code, reason).Inc() })
}

// Confirmed counts a change of an object at the hub that a cluster has confirmed, and how long that took since the
// hub's API server answered the user. Drift that is put back and what a cluster missed while it was away are none.
func (p *Propagation) Confirmed(cluster string, took time.Duration) {
	if p != nil {
		p.clusters.during(cluster, func() { p.latency.WithLabelValues(cluster).Observe(took.Seconds()) })
	}
}

// outcome is the class of the HTTP status code and the reason of what came of a request. A member may answer with any
// reason: those that Kubernetes does not have are other.
func outcome(err error) (code, reason string) {
	var network net.Error
	var status apierrors.APIStatus
	switch {
	case err == nil:
		return "2xx", "OK"
	case errors.As(err, &status):
		return class(status.Status().Code), known(status.Status().Reason)
	case errors.Is(err, context.Canceled):
		return "none", "Canceled"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return "none", "Timeout"
	case errors.As(err, &network):
		return "none", "Unreachable"
	}
	return "none", other
}

func class(code int32) string {
	if code < 100 || code > 599 {
		return "none"
	}
	return fmt.Sprintf("%dxx", code/100)
}

func known(reason metav1.StatusReason) string {
	switch reason {
	case metav1.StatusReasonUnauthorized, metav1.StatusReasonForbidden, metav1.StatusReasonNotFound, metav1.StatusReasonAlreadyExists,
		metav1.StatusReasonConflict, metav1.StatusReasonGone, metav1.StatusReasonInvalid, metav1.StatusReasonServerTimeout,
		metav1.StatusReasonTimeout, metav1.StatusReasonTooManyRequests, metav1.StatusReasonBadRequest, metav1.StatusReasonMethodNotAllowed,
		metav1.StatusReasonNotAcceptable, metav1.StatusReasonRequestEntityTooLarge, metav1.StatusReasonUnsupportedMediaType,
		metav1.StatusReasonInternalError, metav1.StatusReasonExpired, metav1.StatusReasonServiceUnavailable:
		return string(reason)
	}
	return other
}
