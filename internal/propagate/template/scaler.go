package template

import (
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/autoscale"
)

// Scaler is what a template that is a HorizontalPodAutoscaler has besides.
type Scaler struct {
	Target ScaleTarget
	// Of is the target, if it is of a kind that is divided: then Divide is true.
	Of     Key
	Divide bool
	// Least and Most are the bounds of the whole.
	Least, Most int32
	// Bounds by cluster, as recorded at the hub; nil: not divided yet.
	Bounds map[string]autoscale.Bounds
}

// ScaleTarget is what an autoscaler scales.
type ScaleTarget struct{ Group, Kind, Namespace, Name string }

func (t ScaleTarget) String() string { return strings.ToLower(t.Kind) + "/" + t.Name }

// Key is where objects of the target's kind are, if they are divided.
func (t ScaleTarget) Key() (key Key, divided bool) {
	for _, gr := range Scalable() {
		if gr.Group == t.Group && gr.Resource == strings.ToLower(t.Kind)+"s" {
			return Key{GR: gr, Namespace: t.Namespace, Name: t.Name}, true
		}
	}
	return Key{}, false
}

// TargetOf is the target of an autoscaler, zero where it names none.
func TargetOf(obj *unstructured.Unstructured) ScaleTarget {
	ref, _, _ := unstructured.NestedStringMap(obj.Object, "spec", "scaleTargetRef")
	gv, err := schema.ParseGroupVersion(ref["apiVersion"])
	if err != nil {
		return ScaleTarget{}
	}
	return ScaleTarget{gv.Group, ref["kind"], obj.GetNamespace(), ref["name"]}
}

// newScaler is nil for what is no autoscaler.
func newScaler(gr schema.GroupResource, object map[string]any) *Scaler {
	if gr != Autoscalers().GroupResource() {
		return nil
	}
	s := &Scaler{Target: TargetOf(&unstructured.Unstructured{Object: object}), Least: 1}
	s.Of, s.Divide = s.Target.Key()
	if n, found, _ := unstructured.NestedInt64(object, "spec", "minReplicas"); found {
		s.Least = int32(n)
	}
	n, _, _ := unstructured.NestedInt64(object, "spec", "maxReplicas")
	s.Most = int32(n)
	return s
}

// readBounds takes over what is recorded at the hub.
func (t *Template) readBounds(annotations map[string]string) error {
	value, ok := annotations[v1alpha1.AnnotationBounds]
	if t.Scaler == nil || !ok {
		return nil
	}
	bounds, err := autoscale.Parse(value)
	if err == nil {
		t.Scaler.Bounds = bounds
	}
	return err
}

func sameScaler(a, b *Scaler) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Target == b.Target && a.Least == b.Least && a.Most == b.Most && (a.Bounds == nil) == (b.Bounds == nil) && maps.Equal(a.Bounds, b.Bounds)
}

// SetBounds writes a member's part of an autoscaler's bounds into desired, whose spec is the
// caller's.
func SetBounds(desired map[string]any, s Share) {
	if spec, ok := desired["spec"].(map[string]any); ok && s.Most > 0 {
		spec["minReplicas"], spec["maxReplicas"] = int64(s.Least), int64(s.Most)
	}
}

// CutAutoscaler leaves of a HorizontalPodAutoscaler what it targets.
func CutAutoscaler(obj *unstructured.Unstructured) {
	target, _, _ := unstructured.NestedStringMap(obj.Object, "spec", "scaleTargetRef")
	ref := map[string]any{}
	for k, v := range target {
		ref[k] = v
	}
	obj.Object = map[string]any{
		"apiVersion": obj.Object["apiVersion"], "kind": obj.Object["kind"], "spec": map[string]any{"scaleTargetRef": ref},
		"metadata": map[string]any{"name": obj.GetName(), "namespace": obj.GetNamespace(), "uid": string(obj.GetUID()), "resourceVersion": obj.GetResourceVersion()},
	}
}

// ScaleTargets is what the autoscalers of a cluster scale. The zero ScaleTargets is of none.
type ScaleTargets struct {
	targets map[types.NamespacedName]ScaleTarget // by autoscaler
	scaled  map[ScaleTarget]int                  // by how many autoscalers
}

// Set notes the target of an autoscaler, zero: it is gone; and says which it had.
func (s *ScaleTargets) Set(scaler types.NamespacedName, target ScaleTarget) (before ScaleTarget) {
	if s.targets == nil {
		s.targets, s.scaled = map[types.NamespacedName]ScaleTarget{}, map[ScaleTarget]int{}
	}
	before = s.targets[scaler]
	if s.scaled[before]--; s.scaled[before] <= 0 {
		delete(s.scaled, before)
	}
	delete(s.targets, scaler)
	if target != (ScaleTarget{}) {
		s.targets[scaler] = target
		s.scaled[target]++
	}
	return before
}

// Scaled says whether some autoscaler has a target.
func (s *ScaleTargets) Scaled(target ScaleTarget) bool { return s.scaled[target] > 0 }

// All are all targets, in no order.
func (s *ScaleTargets) All() []ScaleTarget { return slices.Collect(maps.Values(s.targets)) }
