package propagate

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-dev/hanse/api/v1alpha1"
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
	e, member := m.engaged(t)
	old := ready("aws", 0)
	old.version = "v1.29.3"
	e.setClusters(map[string]*cluster{"aws": old})
	key := put(e, deployments(), isolated())
	e.toMembers(key)
	message := waitForState(t, e, key, v1alpha1.StateFieldsDropped)
	if !strings.Contains(message, "aws (v1.29.3) did not keep spec.template.spec.hostUsers:") {
		t.Errorf("the placement says %q", message)
	}
	p, _ := e.Placement(key, "p")
	if p.Summary.Synced != "False" || !strings.Contains(p.Summary.Message, "hostUsers") {
		t.Errorf("the placement's summary is %+v", p.Summary)
	}
	if r := e.Report("aws"); r.Failing != 1 || !strings.Contains(r.Message, "hostUsers") {
		t.Errorf("the Cluster's condition: %+v", r)
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
	version := revision(unstructuredOf(m.get(web)).GetResourceVersion())
	waitFor(t, "the change to be seen and accepted", func() bool {
		rec := member.get(key)
		return rec.seen.rv == version && rec.seen.hash == rec.left.hash
	})
	looks := m.wrote("GET /openapi/v3")
	waitFor(t, "more looks at the schemas", func() bool { return m.wrote("GET /openapi/v3") > looks+3 })
	waitForState(t, e, key, v1alpha1.StateFieldsDropped)
	if n := m.wrote("PATCH " + web); n != 2 {
		t.Errorf("%d writes", n)
	}

	m.set("new", nil)
	waitForState(t, e, key, v1alpha1.StateSynced)
	if _, there, _ := unstructured.NestedBool(m.get(web), "spec", "template", "spec", "hostUsers"); !there {
		t.Error("the field has not arrived")
	}
	if r := e.Report("aws"); r.Failing != 0 {
		t.Errorf("afterwards: %+v", r)
	}
}

// TestDroppedFieldsAreSentAgainInANewSession: the member may have been upgraded meanwhile.
func TestDroppedFieldsAreSentAgainInANewSession(t *testing.T) {
	m := newMemberAPI(t)
	m.set("same", withoutHostUsers)
	e, member := m.engaged(t)
	key := put(e, deployments(), isolated())
	e.toMembers(key)
	waitForState(t, e, key, v1alpha1.StateFieldsDropped)
	member.disengage()
	m.set("same", nil) // a feature gate, which no schema shows
	m.join(t, e, "aws")
	waitForState(t, e, key, v1alpha1.StateSynced)
	if _, there, _ := unstructured.NestedBool(m.get(web), "spec", "template", "spec", "hostUsers"); !there {
		t.Error("the field has not arrived")
	}
}
