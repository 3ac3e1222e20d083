package work

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	testclock "k8s.io/utils/clock/testing"

	"github.com/hanse-dev/hanse/internal/metrics"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// TestAPoolIsMeasured: what waits, and how long what is worked on takes, until the pool is stopped.
func TestAPoolIsMeasured(t *testing.T) {
	r := prometheus.NewRegistry()
	m, err := metrics.New(r)
	if err != nil {
		t.Fatal(err)
	}
	m.Fleet.Joined("aws")
	clock := testclock.NewFakeClock(time.Unix(1, 0))
	began, goOn := make(chan struct{}), make(chan struct{})
	p := NewPool(m.Workqueues.Open("member", "aws"), clock, 1, func(context.Context, template.Key) error {
		began <- struct{}{}
		<-goOn
		return nil
	}, nil)
	p.Add(template.Key{Name: "one"})
	p.Add(template.Key{Name: "two"})
	depth := func() float64 { return gauge(t, r, "hanse_workqueue_depth") }
	if n := depth(); n != 2 {
		t.Errorf("%v wait, want 2", n)
	}
	p.Start(t.Context())
	<-began
	if n := depth(); n != 1 {
		t.Errorf("%v wait while one is worked on, want 1", n)
	}
	eventually(t, "somebody to look at the clock", clock.HasWaiters)
	clock.Step(200 * time.Second)
	eventually(t, "the worker to be seen to be stuck", func() bool { return gauge(t, r, "hanse_workqueue_longest_running_processor_seconds") == 200 })
	goOn <- struct{}{}
	<-began
	goOn <- struct{}{}
	p.Stop()
	if n := depth(); n != -1 {
		t.Errorf("a pool that is stopped still has a depth of %v", n)
	}
}

// gauge is the one value of a metric, -1 if there is none.
func gauge(t *testing.T, r prometheus.Gatherer, name string) float64 {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	return -1
}
