package schedule

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/selection"

	"github.com/hanse-dev/hanse/internal/schedule/constraints"
)

type ruleKind int

const (
	apart    ruleKind = iota // required anti-affinity
	together                 // required affinity
	skewed                   // topology spread that must hold
	nicer                    // preferences: affinity, anti-affinity, spread
)

// rule is a constraint between pods in the domains of one label.
type rule struct {
	kind  ruleKind
	key   string
	of    []int32 // domain by site; -1: none
	count []int64 // matching pods by domain
	// self is that the workload's own replicas match, so that placing one
	// changes count.
	self   bool
	values []string
	said   map[int32]string // detail by domain
	text   string           // for people, of all domains
	even   string           // text where the share is even nevertheless

	anywhere *int64 // together: the counts of all the workload's terms
	selfAll  bool   // together: its own match all of them

	constraint       *corev1.TopologySpreadConstraint // skewed: where it comes from
	term             constraints.PodTerm
	skew, minDomains int64
	eligible         []bool // by site
	counted          []bool // domains that have an eligible site
	domains          int64
	low, atLow       int64 // the least count of a domain; atLow 0: to be found

	weight int64 // nicer: of one pod; below zero keeps away
	flat   bool  // nicer: one pod is as good as many
}

func newRule(kind ruleKind, x *sites, key, text string) *rule {
	t := x.Topology(key)
	return &rule{kind: kind, key: key, of: t.Of, values: t.Values, count: make([]int64, len(t.Values)), text: text}
}

// detail is text with the numbers of a site's domain.
func (r *rule) detail(site int32) string {
	d := r.of[site]
	if d < 0 {
		return r.text + "; it has no such label"
	}
	if s, ok := r.said[d]; ok {
		return s
	}
	s := r.text
	switch r.kind {
	case apart:
		s = fmt.Sprintf("%s; %s has %d", r.text, r.values[d], r.count[d])
	case skewed:
		s = fmt.Sprintf("%s; %s has %d, the least is %d", r.text, r.values[d], r.count[d], r.least())
	}
	if r.said == nil {
		r.said = map[int32]string{}
	}
	r.said[d] = s
	return s
}

// refuses reports whether another replica at a site would break the rule.
func (r *rule) refuses(site int32) bool {
	d := r.of[site]
	switch r.kind {
	case apart:
		return d >= 0 && r.count[d] > 0
	case together:
		return d < 0 || r.count[d] == 0 && !(r.selfAll && *r.anywhere == 0)
	case skewed:
		if d < 0 {
			return true
		}
		n := r.count[d]
		if r.self {
			n++
		}
		return n-r.least() > r.skew
	}
	return false
}

// least is the global minimum that skew is measured against.
func (r *rule) least() int64 {
	if r.domains < r.minDomains {
		return 0
	}
	if r.atLow == 0 {
		r.low = unlimited
		for d, n := range r.count {
			switch {
			case !r.counted[d] || n > r.low:
			case n < r.low:
				r.low, r.atLow = n, 1
			default:
				r.atLow++
			}
		}
	}
	return r.low
}

// add counts n more of the workload's own replicas at a site.
func (r *rule) add(site int32, n int64) {
	d := r.of[site]
	if !r.self || d < 0 || r.kind == skewed && !r.eligible[site] {
		return
	}
	if r.kind == skewed && r.counted[d] {
		switch {
		case n < 0:
			r.atLow = 0
		case r.atLow > 0 && r.count[d] == r.low:
			r.atLow--
		}
	}
	r.count[d] += n
	if r.anywhere != nil {
		*r.anywhere += n
	}
}

// bonus is what a preference makes of another replica at a site.
func (r *rule) bonus(site int32) int64 {
	d := r.of[site]
	if d < 0 {
		return 0
	}
	if r.flat {
		return r.weight * min(1, r.count[d])
	}
	return r.weight * r.count[d]
}

// podRules reads the template's affinities and spread constraints; ignored is
// the keys that are the members' to look at.
func podRules(w *Workload, s *Snapshot) (rules []*rule, ignored []string, err error) {
	x := s.index()
	b := ruleBuilder{w: w, s: s, x: x}
	if a := w.Template.Spec.Affinity; a != nil {
		if a.PodAffinity != nil {
			b.together(a.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution)
			b.nicer(a.PodAffinity.PreferredDuringSchedulingIgnoredDuringExecution, 1)
		}
		if a.PodAntiAffinity != nil {
			b.apart(a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution)
			b.nicer(a.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution, -1)
		}
	}
	b.repelled()
	b.spread(w.Template.Spec.TopologySpreadConstraints)
	return b.rules, b.ignored, b.err
}

type ruleBuilder struct {
	w       *Workload
	s       *Snapshot
	x       *sites
	rules   []*rule
	ignored []string
	err     error
}

func (b *ruleBuilder) term(t *corev1.PodAffinityTerm, what string) (constraints.PodTerm, bool) {
	if !b.x.Above(t.TopologyKey) {
		b.ignored = append(b.ignored, t.TopologyKey)
		return constraints.PodTerm{}, false
	}
	p, err := constraints.ParsePodTerm(t, b.w.Namespace, b.w.podLabels())
	if err != nil {
		b.err = fmt.Errorf("%s: %w", what, err)
	}
	return p, err == nil
}

// fill counts the pods of other workloads.
func (b *ruleBuilder) fill(r *rule, terms ...constraints.PodTerm) {
	b.x.each(terms, b.w, b.s, func(site int32, n int64) {
		if d := r.of[site]; d >= 0 {
			r.count[d] += n
		}
	})
}

