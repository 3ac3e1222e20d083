package member

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/adoption"
	"github.com/hanse-dev/hanse/internal/lineage"
	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/rights"
)

// TestNothingIsWrittenWhereItIsNotAllowed: whatever is wanted and known of an object, and whatever asks for it to be taken over, nothing is made,
// changed or taken over in a namespace that the hub neither made nor may take over; and it is said what to try, or waited for.
func TestNothingIsWrittenWhereItIsNotAllowed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newHub()
		obj := configMap("web")
		if how := rapid.SampledFrom([]string{"", v1alpha1.ConflictAdopt, v1alpha1.ConflictOverwrite}).Draw(t, "conflict"); how != "" {
			obj["metadata"].(map[string]any)["annotations"] = map[string]any{v1alpha1.AnnotationConflict: how}
		}
		key := h.put(configMaps(), obj)
		w, _ := h.Wanted("aws", key)
		v := &view{cluster: "aws", key: key, want: w, hub: hubUID, run: "now", history: h.options().History, hasher: h.hasher, scalersKnown: true,
			schema: &schemaMark{}, accepts: func(int32) bool { return true }, now: epoch}
		pattern := rapid.SliceOfN(rapid.SampledFrom([]string{"shop", "*", "other", "s*"}), 0, 2)
		v.bounds = Bounds{Namespaces: adoption.Namespaces{Allow: pattern.Draw(t, "allow"), Deny: pattern.Draw(t, "deny")}, Access: rights.All()}
		v.in = surrounding{ours: rapid.Bool().Draw(t, "ours"), wanted: rapid.Bool().Draw(t, "wanted"), deleting: rapid.Bool().Draw(t, "deleting")}
		if rapid.Bool().Draw(t, "fault") {
			v.in.fault = &decide.Problem{Conflict: rapid.Bool().Draw(t, "conflicting"), Message: "why. Try: this"}
		}
		if live := rapid.SampledFrom([]string{"", "value", "another"}).Draw(t, "there"); live != "" {
			there := unstructuredOf(configMapOf("web", live))
			there.SetUID("there")
			if rapid.Bool().Draw(t, "marked") {
				there.SetAnnotations(map[string]string{v1alpha1.AnnotationOrigin: lineage.Origin{Hub: hubUID, Session: "now", Revision: 1, Template: "template-web", On: key.Object()}.String()})
				v.rec.seen = observe(h.hasher, key, there)
			}
			v.live, v.met = there, rapid.Bool().Draw(t, "met")
		}
		s := next(v)
		may := !v.bounds.Namespaces.Denied("shop") && (v.in.ours && !v.in.deleting || !v.in.ours && v.bounds.Namespaces.Allowed("shop"))
		if s.verb != nothing && !may {
			t.Fatalf("%v in %+v, which says %+v", s.verb, v.in, v.bounds.Namespaces)
		}
		if !may {
			_, waits := s.err.(waiting)
			_, held := s.err.(conflictError)
			if !waits && !(held && strings.Contains(s.err.Error(), "Try: ")) {
				t.Fatalf("it is not said what to try: %v", s.err)
			}
			if v.bounds.Namespaces.Denied("shop") && !held {
				t.Fatalf("it waits for what never comes: %v", s.err)
			}
		}
		if s.verb == nothing && s.err != nil && v.in.ours && !v.bounds.Namespaces.Denied("shop") {
			if _, held := s.err.(conflictError); held && strings.HasPrefix(s.err.Error(), "held") {
				t.Fatalf("held in a namespace of the hub's own: %v", s.err)
			}
		}
	})
}

// TestWhatTheHubPutThereStillGoes: what is not wanted any more is deleted where the hub may not write, as it is the hub's.
func TestWhatTheHubPutThereStillGoes(t *testing.T) {
	v := viewOf(t, configMaps(), configMap("web"))
	v.bounds.Namespaces = adoption.Namespaces{Deny: []string{"shop"}}
	if s := next(v); s.verb != nothing || s.err == nil {
		t.Fatalf("it is not held: %+v", s)
	}
	v.want = nil
	if s := next(v); s.verb != remove {
		t.Errorf("it stays: %+v", s)
	}
	v.leaving, v.stays = true, true
	if s := next(v); s.verb != release {
		t.Errorf("its marks stay when the cluster leaves: %+v", s)
	}
}

// strangeNamespace is one that a member's people made.
func strangeNamespace(name string, labels map[string]any) map[string]any {
	return map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": name, "labels": labels}}
}

