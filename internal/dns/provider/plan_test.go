package provider

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/hanse-dev/hanse/internal/dns/geo"
	"pgregory.net/rapid"
)

const zone = "example.org."

// box is a zone that checks each step as a server does.
type box map[Key]Set

func (b box) sets() []Set { return slices.Collect(maps.Values(b)) }

func (b box) step(s Step) error {
	if s.Old != nil {
		have, ok := b[s.Old.Key()]
		if !ok || !same(have, *s.Old) {
			return fmt.Errorf("%s is not there", s.Old)
		}
		delete(b, s.Old.Key())
	}
	if s.New != nil {
		for _, other := range b {
			if why, ok := Collides(*s.New, other); ok {
				return fmt.Errorf("%s and %s: %s", s.New, other, why)
			}
		}
		b[s.New.Key()] = *s.New
	}
	return nil
}

// registered are sets with their TXT records.
func registered(owner string, sets ...Set) []Set {
	all := slices.Clone(sets)
	for _, s := range sets {
		all = append(all, registrySet(owner, s))
	}
	return all
}

func address(name, value string) Set {
	return Set{Name: name, Type: "A", TTL: 30, Values: []string{value}, Route: "shop/web"}
}

// drawSets draws the sets of one owner, none of which collides with another.
func drawSets(t *rapid.T, label, owner string) []Set {
	var all []Set
	for range rapid.IntRange(0, 12).Draw(t, label) {
		name := rapid.SampledFrom([]string{"a", "b", "*", "c.d", "_any"}).Draw(t, "name") + "." + zone
		s := Set{Name: name, TTL: 30, Route: rapid.SampledFrom([]string{"shop/web", "shop/api"}).Draw(t, "route"),
			Type:   rapid.SampledFrom([]string{"A", "AAAA", "CNAME"}).Draw(t, "type"),
			Values: []string{rapid.SampledFrom([]string{"1", "2", "3"}).Draw(t, "value")}}
		switch kind := rapid.SampledFrom([]Kind{Simple, Geo, Weighted, Failover}).Draw(t, "kind"); kind {
		case Geo:
			place := geo.Place{Continent: rapid.SampledFrom([]string{"", "EU", "NA"}).Draw(t, "place")}
			s.Routing, s.ID = Routing{Kind: Geo, Place: place}, owner+"/"+placeName(place)
		case Weighted:
			weight := rapid.Int64Range(0, 3).Draw(t, "weight")
			s.Routing, s.ID = Routing{Kind: Weighted, Weight: weight}, owner+"/"+rapid.SampledFrom([]string{"x", "y"}).Draw(t, "cluster")
		case Failover:
			primary := rapid.Bool().Draw(t, "primary")
			s.Routing, s.ID = Routing{Kind: Failover, Primary: primary}, fmt.Sprint(owner, "/", primary)
		}
		if !slices.ContainsFunc(all, func(o Set) bool { _, ok := Collides(s, o); return ok }) {
			all = append(all, s)
		}
	}
	return all
}

// drawZone draws a zone with sets of two owners and of nobody.
func drawZone(t *rapid.T) (all box, ours, foreign []Set) {
	all = box{}
	put := func(group []Set) (taken []Set) {
		for _, s := range group {
			if all.step(Step{New: &s}) == nil {
				taken = append(taken, s)
			}
		}
		return taken
	}
	nobody := put(drawSets(t, "nobody", "nobody"))
	others := put(drawSets(t, "others", "other"))
	ours = put(drawSets(t, "ours", "me"))
	texts := put([]Set{{Name: "b." + zone, Type: "TXT", Values: []string{`"v=spf1"`}}})
	for _, s := range others {
		texts = append(texts, put([]Set{registrySet("other", s)})...)
	}
	for _, s := range ours {
		put([]Set{registrySet("me", s)})
	}
	return all, ours, slices.Concat(nobody, others, texts)
}

func input(b box, wanted []Set) Input {
	return Input{Owner: "me", Zone: zone, Wanted: wanted, Current: b.sets(), AllowDeletion: 1000}
}