func (b *ruleBuilder) apart(terms []corev1.PodAffinityTerm) {
	for i := range terms {
		t := &terms[i]
		if p, ok := b.term(t, "pod anti-affinity"); ok {
			r := newRule(apart, b.x, t.TopologyKey, "pod anti-affinity: no two "+constraints.Describe(t)+" in the same "+t.TopologyKey)
			r.self = matchesSelf(&p, b.w, b.s)
			b.fill(r, p)
			b.rules = append(b.rules, r)
		}
	}
}

// together is as upstream: a pod counts if it matches all the terms, and the
// first replicas of a workload that matches its own terms may go anywhere.
func (b *ruleBuilder) together(terms []corev1.PodAffinityTerm) {
	var parsed []constraints.PodTerm
	var made []*rule
	all := true
	for i := range terms {
		if p, ok := b.term(&terms[i], "pod affinity"); ok {
			parsed = append(parsed, p)
			all = all && matchesSelf(&p, b.w, b.s)
			made = append(made, newRule(together, b.x, terms[i].TopologyKey,
				"pod affinity: no "+constraints.Describe(&terms[i])+" in the same "+terms[i].TopologyKey))
		}
	}
	anywhere := new(int64)
	for _, r := range made {
		b.fill(r, parsed...)
		for _, n := range r.count {
			*anywhere += n
		}
		r.anywhere, r.selfAll, r.self = anywhere, all, all
	}
	b.rules = append(b.rules, made...)
}

func (b *ruleBuilder) nicer(terms []corev1.WeightedPodAffinityTerm, sign int64) {
	for i := range terms {
		t := &terms[i].PodAffinityTerm
		if p, ok := b.term(t, "preferred pod affinity"); ok {
			r := newRule(nicer, b.x, t.TopologyKey, "")
			r.weight, r.flat = sign*int64(terms[i].Weight), sign > 0
			r.self = matchesSelf(&p, b.w, b.s)
			b.fill(r, p)
			b.rules = append(b.rules, r)
		}
	}
}

// repelled are the required anti-affinities of what runs.
func (b *ruleBuilder) repelled() {
	made := map[string]*rule{}
	for i := range b.x.repelling {
		rep := &b.x.repelling[i]
		if !rep.repels(b.w, b.s) {
			continue
		}
		r := made[rep.key]
		if r == nil {
			r = newRule(apart, b.x, rep.key, "pod anti-affinity of what runs in the same "+rep.key)
			made[rep.key] = r
			b.rules = append(b.rules, r)
		}
		if d := r.of[rep.site]; d >= 0 {
			r.count[d]++
		}
	}
}

// spread makes the rules; which sites are eligible is set later, and with it
// the pods of others counted.
func (b *ruleBuilder) spread(all []corev1.TopologySpreadConstraint) {
	for i := range all {
		c := &all[i]
		if !b.x.Above(c.TopologyKey) {
			b.ignored = append(b.ignored, c.TopologyKey)
			continue
		}
		selector, err := metav1.LabelSelectorAsSelector(c.LabelSelector)
		var revision bool
		if err == nil {
			selector, revision, err = constraints.WithKeys(selector, c.MatchLabelKeys, selection.In, b.w.podLabels())
		}
		if err != nil {
			b.err = fmt.Errorf("topology spread: %w", err)
			continue
		}
		p := constraints.PodTerm{Selector: selector, Namespaces: []string{b.w.Namespace}, SelfOnly: revision}
		r := newRule(skewed, b.x, c.TopologyKey, fmt.Sprintf("topology spread by %s: at most %d more than where there is least", c.TopologyKey, c.MaxSkew))
		if c.WhenUnsatisfiable == corev1.ScheduleAnyway {
			r.kind, r.weight = nicer, -100/int64(max(1, c.MaxSkew))
		} else {
			r.skew, r.minDomains = int64(c.MaxSkew), 1
			if c.MinDomains != nil {
				r.minDomains = int64(*c.MinDomains)
			}
		}
		r.self = matchesSelf(&p, b.w, b.s)
		if selector.Empty() { // upstream: an empty selector counts no pod
			p.SelfOnly, r.self = true, false
		}
		if r.kind == nicer {
			b.fill(r, p)
		} else {
			r.constraint, r.term = c, p
		}
		b.rules = append(b.rules, r)
	}
}

// settle counts the pods of others in the sites that are eligible for a
// topology spread constraint, and so makes the rule ready for use.
func (r *rule) settle(w *Workload, s *Snapshot, eligible func(site int32) bool) {
	r.eligible, r.counted = make([]bool, len(r.of)), make([]bool, len(r.count))
	for site, d := range r.of {
		if d < 0 || !eligible(int32(site)) {
			continue
		}
		r.eligible[site] = true
		if !r.counted[d] {
			r.counted[d] = true
			r.domains++
		}
	}
	s.index().each([]constraints.PodTerm{r.term}, w, s, func(site int32, n int64) {
		if r.eligible[site] {
			r.count[r.of[site]] += n
		}
	})
}

// honors says which sites a constraint counts as domains at all.
func (r *rule) honors() (affinity, taints bool) {
	a, t := r.constraint.NodeAffinityPolicy, r.constraint.NodeTaintsPolicy
	return a == nil || *a == corev1.NodeInclusionPolicyHonor, t != nil && *t == corev1.NodeInclusionPolicyHonor
}
