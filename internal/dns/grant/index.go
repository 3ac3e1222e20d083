package grant

import "strings"

// index finds whose names overlap. Names of one namespace never stand in each other's
// way.
type index struct {
	exact map[string]*holding // by name
	wild  map[string]*holding // by what is behind the "*."
	// below has, by name, a holding of each namespace that has names below it in the same zone.
	below map[string]map[string]*holding
}

func newIndex() *index {
	return &index{exact: map[string]*holding{}, wild: map[string]*holding{}, below: map[string]map[string]*holding{}}
}

// above calls do with the names above one, the nearest first, up to and with the domain
// of its zone, until it returns false.
func above(name, domain string, do func(string) bool) {
	for name != domain {
		var ok bool
		if _, name, ok = strings.Cut(name, "."); !ok || !do(name) {
			return
		}
	}
}

// add takes in a name that stands in nobody's way.
func (x *index) add(h *holding) {
	base, wild := strings.CutPrefix(h.host, "*.")
	if wild {
		x.wild[base] = h
	} else {
		x.exact[base] = h
	}
	above(base, h.domain, func(name string) bool {
		if x.below[name] == nil {
			x.below[name] = map[string]*holding{}
		}
		if x.below[name][h.namespace] == nil {
			x.below[name][h.namespace] = h
		}
		return true
	})
}

// inTheWay is another namespace's name that overlaps with h; nil if there is none. A
// zone's own name has no names below it: they are the zone's to give.
func (x *index) inTheWay(h *holding) (found *holding) {
	other := func(o *holding) bool {
		if o != nil && o.namespace != h.namespace {
			found = o
		}
		return found != nil
	}
	base, wild := strings.CutPrefix(h.host, "*.")
	if wild {
		if other(x.wild[base]) || base != h.domain && other(x.exact[base]) {
			return found
		}
		for _, o := range x.below[base] {
			if other(o) {
				return found
			}
		}
	} else if other(x.exact[base]) {
		return found
	}
	above(base, h.domain, func(name string) bool {
		return !other(x.wild[name]) && (name == h.domain || !other(x.exact[name]))
	})
	return found
}
