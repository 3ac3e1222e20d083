package geo

import (
	"errors"
	"fmt"
	"os"

	"github.com/oschwald/maxminddb-golang/v2"
)

// Open reads a MaxMind DB file (https://maxmind.github.io/MaxMind-DB/) with
// countries or cities: GeoLite2 and GeoIP2, DB-IP, and those that have nothing
// but a country_code. Each error is a sentence for the user.
func Open(path string) (*DB, error) {
	// Not mapped into memory: a file that is cut short while it is read would end
	// the process.
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("the geographic database cannot be read: %w. Try: check its path", err)
	}
	d, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("the geographic database %s %w", path, err)
	}
	return d, nil
}

// What is wrong with a database; each goes on from its name.
var (
	errEmpty   = errors.New("is empty. Try: download it again")
	errNotMMDB = errors.New("is not a MaxMind DB, or not all of one. Try: download it again, and give the .mmdb file, unpacked")
	errDamaged = errors.New("is damaged. Try: download it again")
	errNoPlace = errors.New("has no countries. Try: GeoLite2 Country or City, or DB-IP Country or City")
)

// record is what the known databases say of a network, as far as it is of use.
type record struct {
	CountryCode string `maxminddb:"country_code"`
	Country     struct {
		Code string `maxminddb:"iso_code"`
	} `maxminddb:"country"`
	Continent struct {
		Code string `maxminddb:"code"`
	} `maxminddb:"continent"`
	Subdivisions []struct {
		Code string `maxminddb:"iso_code"`
	} `maxminddb:"subdivisions"`
}

func (r *record) place() Place {
	p := Place{Country: r.Country.Code, Continent: r.Continent.Code}
	if p.Country == "" {
		p.Country = r.CountryCode
	}
	if len(p.Country) != 2 {
		p.Country = ""
	}
	if p.Continent == "" {
		p.Continent = ContinentOf(p.Country)
	}
	if p.Country != "" && len(r.Subdivisions) > 0 && r.Subdivisions[0].Code != "" {
		p.Subdivision = p.Country + "-" + r.Subdivisions[0].Code
	}
	return p
}

func parse(data []byte) (*DB, error) {
	if len(data) == 0 {
		return nil, errEmpty
	}
	r, err := maxminddb.OpenBytes(data)
	if err != nil {
		return nil, fmt.Errorf("%w (%w)", errNotMMDB, err)
	}
	if !isTree(data, r.Metadata) {
		return nil, fmt.Errorf("%w (%w)", errDamaged, errNoTree)
	}
	b := newBuilder()
	if err := collect(r, b); err != nil {
		return nil, fmt.Errorf("%w (%w)", errDamaged, err)
	}
	if len(b.places) == 1 {
		return nil, fmt.Errorf("is of type %q and %w", r.Metadata.DatabaseType, errNoPlace)
	}
	return newDB(b, fmt.Sprintf("%s of %s", r.Metadata.DatabaseType, r.Metadata.BuildTime().UTC().Format("2006-01-02"))), nil
}

var errNoTree = errors.New("its search tree is not valid")

// collect adds all networks. Many have the same record, so each record is read
// once.
func collect(r *maxminddb.Reader, b *builder) error {
	known := map[uintptr]Location{}
	for result := range r.Networks() {
		if err := result.Err(); err != nil {
			return err
		}
		l, ok := known[result.Offset()]
		if !ok {
			var rec record
			err := result.Decode(&rec)
			if err != nil {
				return err
			}
			if l, err = b.location(rec.place()); err != nil {
				return err
			}
			known[result.Offset()] = l
		}
		if err := b.add(result.Prefix(), l); err != nil {
			return err
		}
	}
	return nil
}