// TestPlanConverges: one pass makes the zone what is wanted, a second has nothing
// to do, and what is not ours is as it was.
func TestPlanConverges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b, _, foreign := drawZone(t)
		wanted := drawSets(t, "wanted", "me")
		r := Plan(input(b, wanted))
		for _, c := range rapid.Permutation(r.Changes).Draw(t, "order") {
			for _, s := range c.Steps {
				if err := b.step(s); err != nil {
					t.Fatalf("%s: %v", c.Name, err)
				}
			}
		}
		for _, s := range foreign {
			if have, ok := b[s.Key()]; !ok || !same(have, s) {
				t.Fatalf("foreign %s became %s", s, have)
			}
		}
		again := Plan(input(b, wanted))
		if len(again.Changes) > 0 {
			t.Fatalf("not done: %v", again.Changes[0].lines())
		}
		inConflict := maps.Clone(r.Conflicts)
		for _, w := range wanted {
			if have, ok := b[w.Key()]; inConflict[w.Name] == "" && (!ok || !same(have, w)) {
				t.Fatalf("%s is missing", w)
			}
			entry := registrySet("me", w)
			if have, ok := b[entry.Key()]; inConflict[w.Name] == "" && (!ok || !same(have, entry)) {
				t.Fatalf("%s is there instead of %s", have, entry)
			}
		}
		if len(inConflict) > 0 {
			return
		}
		if n := len(foreign) + 2*len(wanted); len(b) != n {
			t.Fatalf("%d sets, want %d", len(b), n)
		}
	})
}

// TestPlanInterrupted: killed after any step, the next pass ends where an
// uninterrupted one does, and no set is ever there without the record about it.
func TestPlanInterrupted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b, _, foreign := drawZone(t)
		wanted := drawSets(t, "wanted", "me")
		whole, conflicts := maps.Clone(b), Plan(input(b, wanted))
		for _, c := range conflicts.Changes {
			for _, s := range c.Steps {
				if err := whole.step(s); err != nil {
					t.Fatal(err)
				}
			}
		}
		for range 3 {
			todo := Plan(input(b, wanted)).Changes
			left := rapid.IntRange(0, 8).Draw(t, "steps")
			for _, c := range todo {
				for _, s := range c.Steps {
					if left--; left < 0 {
						break
					}
					if err := b.step(s); err != nil {
						t.Fatal(err)
					}
					noneUnclaimed(t, b, foreign)
				}
			}
		}
		for _, c := range Plan(input(b, wanted)).Changes {
			for _, s := range c.Steps {
				if err := b.step(s); err != nil {
					t.Fatal(err)
				}
			}
		}
		if len(conflicts.Conflicts) > 0 {
			return // what stays for want of something better depends on what was there
		}
		if !maps.EqualFunc(whole, b, same) {
			t.Fatalf("interrupted: %v\nwhole: %v", b, whole)
		}
	})
}

func noneUnclaimed(t *rapid.T, b box, foreign []Set) {
	for k, s := range b {
		if s.Type == "TXT" || find(foreign, k) != nil {
			continue
		}
		if _, ok := b[registrySet("me", s).Key()]; !ok {
			t.Fatalf("nothing says whose %s is", s)
		}
	}
}

// TestPlanOwners: two owners that work in turn disturb each other's sets never.
func TestPlanOwners(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := box{}
		for range 6 {
			owner := rapid.SampledFrom([]string{"me", "you"}).Draw(t, "owner")
			before := maps.Clone(b)
			in := input(b, drawSets(t, "wanted", owner))
			in.Owner = owner
			for _, c := range Plan(in).Changes {
				for _, s := range c.Steps {
					if err := b.step(s); err != nil {
						t.Fatal(err)
					}
				}
			}
			p := &planner{Input: Input{Owner: "you"}, registry: map[Key]Set{}, owned: map[string][]Set{}, foreign: map[string][]Set{}}
			if owner == "you" {
				p.Owner = "me"
			}
			p.Current = slices.Collect(maps.Values(before))
			p.sortCurrent()
			for _, s := range slices.Concat(slices.Concat(slices.Collect(maps.Values(p.owned))...), slices.Collect(maps.Values(p.registry))) {
				if have, ok := b[s.Key()]; !ok || !same(have, s) {
					t.Fatalf("%s touched %s of %s", owner, s, p.Owner)
				}
			}
		}
	})
}

