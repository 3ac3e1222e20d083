package constraints

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
)

// PodTerm is a parsed PodAffinityTerm: which pods it speaks of.
type PodTerm struct {
	Selector          labels.Selector
	Namespaces        []string
	NamespaceSelector labels.Selector // nil: none
	// SelfOnly and NeverSelf come from keys such as pod-template-hash, which
	// tell the revisions of a workload apart: they have no value yet here, and
	// are the same for all replicas of one workload and of no other.
	SelfOnly, NeverSelf bool
}

// ParsePodTerm reads a term of a pod with these labels in this namespace.
func ParsePodTerm(t *corev1.PodAffinityTerm, namespace string, own labels.Set) (PodTerm, error) {
	p := PodTerm{Namespaces: t.Namespaces}
	if len(t.Namespaces) == 0 && t.NamespaceSelector == nil {
		p.Namespaces = []string{namespace}
	}
	var err error
	if p.Selector, err = metav1.LabelSelectorAsSelector(t.LabelSelector); err != nil {
		return p, err
	}
	if t.NamespaceSelector != nil {
		if p.NamespaceSelector, err = metav1.LabelSelectorAsSelector(t.NamespaceSelector); err != nil {
			return p, err
		}
	}
	if p.Selector, p.SelfOnly, err = WithKeys(p.Selector, t.MatchLabelKeys, selection.In, own); err != nil {
		return p, err
	}
	p.Selector, p.NeverSelf, err = WithKeys(p.Selector, t.MismatchLabelKeys, selection.NotIn, own)
	return p, err
}

// WithKeys adds to a selector that labels have, or do not have, the values that
// own has. A key that own does not have is left out, as upstream does; revision
// is that one of these tells revisions apart.
func WithKeys(s labels.Selector, keys []string, op selection.Operator, own labels.Set) (_ labels.Selector, revision bool, err error) {
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

// MatchesNamespace reports whether the term is about pods in a Namespace; labelsOf has the
// labels of all.
func (p *PodTerm) MatchesNamespace(name string, labelsOf map[string]map[string]string) bool {
	if slices.Contains(p.Namespaces, name) {
		return true
	}
	return p.NamespaceSelector != nil && p.NamespaceSelector.Matches(labels.Set(labelsOf[name]))
}

// Describe is, for people, which pods a term speaks of.
func Describe(t *corev1.PodAffinityTerm) string {
	return fmt.Sprintf("pods with %s", metav1.FormatLabelSelector(t.LabelSelector))
}
