// Package template reads an object at the hub: what members are to have of it, by what
// it is divided, what it asks of a cluster, and what the hub has recorded on it. It is pure.
// Where the object goes is not in it: that is package decide's.
package template

import (
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/rollout"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// Template is an object at the hub that is propagated. It is not changed once it is read, and
// neither is anything that it leads to.
type Template struct {
	Key Key
	GVK schema.GroupVersionKind
	UID types.UID
	// Revision is the hub's database's at the last write of the object: its resourceVersion.
	Revision uint64
	Created  time.Time
	// Object is the object as it is at the hub, without managedFields.
	Object  *unstructured.Unstructured
	Content *Content

	Division kinds.Division
	// Total is what there is to divide.
	Total int32
	// Recorded is the division of AnnotationDivision, nil without.
	Recorded map[string]int32
	// Lapsed: the recorded division was taken off an object that must not be moved, and is
	// to be recorded again.
	Lapsed bool
	// Constraints is what the pod template says of where its pods may run, whatever runs
	// elsewhere; nil: anywhere.
	Constraints *corev1.PodTemplateSpec
	// Demand is what its pods ask of what members have free; nil: nothing.
	Demand *Demand
	// Follows: its total is the sum of what its members set (AnnotationReplicas).
	Follows bool
	// Taken are the counts of members that the total has followed (AnnotationTaken).
	Taken map[string]int32
	// Mistake is what makes no sense in an annotation that is passed over; empty: nothing.
	Mistake string
	// Progress is how far its rollout has gone.
	Progress Progress
	// Scaler is what an autoscaler has besides; nil: it is none.
	Scaler *Scaler
	// Quota is what a ResourceQuota has besides; nil: it is none, or not divided.
	Quota *Quota
	// Names are the Secrets and ConfigMaps that it names, each once.
	Names []Key
	// Going: a Namespace that is being deleted.
	Going bool
}

// Content is what members are to have. The same content is the same pointer from one
// version of an object to the next.
type Content struct {
	Object map[string]any
	Hash   uint64
	// Revision is of the pod template, empty for kinds without a rollout.
	Revision string
}

// Progress is how far a rollout has gone, as the object's annotations say.
type Progress struct {
	Kept  string         // AnnotationRolloutState
	Hold  string         // AnnotationRollout
	State *rollout.State // nil: there was no change yet
}

// Read reads an object, which it takes over. before is what was read of it last, nil if
// nothing was; it lends what has not changed. The error is about annotations that make no sense: the
// template is good without them.
func Read(gr schema.GroupResource, obj *unstructured.Unstructured, hash func(map[string]any) uint64, before *Template) (*Template, error) {
	object := kinds.Template(gr, obj) // reads managedFields
	unstructured.RemoveNestedField(obj.Object, "metadata", "managedFields")
	t := &Template{
		Key:      Key{GR: gr, Namespace: obj.GetNamespace(), Name: obj.GetName()},
		GVK:      obj.GroupVersionKind(),
		UID:      obj.GetUID(),
		Revision: RevisionOf(obj.GetResourceVersion()),
		Created:  obj.GetCreationTimestamp().Time,
		Object:   obj,
		Content:  &Content{Object: object},
		Going:    gr == Namespaces() && obj.GetDeletionTimestamp() != nil,
	}
	if before != nil && before.UID != t.UID {
		before = nil // a namesake
	}
	if hash != nil {
		t.Content.Hash = hash(object)
	}
	if before != nil && before.Content.Hash == t.Content.Hash {
		t.Content = before.Content
		t.Division, t.Total, t.Constraints, t.Demand, t.Names = before.Division, before.Total, before.Constraints, before.Demand, before.Names
	} else {
		t.Names = NamesOf(gr, object)
		t.Division = kinds.DivisionOf(gr, object)
		t.Total = kinds.Total(t.Division, object)
		if t.Division != kinds.Everywhere {
			t.Constraints, t.Demand = constraintsOf(object), demandOf(object)
		}
		if rollout.Rolls(gr) {
			t.Content.Revision = rollout.RevisionOf(PodTemplate(object))
		}
	}
	t.Scaler = newScaler(gr, object)
	return t, t.readAnnotations(before)
}

// readAnnotations reads what the hub or a user has recorded on the object.
func (t *Template) readAnnotations(before *Template) error {
	var mistakes []error
	annotations := t.Object.GetAnnotations()
	if value, ok := annotations[v1alpha1.AnnotationDivision]; ok && t.Division != kinds.Everywhere {
		recorded, err := schedule.ParseDivision(value)
		if err != nil {
			mistakes = append(mistakes, err)
		} else {
			t.Recorded = recorded
		}
	}
	if t.Recorded == nil && t.StaysPut() && before != nil && before.Recorded != nil {
		t.Recorded, t.Lapsed = before.Recorded, true
	}
	if err := t.readBounds(annotations); err != nil {
		mistakes = append(mistakes, err)
	}
	if err := t.readQuota(annotations); err != nil {
		mistakes = append(mistakes, err)
	}
	t.readFollowing(annotations)
	if rollout.Rolls(t.Key.GR) {
		t.Progress = Progress{
			Kept: annotations[v1alpha1.AnnotationRolloutState], Hold: annotations[v1alpha1.AnnotationRollout],
			State: parseState(annotations[v1alpha1.AnnotationRolloutState]),
		}
	}
	return errors.Join(mistakes...)
}

// readFollowing notes what the annotations say about members that set their own replicas.
func (t *Template) readFollowing(annotations map[string]string) {
	if t.Division != kinds.Replicas {
		return
	}
	switch value, ok := annotations[v1alpha1.AnnotationReplicas]; {
	case !ok:
	case value == v1alpha1.ReplicasMember:
		t.Follows = true
	default:
		t.Mistake = fmt.Sprintf("annotation %s: %q is not known, the only value is %q", v1alpha1.AnnotationReplicas, value, v1alpha1.ReplicasMember)
	}
	if value, ok := annotations[v1alpha1.AnnotationTaken]; ok {
		t.Taken, _ = schedule.ParseDivision(value) // without it, an old number may be taken for a new one
	}
}

// parseState takes what cannot be read for the state of some other change: then the
// rollout starts at the first step, and nothing is let out because of it.
func parseState(kept string) *rollout.State {
	if kept == "" {
		return nil
	}
	state, err := rollout.Parse(kept)
	if err != nil {
		return &rollout.State{Revision: "unknown"}
	}
	return state
}

// StaysPut says whether what is divided so is never moved once it has begun: work that must not
// be done twice may go on in a cluster that is out of reach, and what has run of a Job cannot
// be taken along.
func (t *Template) StaysPut() bool {
	return t.Division == kinds.One || t.Division == kinds.Completions
}

// Finished says whether making the object again would do work again that the hub knows to be
// done.
func (t *Template) Finished() bool {
	status, _ := t.Object.Object["status"].(map[string]any)
	return HasFinished(t.Key.GR, status)
}

// HasFinished says whether a status is that of work which is done, or has failed for good.
func HasFinished(gr schema.GroupResource, status map[string]any) bool {
	switch gr {
	case Jobs():
		return JobEnds(status, "Complete", "Failed")
	case schema.GroupResource{Resource: "pods"}:
		return status["phase"] == string(corev1.PodSucceeded) || status["phase"] == string(corev1.PodFailed)
	}
	return false
}

// JobEnds says whether a Job's status has one of these conditions.
func JobEnds(status map[string]any, conditionTypes ...string) bool {
	conditions, _ := status["conditions"].([]any)
	for _, c := range conditions {
		m, _ := c.(map[string]any)
		name, _ := m["type"].(string)
		for _, one := range conditionTypes {
			if m["status"] == "True" && name == one {
				return true
			}
		}
	}
	return false
}

// Completions is spec.completions of a Job, nil if there is none.
func (t *Template) Completions() *int32 { return NumberIn(t.Object.Object, "completions") }

// NumberIn is a number in an object's spec, nil if there is none.
func NumberIn(object map[string]any, field string) *int32 {
	n, found, _ := unstructured.NestedInt64(object, "spec", field)
	if !found {
		return nil
	}
	number := Count(n)
	return &number
}

// Preferences is the annotation that says how t is divided: Hanse's own goes before Federation
// v1's. It is empty if there is none for its kind.
func (t *Template) Preferences() string {
	if _, own := t.Object.GetAnnotations()[v1alpha1.AnnotationPreferences]; own && (t.Division == kinds.Replicas || t.Division == kinds.Completions) {
		return v1alpha1.AnnotationPreferences
	}
	return FederationPreferences(t.Key.GR)
}

// FederationPreferences is the annotation of Federation v1 that says how objects of a resource are
// divided, empty if there is none.
func FederationPreferences(gr schema.GroupResource) string {
	switch gr {
	case schema.GroupResource{Group: "apps", Resource: "deployments"}:
		return schedule.AnnotationDeploymentPreferences
	case schema.GroupResource{Group: "apps", Resource: "replicasets"}:
		return schedule.AnnotationReplicaSetPreferences
	case Jobs():
		return schedule.AnnotationJobPreferences
	}
	return ""
}

// SameInput says whether nothing that decides where the object goes, or what members are to have
// of it, is different in b: its status, its resourceVersion and annotations of others may be.
func SameInput(a, b *Template) bool {
	return SameAsked(a, b) && a.Mistake == b.Mistake && a.Lapsed == b.Lapsed && a.Finished() == b.Finished() &&
		maps.Equal(a.Recorded, b.Recorded) && (a.Recorded == nil) == (b.Recorded == nil) && maps.Equal(a.Taken, b.Taken) &&
		a.Progress.Kept == b.Progress.Kept && a.Progress.Hold == b.Progress.Hold &&
		sameScaler(a.Scaler, b.Scaler) && sameQuota(a.Quota, b.Quota)
}

// SameAsked says whether nothing is different in b that somebody asks for: all that decides but what the hub itself records.
func SameAsked(a, b *Template) bool {
	return a.UID == b.UID && a.Content == b.Content && a.Going == b.Going && a.Follows == b.Follows && sameSteering(a, b)
}

// sameSteering compares the labels, by which policies select, and the annotations that Hanse and
// Federation v1 read.
func sameSteering(a, b *Template) bool {
	if !maps.Equal(a.Object.GetLabels(), b.Object.GetLabels()) {
		return false
	}
	x, y := a.Object.GetAnnotations(), b.Object.GetAnnotations()
	for _, name := range []string{
		v1alpha1.AnnotationPreferences, v1alpha1.AnnotationConflict, v1alpha1.AnnotationQuota, schedule.AnnotationClusterSelector,
		FederationPreferences(a.Key.GR), rollout.ChangeCause,
	} {
		was, had := x[name]
		is, has := y[name]
		if had != has || was != is {
			return false
		}
	}
	return true
}

// RevisionOf is a resourceVersion as a number, 0 where it is none.
func RevisionOf(resourceVersion string) uint64 {
	n, err := strconv.ParseUint(resourceVersion, 10, 64)
	if err != nil {
		return 0
	}
	return n
}
