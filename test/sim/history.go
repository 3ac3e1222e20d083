package sim

import (
	"fmt"
	"net/http"
	"slices"
	"time"
)

// happening is something that may happen, with how often.
type happening struct {
	weight int
	do     func(f *federation)
}

func happenings() []happening {
	return []happening{
		{14, writeDeployment}, {6, writeConfigMap}, {6, writeJob}, {4, rescaleJob}, {5, deleteSomething}, {3, writeNamespace},
		{6, writePolicy}, {4, labelCluster}, {3, cordon}, {3, drain}, {3, taint}, {3, joinOrLeave},
		{4, blip}, {3, loss}, {5, hiccups}, {3, cutWatches}, {2, forbid}, {2, deafen},
		{3, killHub}, {2, copyHub}, {2, restoreHub}, {3, shakeHub},
		{5, drift}, {3, copyInMember}, {2, backUpInMember}, {2, restoreInMember}, {3, crash}, {3, autoscale}, {2, finalizer}, {2, holdNamespace}, {1, skew},
		{25, wait},
	}
}

// step has one thing happen, and lets some time go by.
func (f *federation) step() {
	all := happenings()
	if f.vault {
		all = append(all, residents()...)
	}
	sum := 0
	for _, h := range all {
		sum += h.weight
	}
	n := f.random.IntN(sum)
	for _, h := range all {
		if n -= h.weight; n < 0 {
			h.do(f)
			break
		}
	}
	pauses := []time.Duration{20 * time.Millisecond, 100 * time.Millisecond, 400 * time.Millisecond, 1500 * time.Millisecond, 4 * time.Second}
	time.Sleep(pauses[f.random.IntN(len(pauses))])
}

func wait(f *federation) { time.Sleep(time.Duration(1+f.random.IntN(8)) * time.Second) }

func (f *federation) pick(from ...string) string { return from[f.random.IntN(len(from))] }

func (f *federation) some() *member { return f.members[f.random.IntN(len(f.members))] }

func (f *federation) namespace() string { return f.pick("shop", "shop", "default") }

func (f *federation) upsert(path, name string, body object) {
	f.mu.Lock()
	_, r, _, _ := f.hub.parse(path + "/" + name)
	exists := f.hub.get(r) != nil
	f.mu.Unlock()
	if exists {
		f.as("kubectl", f.hub, http.MethodPatch, path+"/"+name, body)
		return
	}
	meta(body)["name"] = name
	f.as("kubectl", f.hub, http.MethodPost, path, body)
}

func writeDeployment(f *federation) {
	ns, name := f.namespace(), f.pick("web", "pay", "big")
	cpu := "0"
	if name == "big" {
		cpu = "3"
	}
	spec := object{
		"replicas": int64(f.random.IntN(8)), "revisionHistoryLimit": int64(3), "selector": object{"matchLabels": object{"app": name}},
		"template": object{
			"metadata": object{"labels": object{"app": name}},
			"spec": object{"containers": []any{object{
				"name": "c", "image": f.pick("app:1", "app:2"), "resources": object{"requests": object{"cpu": cpu}}, "envFrom": f.names(),
			}}},
		},
	}
	body := object{"spec": spec, "metadata": object{"labels": object{"grp": f.pick("a", "a", "b")}}}
	if f.random.IntN(2) == 0 {
		delete(spec, "template")
		delete(body, "metadata")
		f.mu.Lock()
		exists := f.hub.get(ref{deployments, ns, name}) != nil
		f.mu.Unlock()
		if !exists {
			return
		}
	}
	f.upsert("/apis/apps/v1/namespaces/"+ns+"/deployments", name, body)
}

func writeConfigMap(f *federation) {
	f.upsert("/api/v1/namespaces/"+f.namespace()+"/configmaps", f.pick("one", "two"), object{
		"data": object{"value": fmt.Sprint(f.random.IntN(5))}, "metadata": object{"labels": object{"grp": f.pick("a", "b")}},
	})
}

func writeJob(f *federation) {
	ns, name := f.namespace(), f.pick("report", "bill")
	f.mu.Lock()
	exists := f.hub.get(ref{jobs, ns, name}) != nil
	f.mu.Unlock()
	parallelism := int64(1 + f.random.IntN(5))
	body := object{"spec": object{"parallelism": parallelism}}
	if !exists {
		body = object{"spec": object{
			"parallelism": parallelism, "completions": int64(1 + f.random.IntN(9)), "backoffLimit": int64(6),
			"template": object{"metadata": object{"labels": object{"app": name}}, "spec": object{"restartPolicy": "Never", "containers": []any{object{"name": "c", "image": "job:1"}}}},
		}, "metadata": object{"labels": object{"grp": f.pick("a", "a", "b")}}}
	}
	f.upsert("/apis/batch/v1/namespaces/"+ns+"/jobs", name, body)
}

