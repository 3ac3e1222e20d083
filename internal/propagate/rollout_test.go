package propagate

import (
	"context"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	kubefake "k8s.io/client-go/kubernetes/fake"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/lineage"
	"github.com/hanse-dev/hanse/internal/policy"
	"github.com/hanse-dev/hanse/internal/rollout"
)

// rollingRig is a rig with a hub that can be written to, clusters a and b, and a
// Deployment shop/web. What is written to the hub is read back by back.
type rollingRig struct {
	*rig
	t      *testing.T
	policy *policy.Policy
	image  string
	notes  map[string]string // annotations at the hub
}

func newRollingRig(t *testing.T) *rollingRig {
	r := &rollingRig{rig: newRig(deployments()), t: t, policy: policy.NoPolicy(), image: "web:1"}
	r.engine.hub = dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{
		deployments().WithVersion("v1"): "DeploymentList", controllerRevisions(): "ControllerRevisionList",
	}, r.object())
	r.engine.events = newEventSink(kubefake.NewClientset().CoreV1())
	r.clusters(ready("a", 0), ready("b", 0))
	return r
}

func steps(t *testing.T) *policy.Policy {
	p, err := policy.FromPolicy(&v1alpha1.PlacementPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "carefully", UID: "p"},
		Spec:       v1alpha1.PlacementPolicySpec{Rollout: &v1alpha1.Rollout{By: v1alpha1.RolloutByCluster}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
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

// observed lets the hub's watch bring the Deployment, and is its template.
func (r *rollingRig) observed() *template {
	r.engine.policies.index = policy.NewIndex([]*policy.Policy{r.policy})
	r.sink.apply(r.object())
	return r.get("web")
}

// advance lets the worker look at the Deployment, and takes over what it wrote.
func (r *rollingRig) advance() *template {
	r.t.Helper()
	key := r.get("web").key
	if err := r.engine.advanceRollout(context.Background(), key); err != nil {
		r.t.Fatal(err)
	}
	obj, err := r.engine.hub.Resource(deployments().WithVersion("v1")).Namespace("shop").Get(context.Background(), "web", metav1.GetOptions{})
	if err != nil {
		r.t.Fatal(err)
	}
	r.notes = obj.GetAnnotations()
	return r.observed()
}

func (r *rollingRig) revisions() (images []string) {
	list, err := r.engine.hub.Resource(controllerRevisions()).Namespace("shop").List(context.Background(), metav1.ListOptions{})
	if err != nil {
		r.t.Fatal(err)
	}
	var history rollout.History
	for i := range list.Items {
		if entry, ok := rollout.ReadEntry(&list.Items[i]); ok {
			history = append(history, entry)
		}
	}
	history.Sort()
	for _, entry := range history {
		images = append(images, imageOf(entry.Template))
	}
	return images
}

func imageOf(template map[string]any) string {
	containers, _, _ := unstructured.NestedSlice(template, "spec", "containers")
	return containers[0].(map[string]any)["image"].(string)
}

// turnOf is what cluster a is to have when what it has is of that revision; empty:
// it has no object.
func (r *rollingRig) turnOf(has string, there bool) (turn, error) {
	task := &task{session: &session{engine: r.engine, member: r.engine.members["a"]}, template: r.get("web")}
	if there {
		task.rec.seen = observation{uid: "x", revision: has, mark: lineage.Mark{Origin: lineage.Origin{Hub: r.engine.hubUID, Template: task.template.uid}}}
	}
	err := task.takeTurn()
	return task.turn, err
}

func TestChangesWithoutPolicyGoEverywhereAndAreKeptOnceReplaced(t *testing.T) {
	r := newRollingRig(t)
	r.observed()
	r.advance()
	if got := r.revisions(); len(got) != 0 {
		t.Errorf("%v was kept of a Deployment that was only created", got)
	}
	for _, image := range []string{"web:2", "web:3", "web:1", "web:2"} {
		r.image = image
		r.observed()
	}
	r.advance()
	if got, want := r.revisions(), []string{"web:2", "web:3", "web:1"}; !slices.Equal(got, want) {
		t.Errorf("%v was kept, want %v: the latest last", got, want)
	}
	if turn, err := r.turnOf("", true); err != nil || turn.revision != "" || turn.template != nil || turn.asIs {
		t.Errorf("%+v, %v: nothing may hold it", turn, err)
	}
	if len(r.notes) != 0 {
		t.Errorf("the hub's object was given %v", r.notes)
	}
}

func TestChangesWithPolicyWaitForTheirTurn(t *testing.T) {
	r := newRollingRig(t)
	r.policy = steps(t)
	first := r.observed().content.revision
	r.advance()
	if turn, err := r.turnOf("", false); err != nil || turn.revision != first || turn.template != nil {
		t.Fatalf("%+v, %v: what is created goes everywhere", turn, err)
	}
	r.image = "web:2"
	second := r.observed().content.revision
	if turn, err := r.turnOf(first, true); err != nil || turn.revision != first || imageOf(turn.template) != "web:1" {
		t.Errorf("%+v, %v: goes out before that was recorded", turn, err)
	}
	r.advance()
	if got, want := r.revisions(), []string{"web:1", "web:2"}; !slices.Equal(got, want) {
		t.Errorf("%v was kept, want %v", got, want)
	}
	if turn, _ := r.turnOf(first, true); turn.revision != second || turn.template != nil {
		t.Errorf("%+v: it is a's turn", turn)
	}
	r.notes = map[string]string{v1alpha1.AnnotationRolloutState: (&rollout.State{Revision: second, Proven: first, Step: "b", Current: []string{"b"}}).String()}
	r.observed()
	if turn, _ := r.turnOf(second, true); turn.revision != second || turn.template != nil {
		t.Errorf("%+v: what was let out is taken back", turn)
	}
	if turn, _ := r.turnOf("", false); turn.revision != first || imageOf(turn.template) != "web:1" {
		t.Errorf("%+v: a new cluster does not get what went everywhere before", turn)
	}
	if turn, _ := r.turnOf("nobody knows", true); !turn.asIs || turn.revision != "nobody knows" {
		t.Errorf("%+v: what is not known is not left alone", turn)
	}
	r.engine.rollouts.forget(r.get("web").key, r.get("web").uid) // as a hub that has just started
	if turn, err := r.turnOf("", false); err == nil {
		t.Errorf("%+v: does not wait until the history has been read", turn)
	}
}

func TestFirstChangeIsHeldBeforeAnythingIsRecorded(t *testing.T) {
	r := newRollingRig(t)
	r.policy = steps(t)
	first := r.observed().content.revision
	r.image = "web:2"
	second := r.observed().content.revision // the worker has not looked so far
	if turn, _ := r.turnOf(first, true); turn.revision != first || !turn.asIs {
		t.Errorf("%+v: the change goes everywhere at once", turn)
	}
	r.advance()
	if state := r.get("web").progress.state; state.Step != "a" || state.Proven != first || state.Revision != second {
		t.Errorf("the state is %s", state)
	}
	if turn, _ := r.turnOf(first, true); turn.revision != second {
		t.Errorf("%+v: it is a's turn", turn)
	}
}

// TestWhatIsLeftAloneIsNotTakenForWritten is about what a later patch is computed
// against.
func TestWhatIsLeftAloneIsNotTakenForWritten(t *testing.T) {
	r := newRollingRig(t)
	r.observed()
	for _, asIs := range []bool{true, false} {
		task := &task{session: &session{engine: r.engine, member: r.engine.members["a"]}, template: r.get("web"), turn: turn{revision: "r", asIs: asIs}}
		desired, err := task.desired("origin", false)
		if err != nil {
			t.Fatal(err)
		}
		if there := podTemplate(desired) != nil; there == asIs {
			t.Errorf("as is %v: the pod template is in what is desired: %v", asIs, there)
		}
		if got, _, _ := unstructured.NestedString(desired, "metadata", "annotations", v1alpha1.AnnotationRevision); got != "r" {
			t.Errorf("it is marked with revision %q", got)
		}
	}
}

func TestStaleFailureOfADeployment(t *testing.T) {
	r := newRollingRig(t)
	tpl := r.observed()
	status := map[string]any{"observedGeneration": int64(1), "conditions": []any{map[string]any{
		"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "timed out", "lastUpdateTime": "2026-01-01T00:00:00Z"}}}
	m := r.engine.members["a"]
	m.update(tpl.key, func(rec *record) {
		rec.seen = observation{uid: "x", hash: 1, generation: 1, observed: 1, status: status, mark: lineage.Mark{Origin: lineage.Origin{Hub: r.engine.hubUID, Template: tpl.uid}}}
		rec.left = &left{hash: 1, target: tpl.target("a")}
	})
	failed := func() string {
		for _, c := range r.engine.rolling(r.get("web"), schema.GroupKind{Group: "apps", Kind: "Deployment"}) {
			if c.Name == "a" {
				return c.Failed
			}
		}
		return "not there"
	}
	if failed() != "timed out" {
		t.Fatalf("the failure is %q", failed())
	}
	r.image = "web:2"
	task := &task{session: &session{engine: r.engine, member: m}, key: tpl.key, template: r.observed(), rec: m.get(tpl.key)}
	task.outlive()
	m.update(tpl.key, func(rec *record) { rec.left = &left{hash: 1, target: task.template.target("a")} })
	if got := failed(); got != "" {
		t.Errorf("%q was said of the pods before", got)
	}
	task.rec = m.get(tpl.key)
	status["conditions"].([]any)[0].(map[string]any)["lastUpdateTime"] = "2026-01-01T01:00:00Z"
	task.outlive() // another write, of the same pod template
	if failed() != "timed out" {
		t.Errorf("the failure is %q", failed())
	}
}

func TestStateOfARolloutOutlivesReplacedAnnotations(t *testing.T) {
	r := newRollingRig(t)
	r.policy = steps(t)
	r.observed()
	r.advance()
	r.image = "web:2"
	r.observed()
	r.advance()
	kept := r.notes[v1alpha1.AnnotationRolloutState]
	r.notes = nil // as kubectl replace does
	if got := r.observed().progress.state; got == nil || got.String() != kept {
		t.Errorf("the state became %v, was %s", got, kept)
	}
	r.notes = map[string]string{v1alpha1.AnnotationRolloutState: "{"}
	if r.observed().progress.state.Opens("b", r.get("web").content.revision) {
		t.Error("a state that cannot be read lets everything out")
	}
	r.policy = policy.NoPolicy()
	r.engine.policies.index = policy.NewIndex(nil)
	r.sink.apply(r.object())
	r.notes = map[string]string{v1alpha1.AnnotationRolloutState: kept, v1alpha1.AnnotationRollout: v1alpha1.RolloutStopped}
	r.sink.apply(r.object())
	if err := r.engine.advanceRollout(context.Background(), r.get("web").key); err != nil {
		t.Fatal(err)
	}
	obj, err := r.engine.hub.Resource(deployments().WithVersion("v1")).Namespace("shop").Get(context.Background(), "web", metav1.GetOptions{})
	if err != nil || len(obj.GetAnnotations()) != 0 {
		t.Errorf("without a policy the object keeps %v (%v)", obj.GetAnnotations(), err)
	}
}

func TestHistoryIsLimited(t *testing.T) {
	r := newRollingRig(t)
	for _, image := range []string{"web:1", "web:2", "web:3", "web:4", "web:5", "web:6", "web:7", "web:8", "web:9", "web:10", "web:11", "web:12", "web:13"} {
		r.image = image
		r.observed()
	}
	r.advance()
	if got := r.revisions(); len(got) != defaultHistoryLimit || got[0] != "web:3" {
		t.Errorf("%v was kept", got)
	}
}
