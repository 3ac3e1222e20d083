package decide

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/autoscale"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// scaledRig is a rig with autoscalers besides deployments.
type scaledRig struct {
	*rig
}

func newScaledRig() *scaledRig {
	r := &scaledRig{newRig(deployments())}
	r.serves(template.Autoscalers().GroupResource())
	return r
}

func (r *scaledRig) scaler(kind string, annotations map[string]string) *Assignment {
	obj := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
		"metadata": map[string]any{"name": "web", "namespace": "shop", "uid": "uid-scaler", "creationTimestamp": at(10).Format(time.RFC3339), "resourceVersion": "7"},
		"spec": map[string]any{"minReplicas": int64(2), "maxReplicas": int64(10),
			"scaleTargetRef": map[string]any{"apiVersion": "apps/v1", "kind": kind, "name": "web"}},
	}}
	obj.SetAnnotations(annotations)
	return r.write(template.Autoscalers().GroupResource(), obj)
}

func TestAnAutoscalerWaitsForItsBounds(t *testing.T) {
	r := newScaledRig()
	r.clusters(ready("aws", 0), ready("azure", 0), ready("google", 0))
	r.deployment("web", 10, 2, map[string]string{v1alpha1.AnnotationDivision: `{"aws":1,"azure":1}`})
	s := r.scaler("Deployment", nil)
	if !s.Undecided {
		t.Fatal("it goes to members whole")
	}
	for _, name := range r.w.names {
		r.engage(name)
	}
	bounds := r.w.newBounds(s, r.get("web"))
	if got := autoscale.Format(bounds); got != `{"aws":{"min":1,"max":5},"azure":{"min":1,"max":5}}` {
		t.Fatal(got)
	}
	s = r.scaler("Deployment", map[string]string{v1alpha1.AnnotationBounds: autoscale.Format(bounds)})
	if s.Undecided || s.Decision.String() != "aws,azure" || s.Shares["azure"] != (template.Share{Least: 1, Most: 5}) {
		t.Errorf("undecided %v, %s, %v", s.Undecided, s.Decision, s.Shares)
	}
	if len(s.Decision.Rejected) != 1 || s.Decision.Rejected[0].Cluster != "google" {
		t.Errorf("rejected %v", s.Decision.Rejected)
	}
	if !r.get("web").FollowsMembers {
		t.Error("the target's total does not follow")
	}
	r.remove(s)
	if r.get("web").FollowsMembers {
		t.Error("the total follows without the autoscaler")
	}
}

func TestBoundsKeepToTheTargetsRules(t *testing.T) {
	r := newScaledRig()
	r.clusters(ready("aws", 0), ready("azure", 0))
	r.deployment("web", 10, 2, map[string]string{
		v1alpha1.AnnotationDivision:    `{"aws":1,"azure":1}`,
		v1alpha1.AnnotationPreferences: `{"clusters":{"aws":{"weight":1,"maxReplicas":2},"azure":{"weight":1}}}`,
	})
	for _, name := range r.w.names {
		r.engage(name)
	}
	s := r.scaler("Deployment", nil)
	if got := autoscale.Format(r.w.newBounds(s, r.get("web"))); got != `{"aws":{"min":1,"max":2},"azure":{"min":1,"max":8}}` {
		t.Error(got)
	}
}

func TestAnAutoscalerOfWhatIsNotDividedStaysWhole(t *testing.T) {
	r := newScaledRig()
	r.clusters(ready("aws", 0), ready("azure", 0))
	for _, kind := range []string{"Deployment", "Shop"} { // one that is not at the hub, and one that is not divided
		s := r.scaler(kind, nil)
		if s.Undecided || s.Decision.String() != "aws,azure" || s.Shares["aws"] != (template.Share{}) || s.Decision.Reason == "" {
			t.Errorf("%s: undecided %v, %s, %q", kind, s.Undecided, s.Decision, s.Decision.Reason)
		}
	}
	r.w.resources[deployments()].synced = false // the hub has just started: nobody knows
	if s := r.scaler("Deployment", nil); !s.Undecided {
		t.Error("it goes to members whole before its target is known")
	}
	r.apply(Listed{GR: deployments()})
	r.pass(lookDelay)
	if s := r.w.at(template.Key{GR: template.Autoscalers().GroupResource(), Namespace: "shop", Name: "web"}); s.Undecided {
		t.Error("it waits although its target is known not to be there")
	}
}