// rescaleJob has a Job that runs, run with few pods at once, perhaps fewer than the clusters that have a part of it.
func rescaleJob(f *federation) {
	f.mu.Lock()
	var running []string
	for _, o := range f.hub.all(jobs) {
		if !isComplete(o.obj) && number(o.obj, "spec", "completions") > 1 {
			running = append(running, "/apis/batch/v1/namespaces/"+text(o.obj, "metadata", "namespace")+"/jobs/"+text(o.obj, "metadata", "name"))
		}
	}
	f.mu.Unlock()
	if len(running) > 0 {
		f.as("kubectl", f.hub, http.MethodPatch, running[f.random.IntN(len(running))], object{"spec": object{"parallelism": int64(1 + f.random.IntN(2))}})
	}
}

func deleteSomething(f *federation) {
	f.mu.Lock()
	var paths []string
	for gr, prefix := range map[resource]string{deployments: "/apis/apps/v1", configMaps: "/api/v1", jobs: "/apis/batch/v1"} {
		for _, o := range f.hub.all(gr) {
			if ns := text(o.obj, "metadata", "namespace"); ns != "hanse-system" {
				paths = append(paths, prefix+"/namespaces/"+ns+"/"+gr.Resource+"/"+text(o.obj, "metadata", "name"))
			}
		}
	}
	f.mu.Unlock()
	if len(paths) > 0 {
		slices.Sort(paths)
		f.as("kubectl", f.hub, http.MethodDelete, paths[f.random.IntN(len(paths))], nil)
	}
}

func writeNamespace(f *federation) {
	if f.random.IntN(3) == 0 {
		f.as("kubectl", f.hub, http.MethodDelete, "/api/v1/namespaces/shop", nil)
		return
	}
	labels := object{"team": f.pick("x", "y"), "hanse.dev/propagation": f.pick("Everywhere", "Needed", "Needed", "None")}
	f.upsert("/api/v1/namespaces", "shop", object{"metadata": object{"labels": labels}})
}

func writePolicy(f *federation) {
	ns, group := f.namespace(), f.pick("a", "b")
	path := "/apis/hanse.dev/v1alpha1/namespaces/" + ns + "/placementpolicies"
	f.mu.Lock()
	exists := f.hub.get(ref{policies, ns, group}) != nil
	f.mu.Unlock()
	if exists && f.random.IntN(3) == 0 {
		f.as("kubectl", f.hub, http.MethodDelete, path+"/"+group, nil)
		return
	}
	var selector object
	switch f.random.IntN(3) {
	case 0:
		selector = object{"labels": object{"matchLabels": object{"tier": f.pick("prod", "test")}}, "names": nil, "exclude": nil}
	case 1:
		selector = object{"names": []any{f.pick("aws", "azure"), "google"}, "labels": nil, "exclude": nil}
	default:
		selector = object{"exclude": []any{f.some().name}, "labels": nil, "names": nil}
	}
	propagation := f.pick("Everywhere", "Everywhere", "Needed") // which is for ConfigMaps
	body := object{"spec": object{"propagation": propagation, "select": object{"labels": object{"matchLabels": object{"grp": group}}}, "clusters": selector}}
	if !exists {
		for k, v := range selector {
			if v == nil {
				delete(selector, k)
			}
		}
	}
	f.upsert(path, group, body)
}

func (f *federation) patchCluster(m *member, body object) {
	f.as("kubectl", f.hub, http.MethodPatch, "/apis/hanse.dev/v1alpha1/clusters/"+m.name, body)
}

func labelCluster(f *federation) {
	f.patchCluster(f.some(), object{"metadata": object{"labels": object{"tier": f.pick("prod", "prod", "test")}}})
}

func cordon(f *federation) {
	f.patchCluster(f.some(), object{"spec": object{"unschedulable": f.random.IntN(3) == 0}})
}

func drain(f *federation) {
	f.patchCluster(f.some(), object{"spec": object{"drain": f.random.IntN(3) == 0}})
}

func taint(f *federation) {
	var taints []any
	if f.random.IntN(3) == 0 {
		taints = []any{object{"key": "maintenance", "effect": f.pick("NoSchedule", "NoExecute")}}
	}
	f.patchCluster(f.some(), object{"spec": object{"taints": taints}})
}

func joinOrLeave(f *federation) {
	m := f.some()
	f.mu.Lock()
	there := f.hub.get(ref{gr: clusters, name: m.name})
	n := len(f.joined())
	f.mu.Unlock()
	switch {
	case there == nil:
		f.join(m)
	case n > 2 && text(there, "metadata", "deletionTimestamp") == "":
		f.as("kubectl", f.hub, http.MethodDelete, "/apis/hanse.dev/v1alpha1/clusters/"+m.name, nil)
	}
}

func (f *federation) join(m *member) {
	f.as("kubectl", f.hub, http.MethodPost, "/apis/hanse.dev/v1alpha1/clusters", object{
		"metadata": object{"name": m.name, "labels": object{"tier": "prod"}, "finalizers": []any{"hanse.dev/withdraw"}},
		"spec":     object{"endpoint": "https://" + m.name, "credentialSecret": m.name, "uid": "uid-" + m.name},
	})
}

