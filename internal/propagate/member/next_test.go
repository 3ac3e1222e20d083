package member

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/adoption"
	"github.com/hanse-dev/hanse/internal/fieldmerge"
	"github.com/hanse-dev/hanse/internal/propagate/apitest"
	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/desired"
	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/rights"
)

// viewOf is a view of an object of the hub's as if it had just been made in the member.
func viewOf(t *testing.T, gr schema.GroupResource, obj map[string]any) *view {
	t.Helper()
	h := newHub()
	key := h.put(gr, obj)
	w, _ := h.Wanted("aws", key)
	v := &view{cluster: "aws", key: key, want: w, hub: hubUID, run: "now", history: h.options().History, hasher: h.hasher,
		scalersKnown: true, bounds: Bounds{Namespaces: adoption.Namespaces{Allow: []string{"*"}}, Access: rights.All()}, schema: &schemaMark{}, accepts: func(n int32) bool { return n <= 8 }, now: epoch}
	s := next(v)
	if s.verb != create {
		t.Fatalf("an object that is not there is not made: %+v", s)
	}
	made := unstructuredOf(toJSON(s.body))
	made.SetUID("there")
	made.SetResourceVersion("500")
	made.SetGeneration(1)
	(&memberAPI{}).own(map[string]any{}, made.Object, v1alpha1.FieldManager)
	v.answered(s, made, nil).remember(&v.rec)
	return v
}

// live is what is there, as the watch shows it after a change by somebody.
func (v *view) changed(t *testing.T, change func(obj map[string]any)) *unstructured.Unstructured {
	t.Helper()
	made, err := v.rec.left.Object("aws", v.rec.seen.mark.Raw, v.rec.seen.adopted)
	if err != nil {
		t.Fatal(err)
	}
	obj := unstructuredOf(toJSON(made))
	obj.SetUID(v.rec.seen.uid)
	(&memberAPI{}).own(map[string]any{}, obj.Object, v1alpha1.FieldManager)
	next := obj.DeepCopy()
	change(next.Object)
	(&memberAPI{}).own(obj.Object, next.Object, "kubectl")
	next.SetResourceVersion("600")
	next.SetGeneration(2)
	v.rec.seen, v.rec.live = observe(v.hasher, v.key, next), next
	return next
}

func set(value any, path ...string) func(map[string]any) {
	return func(obj map[string]any) { _ = unstructured.SetNestedField(obj, value, path...) }
}

// TestNext is what follows from a record, what is wanted and what is there.
func TestNext(t *testing.T) {
	other := func(w *decide.Wanted) {
		obj := w.Object.DeepCopy()
		_ = unstructured.SetNestedField(obj.Object, "new", "data", "key")
		w.Template, _ = template.Read(w.Key.GR, obj, fieldmerge.NewHasher().Content, nil)
	}
	for name, c := range map[string]struct {
		hub    func(v *view)        // what is wanted by now
		member func(map[string]any) // what somebody did there
		record func(r *record)      // what is known
		verb   verb
		body   string // a part of it
		err    string
		again  bool
	}{
		"as it is to be":                 {verb: nothing},
		"changed at the hub":             {hub: func(v *view) { other(v.want) }, verb: patch, body: `"data":{"key":"new"}`},
		"changed in the member":          {member: set("drift", "data", "key"), verb: patch, body: `"data":{"key":"value"}`},
		"what is not the hub's":          {member: set("x", "metadata", "labels", "team"), verb: nothing},
		"gone":                           {record: func(r *record) { r.seen, r.live = seen{}, nil }, verb: create},
		"gone, and not wanted":           {hub: func(v *view) { v.want = nil }, record: func(r *record) { r.seen = seen{} }, verb: nothing},
		"not wanted any more":            {hub: func(v *view) { v.want = nil }, verb: remove},
		"not placed here any more":       {hub: func(v *view) { v.want.Placed = false }, verb: remove},
		"withheld":                       {hub: func(v *view) { v.want.Withheld, v.want.Placed = true, false }, verb: nothing},
		"barred, and here before":        {hub: func(v *view) { v.want.Barred = true }, verb: nothing},
		"barred, and not here":           {hub: func(v *view) { v.want.Barred = true }, record: func(r *record) { r.seen, r.live = seen{}, nil }, verb: nothing},
		"barred, of an earlier template": {hub: func(v *view) { w := *v.want.Template; w.UID = "later"; v.want.Template, v.want.Barred = &w, true }, verb: remove},
		"being deleted":                  {record: func(r *record) { r.seen.deleting = true }, verb: nothing},
		"its namespace goes":             {hub: func(v *view) { v.want, v.in.deleting = nil, true }, verb: nothing},
		"its namespace is to be another": {hub: func(v *view) { v.namespaceNext = true }, record: func(r *record) { r.seen = seen{} }, verb: nothing,
			err: "waiting for namespace shop in the member, which is to be replaced"},
		"another template":               {hub: func(v *view) { w := *v.want.Template; w.UID = "later"; v.want.Template = &w }, verb: remove},
		"of a session that is not known": {hub: func(v *view) { v.want, v.history.Sessions = nil, nil }, verb: nothing},
		"the member leaves":              {hub: func(v *view) { v.leaving = true }, verb: remove},
		"the member leaves, it stays":    {hub: func(v *view) { v.leaving, v.stays = true, true }, verb: release, body: `"hanse.dev/origin":null`},
		"its turn is not known":          {hub: func(v *view) { v.want.Turn.Waits = "the moon" }, verb: nothing, err: "waiting for the moon"},
		"read again after a restart":     {member: func(map[string]any) {}, record: func(r *record) { r.left, r.wrote = nil, "" }, verb: nothing},
		"fought over for long": {member: set("drift", "data", "key"), verb: nothing, again: true,
			record: func(r *record) { t := r.changed(); t.corrections, t.corrected = 9, epoch.Add(-time.Second) }},
	} {
		t.Run(name, func(t *testing.T) {
			v := viewOf(t, configMaps(), configMap("settings"))
			if c.member != nil {
				v.changed(t, c.member)
			}
			if c.record != nil {
				c.record(&v.rec)
			}
			if c.hub != nil {
				c.hub(v)
			}
			before := fmt.Sprint(v.rec)
			s := next(v)
			if fmt.Sprint(v.rec) != before {
				t.Error("it changes what is known")
			}
			body, err := json.Marshal(s.body)
			if s.verb != c.verb || !strings.Contains(string(body), c.body) || err != nil {
				t.Errorf("verb %d with %s, want %d with %s", s.verb, body, c.verb, c.body)
			}
			if got := fmt.Sprint(s.err); c.err != "" && got != c.err || c.err == "" && s.err != nil || (s.again > 0) != c.again {
				t.Errorf("error %v, again in %v", s.err, s.again)
			}
			if s.verb == patch && !strings.Contains(string(body), `"uid":"there"`) {
				t.Errorf("it may hit a namesake: %s", body)
			}
		})
	}
}

