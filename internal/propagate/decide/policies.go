package decide

import (
	"maps"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/internal/propagate/agenda"
	"github.com/hanse-dev/hanse/internal/propagate/assignment"
	"github.com/hanse-dev/hanse/internal/propagate/policies"
	"github.com/hanse-dev/hanse/internal/propagate/references"
)

// changePolicies takes over what was written or deleted, and has the objects decided again whose policy is another now, and no
// others.
func (w *World) changePolicies(written []*unstructured.Unstructured, gone []types.UID) {
	changed := w.policies.Write(written, gone)
	w.out.facts, w.out.count = true, true
	if !changed {
		return
	}
	w.surroundingsChanged() // drops the outlooks of policies that are no more
	w.backlog.Hurry(w.keys(func(o *object) bool { return w.matches(o) }), agenda.Work{Match: true})
	w.weigh() // there may be other failover times
}

// matches says whether another policy applies to an object than before, or may.
func (w *World) matches(o *object) bool {
	return o.a.AwaitsNamespace || w.policies.For(o.a.Template) != o.a.Policy
}

// match decides about an object whose policy may be another, and says whether it did.
func (w *World) match(o *object) bool {
	if !w.matches(o) {
		return false
	}
	b := o.a
	next := *b
	next.Policy = w.policies.For(b.Template)
	d := w.decide(&next, b)
	if !d.Hold && !d.Kept && policies.AppliedTogether(b.Template, next.Policy, w.now) {
		if d = w.decideAgain(&next, b); b.Recorded == nil || !assignment.SameDivision(d.Division(), b.Recorded) {
			undivided := *b.Template
			undivided.Recorded = nil
			next.Template, o.aside = &undivided, b.Recorded
		}
	}
	w.assign(o, &next, d)
	return true
}

func (w *World) namespacesAfter(in Input) map[string]map[string]string {
	switch in := in.(type) {
	case NamespacesListed:
		return maps.Clone(in.Labels)
	case NamespaceWritten:
		next := maps.Clone(w.policies.Namespaces())
		next[in.Name] = in.Labels
		return next
	case NamespaceDeleted:
		next := maps.Clone(w.policies.Namespaces())
		delete(next, in.Name)
		return next
	}
	return w.policies.Namespaces()
}

// setNamespaces takes over the labels of Namespaces, and looks again for the policies of what is in those whose labels changed.
func (w *World) setNamespaces(next map[string]map[string]string) {
	changed := w.policies.SetNamespaces(next)
	if len(changed) == 0 {
		return
	}
	w.out.facts = true
	w.surroundingsChanged()
	w.backlog.Hurry(w.keys(func(o *object) bool {
		return changed[policies.NamespaceOf(o.key)] && (references.Named(o.key.GR) || w.matches(o))
	}), agenda.Work{Match: true, Decide: true})
}
