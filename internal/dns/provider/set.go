package provider

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/hanse-dev/hanse/internal/dns/geo"
)

// Set is a record set: the records of one name and type that are answered together.
type Set struct {
	// Name is in lower case with a final dot.
	Name string
	// Type as A, AAAA, CNAME, TXT.
	Type string
	// ID tells sets of the same name and type apart, where the provider has several.
	ID string
	// TTL in seconds.
	TTL uint32
	// Values as in a master file (RFC 1035, section 5), sorted.
	Values []string
	// Routing says who is answered with this set.
	Routing Routing
	// Health is how the provider itself probes it, in the provider's own words;
	// empty: not at all.
	Health string
	// Alien is what a set was found to have that Express never gives one (an alias
	// of another set, say). A set of ours with such a thing has been changed.
	Alien string
	// Route is the GlobalRoute that wants it, as NAMESPACE/NAME; only in wanted sets.
	Route string
	// Raw is the set as the provider read it, for the provider alone.
	Raw any
}

// Key is what a zone has at most one set of.
type Key struct{ Name, Type, ID string }

// Key of the set.
func (s Set) Key() Key { return Key{s.Name, s.Type, s.ID} }

// Kind is how a provider chooses among the sets of one name and type, which all
// have the same kind.
type Kind string

// Kinds of Routing. Whatever else a provider has is Foreign: no set of ours has it.
const (
	Simple   Kind = ""         // there is one set
	Geo      Kind = "geo"      // by Place
	Weighted Kind = "weighted" // by Weight
	Failover Kind = "failover" // Primary while it is healthy
	Multi    Kind = "multi"    // several that are healthy
	Foreign  Kind = "foreign"
)

// Routing says when a set is answered; what its Kind does not use is zero.
type Routing struct {
	Kind    Kind
	Place   geo.Place // the most specific field counts; zero: everybody else
	Weight  int64
	Primary bool
}

// String is short: geo FR, weighted 3.
func (r Routing) String() string {
	switch r.Kind {
	case Geo:
		return "geo " + placeName(r.Place)
	case Weighted:
		return fmt.Sprint("weighted ", r.Weight)
	case Failover:
		if r.Primary {
			return "failover primary"
		}
		return "failover secondary"
	default:
		return string(r.Kind)
	}
}

// placeName is the most specific code of p; * is everywhere. AF alone is
// Afghanistan.
func placeName(p geo.Place) string {
	switch {
	case p.Subdivision != "":
		return p.Subdivision
	case p.Country != "":
		return p.Country
	case p.Continent != "":
		return "continent " + p.Continent
	default:
		return "*"
	}
}

// String is the set in a line, as status.pending shows it.
func (s Set) String() string {
	b := fmt.Appendf(nil, "%s %d %s %s", strings.TrimSuffix(s.Name, "."), s.TTL, s.Type, strings.Join(s.Values, ","))
	if r := s.Routing.String(); r != "" {
		b = fmt.Appendf(b, " [%s]", r)
	}
	if s.Health != "" {
		b = append(b, " checked"...)
	}
	return string(b)
}

// same says whether a server that has a need not be told of b.
func same(a, b Set) bool {
	return a.Key() == b.Key() && a.TTL == b.TTL && a.Routing == b.Routing && a.Health == b.Health && a.Alien == b.Alien &&
		slices.Equal(a.Values, b.Values)
}

// Collides says whether a zone cannot have both a and b, and why. A name with a
// CNAME has nothing else (RFC 1034, section 3.6.2); sets of one name and type
// are of one kind and differ in what chooses them.
func Collides(a, b Set) (string, bool) {
	switch {
	case a.Name != b.Name:
		return "", false
	case (a.Type == "CNAME") != (b.Type == "CNAME"):
		return "a name with a CNAME can have no other records", true
	case a.Type != b.Type:
		return "", false
	case a.Routing.Kind != b.Routing.Kind:
		return "all sets of a name and type must be of one kind", true
	case a.Routing.Kind == Simple || a.Routing.Kind == Foreign || a.ID == b.ID:
		return "it exists already", true
	case a.Routing.Kind == Geo && a.Routing.Place == b.Routing.Place:
		return "there is a set for this place", true
	case a.Routing.Kind == Failover && a.Routing.Primary == b.Routing.Primary:
		return "there is a set for this role", true
	default:
		return "", false
	}
}

// Addresses divides a into the values of an A and of an AAAA set, both sorted and
// each value once.
func Addresses(a []netip.Addr) (v4, v6 []string) {
	a = slices.Clone(a)
	slices.SortFunc(a, netip.Addr.Compare)
	for _, addr := range slices.Compact(a) {
		if addr = addr.Unmap(); addr.Is4() {
			v4 = append(v4, addr.String())
		} else {
			v6 = append(v6, addr.String())
		}
	}
	slices.Sort(v4)
	slices.Sort(v6)
	return slices.Compact(v4), slices.Compact(v6)
}
