package sim

import (
	"fmt"
	"net/http"
	"slices"
	"time"
)

// roomFor is how long what a cluster is to be left by may stay there once others have room: it is to move within 15 s, and
// pods take some to get ready.
const roomFor = 30 * time.Second

// moveWhenRoomAppears has a cluster be left by a workload while the others are full, and then makes room in them. It is played
// once all is well; the error says what is wrong. mu is not held.
func (f *federation) moveWhenRoomAppears() error {
	from, r := f.crowded()
	if from == nil {
		return nil
	}
	f.mu.Lock()
	f.note("all but %s are filled", from.name)
	n := from.ready(r)
	for _, m := range f.members {
		if m != from {
			m.fill(nodeCPU / 3)
		}
	}
	f.mu.Unlock()
	time.Sleep(10 * time.Second)
	leave := object{"spec": object{"drain": true}}
	if f.seed%4 == 1 {
		leave = object{"spec": object{"taints": []any{object{"key": "maintenance", "effect": "NoExecute"}}}}
	}
	f.patchCluster(from, leave)
	time.Sleep(20 * time.Second)
	f.mu.Lock()
	if now := from.ready(r); now < n {
		f.watch.fail("%s had %d ready in %s, has %d, and no other cluster can take them", r, n, from.name, now)
	}
	f.note("the others have room again")
	for _, m := range f.members {
		m.fill(0)
	}
	f.mu.Unlock()
	time.Sleep(roomFor)
	f.mu.Lock()
	left := number(from.get(r), "spec", "replicas")
	if !slices.ContainsFunc(f.joined(), func(m *member) bool { return m != from && m.free() >= 3 }) {
		left = 0 // what somebody else has there took the room
	}
	f.mu.Unlock()
	f.patchCluster(from, object{"spec": object{"drain": false, "taints": nil}})
	if left > 0 {
		return fmt.Errorf("%s: %d are still in %s, %s after others have room for them", r, left, from.name, roomFor)
	}
	return nil
}

// crowded is a cluster and a workload with large pods that could run elsewhere as well, nil if there is none: with one that is made
// for it, there is.
func (f *federation) crowded() (*member, ref) {
	r := ref{deployments, "default", "ledger"}
	for _, m := range f.members {
		if m.dead {
			return nil, r // what it would take is lost
		}
	}
	f.upsert("/apis/apps/v1/namespaces/default/deployments", r.name, object{"spec": object{
		"replicas": int64(2), "selector": object{"matchLabels": object{"app": r.name}},
		"template": object{
			"metadata": object{"labels": object{"app": r.name}},
			"spec":     object{"containers": []any{object{"name": "c", "image": "app:1", "resources": object{"requests": object{"cpu": "3"}}}}},
		},
	}})
	for _, name := range []string{"shop", "default"} { // nothing else is as large
		f.as("kubectl", f.hub, http.MethodDelete, "/apis/apps/v1/namespaces/"+name+"/deployments/big", nil)
	}
	time.Sleep(20 * time.Second)
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range f.joined() {
		if m.ready(r) > 0 && len(f.joined()) > 1 {
			return m, r
		}
	}
	return nil, r
}

// fill has as many large pods in a member as somebody there wants; 0: none. mu is held.
func (m *member) fill(n int) {
	r := ref{deployments, "kube-system", "ballast"}
	if n == 0 {
		m.drop(r)
		return
	}
	m.put(r, m.newObject("apps/v1", "Deployment", r.namespace, r.name, object{"spec": object{
		"replicas": int64(n), "template": object{"spec": object{"containers": []any{object{"name": "c", "resources": object{"requests": object{"cpu": "3"}}}}}},
	}}))
}

// free is how many cores no pod has. mu is held.
func (m *member) free() int64 {
	free := int64(nodeCPU)
	for _, all := range m.pods {
		for _, p := range all {
			if p.bound {
				free -= p.cpu
			}
		}
	}
	return free
}
