package policy

import (
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// LastRead is a policy with the spec that its status says was in effect before one that the hub does not understand; nil if
// there is none. Nobody but the hub writes that: see package admission.
func LastRead(obj *unstructured.Unstructured) *unstructured.Unstructured {
	spec, ok, err := unstructured.NestedMap(obj.Object, "status", "inEffect", "spec")
	generation, known, notNumber := unstructured.NestedInt64(obj.Object, "status", "inEffect", "generation")
	if !ok || !known || err != nil || notNumber != nil {
		return nil
	}
	last := obj.DeepCopy()
	last.Object["spec"] = spec
	last.SetGeneration(generation)
	return last
}

// InEffect is a policy as the hub goes by it when it first reads it: as it is written, or as it was when it was last understood,
// or Held.
func InEffect(obj *unstructured.Unstructured) *Policy {
	read, err := Parse(obj)
	if err == nil {
		return read
	}
	if last := LastRead(obj); last != nil {
		if read, err := Parse(last); err == nil {
			return read
		}
	}
	return Held(obj, err)
}

// Held is a policy in the place of one that the hub does not understand, and of which it knows no earlier spec. It selects
// what that selects, as far as this can be read, and more where not; what it applies to is held: whatever the policy is to
// keep out of some clusters must not go to all of them meanwhile.
func Held(obj *unstructured.Unstructured, mistake error) *Policy {
	if obj.GetKind() == KindResidency {
		return heldResidency(obj, mistake)
	}
	p := NoPolicy()
	p.Namespace, p.Name, p.UID, p.Generation = obj.GetNamespace(), obj.GetName(), obj.GetUID(), obj.GetGeneration()
	p.Created = obj.GetCreationTimestamp().Time
	mode, _, _ := unstructured.NestedString(obj.Object, "spec", "mode")
	p.isEnforced = obj.GetNamespace() == "" && mode != v1alpha1.ModeDefault && mode != "" // what is not understood is rather too much
	p.held = fmt.Sprintf("the policy that selects it is not valid, so nothing new is placed: %v. Try: correct the policy", mistake)
	if err := p.readHeldObjects(obj); err != nil {
		p.objects = objectSelector{namespace: p.Namespace, unread: true, text: "everything, as its selectors are not valid"}
	}
	p.summary = v1alpha1.PolicySummary{Selects: p.objects.String(), Clusters: "none"}
	return p
}

// readHeldObjects reads which objects are selected, and nothing else.
func (p *Policy) readHeldObjects(obj *unstructured.Unstructured) error {
	var in v1alpha1.ClusterPlacementPolicySpec
	only := map[string]any{}
	spec, _, err := unstructured.NestedMap(obj.Object, "spec")
	if err != nil {
		return err
	}
	for _, field := range []string{"select", "namespaces"} {
		if value, there := spec[field]; there {
			only[field] = value
		}
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(only, &in); err != nil {
		return err
	}
	return p.readObjects(&in.Select, in.Namespaces)
}

// WhyHeld is why what the policy applies to is held; empty: it is not.
func (p *Policy) WhyHeld() string {
	if p == nil {
		return ""
	}
	return p.held
}
