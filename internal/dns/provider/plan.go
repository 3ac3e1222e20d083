package provider

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Deletions of at most free records, or of at most one in share of the owner's,
// need no permission. A record is a name with a type, in however many sets for
// different places or weights it is kept.
const (
	freeDeletions  = 10
	deletionsShare = 10
)

// Input is what Plan compares.
type Input struct {
	// Owner is whose sets may be touched.
	Owner string
	// Zone with a final dot.
	Zone string
	// Wanted are the sets that there should be, Current all that there are.
	Wanted, Current []Set
	// Keep are names that are left as they are.
	Keep map[string]bool
	// AllowDeletion is how many records may be deleted even if they are many.
	AllowDeletion int
}

// Result is what to do.
type Result struct {
	Changes []Change
	// Held are sets that are not deleted because they would be too many, and
	// HeldRecords how many records (names with a type) those are.
	Held        []Set
	HeldRecords int
	// Conflicts have the reason by name, for names that others' sets are in the way
	// of. What can be changed for them is.
	Conflicts map[string]string
}

// Plan says what makes the sets of an owner in a zone those that are wanted. It is
// pure. A set is the owner's if the TXT record of the registry says so; all others
// are neither changed nor deleted. Once all changes are made, another Plan has
// none but those that were held, and so it is when only some were made, in any
// order of changes and up to any step.
func Plan(in Input) Result {
	p := &planner{Input: in, registry: map[Key]Set{}, owned: map[string][]Set{}, foreign: map[string][]Set{},
		wanted: map[string][]Set{}, conflicts: map[string]string{}}
	p.sortCurrent()
	p.sortWanted()
	deletions, count := p.deletions()
	var r Result
	if count > freeDeletions && count*deletionsShare > p.ownedRecords() && count > in.AllowDeletion {
		r.Held, r.HeldRecords = deletions, count
	}
	held := map[Key]bool{}
	for _, s := range r.Held {
		held[s.Key()] = true
	}
	for _, name := range p.names() {
		if !in.Keep[name] {
			r.Changes = append(r.Changes, p.changes(name, held)...)
		}
	}
	r.Conflicts = p.conflicts
	return r
}

// planner is the zone, sorted by name.
type planner struct {
	Input
	registry  map[Key]Set // the TXT record of ours, by the set that it is about
	owned     map[string][]Set
	foreign   map[string][]Set
	wanted    map[string][]Set // without those in conflict
	conflicts map[string]string
}

// sortCurrent tells what is the owner's from what is not.
func (p *planner) sortCurrent() {
	entries := map[Key]bool{} // the TXT records themselves
	for _, s := range p.Current {
		if k, ok := p.claims(s); ok {
			p.registry[k] = s
			entries[s.Key()] = true
		}
	}
	for _, s := range p.Current {
		_, ours := p.registry[s.Key()]
		switch {
		case entries[s.Key()]:
		case ours:
			p.owned[s.Name] = append(p.owned[s.Name], s)
		default:
			p.foreign[s.Name] = append(p.foreign[s.Name], s)
		}
	}
}

// claims is the set that s is a TXT record of the owner about. Sets of other types
// than routes have are never the owner's, whatever a record says.
func (p *planner) claims(s Set) (Key, bool) {
	if s.Type != "TXT" || len(s.Values) != 1 || s.Routing.Kind != Simple {
		return Key{}, false
	}
	o, ok := ParseOwnership(s.Values[0])
	if !ok || o.Owner != p.Owner || (o.Type != "A" && o.Type != "AAAA" && o.Type != "CNAME") {
		return Key{}, false
	}
	return registryKey(s.Name, o)
}

