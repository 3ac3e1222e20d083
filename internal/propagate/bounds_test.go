package propagate

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/autoscale"
)

// scaledRig is a rig with autoscalers besides deployments.
type scaledRig struct {
	*rig
	scalers *templateSink
}

func newScaledRig() *scaledRig {
	r := newRig(deployments())
	gvr := autoscalersResource()
	res := &resource{gvr: gvr, gvk: gvr.GroupVersion().WithKind("HorizontalPodAutoscaler"), synced: true, templates: map[types.NamespacedName]*template{}}
	r.engine.resources[gvr.GroupResource()] = res
	return &scaledRig{rig: r, scalers: &templateSink{engine: r.engine, resource: res, log: klog.Background()}}
}

func (r *scaledRig) scaler(kind string, annotations map[string]string) *template {
	obj := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
		"metadata": map[string]any{"name": "web", "namespace": "shop", "uid": "uid-scaler", "creationTimestamp": at(10).Format(time.RFC3339), "resourceVersion": "7"},
		"spec": map[string]any{"minReplicas": int64(2), "maxReplicas": int64(10),
			"scaleTargetRef": map[string]any{"apiVersion": "apps/v1", "kind": kind, "name": "web"}},
	}}
	obj.SetAnnotations(annotations)
	r.scalers.apply(obj)
	t, _ := r.engine.template(Key{GR: autoscalersResource().GroupResource(), Namespace: "shop", Name: "web"})
	return t
}

func TestAnAutoscalerWaitsForItsBounds(t *testing.T) {
	r := newScaledRig()
	r.clusters(ready("aws", 0), ready("azure", 0), ready("google", 0))
	r.deployment("web", 10, 2, map[string]string{v1alpha1.AnnotationDivision: `{"aws":1,"azure":1}`})
	s := r.scaler("Deployment", nil)
	if !s.undecided {
		t.Fatal("it goes to members whole")
	}
	for _, m := range r.engine.members {
		m.session = &session{queue: newQueue()}
	}
	bounds := r.engine.newBounds(s, r.get("web"))
	if got := autoscale.Format(bounds); got != `{"aws":{"min":1,"max":5},"azure":{"min":1,"max":5}}` {
		t.Fatal(got)
	}
	s = r.scaler("Deployment", map[string]string{v1alpha1.AnnotationBounds: autoscale.Format(bounds)})
	if s.undecided || s.decision.String() != "aws,azure" || s.shares["azure"] != (share{least: 1, most: 5}) {
		t.Errorf("undecided %v, %s, %v", s.undecided, s.decision, s.shares)
	}
	if len(s.decision.Rejected) != 1 || s.decision.Rejected[0].Cluster != "google" {
		t.Errorf("rejected %v", s.decision.Rejected)
	}
	if !r.engine.follows(r.get("web")) {
		t.Error("the target's total does not follow")
	}
	r.scalers.remove(s.obj)
	if r.engine.follows(r.get("web")) {
		t.Error("the total follows without the autoscaler")
	}
	desired := map[string]any{"spec": map[string]any{"minReplicas": int64(2), "maxReplicas": int64(10)}}
	setBounds(desired, s.shares["aws"])
	if spec := desired["spec"].(map[string]any); spec["minReplicas"] != int64(1) || spec["maxReplicas"] != int64(5) {
		t.Errorf("%v", desired)
	}
}

func TestBoundsKeepToTheTargetsRules(t *testing.T) {
	r := newScaledRig()
	r.clusters(ready("aws", 0), ready("azure", 0))
	r.deployment("web", 10, 2, map[string]string{
		v1alpha1.AnnotationDivision:    `{"aws":1,"azure":1}`,
		v1alpha1.AnnotationPreferences: `{"clusters":{"aws":{"weight":1,"maxReplicas":2},"azure":{"weight":1}}}`,
	})
	for _, m := range r.engine.members {
		m.session = &session{queue: newQueue()}
	}
	s := r.scaler("Deployment", nil)
	if got := autoscale.Format(r.engine.newBounds(s, r.get("web"))); got != `{"aws":{"min":1,"max":2},"azure":{"min":1,"max":8}}` {
		t.Error(got)
	}
}

