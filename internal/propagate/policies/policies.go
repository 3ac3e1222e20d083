// Package policies is the hub's placement policies as they are in effect, and the labels of Namespaces by which they select: which
// of them applies to a template. It is pure.
package policies

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/internal/policy"
	"github.com/hanse-dev/hanse/internal/propagate/references"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// Policies is the hub's placement policies of both kinds.
type Policies struct {
	// None is what holds where none applies.
	None *policy.Policy
	// Defaults are the hub's.
	Defaults   Defaults
	index      *policy.Index
	all        map[types.UID]Known
	namespaces map[string]map[string]string // labels by name; replaced, never changed
}

// Known is a policy as it was last written, and as it is in effect: where a change makes no sense, as it
// was before that. One that never made sense holds what it selects.
type Known struct {
	Object   *unstructured.Unstructured
	InEffect *policy.Policy
	Mistake  string
	source   *unstructured.Unstructured // of InEffect; nil: it never made sense
}

// Earlier is the policy as it is in effect, if that is not as it is written now; else nil.
func (k Known) Earlier() *unstructured.Unstructured {
	if k.Mistake == "" {
		return nil
	}
	return k.source
}

// New is without any policy or Namespace.
func New() Policies {
	return Policies{None: policy.NoPolicy(), index: policy.NewIndex(nil), all: map[types.UID]Known{}, namespaces: map[string]map[string]string{}}
}

// Clone is a copy, which may be changed without p.
func (p *Policies) Clone() Policies {
	out := *p
	out.all = maps.Clone(p.all)
	return out
}

// Index is the policies that are in effect. It does not change.
func (p *Policies) Index() *policy.Index { return p.index }

// Namespaces are the labels of Namespaces by name. They do not change.
func (p *Policies) Namespaces() map[string]map[string]string { return p.namespaces }

// Rule has these policies be in effect, and these Namespaces be there, whatever was written.
func (p *Policies) Rule(policies []*policy.Policy, namespaces map[string]map[string]string) {
	p.index, p.namespaces = p.index.Renew(policies), namespaces
}

// Write takes over what was written or deleted, and says whether others are in effect now.
func (p *Policies) Write(written []*unstructured.Unstructured, gone []types.UID) (changed bool) {
	for _, obj := range written {
		before := p.all[obj.GetUID()]
		after := before.next(obj)
		p.all[obj.GetUID()] = after
		changed = changed || before.InEffect != after.InEffect
	}
	for _, uid := range gone {
		_, was := p.all[uid]
		delete(p.all, uid)
		changed = changed || was
	}
	if !changed {
		return false
	}
	var all []*policy.Policy
	for _, known := range p.all {
		all = append(all, known.InEffect)
	}
	p.index = p.index.Renew(all)
	return true
}

// next is what becomes of k when the policy is written as obj. A write of its status or metadata leaves it as it is.
func (k Known) next(obj *unstructured.Unstructured) Known {
	if k.Object != nil && k.Object.GetGeneration() == obj.GetGeneration() {
		k.Object = obj
		return k
	}
	read, err := policy.Parse(obj)
	if err == nil {
		return Known{Object: obj, InEffect: read, source: obj}
	}
	out := Known{Object: obj, InEffect: k.InEffect, Mistake: err.Error(), source: k.source}
	if out.source != nil {
		return out
	}
	// Before this run of the hub it may have made sense.
	if last := policy.LastRead(obj); last != nil {
		if read, err := policy.Parse(last); err == nil {
			out.InEffect, out.source = read, last
			return out
		}
	}
	out.InEffect = policy.Held(obj, err)
	return out
}

// Written is what has to be written, in that order, for k to be known.
func (k Known) Written() []*unstructured.Unstructured {
	if k.source != nil && k.source != k.Object {
		return []*unstructured.Unstructured{k.source, k.Object}
	}
	return []*unstructured.Unstructured{k.Object}
}

// Known is all policies, in order.
func (p *Policies) Known() []Known {
	all := slices.Collect(maps.Values(p.all))
	slices.SortFunc(all, func(a, b Known) int {
		return cmp.Or(strings.Compare(a.Object.GetNamespace(), b.Object.GetNamespace()), strings.Compare(a.Object.GetName(), b.Object.GetName()),
			strings.Compare(string(a.Object.GetUID()), string(b.Object.GetUID())))
	})
	return all
}

// For is the policy that applies to a template, and None if none does.
func (p *Policies) For(t *template.Template) *policy.Policy {
	if one := p.index.For(ObjectOf(t, p.namespaces)); one != nil {
		return one
	}
	return p.None
}

// ObjectOf is what policies select a template by. namespaces are the labels of Namespaces by name.
func ObjectOf(t *template.Template, namespaces map[string]map[string]string) *policy.Object {
	return &policy.Object{
		Kind: t.GVK.GroupKind(), Namespace: t.Key.Namespace, Name: t.Key.Name,
		Labels: t.Object.GetLabels(), NamespaceLabels: namespaces[NamespaceOf(t.Key)],
	}
}

// NamespaceOf is the namespace that an object is in, or that it is; empty: neither.
func NamespaceOf(key template.Key) string {
	if key.GR == template.Namespaces() {
		return key.Name
	}
	return key.Namespace
}

// AwaitsNamespace says whether a policy may select a template by the labels of its Namespace, or these may say how it propagates,
// and they are not known: the watches of both run side by side.
func (p *Policies) AwaitsNamespace(t *template.Template) bool {
	namespace := NamespaceOf(t.Key)
	if namespace == "" || !p.index.ByNamespaceLabels() && !references.Named(t.Key.GR) {
		return false
	}
	_, known := p.namespaces[namespace]
	return !known
}

// SetNamespaces takes over the labels of all Namespaces. It says which have others than before, or are new or gone; nil: none.
func (p *Policies) SetNamespaces(next map[string]map[string]string) (changed map[string]bool) {
	before := p.namespaces
	note := func(name string) {
		was, knew := before[name]
		is, knows := next[name]
		if knew == knows && maps.Equal(was, is) {
			return
		}
		if changed == nil {
			changed = map[string]bool{}
		}
		changed[name] = true
	}
	for name := range before {
		note(name)
	}
	for name := range next {
		note(name)
	}
	if changed == nil {
		return nil
	}
	if next == nil {
		next = map[string]map[string]string{}
	}
	p.namespaces = next
	return changed
}

// together is how long after each other an object and its policy count as applied together.
const together = 30 * time.Second

// AppliedTogether says whether a policy came with an object, in whichever order: the object is then divided as the policy
// says, as if it had been there first. What runs stays where it is only if it has been running for a while, work
// that has begun always.
func AppliedTogether(t *template.Template, p *policy.Policy, now time.Time) bool {
	return now.Sub(t.Created) < together && now.Sub(p.Created) < together
}