// trouble gives the way to a member some faults for a while.
func (f *federation) trouble(m *member, what string, w faults, d time.Duration) {
	f.mu.Lock()
	if m.dead || m.faults != (faults{}) {
		f.mu.Unlock()
		return
	}
	m.faults, m.since = w, time.Now()
	m.disturbed = time.Now().Add(d)
	f.note("%s %s for %s", m.name, what, d)
	run := f.run
	f.mu.Unlock()
	if l := run.link(m.name); l != nil && (w.hung || w.refused) {
		if w.hung {
			l.mute()
		} else {
			l.cut()
		}
	}
	time.AfterFunc(d, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if m.dead || m.faults != w {
			return
		}
		m.faults = faults{}
		f.note("%s is well again", m.name)
		if l := f.run.link(m.name); l != nil && (w.hung || w.lying > 0) {
			l.cut()
		}
	})
}

func (f *federation) seconds(from, to int) time.Duration {
	return time.Duration(from+f.random.IntN(to-from)) * time.Second
}

func blip(f *federation) {
	w := faults{refused: true}
	if f.random.IntN(2) == 0 {
		w = faults{hung: true}
	}
	f.trouble(f.some(), "is out of reach", w, f.seconds(1, 30))
}

func loss(f *federation) {
	m := f.some()
	f.mu.Lock()
	defer f.mu.Unlock()
	if m.dead {
		f.note("%s is back", m.name)
		m.revive()
		return
	}
	for _, one := range f.members {
		if one.dead {
			return // one at a time: else it may be the hub that is cut off
		}
	}
	f.note("%s dies", m.name)
	m.kill()
	if l := f.run.link(m.name); l != nil {
		l.cut()
	}
}

func hiccups(f *federation) {
	w := []faults{{failing: 40}, {losing: 30}, {slow: 30}, {lying: 60}, {failing: 15, losing: 15, slow: 15}}[f.random.IntN(5)]
	f.trouble(f.some(), fmt.Sprintf("has hiccups %+v", w), w, f.seconds(3, 20))
}

func cutWatches(f *federation) {
	m := f.some()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.note("watches of %s are cut", m.name)
	if f.random.IntN(2) == 0 {
		f.note("… and what happened is not kept")
		m.dropped = m.version
		m.events = nil
	}
	m.cut()
}

func forbid(f *federation) {
	m := f.some()
	f.trouble(m, "forbids to read deployments", faults{forbidden: "deployments"}, f.seconds(5, 40))
	f.mu.Lock()
	m.cut()
	f.mu.Unlock()
}

func deafen(f *federation) {
	f.trouble(f.some(), "fails discovery", faults{deaf: true}, f.seconds(2, 12))
}

func killHub(f *federation) {
	f.mu.Lock()
	f.note("the hub is killed")
	f.mu.Unlock()
	f.kill()
	time.Sleep(time.Duration(f.random.IntN(4000)) * time.Millisecond)
	f.mu.Lock()
	f.hub.cut()
	f.hub.dropped, f.hub.events = f.hub.version, nil
	f.hubWay = faults{}
	f.note("the hub begins")
	f.mu.Unlock()
	f.start()
}

func copyHub(f *federation) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.copy = &hubCopy{copied: f.hub.snapshot(), ends: append([]uint64{}, f.ends...), people: f.people.clone()}
	f.note("the hub's data are copied")
}

func restoreHub(f *federation) {
	if f.copy == nil {
		return
	}
	f.kill()
	f.mu.Lock()
	f.note("the hub is restored from the copy, and begins")
	f.hubWay = faults{}
	f.ends = append(append([]uint64{}, f.copy.ends...), f.copy.version)
	f.hub.restore(f.copy.copied, f.hub.version+revisionJump)
	f.people = f.copy.people.clone()
	f.watch.restored()
	f.mu.Unlock()
	f.start()
}

func shakeHub(f *federation) {
	w := []faults{{failing: 30}, {losing: 30}, {slow: 20}, {hung: true}}[f.random.IntN(4)]
	d := f.seconds(2, 8)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.hubWay != (faults{}) {
		return
	}
	f.hubWay = w
	f.watch.shaken = time.Now().Add(d + 15*time.Second)
	f.note("the hub's own API server has hiccups %+v for %s", w, d)
	if l := f.run.link(""); w.hung && l != nil {
		l.mute()
	}
	time.AfterFunc(d, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.hubWay != w {
			return
		}
		f.hubWay = faults{}
		f.hub.cut()
		f.note("the hub's own API server is well again")
	})
}

// writeNamespaceNow makes the Namespace that most is in.
func writeNamespaceNow(f *federation) {
	f.upsert("/api/v1/namespaces", "shop", object{"metadata": object{"labels": object{"team": "x"}}})
}
