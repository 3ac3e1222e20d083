package decide

import (
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/policy"
	"github.com/hanse-dev/hanse/internal/propagate/assignment"
	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/rollout"
)

// rollingRig is a rig with clusters a and b, and a Deployment shop/web. Its hub keeps revisions once keeps is set.
type rollingRig struct {
	*rig
	t       *testing.T
	image   string
	notes   map[string]string // annotations at the hub
	history rollout.History
	asked   []*template.Template // to be kept
	reads   int
}

func newRollingRig(t *testing.T) *rollingRig {
	r := &rollingRig{rig: newRig(deployments()), t: t, image: "web:1"}
	r.clusters(ready("a", 0), ready("b", 0))
	r.engage("a")
	r.engage("b")
	return r
}

// steps has changes go out by cluster.
func (r *rollingRig) steps() {
	p, err := policy.FromPolicy(&v1alpha1.PlacementPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "carefully", UID: "p"},
		Spec:       v1alpha1.PlacementPolicySpec{Rollout: &v1alpha1.Rollout{By: v1alpha1.RolloutByCluster}},
	})
	must(r.t, err)
	r.w.policies.None = p
}

func (r *rollingRig) object() *unstructured.Unstructured {
	obj := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment",
		"metadata": map[string]any{"name": "web", "namespace": "shop", "uid": "uid-web-1234", "resourceVersion": "7", "creationTimestamp": at(1).Format(time.RFC3339)},
		"spec": map[string]any{"replicas": int64(2), "template": map[string]any{
			"metadata": map[string]any{"labels": map[string]any{"app": "web"}},
			"spec":     map[string]any{"containers": []any{map[string]any{"name": "c", "image": r.image}}},
		}},
	}}
	obj.SetAnnotations(r.notes)
	return obj
}

// observed lets the hub's watch bring the Deployment.
func (r *rollingRig) observed() *Assignment {
	r.write(r.gr, r.object())
	r.take(r.last)
	return r.get("web")
}

func (r *rollingRig) take(all []Effect) {
	for _, e := range effectsOf[KeepRevision](all) {
		r.asked = append(r.asked, e.Template)
	}
	r.reads += len(effectsOf[ReadRevisions](all))
}

// kept does what the hub does with the revisions that are to be kept.
func (r *rollingRig) kept() {
	for _, t := range r.asked {
		r.history = slices.DeleteFunc(slices.Clone(r.history), func(e rollout.Entry) bool { return e.Revision == t.Content.Revision })
		r.history = append(r.history, rollout.Entry{Revision: t.Content.Revision, Number: r.history.Next(t.Content.Revision), Template: template.PodTemplate(t.Content.Object)})
	}
	r.asked = nil
	r.take(r.apply(Revised{UID: "uid-web-1234", History: r.history}))
}

// advance keeps what is to be kept, and records what is to be recorded.
func (r *rollingRig) advance() *Assignment {
	r.kept()
	for range 5 {
		a := r.get("web")
		if a.Recording == nil {
			return a
		}
		r.notes = recordedOn(a).GetAnnotations()
		r.observed()
		r.kept()
	}
	r.t.Fatal("there is no end to what is recorded")
	return nil
}

func (r *rollingRig) revisions() (images []string) {
	for _, entry := range r.history {
		images = append(images, imageOf(entry.Template))
	}
	return images
}

func imageOf(podTemplate map[string]any) string {
	containers, _, _ := unstructured.NestedSlice(podTemplate, "spec", "containers")
	return containers[0].(map[string]any)["image"].(string)
}

// turnOf is what cluster a is to have when what it has is of that revision; without there it has no object.
func (r *rollingRig) turnOf(has string, there bool) template.Turn {
	var o *Observed
	if there {
		o = &Observed{UID: "x", Ours: true, Template: "uid-web-1234", Revision: has}
	}
	r.take(r.apply(Seen{"a", r.key("web"), o}))
	return r.get("web").For("a", r.w.facts).Turn
}

func TestChangesWithoutPolicyGoEverywhereAndAreKeptOnceReplaced(t *testing.T) {
	r := newRollingRig(t)
	r.observed()
	if len(r.asked) != 0 {
		t.Error("a revision is kept of a Deployment that was only created")
	}
	for _, image := range []string{"web:2", "web:3", "web:1", "web:2"} {
		r.image = image
		r.observed()
	}
	r.kept()
	if got, want := r.revisions(), []string{"web:2", "web:3", "web:1"}; !slices.Equal(got, want) {
		t.Errorf("%v was kept, want %v: the latest last", got, want)
	}
	if turn := r.turnOf("", true); turn.Revision != "" || turn.Template != nil || turn.AsIs {
		t.Errorf("%+v: nothing may hold it", turn)
	}
	if got := r.get("web").Recording; got != nil {
		t.Errorf("on the hub's object is recorded %+v", got)
	}
}

