package policy

import (
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// selector reads a selector by labels. The error begins with the field.
func selector(in *v1alpha1.Selector) (labels.Selector, error) {
	out := labels.NewSelector()
	for _, key := range slices.Sorted(maps.Keys(in.MatchLabels)) {
		r, err := labels.NewRequirement(key, selection.In, []string{string(in.MatchLabels[key])})
		if err != nil {
			return nil, fmt.Errorf("matchLabels: %w", err)
		}
		out = out.Add(*r)
	}
	for i, e := range in.MatchExpressions {
		op, ok := operator(e.Operator)
		if !ok {
			return nil, fmt.Errorf("matchExpressions[%d].operator: %q is not supported. Try: In, NotIn, Exists, DoesNotExist", i, e.Operator)
		}
		values := make([]string, len(e.Values))
		for j, v := range e.Values {
			values[j] = string(v)
		}
		r, err := labels.NewRequirement(e.Key, op, values)
		if err != nil {
			return nil, fmt.Errorf("matchExpressions[%d]: %w", i, err)
		}
		out = out.Add(*r)
	}
	return out, nil
}

func operator(name string) (selection.Operator, bool) {
	switch name {
	case "In":
		return selection.In, true
	case "NotIn":
		return selection.NotIn, true
	case "Exists":
		return selection.Exists, true
	case "DoesNotExist":
		return selection.DoesNotExist, true
	}
	return "", false
}

// set is a list as a map, nil for an empty one.
func set(list []string) map[string]bool {
	if len(list) == 0 {
		return nil
	}
	m := make(map[string]bool, len(list))
	for _, s := range list {
		m[s] = true
	}
	return m
}
