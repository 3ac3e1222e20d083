package override

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
)

// protect says what of the original has been changed that belongs to the hub, or
// that makes the object what it is.
func (d *draft) protect(original map[string]any) error {
	for _, field := range []string{"apiVersion", "kind", "status"} {
		if !reflect.DeepEqual(original[field], d.content[field]) {
			return errors.New(field + " cannot be overridden")
		}
	}
	if err := protectMeta(original["metadata"], d.content["metadata"]); err != nil {
		return err
	}
	return d.protectSelector(original)
}

func protectMeta(before, after any) error {
	was, _ := before.(map[string]any)
	is, ok := after.(map[string]any)
	if !ok && before != nil {
		return errors.New("metadata cannot be overridden")
	}
	for _, field := range slices.Sorted(maps.Keys(union(was, is))) {
		if field == "labels" || field == "annotations" {
			if err := protectMarks("metadata."+field, was[field], is[field]); err != nil {
				return err
			}
		} else if !reflect.DeepEqual(was[field], is[field]) {
			return fmt.Errorf("metadata.%s cannot be overridden: of metadata, only labels and annotations can", field)
		}
	}
	return nil
}

func protectMarks(path string, before, after any) error {
	was, _ := before.(map[string]any)
	is, ok := after.(map[string]any)
	if !ok && after != nil {
		return fmt.Errorf("%s would not be a map", path)
	}
	for _, key := range slices.Sorted(maps.Keys(union(was, is))) {
		if strings.HasPrefix(key, "hanse.dev/") && !reflect.DeepEqual(was[key], is[key]) {
			return fmt.Errorf("%s[%s] cannot be overridden: it belongs to Hanse", path, key)
		}
		if _, text := is[key].(string); !text && is[key] != nil {
			return fmt.Errorf("%s[%s] would not be a string. Try: quotes around the value", path, key)
		}
	}
	return nil
}

func union(a, b map[string]any) map[string]any {
	all := maps.Clone(a)
	if all == nil {
		all = map[string]any{}
	}
	maps.Copy(all, b)
	return all
}

// protectSelector keeps a workload's selector, and keeps it matching the pods. A
// member would refuse the first for an object that it has, and the second always.
func (d *draft) protectSelector(original map[string]any) error {
	if path, ok := podPath(d.kind); !ok || len(path) == 0 {
		return nil
	}
	was, _ := original["spec"].(map[string]any)
	is, _ := d.content["spec"].(map[string]any)
	if !reflect.DeepEqual(was["selector"], is["selector"]) {
		return errors.New("spec.selector cannot be overridden: it is what tells the workload's pods from others")
	}
	selector, ok := selectorOf(is["selector"])
	if !ok {
		return nil
	}
	before, after := podLabels(d, original), podLabels(d, d.content)
	if selector.Matches(before) && !selector.Matches(after) {
		return fmt.Errorf("the pods' labels would no longer match spec.selector, %s. Try: labels that it does not name", selector)
	}
	return nil
}

// selectorOf reads the selector of a workload; a ReplicationController's is a
// map of labels.
func selectorOf(v any) (labels.Selector, bool) {
	fields, ok := v.(map[string]any)
	if !ok {
		return nil, false
	}
	if fields["matchLabels"] == nil && fields["matchExpressions"] == nil {
		return labels.SelectorFromSet(texts(fields)), true
	}
	var s metav1.LabelSelector
	if runtime.DefaultUnstructuredConverter.FromUnstructured(fields, &s) != nil {
		return nil, false
	}
	selector, err := metav1.LabelSelectorAsSelector(&s)
	return selector, err == nil
}

func podLabels(d *draft, content map[string]any) labels.Set {
	template, _ := pod(d.kind, content)
	meta, _ := template["metadata"].(map[string]any)
	marks, _ := meta["labels"].(map[string]any)
	return texts(marks)
}

func texts(m map[string]any) labels.Set {
	out := make(labels.Set, len(m))
	for k, v := range m {
		if s, ok := v.(string); ok {
			out[k] = s
		}
	}
	return out
}
