package fieldmerge

import "strings"

// Wanted is live with what desired sets, without what the hub once set and
// does not any more, and with everything else as it is. Of metadata only
// labels and annotations are looked at, status not at all. paths in skip, as
// spec.replicas, are left as live has them. Neither argument is changed; the
// result shares parts with both.
func Wanted(desired, live map[string]any, owners Owners, skip ...string) map[string]any {
	out := shallow(live)
	for _, k := range unionKeys(desired, live) {
		switch k {
		case "apiVersion", "kind", "status":
		case "metadata":
			out[k] = wantedMeta(mapAt(desired, k), mapAt(live, k), owners.mine.at("f:metadata"), owners.others.at("f:metadata"))
		default:
			mergeField(out, k, desired, live, owners.mine, owners.others)
		}
	}
	for _, path := range skip {
		keepAsLive(out, live, strings.Split(path, "."))
	}
	return out
}

func wantedMeta(desired, live map[string]any, mine, others fields) map[string]any {
	out := shallow(live)
	for _, k := range []string{"labels", "annotations"} {
		mergeField(out, k, desired, live, mine, others)
	}
	return out
}

// mergeField sets, merges or removes the field k of out, a copy of live.
func mergeField(out map[string]any, k string, desired, live map[string]any, mine, others fields) {
	d, wanted := desired[k]
	l, there := live[k]
	m, o := mine.at("f:"+k), others.at("f:"+k)
	switch {
	case wanted && there:
		out[k] = merge(d, l, m, o)
	case wanted:
		out[k] = d
	case there && m != nil:
		if rest, keep := without(l, m, o); keep {
			out[k] = rest
		} else {
			delete(out, k)
		}
	}
}

func merge(desired, live any, mine, others fields) any {
	switch d := desired.(type) {
	case map[string]any:
		l, ok := live.(map[string]any)
		if !ok {
			return desired
		}
		// A map that is owned as one value (a selector, a quantity map of an
		// old type) has no children in managedFields: it is replaced whole.
		if len(l) > 0 && mine != nil && mine.children() == 0 && others.children() == 0 {
			return desired
		}
		out := shallow(l)
		for _, k := range unionKeys(d, l) {
			mergeField(out, k, d, l, mine, others)
		}
		return out
	case []any:
		l, ok := live.([]any)
		if !ok {
			return desired
		}
		switch kindOfList(mine, others) {
		case keyed:
			return mergeKeyed(d, l, mine, others)
		case set:
			return mergeSet(d, l, mine, others)
		}
	}
	return desired
}

// mergeKeyed keeps items of others, merges those of the same key, and takes
// out those that only the hub had set. Where all items are the hub's, the
// order is the hub's; else live's, with new ones at the end.
func mergeKeyed(desired, live []any, mine, others fields) []any {
	names := keyNames(mine, others)
	taken := make([]bool, len(desired))
	merged := make([]any, len(desired))
	out := make([]any, 0, len(live)+1)
	foreign := false
	for _, l := range live {
		li, _ := l.(map[string]any)
		m, o := mine.item(li), others.item(li)
		if i := findItem(desired, taken, li, names); i >= 0 {
			taken[i] = true
			merged[i] = withKeys(merge(desired[i], l, m, o), li, names)
			out = append(out, merged[i])
			continue
		}
		if m != nil {
			rest, keep := without(l, m, o)
			if !keep {
				continue
			}
			l = rest
		}
		foreign = true
		out = append(out, l)
	}
	for i, d := range desired {
		if !taken[i] {
			merged[i] = d
			out = append(out, d)
		}
	}
	if !foreign {
		return merged
	}
	return out
}

// withKeys is item with the key fields of live: one that the hub leaves to be
// defaulted by the member is not one to be taken out.
func withKeys(item any, live map[string]any, names []string) any {
	m, ok := item.(map[string]any)
	if !ok {
		return item
	}
	for _, name := range names {
		if v, there := live[name]; there && m[name] == nil {
			m = shallow(m)
			m[name] = v
		}
	}
	return m
}

func findItem(desired []any, taken []bool, live map[string]any, names []string) int {
	for i, d := range desired {
		item, ok := d.(map[string]any)
		if !ok || taken[i] {
			continue
		}
		same := true
		for _, name := range names {
			v, set := item[name]
			same = same && (!set || Equal(v, live[name])) // not set: defaulted by the member
		}
		if same {
			return i
		}
	}
	return -1
}

func mergeSet(desired, live []any, mine, others fields) []any {
	out := append([]any{}, desired...)
	for _, l := range live {
		if !containsValue(desired, l) && (!mine.value(l) || others.value(l)) {
			out = append(out, l)
		}
	}
	if sameMembers(out, live) && len(out) != len(desired) {
		return live
	}
	return out
}

// without is v without what only the hub owns; keep is false where nothing is left.
func without(v any, mine, others fields) (rest any, keep bool) {
	if mine == nil {
		return v, true
	}
	if others == nil && mine.children() == 0 {
		return nil, false
	}
	switch v := v.(type) {
	case map[string]any:
		out := shallow(v)
		for k, child := range v {
			m := mine.at("f:" + k)
			if m == nil {
				continue
			}
			if rest, keep := without(child, m, others.at("f:"+k)); keep {
				out[k] = rest
			} else {
				delete(out, k)
			}
		}
		return out, others != nil || !onlyKeysLeft(out, v)
	case []any:
		out := make([]any, 0, len(v))
		for _, it := range v {
			item, isMap := it.(map[string]any)
			switch {
			case isMap && mine.item(item) != nil:
				if rest, keep := without(it, mine.item(item), others.item(item)); keep {
					out = append(out, rest)
				}
			case !isMap && mine.value(it) && !others.value(it):
			default:
				out = append(out, it)
			}
		}
		return out, others != nil || len(out) > 0
	}
	return v, others != nil
}

// onlyKeysLeft says that of what the hub had set nothing is left.
func onlyKeysLeft(rest, before map[string]any) bool {
	return len(rest) == 0 && len(before) > 0
}

func keepAsLive(out, live map[string]any, path []string) {
	l, there := live[path[0]]
	if len(path) == 1 {
		if there {
			out[path[0]] = l
		}
		return
	}
	lm, ok := l.(map[string]any)
	om, ok2 := out[path[0]].(map[string]any)
	if !ok || !ok2 {
		return
	}
	child := shallow(om)
	keepAsLive(child, lm, path[1:])
	out[path[0]] = child
}
