package schedule

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
)

// podTerm is a parsed PodAffinityTerm: which pods it speaks of.
type podTerm struct {
	selector   labels.Selector
	namespaces []string
	nsSelector labels.Selector // nil: none
	// selfOnly and neverSelf come from keys such as pod-template-hash, which
	// tell the revisions of a workload apart: they have no value yet here, and
	// are the same for all replicas of one workload and of no other.
	selfOnly, neverSelf bool
}

// parseTerm reads a term of a pod with these labels in this namespace.
func parseTerm(t *corev1.PodAffinityTerm, namespace string, own labels.Set) (podTerm, error) {
	p := podTerm{namespaces: t.Namespaces}
	if len(t.Namespaces) == 0 && t.NamespaceSelector == nil {
		p.namespaces = []string{namespace}
	}
	var err error
	if p.selector, err = metav1.LabelSelectorAsSelector(t.LabelSelector); err != nil {
		return p, err
	}
	if t.NamespaceSelector != nil {
		if p.nsSelector, err = metav1.LabelSelectorAsSelector(t.NamespaceSelector); err != nil {
			return p, err
		}
	}
	if p.selector, p.selfOnly, err = withKeys(p.selector, t.MatchLabelKeys, selection.In, own); err != nil {
		return p, err
	}
	p.selector, p.neverSelf, err = withKeys(p.selector, t.MismatchLabelKeys, selection.NotIn, own)
	return p, err
}

// withKeys adds to a selector that labels have, or do not have, the values that
// own has. A key that own does not have is left out, as upstream does; revision
// is that one of these tells revisions apart.
func withKeys(s labels.Selector, keys []string, op selection.Operator, own labels.Set) (_ labels.Selector, revision bool, err error) {
	for _, key := range keys {
		value, ok := own[key]
		if !ok {
			revision = revision || key == "pod-template-hash" || key == "controller-revision-hash"
			continue
		}
		r, err := labels.NewRequirement(key, op, []string{value})
		if err != nil {
			return nil, false, err
		}
		s = s.Add(*r)
	}
	return s, revision, nil
}

func (p *podTerm) matchesNamespace(name string, labelsOf map[string]map[string]string) bool {
	if slices.Contains(p.namespaces, name) {
		return true
	}
	return p.nsSelector != nil && p.nsSelector.Matches(labels.Set(labelsOf[name]))
}

// matchesSelf is for the workload that has the term.
func (p *podTerm) matchesSelf(w *Workload, s *Snapshot) bool {
	return !p.neverSelf && p.matchesNamespace(w.Namespace, s.Namespaces) && p.selector.Matches(w.podLabels())
}

// each calls f for the pods of other workloads that all terms match.
func (x *sites) each(terms []podTerm, w *Workload, s *Snapshot, f func(site int32, n int64)) {
	if len(terms) == 0 || slices.ContainsFunc(terms, func(t podTerm) bool { return t.selfOnly }) {
		return
	}
	matching := func(ns string) {
		for _, p := range x.pods[ns] {
			if p.Workload != "" && p.Workload == w.Key {
				continue
			}
			if !slices.ContainsFunc(terms, func(t podTerm) bool { return !t.selector.Matches(labels.Set(p.Labels)) }) {
				f(p.site, int64(p.Count))
			}
		}
	}
	if len(terms) == 1 && terms[0].nsSelector == nil {
		for i, ns := range terms[0].namespaces {
			if !slices.Contains(terms[0].namespaces[:i], ns) {
				matching(ns)
			}
		}
		return
	}
	for ns := range x.pods {
		if !slices.ContainsFunc(terms, func(t podTerm) bool { return !t.matchesNamespace(ns, s.Namespaces) }) {
			matching(ns)
		}
	}
}

// repulsion is a required anti-affinity of pods that run.
type repulsion struct {
	podTerm
	workload string
	key      string
	site     int32
}

func newRepulsion(x *sites, site int32, g *PodGroup, t *corev1.PodAffinityTerm) (repulsion, bool) {
	if !x.above(t.TopologyKey) {
		return repulsion{}, false
	}
	term, err := parseTerm(t, g.Namespace, g.Labels)
	if err != nil || term.selfOnly { // the API server would not have let it in; of itself it is not asked
		return repulsion{}, false
	}
	return repulsion{term, g.Workload, t.TopologyKey, site}, true
}

// repels reports whether the pods that have the term do not want w near them.
func (r *repulsion) repels(w *Workload, s *Snapshot) bool {
	if r.workload != "" && r.workload == w.Key {
		return false
	}
	return r.matchesNamespace(w.Namespace, s.Namespaces) && r.selector.Matches(w.podLabels())
}

// podLabels is the labels of the workload's pods.
func (w *Workload) podLabels() labels.Set {
	if w.Template == nil {
		return nil
	}
	return w.Template.Labels
}

func describe(t *corev1.PodAffinityTerm) string {
	return fmt.Sprintf("pods with %s", metav1.FormatLabelSelector(t.LabelSelector))
}
