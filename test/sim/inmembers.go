package sim

import (
	"fmt"
	"net/http"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
)

// theirs are the objects of a member that have the hub's mark, but no Namespaces. mu is held.
func (m *member) theirs() (all []ref) {
	for _, r := range sortedRefs(m.objects) {
		if r.gr != namespaces && text(m.get(r), "metadata", "labels", "hanse.dev/managed") == "true" {
			all = append(all, r)
		}
	}
	return all
}

func (f *federation) theirs(m *member) (r ref, ok bool) {
	all := m.theirs()
	if len(all) == 0 || m.dead {
		return r, false
	}
	return all[f.random.IntN(len(all))], true
}

// drift changes or deletes in a member what the hub put there.
func drift(f *federation) {
	m := f.some()
	f.mu.Lock()
	defer f.mu.Unlock()
	r, ok := f.theirs(m)
	if !ok || r.gr == jobs {
		return
	}
	if f.random.IntN(2) == 0 {
		f.note("somebody deletes %s in %s", r, m.name)
		if r.gr == deployments {
			f.watch.dropped(m, r, int(m.ready(r)))
		}
		m.drop(r)
		return
	}
	obj := runtime.DeepCopyJSON(m.get(r))
	if r.gr == configMaps {
		obj["data"] = object{"value": "drifted"}
	} else {
		n := int64(f.random.IntN(5))
		obj["spec"].(object)["replicas"] = n
		f.watch.dropped(m, r, int(max(0, m.ready(r)-n)))
	}
	f.note("somebody changes %s in %s", r, m.name)
	own(obj, "kubectl", "", m.get(r), obj)
	m.put(r, obj)
}

// copyInMember copies an object under another name, marks and all.
func copyInMember(f *federation) {
	m := f.some()
	f.mu.Lock()
	defer f.mu.Unlock()
	r, ok := f.theirs(m)
	if !ok || r.gr == jobs {
		return
	}
	m.copies++
	to := r
	to.name = fmt.Sprintf("copy-%d", m.copies)
	obj := m.again(r, m.get(r), to.name)
	f.watch.copies[text(obj, "metadata", "uid")] = true
	f.note("somebody copies %s in %s to %s", r, m.name, to.name)
	m.put(to, obj)
}

// again is an object as somebody makes it from another.
func (m *member) again(r ref, of object, name string) object {
	obj := runtime.DeepCopyJSON(of)
	md := meta(obj)
	md["name"], md["uid"], md["creationTimestamp"] = name, m.newUID(), stamp()
	delete(md, "managedFields")
	delete(md, "finalizers")
	delete(obj, "status")
	own(obj, "velero", "", object{}, obj)
	return obj
}

func backUpInMember(f *federation) {
	m := f.some()
	f.mu.Lock()
	defer f.mu.Unlock()
	if r, ok := f.theirs(m); ok && r.gr != jobs {
		m.backups[r] = m.get(r)
		f.note("somebody backs %s in %s up", r, m.name)
	}
}

// restoreInMember puts objects back from a backup, as other objects.
func restoreInMember(f *federation) {
	m := f.some()
	f.mu.Lock()
	defer f.mu.Unlock()
	if m.dead {
		return
	}
	for r, obj := range m.backups {
		if ns := m.get(ref{gr: namespaces, name: r.namespace}); m.get(r) == nil && ns != nil && text(ns, "metadata", "deletionTimestamp") == "" {
			f.note("somebody restores %s in %s", r, m.name)
			m.put(r, m.again(r, obj, r.name))
		}
	}
	clear(m.backups)
}

// crash has pods of a workload in a member fail.
func crash(f *federation) {
	m := f.some()
	f.mu.Lock()
	defer f.mu.Unlock()
	refs := m.workloads()
	if len(refs) == 0 || m.dead {
		return
	}
	r := refs[f.random.IntN(len(refs))]
	f.watch.dropped(m, r, int(m.ready(r)))
	f.note("pods of %s in %s crash", r, m.name)
	for _, p := range m.pods[r] {
		if p.ready {
			p.ready = false
			m.start(r, p)
		}
	}
	m.status(r)
}