// sortWanted takes out what is in conflict.
func (p *planner) sortWanted() {
	seen := map[string][]Set{}
	for _, s := range p.Wanted {
		if p.Keep[s.Name] {
			continue
		}
		reason := p.conflict(s)
		for _, other := range seen[s.Name] {
			if why, ok := Collides(s, other); ok && reason == "" {
				reason = fmt.Sprintf("%s is wanted twice, by %s and by %s: %s", describe(s), other.Route, s.Route, why)
			}
		}
		if reason != "" {
			p.conflicts[s.Name] = reason
			continue
		}
		seen[s.Name] = append(seen[s.Name], s)
	}
	p.wanted = seen
}

// conflict is what is in the way of s, if anything.
func (p *planner) conflict(s Set) string {
	if s.Name != p.Zone && !strings.HasSuffix(s.Name, "."+p.Zone) {
		return fmt.Sprintf("%s is not in the zone %s", describe(s), strings.TrimSuffix(p.Zone, "."))
	}
	if s.Name == p.Zone && s.Type == "CNAME" {
		return fmt.Sprintf("%s is the zone itself, which cannot be a CNAME", describe(s))
	}
	for _, other := range p.foreign[s.Name] {
		if why, ok := Collides(s, other); ok {
			return fmt.Sprintf("%s is in the way of %s and not Hanse's: %s. Try: delete it there, or hand it over by the record %s TXT %s",
				describe(other), describe(s), why, RegistryName(other.Key()), Ownership{Owner: p.Owner, Type: other.Type, ID: other.ID})
		}
	}
	entry := registrySet(p.Owner, s)
	for _, other := range p.foreign[entry.Name] {
		if why, ok := Collides(entry, other); ok {
			return fmt.Sprintf("%s is in the way of the record that says whose %s is: %s. Try: delete it there", describe(other), describe(s), why)
		}
	}
	for name := s.Name; name != p.Zone; {
		if slices.ContainsFunc(p.foreign[name], func(o Set) bool { return o.Type == "NS" || o.Type == "DNAME" && name != s.Name }) {
			return fmt.Sprintf("%s is in a part of the zone, %s, that leads elsewhere", describe(s), strings.TrimSuffix(name, "."))
		}
		_, name, _ = strings.Cut(name, ".")
	}
	return ""
}

// describe is a set's name, type and ID.
func describe(s Set) string {
	text := strings.TrimSuffix(s.Name, ".") + " " + s.Type
	if s.ID != "" {
		text += " (" + s.ID + ")"
	}
	return text
}

// ownedRecords is how many records the owner has in the zone.
func (p *planner) ownedRecords() int {
	n := 0
	for _, sets := range p.owned {
		n += countRecords(sets)
	}
	return n
}

// countRecords is how many names with a type sets are about.
func countRecords(sets []Set) int {
	records := map[Key]bool{}
	for _, s := range sets {
		records[Key{Name: s.Name, Type: s.Type}] = true
	}
	return len(records)
}

// deletions are the sets that would vanish without another in their place, and how
// many records they are.
func (p *planner) deletions() ([]Set, int) {
	var all []Set
	for _, name := range slices.Sorted(maps.Keys(p.owned)) {
		if p.Keep[name] {
			continue
		}
		for _, s := range p.gone(name) {
			if !p.replaced(s) {
				all = append(all, s)
			}
		}
	}
	return all, countRecords(all)
}

// gone are the owner's sets of a name that are not wanted. None as long as the name
// is in conflict: what there is may be better than what can be had.
func (p *planner) gone(name string) []Set {
	if p.conflicts[name] != "" {
		return nil
	}
	return without(p.owned[name], p.wanted[name])
}

// without is a less the sets that have their key in b.
func without(a, b []Set) []Set {
	var rest []Set
	for _, s := range a {
		if find(b, s.Key()) == nil {
			rest = append(rest, s)
		}
	}
	return rest
}

// find is the set of sets with a key.
func find(sets []Set, k Key) *Set {
	for i := range sets {
		if sets[i].Key() == k {
			return &sets[i]
		}
	}
	return nil
}