// TestPlanHoldsDeletions: more than ten and a tenth wait for permission; replacing
// is not deleting; creating goes on.
func TestPlanHoldsDeletions(t *testing.T) {
	sets := func(n int, format string) (all []Set) {
		for i := range n {
			all = append(all, address(fmt.Sprintf(format, i)+zone, "192.0.2.1"))
		}
		return all
	}
	current := registered("me", sets(200, "h%d.")...)
	for _, c := range []struct {
		name                   string
		wanted                 []Set
		allow, held, deletions int
	}{
		{"a tenth", sets(200, "h%d.")[20:], 0, 0, 20},
		{"more", sets(200, "h%d.")[21:], 0, 21, 0},
		{"allowed too few", sets(200, "h%d.")[21:], 20, 21, 0},
		{"allowed", sets(200, "h%d.")[21:], 21, 0, 21},
		{"all", nil, 0, 200, 0},
		{"others instead", sets(200, "g%d."), 0, 200, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := Plan(Input{Owner: "me", Zone: zone, Wanted: c.wanted, Current: current, AllowDeletion: c.allow})
			deletions := 0
			for _, change := range r.Changes {
				if change.Steps[len(change.Steps)-1].New == nil {
					deletions++
				}
			}
			if len(r.Held) != c.held || deletions != c.deletions {
				t.Fatalf("held %d, want %d; %d deletions, want %d", len(r.Held), c.held, deletions, c.deletions)
			}
		})
	}
	if r := Plan(Input{Owner: "me", Zone: zone, Wanted: sets(20, "h%d.")[10:], Current: registered("me", sets(20, "h%d.")...)}); len(r.Changes) != 10 {
		t.Errorf("ten deletions are free, and %d are held", len(r.Held))
	}
	names := sets(200, "h%d.")
	for i := range names {
		names[i].Type, names[i].Values = "CNAME", []string{"lb.example.net."}
	}
	if r := Plan(Input{Owner: "me", Zone: zone, Wanted: names, Current: current}); len(r.Held) > 0 || len(r.Changes) != 200 {
		t.Fatalf("replacing by CNAME: %d held, %d changes", len(r.Held), len(r.Changes))
	}
}

// TestPlanConflicts has what of others can be in the way, and that it is said.
func TestPlanConflicts(t *testing.T) {
	www := address("www."+zone, "192.0.2.1")
	for _, c := range []struct {
		name    string
		foreign Set
		want    string
	}{
		{"same name and type", address("www."+zone, "198.51.100.7"), "www.example.org A is in the way"},
		{"a CNAME", Set{Name: "www." + zone, Type: "CNAME", Values: []string{"x."}}, "can have no other records"},
		{"the registry's name", Set{Name: "_hanse-a.www." + zone, Type: "TXT", Values: []string{`"hello"`}}, "record that says whose"},
		{"another owner's", registrySet("you", www), "record that says whose"},
		{"a delegation", Set{Name: "www." + zone, Type: "NS", Values: []string{"ns."}}, "leads elsewhere"},
		{"another type", Set{Name: "www." + zone, Type: "MX", Values: []string{"10 x."}}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			other := address("api."+zone, "192.0.2.2")
			r := Plan(Input{Owner: "me", Zone: zone, Wanted: []Set{www, other}, Current: []Set{c.foreign}})
			if got := r.Conflicts["www."+zone]; (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
				t.Errorf("conflict %q, want %q", got, c.want)
			}
			if !slices.ContainsFunc(r.Changes, func(c Change) bool { return c.Name == "api."+zone }) {
				t.Error("the other host was held up")
			}
		})
	}
}

// TestPlanKeepsWhatThereIs of a name that cannot be had as it is wanted.
func TestPlanKeepsWhatThereIs(t *testing.T) {
	old := Set{Name: "www." + zone, Type: "AAAA", TTL: 30, Values: []string{"2001:db8::1"}, Route: "shop/web"}
	current := append(registered("me", old), address("www."+zone, "198.51.100.7"))
	r := Plan(Input{Owner: "me", Zone: zone, Wanted: []Set{address("www."+zone, "192.0.2.1")}, Current: current})
	if len(r.Conflicts) != 1 || len(r.Changes) > 0 {
		t.Errorf("conflicts %v, changes %v", r.Conflicts, r.Changes)
	}
	r = Plan(Input{Owner: "me", Zone: zone, Current: registered("me", old), Keep: map[string]bool{"www." + zone: true}})
	if len(r.Changes)+len(r.Held) > 0 {
		t.Errorf("a name to keep: %v", r.Changes)
	}
}

