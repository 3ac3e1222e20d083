package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Index is a set of policies by what they select. It is not changed once made:
// make another, which costs microseconds, when a policy changes.
type Index struct {
	all    []*Policy // the first that selects an object applies
	byName map[string][]int
	byKind map[schema.GroupKind][]int
	// byNamespace are PlacementPolicies without names and kinds, rest are
	// ClusterPlacementPolicies without them.
	byNamespace map[string][]int
	rest        []int

	byNamespaceLabels bool
	enforced          []int // but for Residencies
	residentsByName   map[string][]int
	residentsByLabels []int
	combined          *combinations
}

// NewIndex makes an index of policies.
func NewIndex(policies []*Policy) *Index {
	return newIndex(policies, newCombinations())
}

// Renew is an index of other policies. What applies to an object is the same, and not only alike, as long as all that it is
// made of is.
func (x *Index) Renew(policies []*Policy) *Index {
	return newIndex(policies, x.combined.kept(policies))
}

func newIndex(policies []*Policy, combined *combinations) *Index {
	x := &Index{combined: combined, all: slices.SortedFunc(slices.Values(policies), before), byName: map[string][]int{},
		byKind: map[schema.GroupKind][]int{}, byNamespace: map[string][]int{}, residentsByName: map[string][]int{}}
	for i, p := range x.all {
		if p.isEnforced && !p.isResidency {
			x.enforced = append(x.enforced, i)
		}
		if n := p.objects.namespaces; n != nil && n.labels != nil {
			x.byNamespaceLabels = true
		}
		if r := p.objects.residents; r != nil {
			x.byNamespaceLabels = x.byNamespaceLabels || r.labels != nil
			x.addResidency(i)
			continue // it holds besides others, and applies to nothing by itself
		}
		switch s := &p.objects; {
		case s.names != nil:
			for name := range s.names {
				x.byName[name] = append(x.byName[name], i)
			}
		case s.namespace != "":
			x.byNamespace[s.namespace] = append(x.byNamespace[s.namespace], i)
		case len(s.kinds) > 0:
			for _, kind := range s.kinds {
				x.byKind[kind] = append(x.byKind[kind], i)
			}
		default:
			x.rest = append(x.rest, i)
		}
	}
	return x
}

// before orders policies: the more specific, then the older, then by name.
func before(a, b *Policy) int {
	return cmp.Or(
		cmp.Compare(b.objects.specificity(), a.objects.specificity()),
		a.Created.Compare(b.Created),
		cmp.Compare(a.Namespace, b.Namespace),
		cmp.Compare(a.Name, b.Name),
	)
}

// Policies are all, those first that go before others.
func (x *Index) Policies() []*Policy { return slices.Clone(x.all) }

// ByNamespaceLabels says whether any policy selects by the labels of Namespaces, so that
// For needs to know them.
func (x *Index) ByNamespaceLabels() bool { return x.byNamespaceLabels }

// For is the policy that applies to an object, with what enforced ones leave of it; nil if none does. Where Residencies alone
// select it, that is what they leave of no policy.
func (x *Index) For(o *Object) *Policy {
	best := -1
	for _, candidates := range x.candidates(o) {
		for _, i := range candidates { // in order, so the first is the best of them
			if best >= 0 && i > best {
				break
			}
			if x.all[i].Selects(o) {
				best = i
				break
			}
		}
	}
	enforced := x.enforcedOn(o)
	switch {
	case best >= 0:
		return x.combined.of(x.all[best], enforced)
	case len(enforced) > 0:
		return x.combined.of(x.combined.none, enforced)
	}
	return nil
}

// enforcedOn are the enforced policies that select an object, in order, Residencies first.
func (x *Index) enforcedOn(o *Object) (all []*Policy) {
	all = x.Residencies(o.InOrIs(), o.NamespaceLabels)
	for _, i := range x.enforced {
		if x.all[i].Selects(o) {
			all = append(all, x.all[i])
		}
	}
	return all
}

func (x *Index) candidates(o *Object) [4][]int {
	return [4][]int{x.byName[o.Name], x.byNamespace[o.Namespace], x.byKind[o.Kind], x.rest}
}

// Match is the policy that applies to an object, with the reasons.
type Match struct {
	// Policy is nil where none applies; Residencies may hold nevertheless.
	Policy *Policy
	// Reason is a sentence: PlacementPolicy shop/web selects it by name.
	Reason string
	// Enforced are those that hold besides, in order.
	Enforced []*Policy
	// Overruled are the others that select it, in order.
	Overruled []Overruled
}

// Overruled is a policy that selects an object and does not apply to it.
type Overruled struct {
	Policy *Policy
	// Reason is a sentence, with what the other has before it.
	Reason string
}

// Match is For with the reasons.
func (x *Index) Match(o *Object) Match {
	var matching []int
	for _, candidates := range x.candidates(o) {
		for _, i := range candidates {
			if x.all[i].Selects(o) {
				matching = append(matching, i)
			}
		}
	}
	if len(matching) == 0 {
		enforced := x.enforcedOn(o)
		return Match{Reason: "no policy selects it" + (*Policy)(nil).besides(enforced), Enforced: enforced}
	}
	slices.Sort(matching)
	winner := x.all[matching[0]]
	m := Match{Policy: winner, Reason: fmt.Sprintf("%s selects it %s%s", winner, winner.objects.how(), winner.besides(x.enforcedOn(o)))}
	for _, e := range x.enforcedOn(o) {
		if e != winner {
			m.Enforced = append(m.Enforced, e)
		}
	}
	for _, i := range matching[1:] {
		loser := x.all[i]
		if loser.isEnforced {
			continue
		}
		m.Overruled = append(m.Overruled, Overruled{Policy: loser, Reason: fmt.Sprintf("%s is overruled: %s", loser, why(winner, loser))})
	}
	return m
}

// how is what an object is selected by.
func (s *objectSelector) how() string {
	var by []string
	for _, part := range []struct {
		has  bool
		word string
	}{
		{s.names != nil, "name"}, {s.labels != nil, "labels"}, {len(s.kinds) > 0, "kind"},
		{s.namespaces != nil && s.namespaces.names != nil, "namespace"},
		{s.namespaces != nil && s.namespaces.labels != nil, "the namespace's labels"},
	} {
		if part.has {
			by = append(by, part.word)
		}
	}
	switch {
	case len(by) > 0:
		return "by " + strings.Join(by, " and ")
	case s.namespace != "":
		return "with all of its namespace"
	}
	return "with everything"
}

// why says what puts the winner before the loser.
func why(winner, loser *Policy) string {
	w, l := &winner.objects, &loser.objects
	switch {
	case w.namespace != "" && l.namespace == "":
		return fmt.Sprintf("%s is of the object's namespace", winner)
	case w.specificity() != l.specificity():
		return fmt.Sprintf("%s selects it more specifically, %s instead of %s", winner, w.how(), l.how())
	case !winner.Created.Equal(loser.Created):
		return fmt.Sprintf("%s is as specific, and older", winner)
	}
	return fmt.Sprintf("%s is as specific and as old, and comes first by name", winner)
}