func TestAnAutoscalerOfWhatIsNotDividedStaysWhole(t *testing.T) {
	r := newScaledRig()
	r.clusters(ready("aws", 0), ready("azure", 0))
	for _, kind := range []string{"Deployment", "Shop"} { // one that is not at the hub, and one that is not divided
		s := r.scaler(kind, nil)
		if s.undecided || s.decision.String() != "aws,azure" || s.shares["aws"] != (share{}) || s.decision.Reason == "" {
			t.Errorf("%s: undecided %v, %s, %q", kind, s.undecided, s.decision, s.decision.Reason)
		}
	}
	r.sink.resource.synced = false // the hub has just started: nobody knows
	if s := r.scaler("Deployment", nil); !s.undecided {
		t.Error("it goes to members whole before its target is known")
	}
	r.sink.replace(nil)
	if err := r.engine.divideBounds(t.Context(), Key{GR: autoscalersResource().GroupResource(), Namespace: "shop", Name: "web"}); err != nil {
		t.Fatal(err)
	}
	if s, _ := r.engine.template(Key{GR: autoscalersResource().GroupResource(), Namespace: "shop", Name: "web"}); s.undecided {
		t.Error("it waits although its target is known not to be there")
	}
}

func TestALostClustersBoundsAreTheOthers(t *testing.T) {
	r := newScaledRig()
	r.clusters(ready("aws", 0), ready("azure", 0))
	r.deployment("web", 10, 2, map[string]string{v1alpha1.AnnotationDivision: `{"aws":0,"azure":2}`})
	s := r.scaler("Deployment", map[string]string{v1alpha1.AnnotationBounds: `{"aws":{"min":1,"max":5},"azure":{"min":1,"max":5}}`})
	r.engine.members["azure"].session = &session{queue: newQueue()} // aws is away
	if got := autoscale.Format(r.engine.newBounds(s, r.get("web"))); got != `{"azure":{"min":2,"max":10}}` {
		t.Error(got)
	}
}

func TestWhoWantsHeadroom(t *testing.T) {
	for name, c := range map[string]struct {
		desired        int64
		status, reason string
		wants          bool
	}{
		"below its maximum":          {4, "", "", false},
		"at it, and says no more":    {5, "", "", true},
		"would go beyond":            {5, "True", "TooManyReplicas", true},
		"has just what it wants":     {5, "False", "DesiredWithinRange", false},
		"would go below its minimum": {5, "True", "TooFewReplicas", false},
		"said so of an older one":    {3, "True", "TooManyReplicas", false},
	} {
		r := newScaledRig()
		r.clusters(ready("aws", 0), ready("azure", 0))
		r.deployment("web", 10, 6, map[string]string{v1alpha1.AnnotationDivision: `{"aws":5,"azure":1}`})
		s := r.scaler("Deployment", map[string]string{v1alpha1.AnnotationBounds: `{"aws":{"min":1,"max":5},"azure":{"min":1,"max":5}}`})
		m := r.engine.members["aws"]
		m.session = &session{queue: newQueue()}
		status := map[string]any{"currentReplicas": c.desired, "desiredReplicas": c.desired}
		if c.status != "" {
			status["conditions"] = []any{map[string]any{"type": "ScalingLimited", "status": c.status, "reason": c.reason}}
		}
		m.update(s.key, func(rec *record) { rec.seen = observation{uid: "there", status: status} })
		if got := r.engine.scaledCluster(s, r.get("web"), m); got.Wants != c.wants || got.Uses != int32(c.desired) || got.Replicas != 5 || got.Away {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// A hub that starts reads the target before its autoscaler: what the member's
// autoscaler did meanwhile is looked at again.
func TestWhatWasScaledBeforeTheAutoscalerWasKnownIsLookedAt(t *testing.T) {
	r := newScaledRig()
	r.clusters(ready("aws", 0))
	web := r.deployment("web", 10, 2, map[string]string{v1alpha1.AnnotationDivision: `{"aws":2}`})
	m := r.engine.members["aws"]
	m.session = &session{queue: newQueue()}
	four := int32(4)
	m.update(web.key, func(rec *record) { rec.seen = observation{uid: "there", replicas: &four} })
	s := r.scaler("Deployment", map[string]string{v1alpha1.AnnotationBounds: `{"aws":{"min":2,"max":10}}`})
	for range m.session.queue.Len() {
		key, _ := m.session.queue.Get()
		m.session.queue.Done(key)
	}
	if err := r.engine.divideBounds(t.Context(), s.key); err != nil {
		t.Fatal(err)
	}
	if m.session.queue.Len() != 1 {
		t.Fatalf("%d keys are looked at, want the target", m.session.queue.Len())
	}
	if key, _ := m.session.queue.Get(); key != web.key {
		t.Errorf("%s is looked at", key)
	}
}
