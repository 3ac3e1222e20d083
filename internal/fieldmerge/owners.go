package fieldmerge

import (
	"encoding/json"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Owners says which fields of an object the hub set and which others set.
type Owners struct {
	mine, others fields
}

// fields is a tree in the form of fieldsV1: keys f:NAME for a map's field,
// k:{…} for a list item by its key, v:… for an item of a set, "." for the
// thing itself. A nil tree owns nothing; an empty one is a leaf that is owned.
type fields map[string]any

// ReadOwners reads the managedFields of live. manager is the field manager
// whose fields are "mine". Entries for status are not looked at.
func ReadOwners(live *unstructured.Unstructured, manager string) Owners {
	var o Owners
	entries, _, _ := unstructured.NestedFieldNoCopy(live.Object, "metadata", "managedFields")
	list, _ := entries.([]any)
	for _, e := range list {
		entry, ok := e.(map[string]any)
		if !ok || entry["subresource"] == "status" {
			continue
		}
		set, _ := entry["fieldsV1"].(map[string]any)
		if entry["manager"] == manager && entry["subresource"] == nil {
			o.mine = union(o.mine, set)
		} else {
			o.others = union(o.others, set)
		}
	}
	return o
}

// Mine says whether the manager set the field at a path of maps, alone or with
// others.
func (o Owners) Mine(path ...string) bool {
	at := o.mine
	for _, field := range path {
		if at = at.at("f:" + field); at == nil {
			return false
		}
	}
	return true
}

// union returns a tree that owns what a or b owns. It may share parts with both.
func union(a, b fields) fields {
	if a == nil {
		return b
	}
	if b == nil {
		return a
	}
	out := make(fields, len(a)+len(b))
	for k, v := range a {
		out[k] = v
	}
	for k, v := range b {
		out[k] = map[string]any(union(asFields(out[k]), asFields(v)))
	}
	return out
}

func asFields(v any) fields {
	m, _ := v.(map[string]any)
	return m
}

// at is what a tree owns at and below a key; nil for nothing.
func (f fields) at(key string) fields {
	return asFields(f[key])
}

// children counts what is owned below the thing itself.
func (f fields) children() int {
	n := len(f)
	if _, self := f["."]; self {
		n--
	}
	return n
}

// listKind is how items of a list are told apart.
type listKind int

const (
	atomic listKind = iota // not at all: the list is one value
	keyed                  // by the fields of a key
	set                    // by their value
)

func kindOfList(mine, others fields) listKind {
	for _, f := range []fields{mine, others} {
		for k := range f {
			switch {
			case strings.HasPrefix(k, "k:"):
				return keyed
			case strings.HasPrefix(k, "v:"):
				return set
			}
		}
	}
	return atomic
}

// keyNames are the names of the fields that make the key of a keyed list.
func keyNames(mine, others fields) []string {
	for _, f := range []fields{mine, others} {
		for k := range f {
			key, ok := parseKey(k)
			if !ok {
				continue
			}
			names := make([]string, 0, len(key))
			for name := range key {
				names = append(names, name)
			}
			return names
		}
	}
	return nil
}

func parseKey(element string) (map[string]any, bool) {
	raw, ok := strings.CutPrefix(element, "k:")
	if !ok {
		return nil, false
	}
	var key map[string]any
	if err := json.Unmarshal([]byte(raw), &key); err != nil || len(key) == 0 {
		return nil, false
	}
	return key, true
}

// item is what a tree owns of the item of a keyed list that has these keys.
func (f fields) item(it map[string]any) fields {
	for k, v := range f {
		key, ok := parseKey(k)
		if !ok {
			continue
		}
		same := true
		for name, want := range key {
			same = same && Equal(it[name], want)
		}
		if same {
			return asFields(v)
		}
	}
	return nil
}

// value is whether a tree owns an item of a set.
func (f fields) value(it any) bool {
	for k := range f {
		raw, ok := strings.CutPrefix(k, "v:")
		if !ok {
			continue
		}
		var v any
		if json.Unmarshal([]byte(raw), &v) == nil && Equal(v, it) {
			return true
		}
	}
	return false
}
