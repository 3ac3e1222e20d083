package record

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
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
	"github.com/hanse-dev/hanse/internal/fieldmerge"
	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/rollout"
)

// driver draws what happens to a World, and does what its effects ask for, or does not.
type driver struct {
	world    *decide.World
	now      time.Time
	hasher   fieldmerge.Hasher
	read     map[template.Key]*template.Template
	assigned map[template.Key]*decide.Assignment
	due      time.Time
	more     bool
	writes   int // at the hub
	left     []decide.Input
}

var (
	clusters    = []string{"aws", "azure", "google"}
	deployments = schema.GroupResource{Group: "apps", Resource: "deployments"}
	secrets     = schema.GroupResource{Resource: "secrets"}
	epoch       = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
)

func newDriver(o decide.Options) *driver {
	d := &driver{
		world: decide.NewWorld(o), now: epoch.Add(time.Hour), hasher: fieldmerge.NewHasher(),
		read: map[template.Key]*template.Template{}, assigned: map[template.Key]*decide.Assignment{}, writes: 100,
	}
	for _, gvk := range []schema.GroupVersionKind{
		{Group: "apps", Version: "v1", Kind: "Deployment"}, {Group: "batch", Version: "v1", Kind: "Job"}, {Version: "v1", Kind: "ConfigMap"},
		{Version: "v1", Kind: "Secret"}, {Version: "v1", Kind: "ResourceQuota"}, {Group: "policy", Version: "v1", Kind: "PodDisruptionBudget"}, {Group: "autoscaling", Version: "v2", Kind: "HorizontalPodAutoscaler"},
	} {
		gr := resourceOf(gvk)
		d.left = append(d.left, decide.NamespaceWritten{Name: "shop"}, decide.Served{GVR: gr.WithVersion(gvk.Version), GVK: gvk}, decide.Listed{GR: gr})
	}
	return d
}

func resourceOf(gvk schema.GroupVersionKind) schema.GroupResource {
	plural := map[string]string{"Deployment": "deployments", "Job": "jobs", "ConfigMap": "configmaps", "Secret": "secrets",
		"PodDisruptionBudget": "poddisruptionbudgets", "HorizontalPodAutoscaler": "horizontalpodautoscalers", "ResourceQuota": "resourcequotas"}
	return schema.GroupResource{Group: gvk.Group, Resource: plural[gvk.Kind]}
}

// next draws what happens next; d.now is when.
func (d *driver) next(t *rapid.T) decide.Input {
	if len(d.left) > 0 {
		in := d.left[0]
		d.left = d.left[1:]
		return in
	}
	if d.more {
		return decide.Tick{}
	}
	d.now = d.now.Add(time.Duration(rapid.IntRange(0, 9_000).Draw(t, "milliseconds")) * time.Millisecond)
	if !d.due.IsZero() && !d.due.After(d.now) {
		return decide.Tick{}
	}
	cluster := rapid.SampledFrom(clusters).Draw(t, "cluster")
	name := rapid.SampledFrom([]string{"web", "db"}).Draw(t, "name")
	n := rapid.IntRange(0, 9).Draw(t, "n")
	switch rapid.IntRange(0, 15).Draw(t, "what") {
	case 0, 1:
		return decide.ClusterWritten{Cluster: aCluster(cluster, n)}
	case 2:
		return decide.Engaged{Cluster: cluster, Engaged: n > 2}
	case 3:
		return decide.Looked{Cluster: cluster, Began: d.now, Reached: n > 5}
	case 4:
		return decide.Measured{Cluster: cluster, View: aView(d.now, n)}
	case 5:
		return d.policy(name, n)
	case 6, 7:
		if a := d.any(t); a != nil && shown(a.Key) {
			return decide.Seen{Cluster: cluster, Key: a.Key, Observed: seenOf(a, cluster, n)}
		}
	case 8, 9:
		for _, key := range slices.SortedFunc(maps.Keys(d.assigned), template.Key.Compare) {
			if a := d.assigned[key]; a.Recording != nil {
				return d.written(recordedOn(a))
			}
		}
	case 10:
		if a := d.any(t); a != nil && n < 3 {
			delete(d.read, a.Key)
			return decide.Deleted{Key: a.Key, UID: a.UID}
		}
	case 11:
		return decide.Read{Cluster: cluster, GR: rapid.SampledFrom([]schema.GroupResource{deployments, template.Jobs()}).Draw(t, "resource"), Read: n > 1}
	case 12:
		if a := d.any(t); a != nil {
			answers := []decide.Input{
				decide.Begins{Cluster: cluster, Key: a.Key, UID: a.UID, Share: a.Shares[cluster]},
				decide.Revised{UID: a.UID, History: rollout.History{{Name: "r", Revision: a.Content.Revision, Number: 1, Template: map[string]any{"spec": map[string]any{"n": int64(1)}}}}},
				decide.Recorded{Key: a.Key, UID: a.UID, Revision: a.Revision},
			}
			if a.Division == kinds.Replicas { // members ask of nothing else
				answers = append(answers, decide.Lowers{Cluster: cluster, Key: a.Key, UID: a.UID, Observed: seenOf(a, cluster, n), Replicas: int32(n / 2)})
			}
			return rapid.SampledFrom(answers).Draw(t, "answer")
		}
	case 13:
		return decide.NamespaceWritten{Name: "shop", Labels: map[string]string{"team": fmt.Sprint(n % 2), "hanse.dev/propagation": []string{"Needed", "None", "nonsense", "Everywhere"}[n%4]}}
	}
	kind := rapid.SampledFrom([]string{"Deployment", "Deployment", "Deployment", "Job", "PodDisruptionBudget", "HorizontalPodAutoscaler", "Secret", "ConfigMap", "ResourceQuota"}).Draw(t, "kind")
	return d.written(d.manifest(kind, name, n))
}

