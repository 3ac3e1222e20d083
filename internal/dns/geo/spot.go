package geo

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Spot is a point on the map with a name.
type Spot struct {
	Name string
	// Place is what a database would say of somebody there, as far as the tables
	// know; a city in China, India or Russia has no Subdivision.
	Place Place
	// Latitude and Longitude in degrees, north and east positive.
	Latitude, Longitude float64
}

// Distance is the length of the great circle between two spots, in kilometres.
func Distance(a, b Spot) float64 {
	const radius = 6371 // of the earth, on average
	const radian = math.Pi / 180
	up := math.Sin((b.Latitude - a.Latitude) * radian / 2)
	along := math.Sin((b.Longitude - a.Longitude) * radian / 2)
	h := up*up + math.Cos(a.Latitude*radian)*math.Cos(b.Latitude*radian)*along*along
	return 2 * radius * math.Asin(math.Sqrt(min(h, 1)))
}

// ContinentOf returns the continent of a country, and "" for what is none.
func ContinentOf(country string) string { return tables().countries[country].Place.Continent }

// Countries returns all countries, sorted by code.
func Countries() []Place { return places(tables().countries) }

// Subdivisions returns the subdivisions that Centre knows, sorted by code: those
// of Australia, Brazil, Canada, China, India and the United States, and the
// larger ones of Russia.
func Subdivisions() []Place { return places(tables().subdivisions) }

func places(spots map[string]Spot) []Place {
	all := make([]Place, 0, len(spots))
	for _, s := range spots {
		all = append(all, s.Place)
	}
	slices.SortFunc(all, func(a, b Place) int {
		return cmp.Or(strings.Compare(a.Country, b.Country), strings.Compare(a.Subdivision, b.Subdivision))
	})
	return all
}

// Centre returns where the people of a place live on average: of the
// subdivision if it is known, else of the country, else of the continent. It
// returns false for the zero Place, and for what is none.
func Centre(p Place) (Spot, bool) {
	t := tables()
	if s, ok := t.subdivisions[p.Subdivision]; ok {
		return s, true
	}
	if s, ok := t.countries[p.Country]; ok {
		return s, true
	}
	s, ok := t.continents[p.Continent]
	return s, ok
}

// Region returns where a region of a cloud is. Provider is aws, azure or google
// (or gce, gcp, as node labels and provider IDs have it), region as the cloud
// spells it: us-east-1, westeurope, asia-east1.
func Region(provider, region string) (Spot, bool) {
	switch provider = strings.ToLower(provider); provider {
	case "gce", "gcp":
		provider = "google"
	}
	s, ok := tables().regions[provider+" "+strings.ToLower(region)]
	return s, ok
}

// Find returns the city, subdivision, country or continent of that name or code;
// it does not look at case or accents. "Georgia" is the country and "New York"
// the city, as the larger one is usually called otherwise. The error names what
// is spelled nearly so.
func Find(name string) (Spot, error) {
	names := tables().names
	wanted := fold(name)
	if s, ok := names[wanted]; ok {
		return s, nil
	}
	near := nearest(wanted, names)
	if len(near) == 0 {
		return Spot{}, fmt.Errorf("the place %q is not known. Try: a large city, a country, or a code such as DE or US-NY", name)
	}
	return Spot{}, fmt.Errorf("the place %q is not known. Try: %s", name, strings.Join(near, ", "))
}

// nearest returns the names of up to three spots that are spelled almost as
// wanted, or begin so, the nearest first.
func nearest(wanted string, names map[string]Spot) []string {
	type candidate struct {
		name string
		far  int
	}
	var all []candidate
	for key, s := range names {
		far := edits(wanted, key)
		if len(wanted) >= 3 && strings.HasPrefix(key, wanted) {
			far = 1
		}
		if far <= 1+len(wanted)/4 && len(key) > 3 {
			all = append(all, candidate{s.Name, far})
		}
	}
	slices.SortFunc(all, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.far, b.far), strings.Compare(a.name, b.name))
	})
	var near []string
	for _, c := range all {
		if !slices.Contains(near, c.name) && len(near) < 3 {
			near = append(near, c.name)
		}
	}
	return near
}

// edits is how many bytes have to be put in, taken out or replaced to make b of
// a (Levenshtein's distance).
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// fold makes names comparable: lower case without accents, and a space for
// whatever is between words.
func fold(name string) string {
	var b strings.Builder
	gap := false
	for _, r := range strings.ToLower(name) {
		s := plain(r)
		switch {
		case s == " ":
			gap = true
		case gap && b.Len() > 0 && s != "":
			b.WriteByte(' ')
			fallthrough
		default:
			if s != "" {
				gap = false
			}
			b.WriteString(s)
		}
	}
	return b.String()
}

// plain is a lower-case letter without its accent; a space for what separates
// words, and nothing for what is within one.
func plain(r rune) string {
	switch {
	case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
		return string(r)
	case r == '\'', r == '’', r == '.':
		return ""
	case r == 'ß':
		return "ss"
	case r == 'æ':
		return "ae"
	}
	for _, group := range [...]string{"aàáâãäåāă", "cçćč", "eèéêëēę", "gğ", "iìíîïīı", "lł", "nñńň", "oòóôõöøō", "rř", "sśşšș", "tţț", "uùúûüū", "yýÿ", "zźżž"} {
		if strings.ContainsRune(group, r) {
			return group[:1]
		}
	}
	if r > 127 && r != '–' {
		return string(r)
	}
	return " "
}