// TestWhatWasDeletedDoesNotCount: no watch has shown yet that it goes, or has gone.
func TestWhatWasDeletedDoesNotCount(t *testing.T) {
	for _, err := range []error{nil, apierrors.NewNotFound(deployments(), "web")} {
		v := viewOf(t, deployments(), deploymentOf(2))
		v.want = nil
		s := next(v)
		if s.verb != remove {
			t.Fatalf("what is not wanted is not removed: %+v", s)
		}
		v.answered(s, nil, err).remember(&v.rec)
		if o := v.rec.observed(hubUID); o.Exists() != (err == nil) || o.Exists() && !o.Deleting {
			t.Errorf("answered with %v it is known as %+v", err, o)
		}
	}
}

// TestANamesakeIsNotHit: what took the place of an object while no watch has shown it is looked at, never patched.
func TestANamesakeIsNotHit(t *testing.T) {
	immutable := apierrors.NewInvalid(schema.GroupKind{Kind: "ConfigMap"}, "settings", field.ErrorList{field.Invalid(field.NewPath("metadata", "uid"), "there", "field is immutable")})
	for _, err := range []error{apierrors.NewConflict(configMaps(), "settings", errors.New("uid mismatch")), immutable} {
		v := viewOf(t, configMaps(), configMap("settings"))
		v.changed(t, set("drift", "data", "key"))
		s := v.answered(next(v), nil, err)
		if wait := (waiting{}); !errors.As(s.err, &wait) || s.verb != nothing {
			t.Fatalf("%v: %+v", err, s)
		}
		if s.remember(&v.rec); v.rec.live != nil {
			t.Errorf("%v: the object that was seen is kept", err)
		}
	}
}

