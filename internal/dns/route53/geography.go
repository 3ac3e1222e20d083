package route53

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hanse-dev/hanse/internal/dns/geo"
	"github.com/hanse-dev/hanse/internal/dns/provider"
	"github.com/hanse-dev/hanse/internal/dns/steer"
)

// states are those that Route 53 knows.
const states = "AL AK AZ AR CA CO CT DE DC FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ NM NY NC ND OH OK OR PA RI SC SD TN TX UT VT VA WA WV WI WY"

// unknown are countries that Route 53 has no addresses in, and takes no sets for.
const unknown = "BV CX EH HM XK"

// between are countries that some count to another continent than we do: their
// sets are left out only if both continents would give the same answer.
func between(country string) string {
	switch country {
	case "AM", "AZ", "CY", "GE", "KZ", "RU", "TR":
		return "EU AS"
	case "CC", "TL":
		return "AS OC"
	case "IO":
		return "AF AS"
	case "GS":
		return "AN SA"
	case "TF":
		return "AN AF"
	case "UM":
		return "OC NA"
	}
	return ""
}

// atlas is what a host answers where; clusters are joined indexes, so that they
// can be compared.
type atlas struct {
	host    *steer.Host
	ruled   map[geo.Place]bool
	answers []answer
	seen    map[geo.Place]string // what a client gets in a continent, country, state
}

// geographic gives the fewest sets that answer as the rules do. A country has a
// set only where its answer is not its continent's; a continent without a rule of
// its own has what most of its countries have.
func (e *expression) geographic() ([]answer, error) {
	a := &atlas{host: e.host, ruled: map[geo.Place]bool{}, seen: map[geo.Place]string{}}
	for _, r := range e.host.Rules {
		a.ruled[r.From] = true
		if s := r.From.Subdivision; s != "" && !knownState(s) {
			return nil, fmt.Errorf("it has a rule for %s, and Route 53 knows no subdivisions but the states of the US. Try: a rule for the country, or a zone served by the hub", s)
		}
	}
	if len(a.ruled) == 0 {
		if c := a.at(geo.Place{}); c != nil {
			return []answer{{clusters: c}}, nil
		}
		return nil, nil
	}
	a.set(geo.Place{}, geo.Place{}, "")
	countries := slices.DeleteFunc(geo.Countries(), func(p geo.Place) bool { return listed(unknown, p.Country) })
	for _, continent := range []string{"AF", "AN", "AS", "EU", "NA", "OC", "SA"} {
		a.set(geo.Place{Continent: continent}, a.typical(continent, countries), a.seen[geo.Place{}])
	}
	for _, p := range countries {
		a.country(p)
	}
	for _, r := range e.host.Rules {
		if s := r.From.Subdivision; s != "" {
			a.set(geo.Place{Subdivision: s}, geo.Place{Continent: "NA", Country: "US", Subdivision: s}, a.seen[geo.Place{Country: "US"}])
		}
	}
	return a.answers, nil
}

// listed says whether a word is in a list.
func listed(list, word string) bool { return slices.Contains(strings.Fields(list), word) }

func knownState(subdivision string) bool {
	state, ok := strings.CutPrefix(subdivision, "US-")
	return ok && listed(states, state)
}

// at is the clusters that answer at p; nil: none.
func (a *atlas) at(p geo.Place) []int {
	if choices := steer.Choose(a.host, p); len(choices) > 0 {
		return choices[0].Clusters
	}
	return nil
}

// set adds one for a place, with what is answered at full, unless that is what the
// next larger place gets.
func (a *atlas) set(place, full geo.Place, larger string) {
	clusters := a.at(full)
	key := fmt.Sprint(clusters)
	a.seen[place] = key
	if clusters != nil && key != larger {
		a.answers = append(a.answers, answer{provider.Routing{Kind: provider.Geo, Place: place}, code(place), clusters})
	}
}

// code names a place in the identifier of a set. AF is Afghanistan: a continent
// says that it is one.
func code(p geo.Place) string {
	switch {
	case p.Subdivision != "":
		return p.Subdivision
	case p.Country != "":
		return p.Country
	case p.Continent != "":
		return "continent-" + p.Continent
	default:
		return "*"
	}
}

// country adds a set for a country if its continent's is not right, or would not
// be if Route 53 counted it to another.
func (a *atlas) country(p geo.Place) {
	full := p
	if !a.ruled[geo.Place{Country: p.Country}] {
		full.Country = ""
	}
	larger := a.seen[geo.Place{Continent: p.Continent}]
	for _, other := range strings.Fields(between(p.Country)) {
		if a.seen[geo.Place{Continent: other}] != fmt.Sprint(a.at(full)) {
			larger = ""
		}
	}
	a.set(geo.Place{Country: p.Country}, full, larger)
}

// typical is where in a continent the answer is that its set should have: the
// continent itself if there is a rule for it, otherwise the first of the countries
// with the commonest answer.
func (a *atlas) typical(continent string, countries []geo.Place) geo.Place {
	own := geo.Place{Continent: continent}
	if a.ruled[own] {
		return own
	}
	count, first, best := map[string]int{}, map[string]geo.Place{}, fmt.Sprint(a.at(own))
	first[best] = own
	for _, p := range countries {
		if p.Continent != continent {
			continue
		}
		if !a.ruled[geo.Place{Country: p.Country}] {
			p = own
		}
		key := fmt.Sprint(a.at(p))
		if _, ok := first[key]; !ok {
			first[key] = p
		}
		if count[key]++; count[key] > count[best] {
			best = key
		}
	}
	return first[best]
}
