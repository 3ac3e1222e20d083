package template

import (
	"maps"
	"math"

	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/override"
)

// Share is a member's part of a template that is divided; of a Job, as it was when the Job was
// made.
type Share struct {
	Replicas int32
	Before   int32 // sum of the shares of clusters that come before, by name
	Total    int32
	// Parallelism is how many pods of a Job the member is to run at once now.
	Parallelism int32
	// Least and Most are bounds of an autoscaler, 0: those of the whole.
	Least, Most int32
}

// OfKind is the share as package kinds writes it.
func (s Share) OfKind() kinds.Share {
	return kinds.Share{Replicas: s.Replicas, Before: s.Before, Total: s.Total, Parallelism: s.Parallelism}
}

// Shape is how a policy changes objects for one cluster; the zero Shape changes nothing.
type Shape struct {
	// ID tells shapes apart: the policy with its generation, and which overrides.
	ID        string
	Overrides []override.Override
}

// Target is what the hub wants of a template in one member, in little: as long as it is the
// same, so is the object that is made from it.
type Target struct {
	Content *Content
	Share   Share
	Shape   string
	// Revision of the pod template, empty where no policy says how it rolls out.
	Revision string
}

// Pods is the revision of the pod template, also where no policy asks for it.
func (t Target) Pods() string {
	if t.Revision == "" && t.Content != nil {
		return t.Content.Revision
	}
	return t.Revision
}

// Turn is which pod template a member is to have while a change rolls out step by step; the zero
// Turn is the hub's.
type Turn struct {
	// Revision that the member then has; empty where it is of no account.
	Revision string
	// Template in place of the hub's pod template; nil: the hub's.
	Template map[string]any
	// AsIs: the pod template in the member is left alone.
	AsIs bool
	// Waits is what has to be known first, in words; nothing is written until then.
	Waits string
}

// PodTemplate is spec.template of an object; nil if there is none.
func PodTemplate(object map[string]any) map[string]any {
	spec, _ := object["spec"].(map[string]any)
	template, _ := spec["template"].(map[string]any)
	return template
}

// With is a copy of m with one more field.
func With(m map[string]any, key string, value any) map[string]any {
	out := make(map[string]any, len(m)+1)
	maps.Copy(out, m)
	out[key] = value
	return out
}

// Count is a member's number as a count of replicas: it may say anything.
func Count(n int64) int32 { return int32(max(0, min(n, math.MaxInt32))) }
