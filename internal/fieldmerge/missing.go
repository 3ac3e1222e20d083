package fieldmerge

import (
	"cmp"
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
// those of desired, in order. Where nothing is missing, as a rule, nothing is allocated.
func Missing(desired, answer map[string]any, zeros bool) []Path {
	var steps [24]step
	m := missing{zeros: zeros}
	for k, want := range desired {
		switch k {
		case "apiVersion", "kind", "metadata", "status", "stringData": // the last is for writing only
			continue
		}
		m.field(steps[:0], k, want, answer)
	}
	slices.SortFunc(m.paths, Path.compare)
	return m.paths
}

// compare orders paths as they are met in an object of which the fields are in order.
func (p Path) compare(other Path) int {
	return slices.CompareFunc(p, other, func(a, b any) int {
		i, isIndex := a.(int)
		j, areIndices := b.(int)
		if isIndex && areIndices {
			return cmp.Compare(i, j)
		}
		s, _ := a.(string)
		t, _ := b.(string)
		return strings.Compare(s, t)
	})
}

// missing collects paths.
type missing struct {
	zeros bool
	paths []Path
}

// step is one of a path, of which most are never asked for.
type step struct {
	name  string // of a field
	index int    // of an item of a list; -1: it is a field
}

// note adds a path.
func (m *missing) note(at []step) {
	p := make(Path, len(at))
	for i, s := range at {
		if p[i] = strings.Clone(s.name); s.index >= 0 { // a clone, or the steps could not stay on the stack
			p[i] = s.index
		}
	}
	m.paths = append(m.paths, p)
}

func (m *missing) field(at []step, k string, want any, answer map[string]any) {
	at = append(at, step{name: k, index: -1})
	if got, there := answer[k]; there {
		m.below(at, want, got)
	} else if !m.empty(want) {
		m.note(at)
	}
}

// empty says whether a server may leave a value out.
func (m *missing) empty(want any) bool {
	switch v := want.(type) {
	case nil:
		return true
	case map[string]any:
		return len(v) == 0
	case []any:
		return len(v) == 0
	case bool:
		return !m.zeros && !v
	case string:
		return !m.zeros && v == ""
	case int64:
		return !m.zeros && v == 0
	case float64:
		return !m.zeros && v == 0
	}
	return false
}

func (m *missing) below(at []step, want, got any) {
	switch want := want.(type) {
	case map[string]any:
		if got, ok := got.(map[string]any); ok {
			for k, v := range want {
				m.field(at, k, v, got)
			}
		}
	case []any:
		if got, ok := got.([]any); ok {
			m.items(at, want, got)
		}
	}
}

// items looks into the items of a list that have a counterpart: by the first of the fields that tells the items of both
// lists apart, or by their place.
func (m *missing) items(at []step, want, got []any) {
	for _, key := range itemKeys() {
		wanted, ok := byKey(want, key)
		if !ok {
			continue
		}
		found, ok := byKey(got, key)
		if !ok {
			continue
		}
		for i, item := range want {
			if j := found.find(wanted.value(i), i); j >= 0 {
				m.item(at, i, item, got[j])
			}
		}
		return
	}
	if len(want) == len(got) {
		for i, item := range want {
			m.item(at, i, item, got[i])
		}
	}
}

func (m *missing) item(at []step, i int, want, got any) {
	m.below(append(at, step{index: i}), want, got)
}

// itemKeys are the fields that items of lists are told apart by, as a rule.
func itemKeys() [10]string {
	return [...]string{"name", "key", "type", "containerPort", "port", "mountPath", "devicePath", "topologyKey", "ip", "id"}
}

// keyedItems is a list whose items a field tells apart.
type keyedItems struct {
	items []any
	key   string
	index map[any]int // nil: there are few
}

// few is how many items are searched one by one.
const few = 16

// byKey is ok if the values of key, which are texts or whole numbers, tell all items apart.
func byKey(items []any, key string) (k keyedItems, ok bool) {
	k = keyedItems{items: items, key: key}
	if len(items) > few {
		k.index = make(map[any]int, len(items))
	}
	for i := range items {
		v := k.value(i)
		switch v.(type) {
		case string, int64:
		default:
			return k, false
		}
		if k.index == nil {
			for j := range i {
				if k.value(j) == v {
					return k, false
				}
			}
			continue
		}
		if _, twice := k.index[v]; twice {
			return k, false
		}
		k.index[v] = i
	}
	return k, len(items) > 0
}

// value is what tells item i from others.
func (k *keyedItems) value(i int) any {
	item, _ := k.items[i].(map[string]any)
	return item[k.key]
}

// find is which item has a value, -1 if none; it is most likely the one at near.
func (k *keyedItems) find(v any, near int) int {
	if near < len(k.items) && k.value(near) == v {
		return near
	}
	if k.index != nil {
		if i, ok := k.index[v]; ok {
			return i
		}
		return -1
	}
	for i := range k.items {
		if k.value(i) == v {
			return i
		}
	}
	return -1
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
