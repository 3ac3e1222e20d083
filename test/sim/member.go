package sim

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/hanse-dev/hanse/test/sim/served"
)

// nodeCPU is how many cores the node of a member has.
const nodeCPU = 16

// member is a model of a cluster: an API server, and controllers that start pods, end Jobs and empty Namespaces, each
// after some virtual time. Its fields are guarded by the mutex of the history.
type member struct {
	*server
	faults faults
	dead   bool // its machines are off
	died   time.Time
	// disturbed is until when something was wrong on the way to it.
	disturbed time.Time
	since     time.Time // its faults are what they are
	session   string    // the run of the hub that was there last

	seed    uint64
	due     map[ref]bool // to be looked at by its controllers
	pods    map[ref][]*pod
	tasks   map[ref][]*time.Timer // of running pods of Jobs
	worksOn map[ref]string        // the UIDs of these Jobs
	serial  int
	drops   bool // it is older, and does not know a field
	copies  int
	backups map[ref]object
	onWork  func(m *member, job object)
	onReady func(r ref)
	onGone  func(m *member, r ref)
	onDrop  func(m *member, r ref, n int) // ready pods are gone, by no doing of the hub
}

// pod is one of a Deployment.
type pod struct {
	name  string
	cpu   int64
	bound bool
	ready bool
}

func newMember(name string, seed uint64, mu *sync.Mutex) *member {
	m := &member{
		server: newServer(name, mu, served.Member()), seed: seed, due: map[ref]bool{}, pods: map[ref][]*pod{}, tasks: map[ref][]*time.Timer{}, worksOn: map[ref]string{}, backups: map[ref]object{},
	}
	for _, ns := range []string{"kube-system", "default"} {
		m.put(ref{gr: namespaces, name: ns}, m.newObject("v1", "Namespace", "", ns, object{"status": object{"phase": "Active"}}))
	}
	m.put(ref{gr: nodes, name: "node-0"}, m.newObject("v1", "Node", "", "node-0", object{"status": object{
		"allocatable": object{"cpu": strconv.Itoa(nodeCPU), "memory": "400Gi", "pods": "1000"}, "conditions": []any{object{"type": "Ready", "status": "True"}},
	}}))
	m.server.admit = func(r ref, obj object) {
		if spec, ok := obj["spec"].(object); ok && m.drops && r.gr == deployments {
			delete(spec, "revisionHistoryLimit")
		}
	}
	m.server.changed = m.look
	return m
}

// newObject is one as a server makes it.
func (s *server) newObject(apiVersion, kind, namespace, name string, more object) object {
	m := object{"name": name, "uid": s.newUID(), "creationTimestamp": stamp(), "generation": int64(1)}
	if namespace != "" {
		m["namespace"] = namespace
	}
	obj := object{"apiVersion": apiVersion, "kind": kind, "metadata": m}
	for key, v := range more {
		if key == "metadata" {
			for k, v := range v.(object) {
				m[k] = v
			}
			continue
		}
		obj[key] = v
	}
	return obj
}

// pace is how long something takes in the member, by the seed.
func (m *member) pace(shortest, longest time.Duration) time.Duration {
	m.serial++
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %s %d", m.seed, m.name, m.serial)
	d := &dice{h.Sum64()}
	return shortest + time.Duration(d.next()%uint64(longest-shortest))
}

// look has the controllers look at what has changed. mu is held.
func (m *member) look(r ref, _, after object) {
	if after == nil && m.onGone != nil {
		m.onGone(m, r)
	}
	switch r.gr {
	case deployments, jobs:
	case namespaces:
		if after == nil || text(after, "metadata", "deletionTimestamp") == "" {
			return
		}
	default:
		return
	}
	m.lookIn(r, m.pace(20*time.Millisecond, 300*time.Millisecond))
}

func (m *member) lookIn(r ref, d time.Duration) {
	if m.due[r] {
		return
	}
	m.due[r] = true
	time.AfterFunc(d, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.due, r)
		if m.dead {
			return // when it is back all is looked at
		}
		switch r.gr {
		case deployments:
			m.deploy(r)
		case jobs:
			m.job(r)
		case namespaces:
			m.empty(r, m.lookIn)
		}
	})
}