// TestDriftBesideAChangeIsPutBack: what somebody in the member changes just before a change of the hub's arrives is in the answer
// to that, and is not taken for what admission made of it.
func TestDriftBesideAChangeIsPutBack(t *testing.T) {
	change := func(v *view) {
		obj := v.want.Object.DeepCopy()
		_ = unstructured.SetNestedField(obj.Object, "new", "data", "second")
		v.want.Template, _ = template.Read(v.key.GR, obj, v.hasher.Content, nil)
	}
	answer := func(v *view, s step, drift func(map[string]any), manager string) step {
		seen := v.rec.seen
		live := v.changed(t, func(map[string]any) {})
		v.rec.seen, v.rec.live = seen, nil
		before := live.DeepCopy()
		apitest.Merge(live.Object, toJSON(s.body))
		(&memberAPI{}).own(before.Object, live.Object, v1alpha1.FieldManager)
		if drift != nil {
			between := live.DeepCopy()
			drift(live.Object)
			(&memberAPI{}).own(between.Object, live.Object, manager)
		}
		live.SetResourceVersion("700")
		live.SetGeneration(0)
		return v.answered(s, live, nil)
	}
	for name, c := range map[string]struct {
		drift func(map[string]any)
		again bool
	}{
		"nobody else":               {nil, false},
		"somebody else's field":     {set("x", "data", "theirs"), false},
		"a field of the hub's":      {set("drift", "data", "key"), true},
		"the label":                 {func(obj map[string]any) { unstructuredOf(obj).SetLabels(nil) }, true},
		"what was written, made so": {set("NEW", "data", "second"), false},
	} {
		v := viewOf(t, configMaps(), configMap("settings"))
		change(v)
		s := next(v)
		if s.verb != patch {
			t.Fatalf("%+v", s)
		}
		out := answer(v, s, c.drift, "kubectl")
		if out.remember(&v.rec); out.atOnce != c.again {
			t.Errorf("%s: looked at again: %v", name, out.atOnce)
		}
		if s := next(v); (s.verb == patch) != c.again || c.again && len(s.drift) == 0 {
			t.Errorf("%s: then %+v", name, s)
		}
	}
}

// TestWhatCannotChangeIsNotWritten is about fields that the member's API server would refuse to change.
func TestWhatCannotChangeIsNotWritten(t *testing.T) {
	v := viewOf(t, template.Jobs(), map[string]any{"apiVersion": "batch/v1", "kind": "Job", "metadata": map[string]any{"name": "job", "namespace": "shop"},
		"spec": map[string]any{"parallelism": int64(2), "completions": int64(7)}})
	if got, _ := v.skip(); strings.Join(got, ",") != "spec.completions" {
		t.Errorf("before it starts: %s", got) // a suspended Job may still be told where to run
	}
	v.rec.seen.status = map[string]any{"startTime": "2026-01-01T00:00:00Z"}
	if got, _ := v.skip(); strings.Join(got, ",") != "spec.completions,spec.template" {
		t.Errorf("once it has started: %s", got)
	}
}

// TestWhatIsLeftAloneIsNotTakenForWritten: a member whose turn it is not keeps its pod template, and gets the new one when it
// is.
func TestWhatIsLeftAloneIsNotTakenForWritten(t *testing.T) {
	pods := func(image string) map[string]any {
		obj := deploymentOf(2)
		obj["spec"].(map[string]any)["template"] = map[string]any{"spec": map[string]any{"restartPolicy": image}}
		return obj
	}
	v := viewOf(t, deployments(), pods("Always"))
	v.changed(t, func(map[string]any) {})
	h := newHub()
	h.put(deployments(), pods("Never"))
	w, _ := h.Wanted("aws", v.key)
	w.Turn = template.Turn{Revision: "old", AsIs: true}
	v.want = w
	s := next(v)
	for s.verb == get {
		s = v.answered(s, v.changed(t, func(map[string]any) {}), nil)
	}
	if _, found, _ := unstructured.NestedFieldNoCopy(s.body, "spec", "template"); found {
		t.Errorf("the pod template is written: %v", s.body)
	}
	if _, found, _ := unstructured.NestedFieldNoCopy(s.wanted, "spec", "template"); found {
		t.Errorf("what was left alone is taken for written: %v", s.wanted)
	}
	w.Turn = template.Turn{Revision: "new"}
	if s = next(v); s.verb != patch || template.PodTemplate(s.body) == nil {
		t.Errorf("when its turn comes: %+v", s)
	}
}

// scaledBy is a member's object whose replicas a manager has set.
func scaledBy(manager string, replicas int64) *unstructured.Unstructured {
	return unstructuredOf(map[string]any{
		"metadata": map[string]any{"managedFields": []any{map[string]any{
			"manager": manager, "operation": "Update", "fieldsV1": map[string]any{"f:spec": map[string]any{"f:replicas": map[string]any{}}},
		}}},
		"spec": map[string]any{"replicas": replicas},
	})
}

