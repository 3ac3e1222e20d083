package member

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// withoutHostUsers is a member whose version does not have the field.
func withoutHostUsers(path string, obj map[string]any) {
	if path == web {
		unstructured.RemoveNestedField(obj, "spec", "template", "spec", "hostUsers")
	}
}

func isolated() map[string]any {
	obj := deploymentOf(2)
	obj["spec"].(map[string]any)["template"] = map[string]any{"spec": map[string]any{"hostUsers": false, "restartPolicy": "Always"}}
	return obj
}

func (m *memberAPI) set(schema string, admit func(string, map[string]any)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.schema, m.admit = schema, admit
}

// TestFieldsThatAMemberDropsAreNamed: all else is written, nothing is written again and
// again, and they arrive once the member knows them.
func TestFieldsThatAMemberDropsAreNamed(t *testing.T) {
	m := newMemberAPI(t)
	m.set("old", withoutHostUsers)
	h := newHub()
	member, leave := m.joined(t, h, "aws")
	defer func() { leave() }()
	key := h.put(deployments(), isolated())
	message := h.waitForState(t, member, key, v1alpha1.StateFieldsDropped)
	if !strings.Contains(message, "aws did not keep spec.template.spec.hostUsers:") {
		t.Errorf("the placement says %q", message)
	}
	if policy, _, _ := unstructured.NestedString(m.get(web), "spec", "template", "spec", "restartPolicy"); policy != "Always" {
		t.Error("the rest was not written")
	}

	// The first look at the schemas has it sent once more: they may have changed meanwhile.
	waitFor(t, "the field to be sent again", func() bool { return m.wrote("PATCH "+web) == 1 })
	// Changes in the member are put back without it, and what is not the hub's costs nothing.
	m.change(web, scaledTo(5))
	waitFor(t, "drift to be put back", func() bool { return replicasIn(m.get(web)) == 2 })
	m.change(web, func(obj map[string]any) {
		obj["status"] = map[string]any{"replicas": int64(2)}
		obj["metadata"].(map[string]any)["annotations"].(map[string]any)["theirs"] = "x"
	})
	version := template.RevisionOf(unstructuredOf(m.get(web)).GetResourceVersion())
	waitFor(t, "the change to be seen and accepted", func() bool {
		rec := member.get(key)
		return rec.seen.rv == version && rec.seen.hash == rec.left.hash
	})
	looks := m.wrote("GET /openapi/v3")
	waitFor(t, "more looks at the schemas", func() bool { return m.wrote("GET /openapi/v3") > looks+3 })
	h.waitForState(t, member, key, v1alpha1.StateFieldsDropped)
	if n := m.wrote("PATCH " + web); n != 2 {
		t.Errorf("%d writes", n)
	}

	m.set("new", nil)
	h.waitForState(t, member, key, v1alpha1.StateSynced)
	if _, there, _ := unstructured.NestedBool(m.get(web), "spec", "template", "spec", "hostUsers"); !there {
		t.Error("the field has not arrived")
	}
}

// TestDroppedFieldsAreSentAgainInANewSession: the member may have been upgraded meanwhile.
func TestDroppedFieldsAreSentAgainInANewSession(t *testing.T) {
	m := newMemberAPI(t)
	m.set("same", withoutHostUsers)
	h := newHub()
	member, leave := m.joined(t, h, "aws")
	defer func() { leave() }()
	key := h.put(deployments(), isolated())
	h.waitForState(t, member, key, v1alpha1.StateFieldsDropped)
	leave()
	m.set("same", nil) // a feature gate, which no schema shows
	leave = m.engage(t, member)
	h.waitForState(t, member, key, v1alpha1.StateSynced)
	if _, there, _ := unstructured.NestedBool(m.get(web), "spec", "template", "spec", "hostUsers"); !there {
		t.Error("the field has not arrived")
	}
}
