package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Fleet are the metrics of the hub's connections to its members.
type Fleet struct {
	clusters  *clusters
	ready     *prometheus.GaugeVec
	answered  *prometheus.GaugeVec
	probes    *prometheus.CounterVec
	took      *prometheus.HistogramVec
	open      *prometheus.GaugeVec
	opened    *prometheus.CounterVec
	expires   *prometheus.GaugeVec
	rotations *prometheus.CounterVec
	authority *prometheus.GaugeVec
}

func newFleet(r *registrar, c *clusters) *Fleet {
	f := &Fleet{
		clusters: c,
		ready:    r.gauge("cluster_ready", "Whether the Cluster's condition Ready is True.", clusterLabel),
		answered: r.gauge("cluster_last_answer_timestamp_seconds",
			"Unix time of the last health check that the cluster answered as ready, with the hub's credential accepted.", clusterLabel),
		probes: r.counter("cluster_probes_total",
			"Number of health checks of the cluster, by result: Reachable, or the reason for which the check failed.", clusterLabel, "result"),
		took: r.histogram("cluster_probe_duration_seconds",
			"How long health checks of clusters took, answered or not.",
			[]float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}),
		open: r.gauge("cluster_session_open", "Whether the hub has a session with the cluster, in which it watches and writes there.", clusterLabel),
		opened: r.counter("cluster_sessions_opened_total",
			"Number of sessions with the cluster that were opened. A session ends when the cluster cannot be reached.", clusterLabel),
		expires: r.gauge("cluster_credential_expiry_timestamp_seconds",
			"Unix time at which the hub's credential for the cluster expires. The hub replaces it well before.", clusterLabel),
		rotations: r.counter("cluster_credential_rotations_total",
			"Number of attempts to replace the hub's credential for the cluster, by result: success or failure.", clusterLabel, "result"),
		authority: r.gauge("cluster_ca_expiry_timestamp_seconds",
			"Unix time at which the last of the certificates in the Cluster's CA bundle expires.", clusterLabel),
	}
	c.own(f.ready, f.answered, f.probes, f.open, f.opened, f.expires, f.rotations, f.authority)
	return f
}

// Joined makes a cluster known: of others, nothing is measured.
func (f *Fleet) Joined(cluster string) {
	if f == nil {
		return
	}
	f.clusters.join(cluster)
	f.clusters.during(cluster, func() {
		f.ready.WithLabelValues(cluster).Set(0)
		f.open.WithLabelValues(cluster).Set(0)
		f.opened.WithLabelValues(cluster)
		f.rotations.WithLabelValues(cluster, "success")

		f.rotations.WithLabelValues(cluster, "failure")
	})
}

// Left deletes all series of a cluster, also those of other metrics than these.
func (f *Fleet) Left(cluster string) {
	if f != nil {
		f.clusters.leave(cluster)
	}
}

// Looked counts a health check that ended at a time. The result is the reason of a verdict, of which there are few; ok
// says whether it is that the cluster is well.
func (f *Fleet) Looked(cluster, result string, ok bool, took time.Duration, at time.Time) {
	if f == nil {
		return
	}
	f.took.WithLabelValues().Observe(took.Seconds())
	f.clusters.during(cluster, func() {
		f.probes.WithLabelValues(cluster, result).Inc()
		if ok {
			f.answered.WithLabelValues(cluster).Set(unix(at))
		}
	})
}

// Ready says what the Cluster's condition Ready is.
func (f *Fleet) Ready(cluster string, yes bool) {
	if f != nil {
		f.clusters.during(cluster, func() { f.ready.WithLabelValues(cluster).Set(truth(yes)) })
	}
}

// Session says that the session with a cluster was opened, or has ended.
func (f *Fleet) Session(cluster string, open bool) {
	if f == nil {
		return
	}
	f.clusters.during(cluster, func() {
		f.open.WithLabelValues(cluster).Set(truth(open))
		if open {
			f.opened.WithLabelValues(cluster).Inc()
		}
	})
}

// Credential says when the hub's credential for a cluster expires; a zero time: that is not known.
func (f *Fleet) Credential(cluster string, expires time.Time) {
	if f != nil {
		f.clusters.during(cluster, func() { setTime(f.expires, cluster, expires) })
	}
}

// Authority says when the CA bundle of a cluster expires; a zero time: there is none, or it cannot be read.
func (f *Fleet) Authority(cluster string, expires time.Time) {
	if f != nil {
		f.clusters.during(cluster, func() { setTime(f.authority, cluster, expires) })
	}
}

// Rotated counts an attempt to replace the hub's credential for a cluster.
func (f *Fleet) Rotated(cluster string, err error) {
	if f == nil {
		return
	}
	result := "success"
	if err != nil {
		result = "failure"
	}
	f.clusters.during(cluster, func() { f.rotations.WithLabelValues(cluster, result).Inc() })
}

// setTime makes a gauge a time; one that is not known has no series, rather than 1970.
func setTime(v *prometheus.GaugeVec, cluster string, t time.Time) {
	if t.IsZero() {
		v.DeleteLabelValues(cluster)
		return
	}
	v.WithLabelValues(cluster).Set(unix(t))
}

func unix(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