func TestChangesWithPolicyWaitForTheirTurn(t *testing.T) {
	r := newRollingRig(t)
	r.steps()
	first := r.observed().Content.Revision
	r.advance()
	if turn := r.turnOf("", false); turn.Revision != first || turn.Template != nil {
		t.Fatalf("%+v: what is created goes everywhere", turn)
	}
	r.image = "web:2"
	second := r.observed().Content.Revision
	if turn := r.turnOf(first, true); turn.Revision != first || imageOf(turn.Template) != "web:1" {
		t.Errorf("%+v: goes out before that was recorded", turn)
	}
	r.advance()
	if got, want := r.revisions(), []string{"web:1", "web:2"}; !slices.Equal(got, want) {
		t.Errorf("%v was kept, want %v", got, want)
	}
	if turn := r.turnOf(first, true); turn.Revision != second || turn.Template != nil {
		t.Errorf("%+v: it is a's turn", turn)
	}
	r.notes = map[string]string{v1alpha1.AnnotationRolloutState: (&rollout.State{Revision: second, Proven: first, Step: "b", Current: []string{"b"}}).String()}
	r.observed()
	if turn := r.turnOf(second, true); turn.Revision != second || turn.Template != nil {
		t.Errorf("%+v: what was let out is taken back", turn)
	}
	if turn := r.turnOf("", false); turn.Revision != first || imageOf(turn.Template) != "web:1" {
		t.Errorf("%+v: a new cluster does not get what went everywhere before", turn)
	}
	if turn := r.turnOf("nobody knows", true); !turn.AsIs || turn.Revision != "nobody knows" {
		t.Errorf("%+v: what is not known is not left alone", turn)
	}
	clear(r.w.pasts) // as a hub that has just started
	if turn := r.turnOf("", false); turn.Waits == "" || r.reads != 1 {
		t.Errorf("%+v, %d reads: does not wait until the history has been read", turn, r.reads)
	}
	r.kept()
	if turn := r.turnOf("", false); turn.Revision != first || imageOf(turn.Template) != "web:1" {
		t.Errorf("%+v: the history has been read", turn)
	}
}

func TestFirstChangeIsHeldBeforeAnythingIsRecorded(t *testing.T) {
	r := newRollingRig(t)
	r.steps()
	first := r.observed().Content.Revision
	r.image = "web:2"
	second := r.observed().Content.Revision // the hub has not kept anything yet
	if turn := r.turnOf(first, true); turn.Revision != first || !turn.AsIs {
		t.Errorf("%+v: the change goes everywhere at once", turn)
	}
	if got := r.get("web").Recording; got != nil {
		t.Errorf("%+v: it goes on before the pod template is kept", got)
	}
	r.advance()
	if state := r.get("web").Progress.State; state.Step != "a" || state.Proven != first || state.Revision != second {
		t.Errorf("the state is %s", state)
	}
	if turn := r.turnOf(first, true); turn.Revision != second {
		t.Errorf("%+v: it is a's turn", turn)
	}
}

// TestARolloutGoesOnOnceWhatWasRecordedIsSeen, and not on what is older.
func TestARolloutGoesOnOnceWhatWasRecordedIsSeen(t *testing.T) {
	r := newRollingRig(t)
	r.steps()
	r.observed()
	r.advance()
	r.image = "web:2"
	r.observed()
	r.kept()
	a := r.get("web")
	if a.Recording == nil || a.Recording.State == nil || len(a.Recording.Tell) == 0 {
		t.Fatalf("the first step does not begin: %+v", a.Recording)
	}
	r.apply(Recorded{Key: a.Key, UID: a.UID, Revision: 9})
	r.turnOf("x", true)
	if got := r.get("web").Recording; got != nil && got.State != nil {
		t.Errorf("goes on with a template that does not show what was recorded: %s", *got.State)
	}
	obj := recordedOn(a)
	obj.SetResourceVersion("9")
	r.write(r.gr, obj)
	if state := r.get("web").Progress.State; state == nil || state.Step != "a" {
		t.Errorf("the state is %s", state)
	}
	if next := r.w.next(); next.IsZero() || next.After(r.now.Add(rolloutInterval)) {
		t.Errorf("a rollout under way is looked at next at %s", next)
	}
}

func TestStaleFailureOfADeployment(t *testing.T) {
	r := newRollingRig(t)
	a := r.observed()
	status := func(said string) map[string]any {
		return map[string]any{"observedGeneration": int64(1), "conditions": []any{map[string]any{
			"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "timed out", "lastUpdateTime": said}}}
	}
	target := a.Target("a")
	failed := func(said, outlived string) string {
		o := &Observed{UID: "x", Ours: true, Template: a.UID, Generation: 1, ObservedGeneration: 1, Status: status(said), Left: &target, InSync: true, Outlived: outlived}
		for _, c := range assignment.Rolling(a, r.w.facts, func(string) *Observed { return o }, func(string) bool { return false }) {
			if c.Name == "a" {
				return c.Failed
			}
		}
		return "not there"
	}
	if got := failed("2026-01-01T00:00:00Z", ""); got != "timed out" {
		t.Errorf("the failure is %q", got)
	}
	if got := failed("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"); got != "" {
		t.Errorf("%q was said of the pods before", got)
	}
	if got := failed("2026-01-01T01:00:00Z", "2026-01-01T00:00:00Z"); got != "timed out" {
		t.Errorf("the failure is %q", got)
	}
}

func TestStateOfARolloutOutlivesReplacedAnnotations(t *testing.T) {
	r := newRollingRig(t)
	r.steps()
	r.observed()
	r.advance()
	r.image = "web:2"
	r.observed()
	r.advance()
	kept := r.notes[v1alpha1.AnnotationRolloutState]
	r.notes = nil // as kubectl replace does
	if got := r.observed().Progress.State; got == nil || got.String() != kept {
		t.Errorf("the state became %v, was %s", got, kept)
	}
	if got := r.get("web").Recording; got == nil || got.State == nil || *got.State != kept {
		t.Errorf("the state is not recorded again: %+v", got)
	}
	r.notes = map[string]string{v1alpha1.AnnotationRolloutState: "{"}
	if r.observed().Progress.State.Opens("b", r.get("web").Content.Revision) {
		t.Error("a state that cannot be read lets everything out")
	}
	r.w.policies.None = policy.NoPolicy()
	r.notes = map[string]string{v1alpha1.AnnotationRolloutState: kept, v1alpha1.AnnotationRollout: v1alpha1.RolloutStopped}
	if got := r.observed().Recording; got == nil || *got.State != "" || *got.Hold != "" {
		t.Errorf("without a policy the object keeps its annotations: %+v", got)
	}
}