// replaced says whether s goes to make room for, or leaves, another set with which
// the same question is answered.
func (p *planner) replaced(s Set) bool {
	return slices.ContainsFunc(p.wanted[s.Name], func(w Set) bool {
		return w.Type == s.Type || w.Type == "CNAME" || s.Type == "CNAME"
	})
}

// names are those of all sets that are wanted, the owner's, or claimed, sorted.
func (p *planner) names() []string {
	names := map[string]bool{}
	for name := range p.wanted {
		names[name] = true
	}
	for name := range p.owned {
		names[name] = true
	}
	for k := range p.registry {
		names[k.Name] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// changes are those of one name: one for each set, or a single one if sets that go
// and sets that come cannot be there together.
func (p *planner) changes(name string, held map[Key]bool) []Change {
	wanted := slices.Clone(p.wanted[name])
	slices.SortFunc(wanted, func(a, b Set) int { return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.ID, b.ID)) })
	gone := slices.DeleteFunc(p.gone(name), func(s Set) bool { return held[s.Key()] })
	if p.clash(wanted, p.owned[name]) {
		if p.conflicts[name] != "" {
			return nil // what must go first would be missed
		}
		return join(name, p.create(wanted), p.delete(gone), p.forget(name))
	}
	var all []Change
	for _, w := range wanted {
		all = append(all, join(name, p.create([]Set{w}))...)
	}
	for _, s := range gone {
		all = append(all, join(name, p.delete([]Set{s}))...)
	}
	return append(all, join(name, p.forget(name))...)
}

// clash says whether one of wanted cannot be beside one of owned.
func (p *planner) clash(wanted, owned []Set) bool {
	for _, w := range wanted {
		for _, o := range owned {
			if _, ok := Collides(w, o); ok && w.Key() != o.Key() {
				return true
			}
		}
	}
	return false
}

// steps of one kind of change, in three groups: records go, records come (each
// right after the TXT record about it), TXT records go. So no record is ever
// without the TXT record about it.
type steps struct{ gone, come, forgotten []Step }

// join makes one Change of parts.
func join(name string, parts ...steps) []Change {
	var s steps
	for _, part := range parts {
		s.gone = append(s.gone, part.gone...)
		s.come = append(s.come, part.come...)
		s.forgotten = append(s.forgotten, part.forgotten...)
	}
	if all := slices.Concat(s.gone, s.come, s.forgotten); len(all) > 0 {
		return []Change{{Name: name, Steps: all}}
	}
	return nil
}

// create makes sets what they should be.
func (p *planner) create(sets []Set) steps {
	var st steps
	for _, s := range sets {
		entry := registrySet(p.Owner, s)
		if old, ok := p.registry[s.Key()]; !ok {
			st.come = append(st.come, Step{New: &entry})
		} else if said, _ := ParseOwnership(old.Values[0]); said.Route != s.Route || old.TTL != entry.TTL {
			st.come = append(st.come, Step{Old: &old, New: &entry})
		}
		if old := find(p.owned[s.Name], s.Key()); old == nil {
			st.come = append(st.come, Step{New: &s})
		} else if !same(*old, s) {
			st.come = append(st.come, Step{Old: old, New: &s})
		}
	}
	return st
}

// delete takes sets away.
func (p *planner) delete(sets []Set) steps {
	var st steps
	for _, s := range sets {
		entry := p.registry[s.Key()]
		st.gone = append(st.gone, Step{Old: &s})
		st.forgotten = append(st.forgotten, Step{Old: &entry})
	}
	return st
}

// forget takes TXT records away whose set there is not, nor shall be: something
// was killed between the two.
func (p *planner) forget(name string) steps {
	var st steps
	if p.conflicts[name] != "" {
		return st
	}
	var keys []Key
	for k := range p.registry {
		if k.Name == name && find(p.owned[name], k) == nil && find(p.wanted[name], k) == nil {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(a, b Key) int { return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.ID, b.ID)) })
	for _, k := range keys {
		entry := p.registry[k]
		st.forgotten = append(st.forgotten, Step{Old: &entry})
	}
	return st
}