// TestWhoHasSetTheReplicas tells a number that a member set from one that the hub has not replaced yet, with and without what is
// known of the last write.
func TestWhoHasSetTheReplicas(t *testing.T) {
	for name, c := range map[string]struct {
		manager    string
		there      int32
		share      int32
		left       int32 // what the last write left; -1: not known, the hub was started again
		taken      int32 // -1: never
		autoscaled bool
		own        bool
	}{
		"as it is to be":                             {"kubectl", 3, 3, 3, -1, false, false},
		"scaled in the member":                       {"kubectl", 5, 3, 3, -1, false, true},
		"scaled while the hub was away":              {"kubectl", 5, 3, -1, -1, false, true},
		"scaled again while the hub was away":        {"kubectl", 6, 4, -1, 5, false, true},
		"the hub lowered it and was killed":          {"kubectl", 5, 4, -1, 5, false, false},
		"the hub's own, not replaced yet":            {"hanse", 3, 4, 3, -1, false, false},
		"the hub's own, after a restart":             {"hanse", 3, 4, -1, -1, false, false},
		"scaled again to what was taken over once":   {"kubectl", 5, 4, 4, 5, false, true},
		"an autoscaler's":                            {"kube-controller-manager", 5, 3, 3, -1, true, true},
		"an autoscaler's, lowered":                   {"kube-controller-manager", 2, 3, 3, -1, true, true},
		"the hub gives more to an autoscaler":        {"kube-controller-manager", 3, 5, 3, -1, true, false},
		"an autoscaler does not start from nothing":  {"kube-controller-manager", 0, 1, 1, -1, true, false},
		"an autoscaler's in a cloud that was lost":   {"kube-controller-manager", 5, 0, 5, -1, true, false},
		"more than the maximum that holds for it":    {"kubectl", 9, 3, 3, -1, false, false},
		"autoscaled to more than its maximum allows": {"kube-controller-manager", 9, 3, 3, -1, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			v := viewOf(t, deployments(), deploymentOf(int64(c.share)))
			tmpl := *v.want.Template
			if v.want.Template = &tmpl; c.taken >= 0 {
				tmpl.Taken = map[string]int32{"aws": c.taken}
			}
			v.scaled, v.want.FollowsMembers, v.want.FinalReplicas = c.autoscaled, true, c.share
			v.rec = record{seen: seen{uid: "there", replicas: &c.there}, live: scaledBy(c.manager, int64(c.there))}
			if c.left >= 0 {
				v.rec.left = &left{Made: desired.Made{Share: template.Share{Replicas: c.left}}}
			}
			if got := v.ownCount(); got != c.own || (v.rec.own != nil) != c.own {
				t.Errorf("%d replicas set by %s are the member's: %v, noted %v", c.there, c.manager, got, v.rec.own)
			}
		})
	}
}

// TestWhatFollowedIsCorrectedOnceItDoesNot: a member was scaled while the total followed, which it does no more before it has.
func TestWhatFollowedIsCorrectedOnceItDoesNot(t *testing.T) {
	v := viewOf(t, deployments(), deploymentOf(3))
	v.want.FollowsMembers, v.want.FinalReplicas = true, 3
	v.changed(t, set(int64(6), "spec", "replicas"))
	s := next(v)
	if s.remember == nil || s.verb != nothing {
		t.Fatalf("what is to be followed is not noted: %+v", s)
	}
	if s.remember(&v.rec); v.rec.own == nil || *v.rec.own != 6 {
		t.Fatalf("noted is %v", v.rec.own)
	}
	w := *v.want
	w.FollowsMembers = false
	v.want = &w
	s = next(v)
	if body, err := json.Marshal(s.body); err != nil || s.verb != patch || !strings.Contains(string(body), `"replicas":3`) || len(s.drift) != 1 {
		t.Errorf("verb %d with %s, drift %v, want 3 replicas again", s.verb, body, s.drift)
	}
}

// TestErrorsOfSecretsSayNothingOfThem: an API server repeats what it finds invalid.
func TestErrorsOfSecretsSayNothingOfThem(t *testing.T) {
	secrets := schema.GroupResource{Resource: "secrets"}
	invalid := apierrors.NewBadRequest(`illegal base64 data: "hunter2"`)
	v := &view{cluster: "aws", key: template.Key{GR: secrets, Namespace: "shop", Name: "s"}}
	if err := v.refused("create", invalid).err; strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "BadRequest") {
		t.Error(err)
	}
	v.key.GR = configMaps()
	if err := v.refused("create", invalid).err; !strings.Contains(err.Error(), "hunter2") || !errors.Is(err, invalid) {
		t.Error(err)
	}
}

// TestAWriteBeforeTheFirstListIsNotForgotten: the list may have been read before it.
func TestAWriteBeforeTheFirstListIsNotForgotten(t *testing.T) {
	for version, kept := range map[uint64]bool{800: true, 950: false} {
		r := newMemberRig(t)
		r.there("web", "uid-web", "value", r.origin("web").String(), "hanse", 0) // version 900
		r.session.kinds[configMaps()].listed = false
		r.session.early(keyOf("web"))
		if r.sees.replace(nil, version); r.member.exists(keyOf("web")) != kept {
			t.Errorf("after a list of version %d it is known: %v", version, !kept)
		}
	}
}
