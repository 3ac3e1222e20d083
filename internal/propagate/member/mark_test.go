package member

import (
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	dynamicfake "k8s.io/client-go/dynamic/fake"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/lineage"
	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// memberRig is a hub of ConfigMaps with one member, "aws", whose watch and whose workers are the test's.
type memberRig struct {
	*hub
	t       *testing.T
	member  *Member
	session *session
	client  *dynamicfake.FakeDynamicClient
	sees    *sink
}

func newMemberRig(t *testing.T) *memberRig {
	h := newHub()
	m := New("aws", h.options(), h, h)
	client := dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{configMaps().WithVersion("v1"): "ConfigMapList"})
	s := unconnected(m, func() {})
	s.client = client
	s.kinds[configMaps()] = &kind{resource: h.resources[configMaps()], stop: func() {}}
	s.kinds[template.Namespaces()] = &kind{resource: h.resources[template.Namespaces()], read: true, stop: func() {}}
	m.begin(s)
	r := &memberRig{hub: h, t: t, member: m, session: s, client: client, sees: &sink{session: s, gr: configMaps()}}
	r.sees.replace(nil, 1)
	t.Cleanup(s.queue.Stop)
	return r
}

func keyOf(name string) template.Key {
	return template.Key{GR: configMaps(), Namespace: "shop", Name: name}
}

func bareConfigMap(name, value string) *unstructured.Unstructured {
	return unstructuredOf(configMapOf(name, value))
}

// atHub puts a ConfigMap into the hub.
func (r *memberRig) atHub(name, value string) {
	r.session.queue.Add(r.put(configMaps(), configMapOf(name, value)))
}

// gone takes one out of it.
func (r *memberRig) gone(name string) {
	r.drop(keyOf(name))
	r.session.queue.Add(keyOf(name))
}

// origin is the mark of the hub for an object of that name, made in its earlier run.
func (r *memberRig) origin(name string) lineage.Origin {
	return lineage.Origin{Hub: hubUID, Session: "then", Revision: 50, Template: types.UID("template-" + name), On: keyOf(name).Object()}
}

// there puts a ConfigMap into the member, with a mark that the manager wrote ago before it was created,
// and lets the watch show it.
func (r *memberRig) there(name, uid, value, mark, manager string, ago time.Duration) *unstructured.Unstructured {
	r.t.Helper()
	obj := r.unseen(name, uid, value, mark, manager, ago)
	r.sees.apply(obj)
	return obj
}

// unseen is there without the watch.
func (r *memberRig) unseen(name, uid, value, mark, manager string, ago time.Duration) *unstructured.Unstructured {
	r.t.Helper()
	obj := bareConfigMap(name, value)
	obj.SetUID(types.UID(uid))
	obj.SetResourceVersion("900")
	obj.SetLabels(map[string]string{v1alpha1.LabelManaged: "true"})
	obj.SetAnnotations(map[string]string{v1alpha1.AnnotationOrigin: mark})
	metadata := obj.Object["metadata"].(map[string]any)
	metadata["creationTimestamp"] = epoch.Format(time.RFC3339)
	metadata["managedFields"] = []any{map[string]any{"manager": manager, "operation": "Update", "time": epoch.Add(-ago).Format(time.RFC3339), "fieldsV1": map[string]any{
		"f:metadata": map[string]any{"f:annotations": map[string]any{"f:" + v1alpha1.AnnotationOrigin: map[string]any{}}},
		"f:data":     map[string]any{"f:key": map[string]any{}},
	}}}
	if err := r.client.Tracker().Add(obj.DeepCopy()); err != nil {
		r.t.Fatal(err)
	}
	return obj
}

// work has the workers look at what is queued, and says what they did in the member.
func (r *memberRig) work(also ...string) (did []string) {
	r.t.Helper()
	for _, name := range also {
		r.session.queue.Add(keyOf(name))
	}
	r.client.ClearActions()
	for r.session.queue.Len() > 0 {
		key, _ := r.session.queue.Get()
		_ = r.session.reconcile(r.t.Context(), key) // what is to be tried again is seen in the member's record
		r.session.queue.Done(key)
	}
	for _, action := range r.client.Actions() {
		did = append(did, action.GetVerb())
	}
	return did
}

func (r *memberRig) did(what string, want []string, also ...string) {
	r.t.Helper()
	if got := r.work(also...); !slices.Equal(got, want) {
		r.t.Errorf("%s: the hub did %v in the member, want %v", what, got, want)
	}
}

func (r *memberRig) withheld() int {
	list, more := r.member.Withheld(10)
	return len(list) + more
}

func conflicts(r *record) bool { return r.fault() != nil && r.fault().Conflict }

func mustGet(t *testing.T, r *memberRig, name string) *unstructured.Unstructured {
	t.Helper()
	obj, err := r.client.Tracker().Get(configMaps().WithVersion("v1"), "shop", name)
	if err != nil {
		t.Fatal(err)
	}
	return obj.(*unstructured.Unstructured)
}