// TestANamespaceIsTakenOverByLeave: what is in the member's own namespace is held, is not tried again and again, and comes when the
// namespace is allowed, which leaves what others have set there.
func TestANamespaceIsTakenOverByLeave(t *testing.T) {
	m := newMemberAPI(t)
	m.strict = true
	const enforce = "pod-security.kubernetes.io/enforce"
	m.change(shopPath, func(obj map[string]any) {
		maps.Copy(obj, strangeNamespace("shop", map[string]any{enforce: "restricted", "team": "theirs"}))
	})
	h := newHub()
	says := adoption.DefaultNamespaces()
	h.namespaces = &says
	member := m.join(t, h, "aws")
	wanted := shopNamespace("first")
	wanted["metadata"].(map[string]any)["labels"] = map[string]any{enforce: "privileged", "team": "ours", "more": "ours"}
	ns := h.put(template.Namespaces(), wanted)
	key := h.put(configMaps(), configMap("settings"))

	before := fmt.Sprint(m.get(shopPath))
	if message := h.waitForState(t, member, ns, v1alpha1.StateConflict); !strings.Contains(message, "was not made by this hub") || !strings.Contains(message, "Try: ") {
		t.Errorf("said: %s", message)
	}
	if message := h.waitForState(t, member, key, v1alpha1.StateConflict); !strings.HasPrefix(message, "held, because of its namespace") || !strings.Contains(message, `"/spec/namespaces/allow/-"`) {
		t.Errorf("said: %s", message)
	}
	if s := member.engaged(); s.queue.NumRequeues(key) != 0 || s.queue.NumRequeues(ns) != 0 {
		t.Error("they are tried again and again")
	}
	if now := fmt.Sprint(m.get(shopPath)); now != before {
		t.Errorf("the namespace was written: %s, was %s", now, before)
	}
	if m.get(shopPath+"/configmaps/settings") != nil {
		t.Error("an object was written into it")
	}

	h.mu.Lock()
	h.namespaces = &adoption.Namespaces{Allow: []string{"sh*"}}
	h.mu.Unlock()
	member.Rebound()
	h.waitForState(t, member, ns, v1alpha1.StateSynced)
	h.waitForState(t, member, key, v1alpha1.StateSynced)
	labels := unstructuredOf(m.get(shopPath)).GetLabels()
	if want := map[string]string{enforce: "restricted", "team": "theirs", "more": "ours", v1alpha1.LabelManaged: "true"}; !maps.Equal(labels, want) {
		t.Errorf("labels are %v, want %v", labels, want)
	}

	// A change at the hub does not weaken it either, nor does asking for it to be replaced.
	wanted["metadata"].(map[string]any)["labels"].(map[string]any)["more"] = "changed"
	wanted["metadata"].(map[string]any)["annotations"] = map[string]any{v1alpha1.AnnotationConflict: v1alpha1.ConflictOverwrite}
	h.put(template.Namespaces(), wanted)
	waitFor(t, "the change", func() bool { return unstructuredOf(m.get(shopPath)).GetLabels()["more"] == "changed" })
	labels = unstructuredOf(m.get(shopPath)).GetLabels()
	if labels[enforce] != "restricted" || labels["team"] != "ours" {
		t.Errorf("labels are %v", labels)
	}

	// What has been taken over stays the hub's when it is not allowed any more; what is denied is not.
	h.mu.Lock()
	h.namespaces = &adoption.Namespaces{}
	h.mu.Unlock()
	member.Rebound()
	h.put(configMaps(), configMapOf("settings", "second"))
	h.waitForState(t, member, key, v1alpha1.StateSynced)
	h.mu.Lock()
	h.namespaces = &adoption.Namespaces{Allow: []string{"*"}, Deny: []string{"shop"}}
	h.mu.Unlock()
	h.put(configMaps(), configMapOf("settings", "third"))
	if message := h.waitForState(t, member, key, v1alpha1.StateConflict); !strings.Contains(message, "denies the hub namespace shop") {
		t.Errorf("said: %s", message)
	}
	if data := m.get(shopPath + "/configmaps/settings")["data"].(map[string]any); data["key"] != "second" {
		t.Errorf("it was written where the hub is denied: %v", data)
	}
}

// TestAStrangeNamespaceTakesThePlaceOfTheHubs: somebody in the member deletes the hub's and makes one of their own. Nothing is written
// into that one.
func TestAStrangeNamespaceTakesThePlaceOfTheHubs(t *testing.T) {
	m := newMemberAPI(t)
	m.strict = true
	h := newHub()
	says := adoption.DefaultNamespaces()
	h.namespaces = &says
	member := m.join(t, h, "aws")
	ns, key := h.put(template.Namespaces(), shopNamespace("first")), h.put(configMaps(), configMap("settings"))
	h.waitForState(t, member, key, v1alpha1.StateSynced)
	const settings = shopPath + "/configmaps/settings"
	m.change(shopPath, func(obj map[string]any) {
		unstructuredOf(obj).SetDeletionTimestamp(&metav1.Time{Time: epoch}) // which every Namespace has before it is gone
	})
	waitFor(t, "the deletion to be seen", func() bool { return member.Observed(ns).Deleting })
	m.mu.Lock() // so that the hub does not make it again in between
	m.version++
	for _, path := range []string{settings, shopPath} {
		m.tell(path, "DELETED", m.objects[path])
		delete(m.objects, path)
	}
	stranger := strangeNamespace("shop", nil)
	m.own(nil, stranger, "kubectl")
	m.store(shopPath, stranger)
	m.mu.Unlock()
	h.waitForState(t, member, ns, v1alpha1.StateConflict)
	h.waitForState(t, member, key, v1alpha1.StateConflict)
	if m.get(settings) != nil {
		t.Error("an object was written into it")
	}
	m.remove(shopPath)
	s := member.engaged()
	s.queue.Add(ns) // as after lookAtConflicts
	began := time.Now()
	h.waitForState(t, member, key, v1alpha1.StateSynced)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it came %s later", took)
	}
}