// apply applies an input to the World, and takes note of the effects.
func (d *driver) apply(in decide.Input) []decide.Effect {
	effects := d.world.Apply(in, d.now)
	d.due, d.more = time.Time{}, false
	for _, e := range effects {
		switch e := e.(type) {
		case decide.Publish:
			if d.assigned[e.Key] = e.Assignment; e.Assignment == nil {
				delete(d.assigned, e.Key)
			}
		case decide.At:
			d.due = e.Time
		case decide.More:
			d.more = true
		}
	}
	return effects
}

// any draws an object.
func (d *driver) any(t *rapid.T) *decide.Assignment {
	if len(d.assigned) == 0 {
		return nil
	}
	return d.assigned[rapid.SampledFrom(slices.SortedFunc(maps.Keys(d.assigned), template.Key.Compare)).Draw(t, "object")]
}

func (d *driver) written(obj *unstructured.Unstructured) decide.Input {
	d.writes++
	obj.SetResourceVersion(fmt.Sprint(d.writes))
	gr := resourceOf(obj.GroupVersionKind())
	key := template.Key{GR: gr, Namespace: obj.GetNamespace(), Name: obj.GetName()}
	read, _ := template.Read(gr, obj, d.hasher.Content, d.read[key])
	d.read[key] = read
	return decide.Written{Template: read}
}

// manifest is an object of a kind, or what is there with another spec.
func (d *driver) manifest(kind, name string, n int) *unstructured.Unstructured {
	versions := map[string]string{"Deployment": "apps/v1", "Job": "batch/v1", "PodDisruptionBudget": "policy/v1", "HorizontalPodAutoscaler": "autoscaling/v2"}
	obj := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": kind}}
	if v := versions[kind]; v != "" {
		obj.SetAPIVersion(v)
	}
	obj.SetName(name)
	obj.SetNamespace("shop")
	obj.SetUID(types.UID(kind + name))
	obj.SetCreationTimestamp(metav1.NewTime(d.now.Truncate(time.Second)))
	key := template.Key{GR: resourceOf(obj.GroupVersionKind()), Namespace: "shop", Name: name}
	if a := d.assigned[key]; a != nil {
		obj.SetUID(a.UID)
		obj.SetCreationTimestamp(a.Object.GetCreationTimestamp())
		obj.SetAnnotations(a.Object.GetAnnotations())
		obj.SetGeneration(a.Object.GetGeneration() + 1)
	}
	container := map[string]any{"name": "c", "image": fmt.Sprintf("web:%d", n%2), "env": []any{map[string]any{"name": "PASSWORD", "value": fmt.Sprint("hunter", n%2)}}}
	if n%3 == 0 {
		container["resources"] = map[string]any{"requests": map[string]any{"cpu": "1"}}
	}
	container["envFrom"] = []any{map[string]any{"secretRef": map[string]any{"name": []string{"web", "db", "none"}[n%3]}}}
	pods := map[string]any{"metadata": map[string]any{"labels": map[string]any{"app": name}}, "spec": map[string]any{"containers": []any{container}}}
	switch kind {
	case "Deployment":
		obj.Object["spec"] = map[string]any{"replicas": int64(n), "template": pods}
	case "Job":
		obj.Object["spec"] = map[string]any{"completions": int64(6), "parallelism": int64(n%3 + 1), "template": pods}
	case "PodDisruptionBudget":
		obj.Object["spec"] = map[string]any{"selector": map[string]any{"matchLabels": map[string]any{"app": name}}}
	case "HorizontalPodAutoscaler":
		obj.Object["spec"] = map[string]any{"minReplicas": int64(1), "maxReplicas": int64(n + 2),
			"scaleTargetRef": map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "name": name}}
	case "ResourceQuota":
		obj.Object["spec"] = map[string]any{"hard": map[string]any{"pods": fmt.Sprint(n), "secrets": "3"}}
	case "Secret", "ConfigMap":
		obj.Object["data"] = map[string]any{"password": fmt.Sprint("hunter", n)}
	}
	return obj
}

