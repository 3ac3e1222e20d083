package sim

import (
	"net/http"
	"slices"
	"time"

	"github.com/hanse-dev/hanse/internal/lineage"
)

// vault is the namespace that Residencies restrict, in histories that have any.
const vault = "vault"

// residents is what happens besides in such histories.
func residents() []happening {
	return []happening{{10, writeResident}, {6, writeResidency}, {1, deleteResidency}, {2, deleteResident}}
}

func writeResident(f *federation) {
	if f.random.IntN(2) == 0 {
		f.upsert("/api/v1/namespaces/"+vault+"/configmaps", f.pick("one", "two"), object{"data": object{"value": f.pick("x", "y", "z")}})
		return
	}
	f.upsert("/apis/apps/v1/namespaces/"+vault+"/deployments", "web", object{"spec": object{
		"replicas": int64(f.random.IntN(6)), "revisionHistoryLimit": int64(3), "selector": object{"matchLabels": object{"app": "web"}},
		"template": object{"metadata": object{"labels": object{"app": "web"}}, "spec": object{"containers": []any{object{"name": "c", "image": f.pick("app:1", "app:2")}}}},
	}})
}

func deleteResident(f *federation) {
	f.as("kubectl", f.hub, http.MethodDelete, "/api/v1/namespaces/"+vault+"/configmaps/one", nil)
}

// writeResidency lets the vault be in some of the clusters, one of which is perhaps none.
func writeResidency(f *federation) {
	names := []any{f.some().name}
	for _, more := range []string{f.some().name, "atlantis"} {
		if f.random.IntN(2) == 0 && !slices.Contains(names, any(more)) {
			names = append(names, more)
		}
	}
	f.upsert("/apis/hanse.dev/v1alpha1/residencies", f.pick("a", "a", "b"), object{"spec": object{"namespaces": []any{vault}, "clusters": object{"names": names}}})
}

func deleteResidency(f *federation) {
	f.as("kubectl", f.hub, http.MethodDelete, "/apis/hanse.dev/v1alpha1/residencies/"+f.pick("a", "b"), nil)
}

// makeVault begins a history that has Residencies.
func makeVault(f *federation) {
	f.upsert("/api/v1/namespaces", vault, object{})
	writeResidency(f)
}

// resides says whether the Residencies let what a namespace has be in a cluster. mu is held.
func (f *federation) resides(r ref, cluster string) bool {
	namespace := r.namespace
	if r.gr == namespaces {
		namespace = r.name
	}
	if namespace != vault {
		return true
	}
	for _, o := range f.hub.all(residencies) {
		names, _ := at(o.obj, "spec", "clusters", "names").([]any)
		if !slices.Contains(names, any(cluster)) {
			return false
		}
	}
	return true
}

// trespasses says whether something of the hub's has not left a member where it may not be, although it could: there are clusters
// that it may be in, and a Namespace is empty. mu is held.
func (f *federation) trespasses(m *member, r ref, obj object, history lineage.History) bool {
	somewhere := slices.ContainsFunc(f.joined(), func(one *member) bool { return !one.dead && f.resides(r, one.name) })
	mine := f.watch.puts[text(obj, "metadata", "uid")] && knows(history, obj) && f.hub.get(r) != nil && text(f.hub.get(r), "metadata", "uid") == origin(obj)
	if f.resides(r, m.name) || !somewhere || !mine {
		return false
	}
	return r.gr != namespaces || !slices.ContainsFunc(m.theirs(), func(other ref) bool { return other.namespace == r.name })
}

// noteResidence notes where the vault may be now. mu is held.
func (m *monitor) noteResidence() {
	for _, at := range m.f.members {
		if r := (ref{gr: namespaces, name: vault}); m.f.resides(r, at.name) {
			m.resided[at.name] = time.Now()
		}
	}
}

// trespassed checks a write of the hub in a member: nothing restricted is made outside, and nothing that is there is told anything
// but how many replicas to run. There is no excuse but that the hub cannot have heard of the Residency yet.
func (m *monitor) trespassed(at *member, c *call, after object) {
	if m.f.resides(c.ref, at.name) || c.sent.Sub(m.resided[at.name]) < patience || c.sent.Before(m.shaken) {
		return
	}
	fewer := c.ref.gr == deployments && c.before != nil && number(after, "spec", "replicas") <= number(c.before, "spec", "replicas") &&
		image(after) == image(c.before)
	released := text(after, "metadata", "annotations", "hanse.dev/origin") == ""
	if !fewer && !released {
		m.fail("%s is written in %s, where no Residency has let it be for %s", c.ref, at.name, c.sent.Sub(m.resided[at.name]).Round(time.Millisecond))
	}
}

func image(deployment object) string {
	containers, _ := at(deployment, "spec", "template", "spec", "containers").([]any)
	if len(containers) == 0 {
		return ""
	}
	first, _ := containers[0].(object)
	name, _ := first["image"].(string)
	return name
}
