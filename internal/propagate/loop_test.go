package propagate

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/runtime/schema"
	testclock "k8s.io/utils/clock/testing"

	"github.com/hanse-dev/hanse/internal/metrics"
	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// TestInputsAreMeasured: how many wait to be decided about, of which a look at an object that takes the place of another is none,
// and for how long they do.
func TestInputsAreMeasured(t *testing.T) {
	r := prometheus.NewRegistry()
	m, err := metrics.New(r)
	if err != nil {
		t.Fatal(err)
	}
	clock := testclock.NewFakeClock(time.Unix(1, 0))
	l := newLoop(decide.NewWorld(decide.Options{}), clock, func(decide.Effect) {})
	l.queue = m.Workqueues.Open("inputs", "")
	key := template.Key{GR: schema.GroupResource{Resource: "configmaps"}, Name: "settings"}
	l.add(decide.Seen{Cluster: "aws", Key: key})
	clock.Step(2 * time.Second)
	l.add(decide.Seen{Cluster: "aws", Key: key})
	l.add(decide.ClustersListed{})
	depth, _ := queueOf(t, r)
	if depth != 2 {
		t.Errorf("%v wait, want 2", depth)
	}
	for _, request := range l.take() {
		l.do(request, time.Time{}, false)
	}
	l.do(request{input: decide.Tick{}}, time.Time{}, false) // the loop's own has not waited
	if depth, waited := queueOf(t, r); depth != 0 || waited != 2 {
		t.Errorf("%v wait, and have waited for %v s in all, want 0 and 2", depth, waited)
	}
}

// queueOf is how many items wait in the one queue, and for how long those that do not have waited.
func queueOf(t *testing.T, r prometheus.Gatherer) (depth, waited float64) {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		switch f.GetName() {
		case "hanse_workqueue_depth":
			depth = f.GetMetric()[0].GetGauge().GetValue()
		case "hanse_workqueue_queue_duration_seconds":
			waited = f.GetMetric()[0].GetHistogram().GetSampleSum()
		}
	}
	return depth, waited
}
