package geo

import (
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestFind(t *testing.T) {
	for name, want := range map[string]struct {
		name, country, subdivision, continent string
	}{
		"Singapore":      {"Singapore", "SG", "", "AS"},
		"paris":          {"Paris", "FR", "", "EU"},
		"NEW YORK":       {"New York", "US", "US-NY", "NA"},
		"nyc":            {"New York", "US", "US-NY", "NA"},
		"new-york":       {"New York", "US", "US-NY", "NA"},
		"Sao Paulo":      {"São Paulo", "BR", "BR-SP", "SA"},
		"são paulo":      {"São Paulo", "BR", "BR-SP", "SA"},
		"Zuerich":        {},
		"Zürich":         {"Zurich", "CH", "", "EU"},
		"Lodz":           {"Łódź", "PL", "", "EU"},
		"Germany":        {"Germany", "DE", "", "EU"},
		"de":             {"Germany", "DE", "", "EU"},
		"ivory coast":    {"Côte d'Ivoire", "CI", "", "AF"},
		"US-NY":          {"New York State", "US", "US-NY", "NA"},
		"us-ca":          {"California", "US", "US-CA", "NA"},
		"CA":             {"Canada", "CA", "", "NA"},
		"Europe":         {"Europe", "", "", "EU"},
		"oceania":        {"Oceania", "", "", "OC"},
		"NA":             {"Namibia", "NA", "", "AF"},
		"EU":             {"Europe", "", "", "EU"},
		" north america": {"North America", "", "", "NA"},
		"Washington":     {"Washington", "US", "US-DC", "NA"},
		"Saint-Denis":    {"Saint-Denis", "RE", "", "AF"},
		"Ürümqi":         {"Ürümqi", "CN", "", "AS"},
		"":               {},
		"xyzzy":          {},
	} {
		s, err := Find(name)
		if want.name == "" {
			if err == nil {
				t.Errorf("Find(%q) found %+v", name, s)
			}
			continue
		}
		place := Place{want.continent, want.country, want.subdivision}
		if err != nil || s.Name != want.name || s.Place != place {
			t.Errorf("Find(%q) = %+v, %v, want %+v", name, s, err, want)
		}
	}
}

func TestFindSuggests(t *testing.T) {
	for name, want := range map[string]string{
		"Singapur": "Try: Singapore", "Germny": "Try: Germany", "pari": "Paris", "Frankfurt/Main": "Frankfurt", "qqqqqqqq": "Try: a large city",
	} {
		_, err := Find(name)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Find(%q): %v, want %q in it", name, err, want)
		}
	}
}

func TestFindNeverPanics(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s, err := Find(rapid.String().Draw(rt, "name"))
		if err == nil && s.Name == "" {
			rt.Fatal("found a place without a name")
		}
	})
}

// TestTablesAreComplete reads each line of each table.
func TestTablesAreComplete(t *testing.T) {
	continents := "AF AN AS EU NA OC SA"
	for table, columns := range map[string]int{countriesText: 5, citiesText: 4, subdivisionsText: 4, regionsText: 6} {
		for _, f := range rows(table) {
			if len(f) != columns {
				t.Errorf("%q has %d columns, not %d", f, len(f), columns)
			}
		}
	}
	tab := tables()
	if len(tab.countries) != 250 {
		t.Errorf("%d countries; ISO 3166-1 has 249, and there is Kosovo", len(tab.countries))
	}
	check := func(key string, s Spot) {
		t.Helper()
		if s.Name == "" || len(s.Place.Continent) != 2 || !strings.Contains(continents, s.Place.Continent) ||
			math.Abs(s.Latitude) > 90 || math.Abs(s.Longitude) > 180 || s.Latitude == 0 && s.Longitude == 0 {
			t.Errorf("%s: %+v", key, s)
		}
		if p := s.Place; p.Subdivision != "" {
			if _, ok := tab.subdivisions[p.Subdivision]; !ok || !strings.HasPrefix(p.Subdivision, p.Country+"-") {
				t.Errorf("%s: %+v is in no known subdivision", key, s)
			}
		}
	}
	for _, spots := range []map[string]Spot{tab.countries, tab.continents, tab.subdivisions, tab.names, tab.regions} {
		for key, s := range spots {
			check(key, s)
		}
	}
	for _, country := range []string{"US 51", "CA 13", "AU 8", "BR 27"} {
		code, n := country[:2], 0
		for s := range tab.subdivisions {
			if s[:2] == code {
				n++
			}
		}
		if want := map[string]int{"US": 51, "CA": 13, "AU": 8, "BR": 27}[code]; n != want {
			t.Errorf("%s has %d subdivisions, want %d", code, n, want)
		}
	}
}

