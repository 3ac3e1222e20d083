package decide

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/internal/policy"
	"github.com/hanse-dev/hanse/internal/propagate/agenda"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// policies is the hub's placement policies of both kinds.
type policies struct {
	none  *policy.Policy // what holds where none applies
	index *policy.Index
	all   map[types.UID]KnownPolicy
}

func newPolicies() policies {
	return policies{none: policy.NoPolicy(), index: policy.NewIndex(nil), all: map[types.UID]KnownPolicy{}}
}

// changePolicies takes over what was written or deleted, and has the objects decided again whose policy is another now, and no
// others.
func (w *World) changePolicies(written []*unstructured.Unstructured, gone []types.UID) {
	changed := false
	for _, obj := range written {
		before := w.policies.all[obj.GetUID()]
		after := before.next(obj)
		w.policies.all[obj.GetUID()] = after
		changed = changed || before.InEffect != after.InEffect
	}
	for _, uid := range gone {
		_, was := w.policies.all[uid]
		delete(w.policies.all, uid)
		changed = changed || was
	}
	w.out.facts, w.out.count = true, true
	if !changed {
		return
	}
	var all []*policy.Policy
	for _, known := range w.policies.all {
		if known.InEffect != nil {
			all = append(all, known.InEffect)
		}
	}
	w.policies.index = policy.NewIndex(all)
	w.surroundingsChanged() // drops the outlooks of policies that are no more
	w.backlog.Hurry(w.keys(func(o *object) bool { return w.matches(o) }), agenda.Work{Match: true})
	w.weigh() // there may be other failover times
}

// next is what becomes of k when the policy is written as obj. A write of its status or metadata leaves it as it is.
func (k KnownPolicy) next(obj *unstructured.Unstructured) KnownPolicy {
	if k.Object != nil && k.Object.GetGeneration() == obj.GetGeneration() {
		k.Object = obj
		return k
	}
	read, err := policy.Parse(obj)
	if err != nil {
		return KnownPolicy{Object: obj, InEffect: k.InEffect, Mistake: err.Error(), source: k.source}
	}
	return KnownPolicy{Object: obj, InEffect: read, source: obj}
}

// policyFor is the policy that applies to a template, and that which says nothing if none does.
func (w *World) policyFor(t *template.Template) *policy.Policy {
	if p := w.policies.index.For(policyObject(t, w.namespaces)); p != nil {
		return p
	}
	return w.policies.none
}

func policyObject(t *template.Template, namespaces map[string]map[string]string) *policy.Object {
	return &policy.Object{
		Kind: t.GVK.GroupKind(), Namespace: t.Key.Namespace, Name: t.Key.Name,
		Labels: t.Object.GetLabels(), NamespaceLabels: namespaces[t.Key.Namespace],
	}
}

// matches says whether another policy applies to an object than before, or may.
func (w *World) matches(o *object) bool {
	return o.a.AwaitsNamespace || w.policyFor(o.a.Template) != o.a.Policy
}

// match decides about an object whose policy may be another, and says whether it did.
func (w *World) match(o *object) bool {
	if !w.matches(o) {
		return false
	}
	b := o.a
	next := *b
	next.Policy = w.policyFor(b.Template)
	d := w.decide(&next, b)
	if !d.Hold && !d.Kept && appliedTogether(b.Template, next.Policy, w.now) {
		if d = w.decideAnew(&next, b); b.Recorded == nil || !sameDivision(d.Division(), b.Recorded) {
			undivided := *b.Template
			undivided.Recorded = nil
			next.Template, o.aside = &undivided, b.Recorded
		}
	}
	w.assign(o, &next, d)
	return true
}

// together is how long after each other an object and its policy count as applied together.
const together = 30 * time.Second

// appliedTogether says whether a policy came with an object, in whichever order: the object is then divided as the policy
// says, as if it had been there first. What runs stays where it is only if it has been running for a while, work
// that has begun always.
func appliedTogether(t *template.Template, p *policy.Policy, now time.Time) bool {
	return now.Sub(t.Created) < together && now.Sub(p.Created) < together
}

// awaitsNamespace says whether a policy may select a template by the labels of its Namespace, and these are not known: the
// watches of both run side by side.
func (w *World) awaitsNamespace(t *template.Template) bool {
	if t.Key.Namespace == "" || !w.policies.index.ByNamespaceLabels() {
		return false
	}
	_, known := w.namespaces[t.Key.Namespace]
	return !known
}

func (w *World) namespacesAfter(in Input) map[string]map[string]string {
	switch in := in.(type) {
	case NamespacesListed:
		return maps.Clone(in.Labels)
	case NamespaceWritten:
		next := maps.Clone(w.namespaces)
		next[in.Name] = in.Labels
		return next
	case NamespaceDeleted:
		next := maps.Clone(w.namespaces)
		delete(next, in.Name)
		return next
	}
	return w.namespaces
}

// setNamespaces takes over the labels of Namespaces, and looks again for the policies of what is in those whose labels changed.
func (w *World) setNamespaces(next map[string]map[string]string) {
	before := w.namespaces
	changed := func(namespace string) bool {
		was, knew := before[namespace]
		is, knows := next[namespace]
		return knew != knows || !maps.Equal(was, is)
	}
	some := len(before) != len(next)
	for namespace := range next {
		some = some || changed(namespace)
	}
	if !some {
		return
	}
	if next == nil {
		next = map[string]map[string]string{}
	}
	w.namespaces = next
	w.out.facts = true
	w.surroundingsChanged()
	w.backlog.Hurry(w.keys(func(o *object) bool { return changed(o.key.Namespace) && w.matches(o) }), agenda.Work{Match: true})
}

// newFacts is what is to be published beside the objects.
func (w *World) newFacts() *Facts {
	return &Facts{
		Clusters: w.clusters, Policies: w.policies.index, Namespaces: w.namespaces, KnownPolicies: w.policies.known(),
		lost: w.losses.Lost(), sorted: w.policyClusters(),
	}
}

// known is all policies, in order.
func (p *policies) known() []KnownPolicy {
	all := slices.Collect(maps.Values(p.all))
	slices.SortFunc(all, func(a, b KnownPolicy) int {
		return cmp.Or(strings.Compare(a.Object.GetNamespace(), b.Object.GetNamespace()), strings.Compare(a.Object.GetName(), b.Object.GetName()),
			strings.Compare(string(a.Object.GetUID()), string(b.Object.GetUID())))
	})
	return all
}
