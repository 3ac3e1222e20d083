package record

import (
	"testing"

	testclock "k8s.io/utils/clock/testing"

	"github.com/hanse-dev/hanse/internal/propagate/decide"
)

// BenchmarkCreate is what it takes to record all that follows when a Deployment is made that goes to three clusters: what is
// decided, what is written, what they show, and the status that is written at the hub.
func BenchmarkCreate(b *testing.B) {
	d := newDriver(options)
	r, err := Open(b.TempDir(), 64<<20, options, testclock.NewFakeClock(d.now))
	if err != nil {
		b.Fatal(err)
	}
	var items []item
	apply := func(in decide.Input) {
		for effects := d.apply(in); ; effects = d.apply(decide.Tick{}) {
			if items = append(items, item{at: d.now, in: in, effects: effects}); !d.more {
				return
			}
		}
	}
	for _, in := range d.left {
		apply(in)
	}
	for _, c := range clusters {
		apply(decide.ClusterWritten{Cluster: aCluster(c, 6)})
		apply(decide.Engaged{Cluster: c, Engaged: true})
		apply(decide.Read{Cluster: c, GR: deployments, Read: true})
		apply(decide.Looked{Cluster: c, Began: d.now, Reached: true})
	}
	items = nil
	obj := d.manifest("Deployment", "web", 3)
	pods := obj.Object["spec"].(map[string]any)["template"].(map[string]any)["spec"].(map[string]any)
	pods["terminationGracePeriodSeconds"], pods["dnsPolicy"], pods["restartPolicy"] = int64(30), "ClusterFirst", "Always"
	in := d.written(obj).(decide.Written)
	apply(in)
	key := in.Template.Key
	for _, c := range clusters {
		items = append(items, item{at: d.now, write: &Write{At: d.now, Object: key.String(), Cluster: c, Verb: "create"}})
		o := seenOf(d.assigned[key], c, 6)
		o.Status = nil
		apply(decide.Seen{Cluster: c, Key: key, Observed: o})
	}
	again := in.Template.Object.DeepCopy()
	again.Object["status"] = map[string]any{"observedGeneration": int64(1)}
	apply(d.written(again))
	apply(decide.Deleted{Key: key, UID: in.Template.UID}) // so that all can be made once more
	b.ReportAllocs()
	for b.Loop() {
		for _, i := range items {
			if err := r.write(i); err != nil {
				b.Fatal(err)
			}
		}
	}
}
