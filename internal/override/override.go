// Package override changes an object for one cluster as a placement policy's
// overrides say: images, replicas, environment, arguments, storage classes,
// labels, annotations, and patches. It is pure: what it is given is never
// modified, and either all overrides are applied or none is.
package override

import (
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// Override is an override with what messages call it.
type Override struct {
	// Name as "override eu (the 2nd) of PlacementPolicy shop/web".
	Name string
	Spec *v1alpha1.Override
	// AtMost bounds the replicas, or the pods of a Job at once, whatever others made of them; nil: they are not bounded.
	AtMost *int32
	// Namespaced: it is of a PlacementPolicy, which never changes a Guarded kind.
	Namespaced bool
}

// Change is one thing that an override changed.
type Change struct {
	// Override is the Name of the override.
	Override string
	// Field as spec.template.spec.containers[web].image, or /spec/replicas of a
	// JSON patch, or "the object".
	Field string
	// To says what became of it, as nginx:1.29. It is never a value of the
	// environment, nor anything out of a patch.
	To string
}

// Error is an override that cannot be applied to an object, or to any.
type Error struct {
	// Override is its Name.
	Override string
	// Field of the override, as images[0].
	Field string
	// Err is what is wrong, and what to try.
	Err error
}

// Error is one sentence.
func (e *Error) Error() string { return fmt.Sprintf("%s, %s: %v", e.Override, e.Field, e.Err) }

// Unwrap is what is wrong.
func (e *Error) Unwrap() error { return e.Err }

// Apply is content, an object as JSON decodes to with whole numbers as int64,
// changed by the overrides that are for its kind, in their order. Without any
// it is content itself; otherwise the two share nothing. The error is an *Error:
// the first thing that is wrong.
func Apply(content map[string]any, overrides []Override) (map[string]any, []Change, error) {
	gk := groupKind(content)
	var d *draft
	for _, o := range overrides {
		if !ForKind(o.Spec, gk) || o.Namespaced && Guarded(gk) {
			continue
		}
		if d == nil {
			d = &draft{kind: gk, content: runtime.DeepCopyJSON(content)}
		}
		if o.AtMost != nil {
			d.override = o.Name
			d.atMost(int64(*o.AtMost))
			continue
		}
		if err := d.apply(o, content); err != nil {
			return nil, nil, err
		}
	}
	if d == nil {
		return content, nil, nil
	}
	return d.content, d.changes, nil
}

// ForKind says whether an override is for objects of a kind.
func ForKind(o *v1alpha1.Override, gk schema.GroupKind) bool {
	if len(o.Kinds) == 0 {
		return true
	}
	for _, k := range o.Kinds {
		gv, err := schema.ParseGroupVersion(k.APIVersion)
		if err == nil && gv.Group == gk.Group && k.Kind == gk.Kind {
			return true
		}
	}
	return false
}

func groupKind(content map[string]any) schema.GroupKind {
	apiVersion, _ := content["apiVersion"].(string)
	kind, _ := content["kind"].(string)
	gv, err := schema.ParseGroupVersion(apiVersion)
	if err != nil {
		return schema.GroupKind{Kind: kind}
	}
	return schema.GroupKind{Group: gv.Group, Kind: kind}
}

// draft is an object that is being changed.
type draft struct {
	kind     schema.GroupKind
	content  map[string]any
	override string // Name of the one at work
	changes  []Change
}

// apply applies one override, and checks that what original has and must not be
// changed is as it was.
func (d *draft) apply(o Override, original map[string]any) error {
	d.override = o.Name
	for _, s := range steps(o.Spec) {
		field, err := s.do(d)
		if err == nil {
			field, err = s.field, d.protect(original)
		}
		if err != nil {
			return &Error{Override: o.Name, Field: field, Err: err}
		}
	}
	return nil
}

// step is one field of an override. do says in which part of it an error is.
type step struct {
	field string
	do    func(*draft) (field string, err error)
}

// steps are what an override does, in the order that its kind promises.
func steps(o *v1alpha1.Override) []step {
	var all []step
	add := func(field string, do func(*draft) error) {
		all = append(all, step{field, func(d *draft) (string, error) { return field, do(d) }})
	}
	for i := range o.Images {
		add(fmt.Sprintf("images[%d]", i), func(d *draft) error { return d.image(&o.Images[i]) })
	}
	if o.Replicas != nil {
		add("replicas", func(d *draft) error { return d.replicas(*o.Replicas) })
	}
	for i := range o.Env {
		add(fmt.Sprintf("env[%d]", i), func(d *draft) error { return d.env(&o.Env[i]) })
	}
	for i := range o.Command {
		add(fmt.Sprintf("command[%d]", i), func(d *draft) error { return d.words("command", &o.Command[i]) })
	}
	for i := range o.Args {
		add(fmt.Sprintf("args[%d]", i), func(d *draft) error { return d.words("args", &o.Args[i]) })
	}
	if o.StorageClass != "" {
		add("storageClass", func(d *draft) error { return d.storageClass(o.StorageClass) })
	}
	if l := o.Labels; l != nil {
		add("labels", func(d *draft) error { return d.mark(d.content, "metadata.labels", plain(l.Set), l.Remove) })
	}
	if a := o.Annotations; a != nil {
		add("annotations", func(d *draft) error { return d.mark(d.content, "metadata.annotations", a.Set, a.Remove) })
	}
	if l := o.PodLabels; l != nil {
		add("podLabels", func(d *draft) error { return d.markPod("labels", plain(l.Set), l.Remove) })
	}
	if a := o.PodAnnotations; a != nil {
		add("podAnnotations", func(d *draft) error { return d.markPod("annotations", a.Set, a.Remove) })
	}
	if len(o.JSONPatch) > 0 {
		all = append(all, step{"jsonPatch", func(d *draft) (string, error) { return d.jsonPatch(o.JSONPatch) }})
	}
	if o.StrategicMerge != nil {
		add("strategicMerge", func(d *draft) error { return d.merge(o.StrategicMerge.Raw) })
	}
	return all
}

func (d *draft) changed(field, to string) {
	d.changes = append(d.changes, Change{Override: d.override, Field: field, To: to})
}
