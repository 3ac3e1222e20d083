package geo

import (
	_ "embed" // for the tables
	"strconv"
	"strings"
	"sync"
)

// The tables; each begins with what its columns are.
var (
	//go:embed places/countries.txt
	countriesText string
	//go:embed places/subdivisions.txt
	subdivisionsText string
	//go:embed places/cities.txt
	citiesText string
	//go:embed places/regions.txt
	regionsText string
)

// table is all that is known of places without a database.
type table struct {
	continents   map[string]Spot // by code
	countries    map[string]Spot // by code
	subdivisions map[string]Spot // by code
	regions      map[string]Spot // by provider, space, region
	names        map[string]Spot // by what fold makes of names and codes
}

// tables reads the tables once, when they are needed first.
var tables = sync.OnceValue(func() *table {
	t := &table{
		continents:   map[string]Spot{},
		countries:    map[string]Spot{},
		subdivisions: map[string]Spot{},
		regions:      map[string]Spot{},
		names:        map[string]Spot{},
	}
	// Those who come later do not take a name from those before. Cities come
	// first, since somebody who says Singapore or New York means the city; codes
	// of countries before those of continents, since there is a Namibia.
	for _, f := range rows(citiesText) {
		place := Place{Country: f[0][:2]}
		if len(f[0]) > 2 {
			place.Subdivision = f[0]
		}
		t.name(spot(place, f[1], f[2], f[3]), "", f[3])
	}
	for _, f := range rows(countriesText) {
		s := spot(Place{Country: f[0], Continent: f[1]}, f[2], f[3], f[4])
		t.countries[f[0]] = s
		t.name(s, f[0], f[4])
	}
	for _, f := range rows(subdivisionsText) {
		s := spot(Place{Country: f[0][:2], Subdivision: f[0]}, f[1], f[2], f[3])
		s.Place.Continent = t.countries[f[0][:2]].Place.Continent
		t.subdivisions[f[0]] = s
		t.name(s, f[0], f[3])
	}
	for _, s := range continents() {
		t.continents[s.Place.Continent] = s
		t.name(s, s.Place.Continent, s.Name)
	}
	for key, s := range t.names {
		s.Place.Continent = t.continent(s.Place)
		t.names[key] = s
	}
	for _, f := range rows(regionsText) {
		s := spot(Place{Country: f[2][:2]}, f[3], f[4], f[5])
		if len(f[2]) > 2 {
			s.Place.Subdivision = f[2]
		}
		s.Place.Continent = t.continent(s.Place)
		t.regions[f[0]+" "+f[1]] = s
	}
	return t
})

// continents with where their people live, roughly.
func continents() []Spot {
	return []Spot{
		{"Africa", Place{Continent: "AF"}, 5, 20},
		{"Antarctica", Place{Continent: "AN"}, -80, 0},
		{"Asia", Place{Continent: "AS"}, 27, 95},
		{"Europe", Place{Continent: "EU"}, 50, 15},
		{"North America", Place{Continent: "NA"}, 36, -94},
		{"Oceania", Place{Continent: "OC"}, -28, 150},
		{"South America", Place{Continent: "SA"}, -14, -58},
	}
}

func (t *table) continent(p Place) string {
	if p.Continent != "" {
		return p.Continent
	}
	return t.countries[p.Country].Place.Continent
}

// name lets s be found by its names, which | separates, and by its code.
func (t *table) name(s Spot, code, names string) {
	for n := range strings.SplitSeq(names+"|"+code, "|") {
		if key := fold(n); key != "" {
			if _, taken := t.names[key]; !taken {
				t.names[key] = s
			}
		}
	}
}

// rows returns the fields of a table's lines. The tables are part of the
// program, and a test reads all of them.
func rows(text string) [][]string {
	var all [][]string
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if line != "" && line[0] != '#' {
			all = append(all, strings.Split(line, "\t"))
		}
	}
	return all
}

// spot is called by the first of names.
func spot(p Place, latitude, longitude, names string) Spot {
	name, _, _ := strings.Cut(names, "|")
	s := Spot{Name: name, Place: p}
	s.Latitude, _ = strconv.ParseFloat(latitude, 64)
	s.Longitude, _ = strconv.ParseFloat(longitude, 64)
	return s
}