// empty deletes what is in a Namespace that goes, and then the Namespace. mu is held.
func (s *server) empty(r ref, again func(ref, time.Duration)) {
	ns := s.get(r)
	if ns == nil || text(ns, "metadata", "deletionTimestamp") == "" {
		return
	}
	left := false
	for _, in := range sortedRefs(s.objects) {
		if in.namespace != r.name || in.gr.Resource == "events" {
			continue
		}
		finalizers, _ := meta(s.get(in))["finalizers"].([]any)
		if len(finalizers) == 0 {
			s.drop(in)
			continue
		}
		left = true
		if text(s.get(in), "metadata", "deletionTimestamp") == "" {
			obj := runtime.DeepCopyJSON(s.get(in))
			meta(obj)["deletionTimestamp"] = stamp()
			s.put(in, obj)
		}
	}
	if left {
		again(r, time.Second)
		return
	}
	s.drop(r)
}

// deploy keeps as many pods as a Deployment says. mu is held.
func (m *member) deploy(r ref) {
	d := m.get(r)
	if d == nil {
		for _, p := range m.pods[r] {
			m.drop(ref{pods, r.namespace, p.name})
		}
		delete(m.pods, r)
		m.bind()
		return
	}
	want := int64(1)
	if n, ok := at(d, "spec", "replicas").(int64); ok {
		want = n
	}
	have := m.pods[r]
	slices.SortStableFunc(have, func(a, b *pod) int { return a.rank() - b.rank() })
	for int64(len(have)) > want {
		m.drop(ref{pods, r.namespace, have[len(have)-1].name})
		have = have[:len(have)-1]
	}
	for int64(len(have)) < want {
		m.serial++
		p := &pod{name: fmt.Sprintf("%s-1-%d", r.name, m.serial), cpu: cpuOf(d)}
		have = append(have, p)
		m.show(r, p)
	}
	m.pods[r] = have
	m.bind()
	m.status(r)
}

// rank puts the pods first that stay longest.
func (p *pod) rank() int {
	switch {
	case p.ready:
		return 0
	case p.bound:
		return 1
	}
	return 2
}

func cpuOf(workload object) int64 {
	containers, _ := at(workload, "spec", "template", "spec", "containers").([]any)
	if len(containers) == 0 {
		return 0
	}
	c, _ := containers[0].(object)
	n, _ := strconv.ParseInt(text(c, "resources", "requests", "cpu"), 10, 64)
	return n
}

