package geo

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// network is one line of a database to write; record is made of strings,
// map[string]any and []any.
type network struct {
	prefix string
	record any
}

// mmdb writes a MaxMind DB of version 6 (https://maxmind.github.io/MaxMind-DB/)
// with records of 24 bits.
func mmdb(databaseType string, networks ...network) []byte {
	const empty = -1
	nodes := [][2]int{{empty, empty}}
	var data []byte
	for _, n := range networks {
		p := netip.MustParsePrefix(n.prefix)
		address, bits := p.Addr().As16(), p.Bits()
		if p.Addr().Is4() {
			// The IPv4 tree is at ::/96.
			four := p.Addr().As4()
			address = [16]byte{12: four[0], four[1], four[2], four[3]}
			bits += 96
		}
		at := 0
		for i := range bits - 1 {
			side := address[i/8] >> (7 - i%8) & 1
			if nodes[at][side] == empty {
				nodes = append(nodes, [2]int{empty, empty})
				nodes[at][side] = len(nodes) - 1
			}
			at = nodes[at][side]
		}
		last := bits - 1
		nodes[at][address[last/8]>>(7-last%8)&1] = -2 - len(data)
		data = value(data, n.record)
	}
	var file []byte
	for _, node := range nodes {
		for _, record := range node {
			switch {
			case record == empty:
				record = len(nodes)
			case record < 0:
				record = len(nodes) + 16 + -2 - record
			}
			file = append(file, byte(record>>16), byte(record>>8), byte(record))
		}
	}
	file = append(file, make([]byte, 16)...)
	file = append(file, data...)
	file = append(file, "\xab\xcd\xefMaxMind.com"...)
	return value(file, map[string]any{
		"node_count": uint32(len(nodes)), "record_size": uint16(24), "ip_version": uint16(6),
		"database_type": databaseType, "languages": []any{}, "description": map[string]any{},
		"binary_format_major_version": uint16(2), "binary_format_minor_version": uint16(0),
		"build_epoch": uint64(1780345978),
	})
}

func value(b []byte, v any) []byte {
	switch v := v.(type) {
	case string:
		if len(v) < 29 {
			return append(append(b, 2<<5|byte(len(v))), v...)
		}
		return append(append(b, 2<<5|29, byte(len(v)-29)), v...)
	case uint16:
		return binary.BigEndian.AppendUint16(append(b, 5<<5|2), v)
	case uint32:
		return binary.BigEndian.AppendUint32(append(b, 6<<5|4), v)
	case uint64:
		return binary.BigEndian.AppendUint64(append(b, 8, 9-7), v)
	case []any:
		b = append(b, byte(len(v)), 11-7)
		for _, e := range v {
			b = value(b, e)
		}
		return b
	case map[string]any:
		b = append(b, 7<<5|byte(len(v)))
		for k, e := range v {
			b = value(value(b, k), e)
		}
		return b
	}
	panic(fmt.Sprintf("no encoding for %T", v))
}

// city is what GeoLite2 City and DB-IP City say of a network.
func city(continent, country, subdivision string) map[string]any {
	r := map[string]any{
		"continent": map[string]any{"code": continent, "names": map[string]any{"en": "Somewhere"}},
		"country":   map[string]any{"iso_code": country, "names": map[string]any{"en": "Someland"}},
	}
	if subdivision != "" {
		r["subdivisions"] = []any{map[string]any{"iso_code": subdivision}, map[string]any{"iso_code": "XX"}}
	}
	return r
}

