package metrics

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/util/workqueue"
)

// Workqueues are the metrics of client-go's workqueues that are given a provider by Open. Upstream's own queues have
// upstream's provider, and its metrics without the prefix.
type Workqueues struct {
	clusters *clusters
	adds     *prometheus.CounterVec
	retries  *prometheus.CounterVec
	waited   *prometheus.HistogramVec
	worked   *prometheus.HistogramVec

	mu   sync.Mutex
	open map[*Queue]struct{}
}

// queueBuckets are seconds, from a tenth of a millisecond to a few minutes.
func queueBuckets() []float64 { return prometheus.ExponentialBuckets(.0001, 4, 11) }

func newWorkqueues(r *registrar, c *clusters) *Workqueues {
	w := &Workqueues{
		clusters: c, open: map[*Queue]struct{}{},
		adds:    r.counter("workqueue_adds_total", "Number of additions to the work queue. Queues that serve one cluster have its name.", "name", clusterLabel),
		retries: r.counter("workqueue_retries_total", "Number of items that were put back into the work queue to be tried again.", "name", clusterLabel),
		waited:  r.histogram("workqueue_queue_duration_seconds", "How long items waited in the work queue before they were worked on.", queueBuckets(), "name"),
		worked:  r.histogram("workqueue_work_duration_seconds", "How long it took to work on an item of the work queue.", queueBuckets(), "name"),
	}
	c.own(w.adds, w.retries)
	g := &gathered[[]queueState]{hub: r.hub}
	depth := g.desc("workqueue_depth", "Number of items that wait in the work queue.", "name", clusterLabel)
	unfinished := g.desc("workqueue_unfinished_work_seconds", "Sum of how long the items that are being worked on have been worked on. If it keeps rising, workers are stuck.", "name", clusterLabel)
	longest := g.desc("workqueue_longest_running_processor_seconds", "How long the item that has been worked on for longest has been worked on.", "name", clusterLabel)
	g.collect = func(all []queueState, emit emit) {
		for _, q := range all {
			emit(depth, prometheus.GaugeValue, float64(q.depth), q.name, q.cluster)
			emit(unfinished, prometheus.GaugeValue, q.unfinished, q.name, q.cluster)
			emit(longest, prometheus.GaugeValue, q.longest, q.name, q.cluster)
		}
	}
	g.set(w.states)
	r.add(g)
	return w
}

// Queue is the workqueue.MetricsProvider of one queue.
type Queue struct {
	all           *Workqueues
	name, cluster string
	depth         atomic.Int64
	unfinished    atomicFloat
	longest       atomicFloat
}

// Open returns the provider for a queue that is about to be made, nil of nil: then client-go uses upstream's. The name
// is a constant of the caller's, which should be the queue's own too; the cluster is the one that the queue serves, or
// empty. Close it when the queue has been shut down. Queues may share a name and cluster: their numbers add up.
func (w *Workqueues) Open(name, cluster string) *Queue {
	if w == nil {
		return nil
	}
	q := &Queue{all: w, name: name, cluster: cluster}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open[q] = struct{}{}
	return q
}

// Provider is the queue as client-go's configuration wants it: a nil interface of nil.
func (q *Queue) Provider() workqueue.MetricsProvider {
	if q == nil {
		return nil
	}
	return q
}

// Name is the queue's, empty of nil: client-go does not measure a queue without a name.
func (q *Queue) Name() string {
	if q == nil {
		return ""
	}
	return q.name
}

// Put counts an item that is put on a queue that is not client-go's.
func (q *Queue) Put() {
	if q != nil {
		q.depth.Add(1)
		q.count(q.all.adds)
	}
}

// Taken counts an item that is taken from a queue that is not client-go's, after it has waited.
func (q *Queue) Taken(waited time.Duration) {
	if q != nil {
		q.depth.Add(-1)
		q.all.waited.WithLabelValues(q.name).Observe(waited.Seconds())
	}
}

// Close takes what the queue still holds out of the metrics. Idempotent.
func (q *Queue) Close() {
	if q == nil {
		return
	}
	q.all.mu.Lock()
	defer q.all.mu.Unlock()
	delete(q.all.open, q)
}

// queueState is how the queues of one name and cluster are.
type queueState struct {
	name, cluster       string
	depth               int64
	unfinished, longest float64
}

func (w *Workqueues) states() []queueState {
	type key struct{ name, cluster string }
	by := map[key]queueState{}
	w.mu.Lock()
	defer w.mu.Unlock()
	for q := range w.open {
		k := key{q.name, q.cluster}
		s := by[k]
		s.name, s.cluster = q.name, q.cluster
		s.depth += q.depth.Load()
		s.unfinished += q.unfinished.load()
		s.longest = max(s.longest, q.longest.load())
		by[k] = s
	}
	all := make([]queueState, 0, len(by))
	for _, s := range by {
		all = append(all, s)
	}
	return all
}

// count adds one to a counter of the queue's, unless its cluster has left.
func (q *Queue) count(v *prometheus.CounterVec) {
	add := func() { v.WithLabelValues(q.name, q.cluster).Inc() }
	if q.cluster == "" {
		add()
		return
	}
	q.all.clusters.during(q.cluster, add)
}

func (q *Queue) NewDepthMetric(string) workqueue.GaugeMetric { return depthMetric{&q.depth} }

func (q *Queue) NewAddsMetric(string) workqueue.CounterMetric {
	return counterFunc(func() { q.count(q.all.adds) })
}

func (q *Queue) NewRetriesMetric(string) workqueue.CounterMetric {
	return counterFunc(func() { q.count(q.all.retries) })
}

func (q *Queue) NewLatencyMetric(string) workqueue.HistogramMetric {
	return q.all.waited.WithLabelValues(q.name)
}

func (q *Queue) NewWorkDurationMetric(string) workqueue.HistogramMetric {
	return q.all.worked.WithLabelValues(q.name)
}

func (q *Queue) NewUnfinishedWorkSecondsMetric(string) workqueue.SettableGaugeMetric {
	return &q.unfinished
}

func (q *Queue) NewLongestRunningProcessorSecondsMetric(string) workqueue.SettableGaugeMetric {
	return &q.longest
}

type depthMetric struct{ n *atomic.Int64 }

func (d depthMetric) Inc() { d.n.Add(1) }
func (d depthMetric) Dec() { d.n.Add(-1) }

type counterFunc func()

func (f counterFunc) Inc() { f() }

type atomicFloat struct{ bits atomic.Uint64 }

func (f *atomicFloat) Set(v float64) { f.bits.Store(math.Float64bits(v)) }
func (f *atomicFloat) load() float64 { return math.Float64frombits(f.bits.Load()) }