// TestCollides has what a zone cannot have both of.
func TestCollides(t *testing.T) {
	set := func(typ, id string, r Routing) Set { return Set{Name: "www." + zone, Type: typ, ID: id, Routing: r} }
	eu, na := geo.Place{Continent: "EU"}, geo.Place{Continent: "NA"}
	for _, c := range []struct {
		a, b Set
		want bool
	}{
		{set("A", "", Routing{}), set("A", "", Routing{}), true},
		{set("A", "", Routing{}), set("AAAA", "", Routing{}), false},
		{set("A", "", Routing{}), set("CNAME", "", Routing{}), true},
		{set("A", "", Routing{}), set("A", "x", Routing{Kind: Geo, Place: eu}), true},
		{set("A", "x", Routing{Kind: Geo, Place: eu}), set("A", "y", Routing{Kind: Geo, Place: eu}), true},
		{set("A", "x", Routing{Kind: Geo, Place: eu}), set("A", "y", Routing{Kind: Geo, Place: na}), false},
		{set("A", "x", Routing{Kind: Geo, Place: eu}), set("A", "x", Routing{Kind: Geo, Place: na}), true},
		{set("A", "x", Routing{Kind: Failover, Primary: true}), set("A", "y", Routing{Kind: Failover, Primary: true}), true},
		{set("A", "x", Routing{Kind: Failover, Primary: true}), set("A", "y", Routing{Kind: Failover}), false},
		{set("A", "x", Routing{Kind: Weighted, Weight: 1}), set("A", "y", Routing{Kind: Weighted, Weight: 1}), false},
		{set("CNAME", "x", Routing{Kind: Weighted}), set("CNAME", "y", Routing{Kind: Weighted}), false},
		{set("A", "x", Routing{Kind: Foreign}), set("A", "y", Routing{Kind: Weighted}), true},
	} {
		for _, pair := range [][2]Set{{c.a, c.b}, {c.b, c.a}} {
			if _, got := Collides(pair[0], pair[1]); got != c.want {
				t.Errorf("%+v and %+v: %v", pair[0], pair[1], got)
			}
		}
	}
}

// TestPlanForgery: a record of the registry that is about something else than its
// name says is nobody's.
func TestPlanForgery(t *testing.T) {
	theirs := Set{Name: "www." + zone, Type: "MX", TTL: 30, Values: []string{"10 mail."}}
	for _, o := range []Ownership{{Owner: "me", Type: "AAAA"}, {Owner: "me", Type: "A", ID: "x"}} {
		forged := Set{Name: "_hanse-a.www." + zone, Type: "TXT", TTL: 300, Values: []string{o.String()}}
		r := Plan(Input{Owner: "me", Zone: zone, Wanted: []Set{address("www."+zone, "192.0.2.1")}, Current: []Set{forged, theirs}})
		if len(r.Conflicts) != 1 || len(r.Changes) > 0 {
			t.Errorf("%v: conflicts %v, changes %v", o, r.Conflicts, r.Changes)
		}
	}
	mx := Set{Name: RegistryName(theirs.Key()), Type: "TXT", TTL: 300, Values: []string{Ownership{Owner: "me", Type: "MX"}.String()}}
	if r := Plan(Input{Owner: "me", Zone: zone, Current: []Set{theirs, mx}}); len(r.Changes) > 0 {
		t.Errorf("a type that no route has: %v", r.Changes[0].lines())
	}
}

// TestPlanHandOver: the record that the conflict names makes the set ours.
func TestPlanHandOver(t *testing.T) {
	old := address("www."+zone, "198.51.100.7")
	entry := Set{Name: RegistryName(old.Key()), Type: "TXT", TTL: 300, Values: []string{Ownership{Owner: "me", Type: "A"}.String()}}
	r := Plan(Input{Owner: "me", Zone: zone, Wanted: []Set{address("www."+zone, "192.0.2.1")}, Current: []Set{old, entry}})
	if len(r.Conflicts) > 0 || len(r.Changes) != 1 {
		t.Fatalf("conflicts %v, changes %v", r.Conflicts, r.Changes)
	}
}
