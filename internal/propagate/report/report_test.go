package report

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-dev/hanse/internal/fieldmerge"
	"github.com/hanse-dev/hanse/internal/policy"
	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/schedule"
)

func at(seconds int) time.Time {
	return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(seconds) * time.Second)
}

func deployments() schema.GroupResource {
	return schema.GroupResource{Group: "apps", Resource: "deployments"}
}

func configMaps() schema.GroupResource { return schema.GroupResource{Resource: "configmaps"} }

// testMember is a member with what is known of it.
type testMember struct {
	name    string
	away    bool // there is no session
	unheard bool // nothing has been read yet
	unread  error
	objects map[template.Key]*decide.Observed
}

func (m *testMember) Name() string                               { return m.name }
func (m *testMember) Reachable() bool                            { return !m.away }
func (m *testMember) Heard(schema.GroupResource) bool            { return !m.away && !m.unheard }
func (m *testMember) Unread(schema.GroupResource) error          { return m.unread }
func (m *testMember) Observed(key template.Key) *decide.Observed { return m.objects[key] }
func (m *testMember) Glance(key template.Key) *decide.Observed   { return m.objects[key] }

func (m *testMember) Settled(key template.Key, target template.Target) bool {
	o := m.objects[key]
	return o.Exists() && !o.Deleting && o.Fault == nil && o.Withheld == "" && o.InSync && len(o.Dropped) == 0 && o.Left != nil && *o.Left == target
}

// rig is clusters that have an object, and one Assignment.
type rig struct {
	facts   *decide.Facts
	members []*testMember
	a       *decide.Assignment
}

// newRig has the clusters ready and in reach.
func newRig(clusters ...string) *rig {
	r := &rig{facts: &decide.Facts{Clusters: map[string]*decide.Cluster{}, Policies: policy.NewIndex(nil), Namespaces: map[string]map[string]string{}}}
	for _, name := range clusters {
		r.facts.Clusters[name] = &decide.Cluster{Name: name, Ready: true, Since: at(0), Facts: policy.Cluster{Name: name}}
		r.members = append(r.members, &testMember{name: name, objects: map[template.Key]*decide.Observed{}})
	}
	return r
}

func (r *rig) all() (all []Member) {
	for _, m := range r.members {
		all = append(all, m)
	}
	return all
}

func (r *rig) member(name string) *testMember {
	for _, m := range r.members {
		if m.name == name {
			return m
		}
	}
	return nil
}

// assign has an object placed in all clusters, divided evenly if it is.
func (r *rig) assign(t *testing.T, gr schema.GroupResource, obj map[string]any) *decide.Assignment {
	t.Helper()
	read, err := template.Read(gr, &unstructured.Unstructured{Object: obj}, fieldmerge.NewHasher().Content, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.a = &decide.Assignment{Template: read, Policy: policy.NoPolicy(), Shares: map[string]template.Share{}}
	for _, m := range r.members {
		share := template.Share{Replicas: read.Total / int32(len(r.members)), Total: read.Total}
		share.Parallelism = share.Replicas
		r.a.Shares[m.name] = share
		r.a.Decision.Shares = append(r.a.Decision.Shares, schedule.Share{Cluster: m.name, Replicas: share.Replicas, Reason: "even share"})
	}
	return r.a
}

func deployment(replicas int64) map[string]any {
	return map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment",
		"metadata": map[string]any{"name": "web", "namespace": "shop", "uid": "uid-web", "generation": int64(1), "resourceVersion": "7",
			"creationTimestamp": at(1).Format(time.RFC3339), "labels": map[string]any{"app": "web"}},
		"spec": map[string]any{"replicas": replicas, "template": map[string]any{"spec": map[string]any{"containers": []any{map[string]any{"name": "c", "image": "web:1"}}}}},
	}
}

func configMap() map[string]any {
	return map[string]any{"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]any{"name": "settings", "namespace": "shop", "uid": "uid-settings"}, "data": map[string]any{"key": "value"}}
}

func available(n int64) map[string]any {
	return map[string]any{
		"observedGeneration": int64(1), "replicas": n, "readyReplicas": n, "updatedReplicas": n, "availableReplicas": n,
		"conditions": []any{map[string]any{"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"}},
	}
}

// running has every member run its share, with all pods ready.
func (r *rig) running() {
	for _, m := range r.members {
		n := r.a.Shares[m.name].Replicas
		target := r.a.Target(m.name)
		m.objects[r.a.Key] = &decide.Observed{
			UID: "member", Ours: true, Template: r.a.UID, Generation: 1, ObservedGeneration: 1, Replicas: &n, Status: available(int64(n)),
			Revision: r.a.Content.Revision, Left: &target, InSync: true,
		}
	}
}

// lose has a cluster out of reach, for so long that it is lost if dead.
func (r *rig) lose(name string, dead bool) {
	r.member(name).away = true
	r.facts.Clusters[name].Ready, r.facts.Clusters[name].Since = false, at(60)
	if dead {
		r.facts = r.facts.WithLost(name)
	}
}

// status is what the hub's object would show.
func (r *rig) status(t *testing.T) map[string]any {
	t.Helper()
	out, err := Status(r.a, r.facts, r.all(), at(0), at(100))
	if err != nil || out.RetryAfter != 0 {
		t.Fatalf("%v, retry after %s", err, out.RetryAfter)
	}
	return out.Patch
}

func said(status map[string]any) string {
	var all []string
	conditions, _ := status["conditions"].([]any)
	for _, c := range conditions {
		c := c.(map[string]any)
		all = append(all, fmt.Sprintf("%v=%v %v: %v", c["type"], c["status"], c["reason"], c["message"]))
	}
	return strings.Join(all, "\n")
}

var errRefused = errors.New("the server\nrefuses")