func write(t testing.TB, path string, data []byte) string {
	t.Helper()
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestOpen(t *testing.T) {
	for name, test := range map[string]struct {
		networks []network
		want     map[string]string // address to place and length
	}{
		"City": {
			[]network{
				{"8.8.8.0/24", city("NA", "US", "CA")},
				{"8.8.9.0/24", city("NA", "US", "CA")},
				{"8.8.10.0/24", city("NA", "US", "NY")},
				{"2a00:1450::/32", city("EU", "IE", "")},
				{"2a00:1451::/32", city("EU", "IE", "")},
			},
			map[string]string{
				"8.8.8.8": "{NA US US-CA}/23", "8.8.9.255": "{NA US US-CA}/23", "8.8.10.1": "{NA US US-NY}/24",
				"8.8.11.1": "{  }/24", "2a00:1450::1": "{EU IE }/31", "2a00:1452::": "{  }/31", "128.0.0.1": "{  }/1",
			},
		},
		"Country": {
			[]network{{"1.0.0.0/8", city("OC", "AU", "")}},
			map[string]string{"1.2.3.4": "{OC AU }/8"},
		},
		"ip-location-db": {
			[]network{{"1.0.0.0/24", map[string]any{"country_code": "JP"}}},
			map[string]string{"1.0.0.1": "{AS JP }/24"},
		},
		"continent only": {
			[]network{{"1.0.0.0/24", map[string]any{"continent": map[string]any{"code": "EU"}}}},
			map[string]string{"1.0.0.1": "{EU  }/24"},
		},
		"all of IPv4": {
			[]network{{"0.0.0.0/1", city("EU", "FR", "")}, {"128.0.0.0/1", city("EU", "FR", "")}},
			map[string]string{"1.0.0.1": "{EU FR }/8", "10.1.1.1": "{  }/8", "192.168.1.1": "{  }/16", "192.169.1.1": "{EU FR }/16", "230.0.0.1": "{  }/3", "200.0.0.1": "{EU FR }/7"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := Open(write(t, filepath.Join(t.TempDir(), "db.mmdb"), mmdb(name, test.networks...)))
			if err != nil {
				t.Fatal(err)
			}
			for address, want := range test.want {
				l, n := d.Lookup(netip.MustParseAddr(address))
				if got := fmt.Sprintf("%v/%d", d.Places()[l], n); got != want {
					t.Errorf("%s: %s, want %s", address, got, want)
				}
			}
			if want := name + " of 2026-06-01"; d.About() != want {
				t.Errorf("About is %q, want %q", d.About(), want)
			}
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	good := mmdb("GeoLite2-Country", network{"1.0.0.0/8", city("OC", "AU", "")}, network{"2.0.0.0/8", city("EU", "FR", "")})
	asn := mmdb("GeoLite2-ASN", network{"1.0.0.0/8", map[string]any{"autonomous_system_organization": "Example"}})
	damaged := append([]byte(nil), good...)
	for i := range 60 {
		damaged[6*100+i] = 0x7f
	}
	loop := append([]byte(nil), good...)
	copy(loop[6*3:], make([]byte, 6)) // the fourth node leads back to the first
	for name, test := range map[string]struct {
		data []byte
		want error
		text string
	}{
		"empty":         {nil, errEmpty, "is empty. Try: "},
		"truncated":     {good[:len(good)/2], errNotMMDB, "not all of one"},
		"end missing":   {good[:len(good)-30], nil, "Try: download it again"},
		"text":          {[]byte("1.0.0.0,1.0.0.255,AU\n"), errNotMMDB, "is not a MaxMind DB"},
		"wrong type":    {asn, errNoPlace, `is of type "GeoLite2-ASN" and has no countries`},
		"nothing in it": {mmdb("GeoLite2-City"), errNoPlace, "has no countries"},
		"damaged":       {damaged, errDamaged, "is damaged"},
		"loop":          {loop, errDamaged, "is damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			path := write(t, filepath.Join(t.TempDir(), "db.mmdb"), test.data)
			_, err := Open(path)
			if err == nil || test.want != nil && !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.text) || !strings.Contains(err.Error(), path) {
				t.Errorf("%v, want %v with %q", err, test.want, test.text)
			}
		})
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

// TestTangledTreeIsRefused has a tree both of whose sides lead to the same node
// at each step, so that it seems to have 2^100 networks.
func TestTangledTreeIsRefused(t *testing.T) {
	data := mmdb("Country", network{"2a00:1450::/100", city("EU", "IE", "")})
	for node := range 99 {
		next := []byte{0, 0, byte(node + 1)}
		copy(data[6*node:], append(next, next...))
	}
	if _, err := parse(data); !errors.Is(err, errNoTree) {
		t.Errorf("%v, want %v", err, errNoTree)
	}
	// A network of IPv4 that leads to all of IPv4.
	data = mmdb("Country", network{"1.0.0.0/8", city("OC", "AU", "")})
	copy(data[6*98:], []byte{0, 0, 96, 0, 0, 96})
	if _, err := parse(data); !errors.Is(err, errNoTree) {
		t.Errorf("%v, want %v", err, errNoTree)
	}
}

func TestTooManyPlaces(t *testing.T) {
	b := newBuilder()
	for i := range 65535 {
		if _, err := b.location(Place{Country: "US", Subdivision: fmt.Sprint(i)}); err != nil {
			t.Fatalf("place %d: %v", i, err)
		}
	}
	if _, err := b.location(Place{Country: "FR"}); !errors.Is(err, errTooManyPlaces) {
		t.Errorf("the 65536th: %v", err)
	}
}

func FuzzOpen(f *testing.F) {
	f.Add([]byte{})
	f.Add(mmdb("GeoLite2-City", network{"8.8.8.0/24", city("NA", "US", "CA")}))
	f.Add(mmdb("x", network{"2a00::/16", map[string]any{"country_code": "DE"}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := parse(data)
		if err != nil {
			return
		}
		for _, a := range []string{"1.2.3.4", "255.255.255.255", "2a00::1", "::"} {
			address := netip.MustParseAddr(a)
			l, n := d.Lookup(address)
			if int(l) >= len(d.Places()) || n < 0 || n > address.BitLen() {
				t.Fatalf("%s is at %d/%d", a, l, n)
			}
		}
	})
}
