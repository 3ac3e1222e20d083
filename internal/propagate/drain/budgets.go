package drain

import (
	"iter"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// Budgets are the hub's PodDisruptionBudgets by namespace, each by name.
type Budgets map[string][]budget

type budget struct {
	name string
	pods labels.Selector
}

// ReadBudgets reads them.
func ReadBudgets(templates iter.Seq[*template.Template]) Budgets {
	all := Budgets{}
	for t := range templates {
		if pods := selectorOf(t); pods != nil {
			all[t.Key.Namespace] = append(all[t.Key.Namespace], budget{t.Key.Name, pods})
		}
	}
	for _, budgets := range all {
		slices.SortFunc(budgets, func(a, b budget) int { return strings.Compare(a.name, b.name) })
	}
	return all
}

// selectorOf is the selector of a budget, nil if it selects nothing.
func selectorOf(t *template.Template) labels.Selector {
	raw, found, _ := unstructured.NestedMap(t.Content.Object, "spec", "selector")
	if !found {
		return nil // so in policy/v1
	}
	var selector metav1.LabelSelector
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(raw, &selector); err != nil {
		return nil
	}
	s, err := metav1.LabelSelectorAsSelector(&selector)
	if err != nil {
		return nil
	}
	return s
}