func TestCopiesAreNobodys(t *testing.T) {
	r := newMemberRig(t)
	mark := r.origin("web").String()
	legacy, _, _ := strings.Cut(mark, "/configmaps")
	for name, mark := range map[string]string{"named": mark, "legacy": legacy, "rubbish": "rubbish", "labelled": ""} {
		for _, manager := range []string{"operator", "hanse"} {
			ago := time.Hour // its owners were copied, too
			r.there(name+manager, "uid-"+name+manager, "value", mark, manager, ago)
		}
	}
	r.did("for copies", nil, "namedhanse", "legacyoperator")
	if n := len(r.member.records); n > 0 {
		t.Errorf("%d copies are remembered", n)
	}

	// As anything that was there before: the same is taken over, another is a conflict.
	r.atHub("namedoperator", "value")
	r.did("for a copy that is as it is to be", []string{"create", "get", "patch"}, "namedoperator")
	if got := r.member.get(keyOf("namedoperator")); !got.seen.ours(hubUID) || !got.seen.adopted || got.fault() != nil {
		t.Errorf("an equal copy was not adopted: %+v", got)
	}
	r.atHub("legacyhanse", "other")
	r.did("for a copy that differs", []string{"create", "get"}, "legacyhanse")
	if got := r.member.get(keyOf("legacyhanse")); !conflicts(&got) || got.seen.exists() {
		t.Errorf("a copy that differs: %+v", got)
	}
	r.did("for its watch event", []string{"create", "get"}, "legacyhanse")
	r.sees.remove(mustGet(t, r, "legacyhanse"))
	r.sees.remove(mustGet(t, r, "rubbishhanse"))
	r.did("when copies are deleted", []string{"create", "get"}) // of the one that is in its way
}

func TestMarksOfEarlierVersions(t *testing.T) {
	r := newMemberRig(t)
	origin := r.origin("web")
	origin.On = lineage.Object{}
	r.atHub("web", "value")
	r.there("web", "uid-web", "value", origin.String(), "hanse", 0)
	r.did("for an object as it is to be", nil)
	r.did("for it once more", nil, "web")
	if state, why := r.stateOf(r.member, keyOf("web")); state != v1alpha1.StateSynced {
		t.Errorf("it was not taken over: %s %s", state, why)
	}
	r.atHub("web", "changed")
	r.did("for a change", []string{"patch"})
	if got := r.member.get(keyOf("web")).seen.mark.Origin; got != r.origin("web") {
		t.Errorf("the mark was not renewed with the change: %v", got)
	}
	r.did("after the change", nil, "web")

	// A hub that has not written it knows by the member's own word.
	other := newMemberRig(t)
	other.there("web", "uid-web", "value", origin.String(), "hanse", 30*time.Second)
	other.did("without a template", []string{"delete"})
}

func TestRestoredInTheMember(t *testing.T) {
	r := newMemberRig(t)
	r.there("gone", "uid-gone", "value", r.origin("gone").String(), "velero", 0)
	r.there("owners", "uid-owners", "value", r.origin("owners").String(), "hanse", time.Hour)
	r.did("for what was deleted at the hub and restored", nil)
	if n := r.withheld(); n != 2 {
		t.Errorf("%d are withheld, want 2", n)
	}
	if got := r.member.get(keyOf("gone")); got.withheld() != lineage.RestoredInCluster || got.trouble.withheldSince.IsZero() {
		t.Errorf("withheld: %q since %v", got.withheld(), got.trouble)
	}
	r.member.approved[keyOf("gone")] = "uid-of-another"
	r.did("with an approval for another", nil, "gone", "owners")
	r.member.approved[keyOf("gone")] = "uid-gone"
	r.did("with its approval", []string{"delete"}, "gone", "owners")

	// Under a template of the hub's it is taken over, with one write, and is the hub's from then on.
	r.atHub("web", "value")
	r.there("web", "uid-web", "value", r.origin("web").String(), "velero", 0)
	r.did("for what was restored under a template", []string{"patch"})
	r.did("after that", nil, "web")
	r.gone("web")
	r.did("when the template goes", []string{"delete"})

	// That of an earlier template of the same name is not replaced, which would delete it.
	r.atHub("shop", "value")
	earlier := r.origin("shop")
	earlier.Template = "template-before"
	r.there("shop", "uid-shop", "other", earlier.String(), "velero", 0)
	r.did("for what was restored under a later template", nil, "shop")
	if got := r.member.get(keyOf("shop")); !conflicts(&got) {
		t.Errorf("no conflict: %+v", got)
	}
}

// TestWithheldWhereItIsNotPlaced: what was restored in a cluster where it is not to be stays there, and is said to.
func TestWithheldWhereItIsNotPlaced(t *testing.T) {
	r := newMemberRig(t)
	r.atHub("web", "value")
	r.with(keyOf("web"), func(w *decide.Wanted) { w.Placed = false }) // as a policy may
	r.there("web", "uid-web", "value", r.origin("web").String(), "velero", 0)
	r.did("where it is not to be", nil)
	if o := r.member.Observed(keyOf("web")); o.Withheld != lineage.RestoredInCluster || o.WithheldSince.IsZero() {
		t.Errorf("%+v", o)
	}
}

// TestWithheldIsWantedAgain: what is withheld and gets a template is not withheld any more, nor is its approval
// good for later.
func TestWithheldIsWantedAgain(t *testing.T) {
	r := newMemberRig(t)
	r.there("web", "uid-web", "value", r.origin("web").String(), "velero", 0)
	r.did("without a template", nil)
	r.member.approved[keyOf("web")] = "uid-web"
	r.atHub("web", "value")
	r.did("with a template", []string{"get", "patch"})
	if n := r.withheld(); n > 0 || len(r.member.approved) > 0 {
		t.Errorf("%d are withheld, approved %v", n, r.member.approved)
	}
}

// TestLateEventOfAnUnmarkedObject: what a watch says of the time before the hub took an
// object over is not news.
func TestLateEventOfAnUnmarkedObject(t *testing.T) {
	r := newMemberRig(t)
	r.atHub("web", "value")
	late := r.there("web", "uid-web", "value", "", "kubectl", 0)
	r.did("for an equal object", []string{"create", "get", "patch"})
	r.sees.apply(late)
	r.did("for the late event", nil)
	if !r.member.exists(keyOf("web")) {
		t.Error("the object was forgotten")
	}
	late.SetResourceVersion("901")
	r.sees.apply(late)
	r.did("when the mark is taken off", []string{"create", "get"})
}