// show stores a pod as it is now. mu is held.
func (m *member) show(of ref, p *pod) {
	spec := object{"containers": []any{object{"name": "c", "resources": object{"requests": object{"cpu": strconv.FormatInt(p.cpu, 10)}}}}}
	status := object{"phase": "Pending"}
	switch {
	case p.ready:
		status["phase"] = "Running"
		fallthrough
	case p.bound:
		spec["nodeName"] = "node-0"
	default:
		status["conditions"] = []any{object{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "lastTransitionTime": stamp()}}
	}
	r := ref{pods, of.namespace, p.name}
	m.put(r, m.newObject("v1", "Pod", of.namespace, p.name, object{
		"metadata": object{
			"labels":          object{"app": of.name, "pod-template-hash": "1"},
			"ownerReferences": []any{object{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": of.name + "-1", "uid": "rs-" + of.name, "controller": true}},
		},
		"spec": spec, "status": status,
	}))
}

// bind finds room for pods that wait for it. mu is held.
func (m *member) bind() {
	free := int64(nodeCPU)
	for _, r := range m.workloads() {
		for _, p := range m.pods[r] {
			if p.bound {
				free -= p.cpu
			}
		}
	}
	for _, r := range m.workloads() {
		for _, p := range m.pods[r] {
			if p.bound || p.cpu > free {
				continue
			}
			p.bound = true
			free -= p.cpu
			m.show(r, p)
			m.start(r, p)
		}
	}
}

func (m *member) workloads() []ref {
	refs := make([]ref, 0, len(m.pods))
	for r := range m.pods {
		refs = append(refs, r)
	}
	slices.SortFunc(refs, func(a, b ref) int {
		if a.String() < b.String() {
			return -1
		}
		return 1
	})
	return refs
}

// start has a pod ready after a while. mu is held.
func (m *member) start(r ref, p *pod) {
	time.AfterFunc(m.pace(500*time.Millisecond, 6*time.Second), func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.dead || p.ready || !slices.Contains(m.pods[r], p) {
			return
		}
		p.ready = true
		m.onReady(r)
		m.status(r)
	})
}

// ready is how many pods of a Deployment are. mu is held.
func (m *member) ready(r ref) (n int64) {
	if m.dead {
		return 0
	}
	for _, p := range m.pods[r] {
		if p.ready {
			n++
		}
	}
	return n
}

// status writes a Deployment's. mu is held.
func (m *member) status(r ref) {
	d := m.get(r)
	if d == nil || m.dead {
		return
	}
	n, ready := int64(len(m.pods[r])), m.ready(r)
	m.setStatus(r, object{
		"observedGeneration": number(d, "metadata", "generation"), "replicas": n, "updatedReplicas": n, "readyReplicas": ready, "availableReplicas": ready,
		"unavailableReplicas": n - ready,
	})
}

func (m *member) setStatus(r ref, status object) {
	before := m.get(r)
	if same(before["status"], status) {
		return
	}
	obj := runtime.DeepCopyJSON(before)
	obj["status"] = status
	own(obj, "kube-controller-manager", "status", before, obj)
	m.put(r, obj)
}

// works says whether it runs pods of Jobs. mu is held.
func (m *member) works() bool {
	for _, all := range m.tasks {
		if len(all) > 0 {
			return true
		}
	}
	return false
}

// job runs as many pods of a Job as it says, and counts what they complete. mu is held.
func (m *member) job(r ref) {
	j := m.get(r)
	uid := text(j, "metadata", "uid")
	if m.worksOn[r] != uid {
		for _, t := range m.tasks[r] {
			t.Stop()
		}
		delete(m.tasks, r)
	}
	if m.worksOn[r] = uid; j == nil {
		return
	}
	done, total := number(j, "status", "succeeded"), completionsOf(j)
	want := min(max(0, number(j, "spec", "parallelism")), total-done)
	running := m.tasks[r]
	for int64(len(running)) > want {
		running[len(running)-1].Stop()
		running = running[:len(running)-1]
	}
	for int64(len(running)) < want {
		var t *time.Timer
		t = time.AfterFunc(m.pace(3*time.Second, 40*time.Second), func() { m.complete(r, uid, t) })
		running = append(running, t)
	}
	m.tasks[r] = running
	status := object{"active": int64(len(running)), "succeeded": done, "ready": int64(len(running))}
	if done >= total {
		status["conditions"] = []any{object{"type": "Complete", "status": "True", "lastTransitionTime": stamp()}}
		if at(j, "status", "conditions") != nil {
			return
		}
	}
	m.setStatus(r, status)
}

func completionsOf(j object) int64 {
	if n, ok := at(j, "spec", "completions").(int64); ok {
		return n
	}
	return 1
}

// complete is the end of one pod of a Job.
func (m *member) complete(r ref, uid string, t *time.Timer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	j := m.get(r)
	if m.dead || j == nil || text(j, "metadata", "uid") != uid || !slices.Contains(m.tasks[r], t) {
		return
	}
	m.tasks[r] = slices.DeleteFunc(m.tasks[r], func(one *time.Timer) bool { return one == t })
	m.onWork(m, j)
	status, _ := runtime.DeepCopyJSONValue(at(j, "status")).(object)
	if status == nil {
		status = object{}
	}
	status["succeeded"] = number(j, "status", "succeeded") + 1
	m.setStatus(r, status)
	m.job(r)
}

// kill turns the machines off. mu is held.
func (m *member) kill() {
	for _, r := range m.workloads() {
		m.onDrop(m, r, int(m.ready(r)))
	}
	m.dead, m.died, m.faults = true, time.Now(), faults{refused: true}
	for r, all := range m.tasks {
		for _, t := range all {
			t.Stop()
		}
		delete(m.tasks, r)
	}
}

// revive turns them on: all pods start again. mu is held.
func (m *member) revive() {
	m.dead, m.faults = false, faults{}
	m.disturbed = time.Now()
	for _, r := range m.workloads() {
		for _, p := range m.pods[r] {
			if p.ready = false; p.bound {
				m.start(r, p)
			}
		}
	}
	for _, r := range sortedRefs(m.objects) {
		if r.gr == deployments || r.gr == jobs || r.gr == namespaces {
			m.lookIn(r, m.pace(20*time.Millisecond, 300*time.Millisecond))
		}
	}
}