// TestNeighboursAreNear catches a coordinate with the wrong sign: a city is not
// far from its subdivision, and in a small country not from the country.
func TestNeighboursAreNear(t *testing.T) {
	large := map[string]bool{"US": true, "CA": true, "RU": true, "CN": true, "BR": true, "AU": true, "IN": true, "KZ": true, "AR": true, "CL": true, "ID": true, "DZ": true, "CD": true}
	check := func(key string, s Spot) {
		t.Helper()
		c, ok := Centre(s.Place)
		limit := 2500.0
		switch {
		case s.Place.Subdivision != "":
			limit = 1500
		case large[s.Place.Country]:
			limit = 7000
		}
		if !ok || Distance(c, s) > limit {
			t.Errorf("%s: %+v is %.0f km from %+v", key, s, Distance(c, s), c)
		}
	}
	for key, s := range tables().names {
		if s.Place.Country != "" {
			check(key, s)
		}
	}
	for key, s := range tables().regions {
		check(key, s)
	}
}

func TestRegion(t *testing.T) {
	for _, r := range []struct{ provider, region, country, city string }{
		{"aws", "us-east-1", "US", "Ashburn, Virginia"},
		{"azure", "westeurope", "NL", "Amsterdam"},
		{"Azure", "WestEurope", "NL", "Amsterdam"},
		{"google", "asia-east1", "TW", "Changhua"},
		{"gce", "asia-southeast1", "SG", "Jurong West"},
		{"gcp", "us-central1", "US", "Council Bluffs, Iowa"},
	} {
		s, ok := Region(r.provider, r.region)
		if !ok || s.Place.Country != r.country || s.Name != r.city {
			t.Errorf("Region(%s, %s) = %+v, %v", r.provider, r.region, s, ok)
		}
	}
	for _, r := range [][2]string{{"aws", "us-east-9"}, {"", "us-east-1"}, {"azure", "us-east-1"}, {"", ""}} {
		if s, ok := Region(r[0], r[1]); ok {
			t.Errorf("Region(%q, %q) = %+v", r[0], r[1], s)
		}
	}
}

func TestCentre(t *testing.T) {
	for want, p := range map[string]Place{
		"California":  {"NA", "US", "US-CA"},
		"France":      {"EU", "FR", "FR-IDF"},
		"South Korea": {Country: "KR"},
		"Africa":      {Continent: "AF"},
		"Asia":        {Continent: "AS", Country: "??"},
	} {
		if s, ok := Centre(p); !ok || s.Name != want {
			t.Errorf("Centre(%v) = %+v, want %s", p, s, want)
		}
	}
	if s, ok := Centre(Place{}); ok {
		t.Errorf("the middle of nowhere is %+v", s)
	}
	for _, p := range append(Countries(), Subdivisions()...) {
		if s, ok := Centre(p); !ok || s.Place != p {
			t.Errorf("Centre(%v) = %+v, %v", p, s, ok)
		}
	}
}

func TestDistance(t *testing.T) {
	find := func(name string) Spot {
		s, err := Find(name)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for _, d := range []struct {
		a, b string
		want float64
	}{{"Paris", "London", 344}, {"New York", "Los Angeles", 3936}, {"Singapore", "Sydney", 6300}, {"Tokyo", "Tokyo", 0}, {"Auckland", "Honolulu", 7070}} {
		if got := Distance(find(d.a), find(d.b)); math.Abs(got-d.want) > 30 {
			t.Errorf("from %s to %s it is %.0f km, want %.0f", d.a, d.b, got, d.want)
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		draw := func(name string) Spot {
			return Spot{Latitude: rapid.Float64Range(-90, 90).Draw(rt, name), Longitude: rapid.Float64Range(-180, 180).Draw(rt, name)}
		}
		a, b := draw("a"), draw("b")
		ab, ba := Distance(a, b), Distance(b, a)
		if math.IsNaN(ab) || ab < 0 || ab > 20016 || math.Abs(ab-ba) > 1e-6 {
			rt.Fatalf("%v and %v", ab, ba)
		}
	})
}