func TestALostClustersBoundsAreTheOthers(t *testing.T) {
	r := newScaledRig()
	r.clusters(ready("aws", 0), ready("azure", 0))
	r.deployment("web", 10, 2, map[string]string{v1alpha1.AnnotationDivision: `{"aws":0,"azure":2}`})
	s := r.scaler("Deployment", map[string]string{v1alpha1.AnnotationBounds: `{"aws":{"min":1,"max":5},"azure":{"min":1,"max":5}}`})
	r.engage("azure") // aws is away
	if got := autoscale.Format(r.w.newBounds(s, r.get("web"))); got != `{"azure":{"min":2,"max":10}}` {
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
		r.engage("aws")
		status := map[string]any{"currentReplicas": c.desired, "desiredReplicas": c.desired}
		if c.status != "" {
			status["conditions"] = []any{map[string]any{"type": "ScalingLimited", "status": c.status, "reason": c.reason}}
		}
		r.apply(Seen{"aws", s.Key, &Observed{UID: "there", Status: status}})
		if got := r.w.scaledCluster(s, "aws"); got.Wants != c.wants || got.Uses != int32(c.desired) || got.Away {
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
	r.engage("aws")
	four := int32(4)
	r.apply(Seen{"aws", web.Key, &Observed{UID: "there", Replicas: &four}})
	s := r.scaler("Deployment", map[string]string{v1alpha1.AnnotationBounds: `{"aws":{"min":2,"max":10}}`})
	if !delivered(r.pass(lookDelay), web.Key) {
		t.Errorf("nobody looks at the target of %s", s.Key)
	}
}

// TestBoundsAreRecorded, once what is known settles, and after the total has been raised to the least that the autoscaler
// wants.
func TestBoundsAreRecorded(t *testing.T) {
	r := newScaledRig()
	r.clusters(ready("aws", 0), ready("azure", 0))
	for _, name := range r.w.names {
		r.engage(name)
	}
	r.deployment("web", 10, 1, nil)
	s := r.scaler("Deployment", nil)
	if s.Recording != nil || r.get("web").Recording != nil {
		t.Fatalf("at once: %+v", s.Recording)
	}
	r.pass(2 * lookDelay)
	if got := r.get("web").Recording; got == nil || got.Replicas == nil || *got.Replicas != 2 {
		t.Fatalf("the total is not raised: %+v", got)
	}
	r.record()
	all := r.pass(2 * lookDelay)
	s = r.w.at(s.Key)
	if s.Recording == nil || s.Recording.Bounds == nil || *s.Recording.Bounds != `{"aws":{"min":1,"max":5},"azure":{"min":1,"max":5}}` {
		t.Fatalf("the bounds are not recorded: %+v", s.Recording)
	}
	if records := effectsOf[Record](all); len(records) != 1 || records[0].Key != s.Key {
		t.Errorf("nobody records them: %v", all)
	}
	r.record()
	r.pass(time.Second)
	if s = r.w.at(s.Key); s.Undecided || s.Recording != nil || !r.get("web").FollowsMembers {
		t.Errorf("undecided %v, to be recorded %+v", s.Undecided, s.Recording)
	}
}

// TestTotalsFollowMembers, at most once a second, and only once the template shows the last one.
func TestTotalsFollowMembers(t *testing.T) {
	r := newRig(deployments())
	r.clusters(ready("aws", 0), ready("azure", 0))
	web := r.deployment("web", 10, 4, map[string]string{v1alpha1.AnnotationReplicas: v1alpha1.ReplicasMember, v1alpha1.AnnotationDivision: `{"aws":2,"azure":2}`})
	r.engage("aws")
	own := func(n int32) {
		o := there(web.UID, n, nil)
		o.Own = &n
		r.apply(Seen{"aws", web.Key, o})
	}
	own(5)
	if got := r.get("web").Recording; got != nil {
		t.Fatalf("at once: %+v", got)
	}
	r.pass(lookDelay)
	got := r.get("web").Recording
	if got == nil || *got.Replicas != 7 || *got.Division != `{"aws":5,"azure":2}` || *got.Taken != `{"aws":5}` || len(got.Tell) != 1 {
		t.Fatalf("to be recorded is %+v", got)
	}
	obj := recordedOn(r.get("web"))
	r.apply(Recorded{Key: web.Key, UID: web.UID, Revision: 8})
	own(6)
	r.pass(followInterval / 2)
	if got := effectsOf[Record](r.last); len(got) > 0 {
		t.Error("it is recorded again before the template shows it")
	}
	obj.SetResourceVersion("8")
	r.write(r.gr, obj)
	if got := r.get("web").Recording; got != nil {
		t.Errorf("again within a second: %+v", got)
	}
	r.pass(followInterval)
	if got := r.get("web").Recording; got == nil || *got.Replicas != 8 {
		t.Errorf("a second later: %+v", got)
	}
}

// TestAccepts asks the rules, and changes nothing.
func TestAccepts(t *testing.T) {
	r := newRig(deployments())
	r.clusters(ready("aws", 0), ready("azure", 0))
	web := r.deployment("web", 10, 4, map[string]string{
		v1alpha1.AnnotationDivision:    `{"aws":3,"azure":1}`,
		v1alpha1.AnnotationPreferences: `{"clusters":{"aws":{"weight":1,"maxReplicas":8},"*":{"weight":1}}}`,
	})
	f := r.w.Fork()
	for n, want := range map[int32]bool{5: true, 8: true, 9: false} {
		if f.Accepts(r.now, web.Key, "aws", n) != want || r.w.Accepts(r.now, web.Key, "aws", n) != want {
			t.Errorf("%d are accepted: %v", n, !want)
		}
	}
	if r.get("web") != web {
		t.Error("asking changed something")
	}
}

// TestATotalThatWasFollowedIsNotFollowedAgain: a user scales at the hub before the member has let go of its own number.
func TestATotalThatWasFollowedIsNotFollowedAgain(t *testing.T) {
	r := newRig(deployments())
	r.clusters(ready("aws", 0), ready("azure", 0))
	web := r.deployment("web", 10, 4, map[string]string{
		v1alpha1.AnnotationReplicas: v1alpha1.ReplicasMember, v1alpha1.AnnotationDivision: `{"aws":2,"azure":2}`, v1alpha1.AnnotationTaken: `{"aws":5}`,
	})
	r.engage("aws")
	shows := func(left *template.Target) {
		n := int32(5)
		o := there(web.UID, n, nil)
		o.Own, o.Left = &n, left
		r.apply(Seen{"aws", web.Key, o})
		r.pass(2 * followInterval)
	}
	shows(nil)
	if got := r.get("web").Recording; got != nil {
		t.Errorf("the user's total is taken back: %+v", got)
	}
	shows(&template.Target{Share: template.Share{Replicas: 2, Total: 4}})
	if got := r.get("web").Recording; got == nil || *got.Replicas != 7 {
		t.Errorf("the member has set it again, since it had 2: %+v", got)
	}
}
