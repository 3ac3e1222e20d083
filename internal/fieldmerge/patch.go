package fieldmerge

import (
	"sort"
)

// Patch is the JSON merge patch (RFC 7386) that turns from into to, nil when
// they are equal. lists is true when it replaces a list, which is only right
// for the version of the object that from is. In metadata nothing but labels
// and annotations is compared, and status is not.
func Patch(from, to map[string]any) (patch map[string]any, lists bool) {
	p := patcher{}
	out := p.diff(withoutMeta(from), withoutMeta(to))
	meta := p.diff(contentMeta(from), contentMeta(to))
	if len(meta) > 0 {
		if out == nil {
			out = map[string]any{}
		}
		out["metadata"] = meta
	}
	return out, p.lists
}

type patcher struct{ lists bool }

func (p *patcher) diff(from, to map[string]any) map[string]any {
	var out map[string]any
	put := func(k string, v any) {
		if out == nil {
			out = map[string]any{}
		}
		out[k] = v
	}
	for k, f := range from {
		t, kept := to[k]
		if !kept {
			if _, list := f.([]any); list {
				p.lists = true
			}
			put(k, nil)
			continue
		}
		fm, ok1 := f.(map[string]any)
		tm, ok2 := t.(map[string]any)
		if ok1 && ok2 {
			if sub := p.diff(fm, tm); sub != nil {
				put(k, sub)
			}
			continue
		}
		if !Equal(f, t) {
			if _, list := t.([]any); list {
				p.lists = true
			}
			put(k, t)
		}
	}
	for k, t := range to {
		if _, there := from[k]; !there {
			if _, list := t.([]any); list {
				p.lists = true
			}
			put(k, t)
		}
	}
	return out
}

// Paths lists the fields that a patch changes, as spec.replicas, sorted. It
// names fields only, never their values, which may be secret.
func Paths(patch map[string]any) []string {
	var paths []string
	var walk func(prefix string, v any)
	walk = func(prefix string, v any) {
		m, ok := v.(map[string]any)
		if !ok || len(m) == 0 {
			paths = append(paths, prefix)
			return
		}
		for k, child := range m {
			if prefix != "" {
				k = prefix + "." + k
			}
			walk(k, child)
		}
	}
	if len(patch) > 0 {
		walk("", patch)
	}
	sort.Strings(paths)
	return paths
}

func withoutMeta(obj map[string]any) map[string]any {
	out := make(map[string]any, len(obj))
	for k, v := range obj {
		switch k {
		case "apiVersion", "kind", "metadata", "status":
		default:
			out[k] = v
		}
	}
	return out
}

// contentMeta is the labels and annotations of an object's metadata.
func contentMeta(obj map[string]any) map[string]any {
	meta := mapAt(obj, "metadata")
	out := map[string]any{}
	for _, k := range []string{"labels", "annotations"} {
		if v, ok := meta[k]; ok {
			out[k] = v
		}
	}
	return out
}
