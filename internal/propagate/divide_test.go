package propagate

import (
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
	"pgregory.net/rapid"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/policy"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// rig is an Engine without servers, with one resource.
type rig struct {
	engine *Engine
	sink   *templateSink
}

func newRig(gr schema.GroupResource) *rig {
	e := newEngine("hub")
	r := &resource{gvr: gr.WithVersion("v1"), gvk: gr.WithVersion("v1").GroupVersion().WithKind("Kind"), synced: true, templates: map[types.NamespacedName]*template{}}
	e.resources[gr] = r
	return &rig{engine: e, sink: &templateSink{engine: e, resource: r, log: klog.Background()}}
}

func deployments() schema.GroupResource {
	return schema.GroupResource{Group: "apps", Resource: "deployments"}
}

// epoch is when the first cluster joined in these tests; moments are seconds after.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func at(second int) time.Time { return epoch.Add(time.Duration(second) * time.Second) }

func (r *rig) clusters(cs ...*cluster) {
	all := map[string]*cluster{}
	for _, c := range cs {
		all[c.name] = c
	}
	r.engine.setClusters(all)
}

func ready(name string, joined int) *cluster {
	return &cluster{name: name, ready: true, joined: at(joined), since: at(joined), facts: policy.Cluster{Name: name}}
}

func away(name string, joined, since int) *cluster {
	return &cluster{name: name, joined: at(joined), since: at(since), facts: policy.Cluster{Name: name}}
}

// deployment puts one into the hub, as its watch would.
func (r *rig) deployment(name string, created int, replicas int64, annotations map[string]string) *template {
	obj := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment",
		"metadata": map[string]any{"name": name, "namespace": "shop", "uid": "uid-" + name, "creationTimestamp": at(created).Format(time.RFC3339), "resourceVersion": "7"},
		"spec":     map[string]any{"replicas": replicas},
	}}
	obj.SetAnnotations(annotations)
	r.sink.apply(obj)
	return r.get(name)
}

func (r *rig) get(name string) *template {
	t, _ := r.engine.template(Key{GR: r.sink.resource.gvr.GroupResource(), Namespace: "shop", Name: name})
	return t
}

func TestDivisionsThatTheFormulaRepeatsAreNotRecorded(t *testing.T) {
	r := newRig(deployments())
	r.clusters(ready("aws", 0), ready("azure", 0), ready("google", 0))
	for i := range 20 {
		if got := r.deployment(fmt.Sprint("web", i), 10, 7, nil); got.undecided {
			t.Fatalf("%s, divided as the formula says, costs a write at the hub", got.decision)
		}
	}
}

func TestAClusterAwayGetsNothingNewAndThatIsRecorded(t *testing.T) {
	r := newRig(deployments())
	r.clusters(ready("aws", 0), away("azure", 0, 5), ready("google", 0))
	got := r.deployment("web", 10, 6, nil)
	if got.decision.String() != "aws=3,google=3" || !got.undecided {
		t.Fatalf("%s, undecided %v", got.decision, got.undecided)
	}
	recorded := map[string]string{v1alpha1.AnnotationDivision: schedule.FormatDivision(got.decision.Division())}
	got = r.deployment("web", 10, 6, recorded)
	if got.undecided {
		t.Fatal("a recorded division is to be recorded again")
	}
	r.clusters(ready("aws", 0), ready("azure", 0), ready("google", 0))
	if got = r.get("web"); got.decision.String() != "aws=3,google=3" {
		t.Errorf("the cluster is back and replicas move by themselves: %s", got.decision)
	}
	if got = r.deployment("web", 10, 9, recorded); got.decision.String() != "aws=3,azure=3,google=3" {
		t.Errorf("scaled from 6 to 9: %s", got.decision)
	}
}

func TestAClusterThatGoesAwayKeepsItsShare(t *testing.T) {
	r := newRig(deployments())
	r.clusters(ready("aws", 0), ready("azure", 0), ready("google", 0))
	before := r.deployment("web", 10, 6, nil).decision.String()
	r.clusters(ready("aws", 0), away("azure", 0, 20), ready("google", 0))
	if got := r.get("web").decision.String(); got != before {
		t.Errorf("%s became %s", before, got)
	}
	// The same after a restart of the hub, which reads everything again.
	again := newRig(deployments())
	again.clusters(ready("aws", 0), away("azure", 0, 20), ready("google", 0))
	if got := again.deployment("web", 10, 6, nil).decision.String(); got != before {
		t.Errorf("after a restart %s became %s", before, got)
	}
}

func TestAClusterThatJoinsGetsNoReplicasOfWhatRuns(t *testing.T) {
	r := newRig(deployments())
	r.clusters(ready("aws", 0), ready("azure", 0))
	before := r.deployment("web", 10, 6, nil).decision.String()
	r.clusters(ready("aws", 0), ready("azure", 0), ready("google", 30))
	if got := r.get("web").decision.String(); got != before {
		t.Errorf("%s became %s", before, got)
	}
	if got := r.deployment("web", 10, 9, nil); got.decision.String() != "aws=3,azure=3,google=3" || !got.undecided {
		t.Errorf("scaled to 9: %s, undecided %v", got.decision, got.undecided)
	}
}

func TestARubbishDivisionIsReplaced(t *testing.T) {
	r := newRig(deployments())
	r.clusters(ready("aws", 0), ready("azure", 0))
	got := r.deployment("web", 10, 2, map[string]string{v1alpha1.AnnotationDivision: `{"aws":-1`})
	if got.decision.String() != "aws=1,azure=1" {
		t.Errorf("%s", got.decision)
	}
}

// However clusters come, go and return and the total changes: what is written
// sums up to the total unless clusters that are away hold more, and a restart
// of the hub at any moment decides the same.
func TestARestartDecidesTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := newRig(deployments())
		now := 1
		current := []*cluster{ready("a", 0), ready("b", 0), ready("c", 0)}
		r.clusters(current...)
		var recorded map[string]string
		total := rapid.Int64Range(0, 12).Draw(t, "total")
		r.deployment("web", now, total, nil)
		for range rapid.IntRange(1, 10).Draw(t, "steps") {
			now += 10
			switch rapid.IntRange(0, 2).Draw(t, "what") {
			case 0:
				total = rapid.Int64Range(0, 12).Draw(t, "total")
			case 1:
				i := rapid.IntRange(0, len(current)-1).Draw(t, "which")
				flipped := *current[i]
				flipped.ready, flipped.since = !flipped.ready, at(now)
				current = append([]*cluster{}, current...)
				current[i] = &flipped
				r.clusters(current...)
			case 2:
				current = append([]*cluster{}, current...)
				current = append(current, ready(fmt.Sprint("new", now), now))
				r.clusters(current...)
			}
			tmpl := r.deployment("web", 1, total, recorded)
			if tmpl.undecided {
				recorded = map[string]string{v1alpha1.AnnotationDivision: schedule.FormatDivision(tmpl.decision.Division())}
				tmpl = r.deployment("web", 1, total, recorded)
				if tmpl.undecided {
					t.Fatalf("recorded as %v and still undecided: %s", recorded, tmpl.decision)
				}
			}
			if tmpl.decision.Unplaced > 0 {
				continue // no cluster is ready: nothing is decided so far
			}
			restarted := newRig(deployments())
			restarted.clusters(current...)
			if got := restarted.deployment("web", 1, total, recorded); !sameDivision(got.decision.Division(), tmpl.decision.Division()) {
				t.Fatalf("decided %s, after a restart %s (recorded %v)", tmpl.decision, got.decision, recorded)
			}
		}
	})
}
