package fieldmerge

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Path leads to a field of an object: names of fields and, below a list, indices.
type Path []any

// String is the path as spec.template.spec.containers[0].image.
func (p Path) String() string {
	var b strings.Builder
	for _, step := range p {
		switch step := step.(type) {
		case int:
			fmt.Fprintf(&b, "[%d]", step)
		default:
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			fmt.Fprint(&b, step)
		}
	}
	return b.String()
}

// Missing is the fields that desired sets and an API server's answer to it does not have
// at all: it does not know them, a feature of it is off, or a webhook took them out. A
// field that has another value there is not missing. Neither metadata nor status are
// looked at, nor what is empty, which servers leave out; zero values count as empty
// unless zeros is set. What of lists cannot be told apart is not looked into. Paths are
// those of desired, in order.
func Missing(desired, answer map[string]any, zeros bool) []Path {
	var out []Path
	for _, k := range slices.Sorted(maps.Keys(desired)) {
		switch k {
		case "apiVersion", "kind", "metadata", "status", "stringData": // the last is for writing only
			continue
		}
		out = missingField(out, nil, k, desired[k], answer, zeros)
	}
	return out
}

func missingField(out []Path, at Path, k string, want any, answer map[string]any, zeros bool) []Path {
	at = append(slices.Clone(at), k)
	got, there := answer[k]
	if there {
		return missingBelow(out, at, want, got, zeros)
	}
	switch v := want.(type) {
	case nil:
		return out
	case map[string]any:
		if len(v) == 0 {
			return out
		}
	case []any:
		if len(v) == 0 {
			return out
		}
	case bool, string, int64, float64:
		if !zeros && (v == false || v == "" || v == int64(0) || v == float64(0)) {
			return out
		}
	}
	return append(out, at)
}

func missingBelow(out []Path, at Path, want, got any, zeros bool) []Path {
	switch want := want.(type) {
	case map[string]any:
		if got, ok := got.(map[string]any); ok {
			for _, k := range slices.Sorted(maps.Keys(want)) {
				out = missingField(out, at, k, want[k], got, zeros)
			}
		}
	case []any:
		if got, ok := got.([]any); ok {
			for i, j := range pairs(want, got) {
				if j >= 0 {
					out = missingBelow(out, append(slices.Clone(at), i), want[i], got[j], zeros)
				}
			}
		}
	}
	return out
}

// itemKeys are the fields that items of lists are told apart by, as a rule.
func itemKeys() []string {
	return []string{"name", "key", "type", "containerPort", "port", "mountPath", "devicePath", "topologyKey", "ip", "id"}
}

// pairs is for each item of want the index of its counterpart in got, -1 for none.
func pairs(want, got []any) []int {
	out := make([]int, len(want))
	for _, key := range itemKeys() {
		wanted, ok := byKey(want, key)
		if !ok {
			continue
		}
		found, ok := byKey(got, key)
		if !ok {
			continue
		}
		for value, i := range wanted {
			out[i] = -1
			if j, ok := found[value]; ok {
				out[i] = j
			}
		}
		return out
	}
	for i := range out {
		out[i] = -1
		if len(want) == len(got) {
			out[i] = i
		}
	}
	return out
}

// byKey is the indices of items by their values of key; ok is false if these do not
// tell them apart.
func byKey(items []any, key string) (index map[any]int, ok bool) {
	index = map[any]int{}
	for i, item := range items {
		m, _ := item.(map[string]any)
		switch v := m[key].(type) {
		case string, int64:
			if _, twice := index[v]; twice {
				return nil, false
			}
			index[v] = i
		default:
			return nil, false
		}
	}
	return index, len(items) > 0
}

// Without is obj without the fields at paths. It shares parts with obj, which is not
// changed.
func Without(obj map[string]any, paths []Path) map[string]any {
	var out any = obj
	for _, p := range paths {
		out = withoutPath(out, p)
	}
	return out.(map[string]any)
}

func withoutPath(v any, p Path) any {
	switch v := v.(type) {
	case map[string]any:
		name, ok := p[0].(string)
		if _, there := v[name]; !ok || !there {
			return v
		}
		out := maps.Clone(v)
		if len(p) == 1 {
			delete(out, name)
		} else {
			out[name] = withoutPath(v[name], p[1:])
		}
		return out
	case []any:
		i, ok := p[0].(int)
		if !ok || i >= len(v) || len(p) == 1 {
			return v
		}
		out := slices.Clone(v)
		out[i] = withoutPath(v[i], p[1:])
		return out
	}
	return v
}

// HasMeta says whether an object has all labels, or annotations, that are wanted.
func HasMeta(wanted, obj map[string]any, field string) bool {
	meta, _ := wanted["metadata"].(map[string]any)
	want, _ := meta[field].(map[string]any)
	meta, _ = obj["metadata"].(map[string]any)
	has, _ := meta[field].(map[string]any)
	for k, value := range want {
		if has[k] != value {
			return false
		}
	}
	return true
}