// autoscale makes an autoscaler in a member, or takes it away.
func autoscale(f *federation) {
	m := f.some()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, o := range m.all(autoscalers) {
		r := ref{autoscalers, text(o.obj, "metadata", "namespace"), text(o.obj, "metadata", "name")}
		f.note("the autoscaler %s in %s is deleted", r, m.name)
		m.drop(r)
		return
	}
	r, ok := f.theirs(m)
	if !ok || r.gr != deployments {
		return
	}
	n := int64(1 + f.random.IntN(5))
	f.note("an autoscaler in %s sets %s to %d", m.name, r, n)
	m.put(ref{autoscalers, r.namespace, r.name}, m.newObject("autoscaling/v2", "HorizontalPodAutoscaler", r.namespace, r.name, object{"spec": object{
		"minReplicas": n, "maxReplicas": n, "scaleTargetRef": object{"apiVersion": "apps/v1", "kind": "Deployment", "name": r.name},
	}}))
	time.AfterFunc(time.Second, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		before := m.get(r)
		if before == nil || m.dead || m.get(ref{autoscalers, r.namespace, r.name}) == nil {
			return
		}
		f.watch.dropped(m, r, int(max(0, m.ready(r)-n)))
		obj := runtime.DeepCopyJSON(before)
		obj["spec"].(object)["replicas"] = n
		own(obj, "kube-controller-manager", "scale", before, obj)
		m.put(r, obj)
	})
}

// finalizer gives an object in a member one of somebody else's, for a while.
func finalizer(f *federation) {
	m := f.some()
	f.mu.Lock()
	defer f.mu.Unlock()
	r, ok := f.theirs(m)
	if !ok || r.gr != configMaps {
		return
	}
	f.note("%s in %s gets a finalizer for 20 s", r, m.name)
	obj := runtime.DeepCopyJSON(m.get(r))
	meta(obj)["finalizers"] = []any{"example.com/keep"}
	own(obj, "kubectl", "", m.get(r), obj)
	m.put(r, obj)
	time.AfterFunc(20*time.Second, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		m.release(r)
	})
}

// holdNamespace has somebody's finalizer hold up a Namespace in a member while people delete it at the hub and make it again.
func holdNamespace(f *federation) {
	m := f.some()
	f.mu.Lock()
	r := ref{configMaps, "shop", "held"}
	ns := m.get(ref{gr: namespaces, name: "shop"})
	if m.dead || ns == nil || text(ns, "metadata", "deletionTimestamp") != "" || m.get(r) != nil {
		f.mu.Unlock()
		return
	}
	f.note("somebody's finalizer holds up namespace shop in %s for 25 s", m.name)
	m.put(r, m.newObject("v1", "ConfigMap", "shop", r.name, object{"metadata": object{"finalizers": []any{"example.com/keep"}}}))
	f.mu.Unlock()
	f.as("kubectl", f.hub, http.MethodDelete, "/api/v1/namespaces/shop", nil)
	time.Sleep(time.Second)
	writeNamespaceNow(f)
	f.upsert("/api/v1/namespaces/shop/configmaps", "one", object{"data": object{"value": "held"}})
	time.AfterFunc(24*time.Second, func() {
		f.mu.Lock()
		m.release(r)
		f.mu.Unlock()
	})
}

// release takes the finalizers off an object. mu is held.
func (m *member) release(r ref) {
	before := m.get(r)
	if before == nil || meta(before)["finalizers"] == nil {
		return
	}
	if text(before, "metadata", "deletionTimestamp") != "" {
		m.drop(r)
		return
	}
	obj := runtime.DeepCopyJSON(before)
	delete(meta(obj), "finalizers")
	m.put(r, obj)
}

// skew makes a member older: it drops a field of what is written from now on.
func skew(f *federation) {
	m := f.some()
	f.mu.Lock()
	defer f.mu.Unlock()
	m.drops = true
	f.note("%s does not know revisionHistoryLimit", m.name)
}
