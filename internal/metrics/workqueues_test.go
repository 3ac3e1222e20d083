package metrics

import (
	"testing"
	"time"

	"k8s.io/client-go/util/workqueue"
	testclock "k8s.io/utils/clock/testing"
)

// Client-go's own queue moves them, and what it holds goes with it.
func TestWorkqueue(t *testing.T) {
	m, r := fresh(t)
	m.Fleet.Joined("a")
	provider := m.Workqueues.Open("member", "a")
	clock := testclock.NewFakeClock(time.Unix(1, 0))
	q := workqueue.NewTypedRateLimitingQueueWithConfig(workqueue.NewTypedItemFastSlowRateLimiter[string](time.Millisecond, time.Second, 3),
		workqueue.TypedRateLimitingQueueConfig[string]{Name: "member", MetricsProvider: provider.Provider(), Clock: clock})
	defer q.ShutDown()
	q.Add("x")
	q.Add("y")
	const member = `{cluster="a",name="member"}`
	if all := r.scrape(t); all["hanse_workqueue_depth"+member] != 2 || all["hanse_workqueue_adds_total"+member] != 2 {
		t.Error(of(all, "workqueue"))
	}
	clock.Step(2 * time.Second)
	item, _ := q.Get()
	clock.Step(3 * time.Second)
	q.Done(item)
	q.AddRateLimited(item)
	all := r.scrape(t)
	if all["hanse_workqueue_depth"+member] != 1 || all["hanse_workqueue_retries_total"+member] != 1 ||
		all[`hanse_workqueue_queue_duration_seconds_sum{name="member"}`] != 2 || all[`hanse_workqueue_work_duration_seconds_sum{name="member"}`] != 3 {
		t.Error(of(all, "workqueue"))
	}
	provider.Close()
	if got := of(r.scrape(t), "hanse_workqueue_depth"); len(got) > 0 {
		t.Error("a queue that is closed still holds something:", got)
	}
}

// A queue that is not client-go's moves them, too.
func TestOwnQueue(t *testing.T) {
	m, r := fresh(t)
	q := m.Workqueues.Open("inputs", "")
	q.Put()
	q.Put()
	q.Taken(3 * time.Second)
	all := r.scrape(t)
	if all[`hanse_workqueue_depth{cluster="",name="inputs"}`] != 1 || all[`hanse_workqueue_adds_total{cluster="",name="inputs"}`] != 2 ||
		all[`hanse_workqueue_queue_duration_seconds_sum{name="inputs"}`] != 3 {
		t.Error(of(all, "workqueue"))
	}
}

// Queues of one name add up, and one of the hub's own needs no cluster.
func TestWorkqueuesAddUp(t *testing.T) {
	m, r := fresh(t)
	for _, seconds := range []float64{2, 3} {
		q := m.Workqueues.Open("hub", "")
		q.NewDepthMetric("").Inc()
		q.NewAddsMetric("").Inc()
		q.NewUnfinishedWorkSecondsMetric("").Set(seconds)
		q.NewLongestRunningProcessorSecondsMetric("").Set(seconds)
	}
	all := r.scrape(t)
	for name, want := range map[string]float64{"depth": 2, "adds_total": 2, "unfinished_work_seconds": 5, "longest_running_processor_seconds": 3} {
		if got := all["hanse_workqueue_"+name+`{cluster="",name="hub"}`]; got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
}
