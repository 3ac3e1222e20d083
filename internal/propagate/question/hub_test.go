package question

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	quantity "k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/capacity"
	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func deployments() schema.GroupResource {
	return schema.GroupResource{Group: "apps", Resource: "deployments"}
}

// hub is a World that is told what a test says.
type hub struct {
	*decide.World
	now      time.Time
	revision int
	all      map[template.Key]*decide.Assignment // as published
}

func newHub(o decide.Options) *hub {
	o.Began = start
	h := &hub{World: decide.NewWorld(o), now: start.Add(1000 * time.Second), all: map[template.Key]*decide.Assignment{}}
	gvr := deployments().WithVersion("v1")
	h.apply(decide.Served{GVR: gvr, GVK: gvr.GroupVersion().WithKind("Deployment")})
	h.apply(decide.Listed{GR: deployments()})
	return h
}

// apply applies an input, and goes on until nothing is left to do.
func (h *hub) apply(in decide.Input) {
	for more := true; more; {
		more = false
		for _, e := range h.Apply(in, h.now) {
			switch e := e.(type) {
			case decide.More:
				more = true
			case decide.Publish:
				if h.all[e.Key] = e.Assignment; e.Assignment == nil {
					delete(h.all, e.Key)
				}
			}
		}
		in = decide.Tick{}
	}
}

// clusters has these be all there are; those that are away are not ready.
func (h *hub) clusters(names []string, away ...string) {
	var all []*v1alpha1.Cluster
	for _, name := range names {
		c := &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.NewTime(start)}}
		is := metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, LastTransitionTime: metav1.NewTime(start)}
		if slices.Contains(away, name) {
			is.Status, is.LastTransitionTime = metav1.ConditionFalse, metav1.NewTime(h.now)
		}
		c.Status.Conditions = []metav1.Condition{is}
		all = append(all, c)
	}
	h.apply(decide.ClustersListed{Clusters: all})
}

// look has members looked at, that answer or not.
func (h *hub) look(names []string, answer bool) {
	for _, name := range names {
		h.apply(decide.Looked{Cluster: name, Began: h.now, Reached: answer})
	}
}

// see lets a cluster have one node of that many CPUs, and that many pods on it that ask for one each.
func (h *hub) see(cluster string, cpus, pods int) {
	n := &corev1.Node{}
	n.Name = cluster + "-node"
	n.Status.Allocatable = corev1.ResourceList{corev1.ResourceCPU: *quantity.NewQuantity(int64(cpus), quantity.DecimalSI),
		corev1.ResourceMemory: quantity.MustParse("64Gi"), corev1.ResourcePods: quantity.MustParse("10k")}
	n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
	var all []*corev1.Pod
	for i := range pods {
		p := &corev1.Pod{}
		p.Name, p.Namespace, p.UID = fmt.Sprint("old-", i), "shop", types.UID(fmt.Sprint("old", i))
		p.Spec.NodeName = n.Name
		p.Spec.Containers = []corev1.Container{{Name: "c", Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: quantity.MustParse("1")}}}}
		all = append(all, p)
	}
	h.apply(decide.Measured{Cluster: cluster, View: capacity.NewView([]*corev1.Node{n}, all)})
}

// wanting is a manifest of a Deployment whose pods ask for that much CPU each; empty: for nothing.
func wanting(name string, replicas int64, cpu string) *unstructured.Unstructured {
	container := map[string]any{"name": "c"}
	if cpu != "" {
		container["resources"] = map[string]any{"requests": map[string]any{"cpu": cpu}}
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": name, "namespace": "shop"},
		"spec": map[string]any{"replicas": replicas, "template": map[string]any{
			"metadata": map[string]any{"labels": map[string]any{"app": name}}, "spec": map[string]any{"containers": []any{container}}}},
	}}
}

// put puts what wanting makes into the hub.
func (h *hub) put(name string, replicas int64, cpu string) *decide.Assignment {
	obj := wanting(name, replicas, cpu)
	obj.SetUID(types.UID("uid-" + name))
	obj.SetCreationTimestamp(metav1.NewTime(start.Add(10 * time.Second)))
	return h.write(obj)
}

func (h *hub) write(obj *unstructured.Unstructured) *decide.Assignment {
	h.revision++
	obj.SetResourceVersion(fmt.Sprint(h.revision))
	t, _ := template.Read(deployments(), obj, nil, nil)
	h.apply(decide.Written{Template: t})
	return h.all[t.Key]
}

// record does with all that is to be recorded what the hub does.
func (h *hub) record() {
	for _, key := range h.keys() {
		r := h.all[key].Recording
		if r == nil || r.Division == nil {
			continue
		}
		obj := h.all[key].Object.DeepCopy()
		obj.SetAnnotations(map[string]string{v1alpha1.AnnotationDivision: *r.Division})
		h.write(obj)
	}
}

func (h *hub) keys() []template.Key { return template.SortedKeys(h.all) }

// policyFor is a manifest of a PlacementPolicy for the Deployment of its name.
func policyFor(name string, spec map[string]any) *unstructured.Unstructured {
	spec["select"] = map[string]any{"names": []any{name}}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "hanse.dev/v1alpha1", "kind": "PlacementPolicy", "spec": spec,
		"metadata": map[string]any{
			"name": name, "namespace": "shop", "uid": "uid-" + name, "generation": int64(1),
			"creationTimestamp": start.Add(5 * time.Second).Format(time.RFC3339),
		},
	}}
}

func (h *hub) rule(name string, spec map[string]any) {
	h.apply(decide.PoliciesChanged{Written: []*unstructured.Unstructured{policyFor(name, spec)}})
}

// divisions is where everything is.
func (h *hub) divisions() string {
	var all []string
	for _, key := range h.keys() {
		d := h.all[key].Decision
		all = append(all, fmt.Sprint(key, " ", d, " ", d.Unplaced))
	}
	return strings.Join(all, "\n")
}

func must(t rapid.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
