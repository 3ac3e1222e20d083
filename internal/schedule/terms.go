package schedule

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/hanse-dev/hanse/internal/schedule/constraints"
)

// matchesSelf reports whether the pods of the workload that has the term match it.
func matchesSelf(p *constraints.PodTerm, w *Workload, s *Snapshot) bool {
	return !p.NeverSelf && p.MatchesNamespace(w.Namespace, s.Namespaces) && p.Selector.Matches(w.podLabels())
}

// each calls f for the pods of other workloads that all terms match.
func (x *sites) each(terms []constraints.PodTerm, w *Workload, s *Snapshot, f func(site int32, n int64)) {
	if len(terms) == 0 || slices.ContainsFunc(terms, func(t constraints.PodTerm) bool { return t.SelfOnly }) {
		return
	}
	matching := func(ns string) {
		for _, p := range x.pods[ns] {
			if p.Workload != "" && p.Workload == w.Key {
				continue
			}
			if !slices.ContainsFunc(terms, func(t constraints.PodTerm) bool { return !t.Selector.Matches(labels.Set(p.Labels)) }) {
				f(p.site, int64(p.Count))
			}
		}
	}
	if len(terms) == 1 && terms[0].NamespaceSelector == nil {
		for i, ns := range terms[0].Namespaces {
			if !slices.Contains(terms[0].Namespaces[:i], ns) {
				matching(ns)
			}
		}
		return
	}
	for ns := range x.pods {
		if !slices.ContainsFunc(terms, func(t constraints.PodTerm) bool { return !t.MatchesNamespace(ns, s.Namespaces) }) {
			matching(ns)
		}
	}
}

// repulsion is a required anti-affinity of pods that run.
type repulsion struct {
	constraints.PodTerm
	workload string
	key      string
	site     int32
}

func newRepulsion(x *sites, site int32, g *PodGroup, t *corev1.PodAffinityTerm) (repulsion, bool) {
	if !x.Above(t.TopologyKey) {
		return repulsion{}, false
	}
	term, err := constraints.ParsePodTerm(t, g.Namespace, g.Labels)
	if err != nil || term.SelfOnly { // the API server would not have let it in; of itself it is not asked
		return repulsion{}, false
	}
	return repulsion{term, g.Workload, t.TopologyKey, site}, true
}

// repels reports whether the pods that have the term do not want w near them.
func (r *repulsion) repels(w *Workload, s *Snapshot) bool {
	if r.workload != "" && r.workload == w.Key {
		return false
	}
	return r.MatchesNamespace(w.Namespace, s.Namespaces) && r.Selector.Matches(w.podLabels())
}

// podLabels is the labels of the workload's pods.
func (w *Workload) podLabels() labels.Set {
	if w.Template == nil {
		return nil
	}
	return w.Template.Labels
}