// recordedOn is the object as it is once it is recorded on it what is to be.
func recordedOn(a *decide.Assignment) *unstructured.Unstructured {
	obj := a.Object.DeepCopy()
	annotations := obj.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	for name, value := range map[string]*string{
		v1alpha1.AnnotationDivision: a.Recording.Division, v1alpha1.AnnotationTaken: a.Recording.Taken, v1alpha1.AnnotationBounds: a.Recording.Bounds,
		v1alpha1.AnnotationRolloutState: a.Recording.State, v1alpha1.AnnotationRollout: a.Recording.Hold,
	} {
		if value != nil {
			annotations[name] = *value
		}
	}
	maps.DeleteFunc(annotations, func(_, value string) bool { return value == "" })
	obj.SetAnnotations(annotations)
	if n := a.Recording.Replicas; n != nil {
		_ = unstructured.SetNestedField(obj.Object, int64(*n), "spec", "replicas")
	}
	return obj
}

// policy is a policy for name that says one of several things, one of which makes no sense.
func (d *driver) policy(name string, n int) decide.Input {
	if n == 9 {
		return decide.PoliciesChanged{Gone: []types.UID{types.UID("policy-" + name)}}
	}
	d.writes++
	spec := []map[string]any{
		{"division": map[string]any{"limits": map[string]any{"aws": map[string]any{"max": int64(n)}}}},
		{"division": map[string]any{"strategy": "FreeCapacity"}},
		{"division": map[string]any{"strategy": "Weighted", "limits": map[string]any{"aws": map[string]any{"weight": int64(3)}, "*": map[string]any{"weight": int64(1)}}}},
		{"rollout": map[string]any{"by": "Cluster"}},
		{"failover": map[string]any{"after": "20s"}, "rebalance": "WhenNeeded"},
		{"division": map[string]any{"strategy": "nonsense"}},
		{"propagation": "None"},
		{"propagation": "Needed", "overrides": []any{map[string]any{"jsonPatch": []any{map[string]any{"op": "replace", "path": "/spec/template/spec/containers/0/envFrom/0/secretRef/name", "value": "db"}}}}},
	}[n%8]
	spec["select"] = map[string]any{"names": []any{name}}
	return decide.PoliciesChanged{Written: []*unstructured.Unstructured{{Object: map[string]any{
		"apiVersion": "hanse.dev/v1alpha1", "kind": "PlacementPolicy",
		"metadata": map[string]any{"name": name, "namespace": "shop", "uid": "policy-" + name, "generation": int64(d.writes), "creationTimestamp": epoch.Format(time.RFC3339)},
		"spec":     spec,
	}}}}
}

func aCluster(name string, n int) *v1alpha1.Cluster {
	c := &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.Time{Time: epoch.Local()}, Labels: map[string]string{"tier": fmt.Sprint(n % 2)}}}
	c.Spec.Drain, c.Spec.Unschedulable = n == 0, n == 1
	if n == 2 {
		c.Spec.Taints = []v1alpha1.ClusterTaint{{Key: "broken", Effect: corev1.TaintEffectNoExecute}}
	}
	c.Status.Nodes = 2
	c.Status.Allocatable = corev1.ResourceList{corev1.ResourceCPU: quantity.MustParse("8"), corev1.ResourcePods: quantity.MustParse("110")}
	c.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, LastTransitionTime: metav1.Time{Time: epoch.Local()}}}
	if n == 3 {
		c.Status.Conditions[0].Status = metav1.ConditionFalse
	}
	return c
}

// aView is a cluster with one node of n free CPUs.
func aView(now time.Time, n int) *capacity.View {
	v := &capacity.View{}
	text := fmt.Sprintf(`{"domains":[["z","r"]],"nodes":[{"name":"node","labels":{"a":"b"},"Zone":"z","allocatable":{"MilliCPU":9000,"Pods":110},"free":{"MilliCPU":%d,"Pods":110}}],
		"count":{"deployments.apps/shop/web":%d},"unschedulable":{"deployments.apps/shop/web":{"Count":%d,"Since":%q}}}`, n*1000, n, n%3, now.Add(-2*time.Minute).Format(time.RFC3339Nano))
	if err := json.Unmarshal([]byte(text), v); err != nil {
		panic(err)
	}
	return v
}

// seenOf is what a cluster may show of an object: as it was told, or with another number, or nothing.
func seenOf(a *decide.Assignment, cluster string, n int) *decide.Observed {
	if n == 0 {
		return nil
	}
	replicas := int32(n)
	left := a.Target(cluster)
	o := &decide.Observed{UID: "there", Ours: true, Template: a.UID, Revision: a.Content.Revision, Replicas: &replicas, Left: &left, InSync: n > 3,
		Status: map[string]any{"readyReplicas": int64(n - n%2), "replicas": int64(n), "succeeded": int64(n % 3), "active": int64(1),
			"hard": map[string]any{"pods": fmt.Sprint(n / 2)}, "used": map[string]any{"pods": fmt.Sprint(n / 3)}}, Generation: 1, ObservedGeneration: 1}
	if a.Key.GR == template.Jobs() {
		o.Replicas, o.Parallelism, o.Completions = nil, &replicas, &replicas
	}
	if n == 4 {
		own := int32(n)
		o.Own = &own
	}
	if n == 5 {
		o.Fault = &decide.Problem{Message: "quota"}
	}
	return o
}
