package zone

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"pgregory.net/rapid"

	"github.com/hanse-dev/hanse/internal/dns/geo"
	"github.com/hanse-dev/hanse/internal/dns/steer"
)

// ask asks a snapshot, and reads the answer as a client does.
func ask(t require, s *Snapshot, name string, rtype uint16, client string, random uint64) (*dns.Msg, Answer) {
	q := new(dns.Msg)
	q.SetQuestion(name, rtype)
	data, err := q.Pack()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	wire, ok := wireName(name)
	if !ok {
		t.Fatalf("%s is no name", name)
	}
	var a Answer
	query := &Query{Name: []byte(wire), Type: rtype, Client: netip.MustParseAddr(client), Random: random, Limit: 65535}
	data = s.Append(data, query, &a)
	data[6], data[7] = byte(a.Answers>>8), byte(a.Answers)
	data[8], data[9] = byte(a.Authority>>8), byte(a.Authority)
	data[10], data[11] = byte(a.Additional>>8), byte(a.Additional)
	r := new(dns.Msg)
	if err := r.Unpack(data); err != nil {
		t.Fatalf("%s %s: %v in %x", name, dns.TypeToString[rtype], err, data)
	}
	r.Rcode, r.Authoritative = int(a.Rcode), a.Authoritative
	return r, a
}

// require is testing.TB or rapid.T.
type require interface {
	Fatalf(format string, args ...any)
}

func lines(records []dns.RR) []string {
	var all []string
	for _, rr := range records {
		all = addLine(all, strings.ToLower(rr.Header().Name), rr)
	}
	slices.Sort(all)
	return all
}

// names are few, so that they meet.
func drawName(t *rapid.T, zone string) string {
	parts := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "*", "sub"}), 0, 4).Draw(t, "labels")
	return strings.Join(append(parts, zone), ".")
}

func drawZone(t *rapid.T, name string) Zone {
	rr := func(text string) dns.RR {
		r, err := dns.NewRR(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		return r
	}
	z := Zone{Name: name, SOA: *rr(name + " 3600 SOA ns1 admin 7 3600 600 604800 60").(*dns.SOA)}
	z.NS = []dns.RR{rr(name + " 300 NS ns1." + name)}
	for range rapid.IntRange(0, 12).Draw(t, "records") {
		at := drawName(t, name)
		target := drawName(t, rapid.SampledFrom([]string{"example.", "sub.example.", "other.", "elsewhere."}).Draw(t, "in"))
		data := rapid.SampledFrom([]string{
			"A 192.0.2.1", "A 192.0.2.2", "AAAA 2001:db8::1", "TXT text", "MX 10 " + target, "SRV 1 2 3 " + target,
			"CNAME " + target, "CNAME " + target, "NS " + target, "DS 1 8 2 00", "PTR " + target,
		}).Draw(t, "data")
		if strings.HasPrefix(data, "NS") && at == name {
			continue
		}
		z.Records = append(z.Records, rr(at+" 300 IN "+data))
	}
	z.Hosts = rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) steer.Host { return drawHost(t, name) }), 0, 4,
		func(h steer.Host) string { return h.Name }).Draw(t, "hosts")
	return z
}

func drawHost(t *rapid.T, zone string) steer.Host {
	h := steer.Host{
		Name: drawName(t, zone), TTL: 30,
		Policy: rapid.SampledFrom([]steer.Policy{steer.Geography, steer.Failover, steer.All}).Draw(t, "policy"),
		Order:  []string{"one", "two"}, Rules: []steer.Rule{{From: geo.Place{Continent: "EU"}, Clusters: []string{"two"}}, {Clusters: []string{"one"}}},
		WhenAllDown: rapid.SampledFrom([]steer.AllDown{steer.AnswerAll, steer.AnswerNothing}).Draw(t, "all down"),
	}
	if rapid.Bool().Draw(t, "serving") {
		h.Serving = &steer.Serving{Terms: []steer.Term{{Of: "r", Rules: []steer.ServingRule{
			{Continents: []string{"EU"}, Clusters: rapid.SampledFrom([][]string{{"one"}, {"two"}, {}}).Draw(t, "of Europe")}, {Clusters: []string{"one"}}}}}}
	}
	for i, name := range []string{"one", "two"} {
		c := steer.Cluster{Name: name, Up: rapid.Bool().Draw(t, "up")}
		if rapid.Bool().Draw(t, "v4") {
			c.Addresses = append(c.Addresses, netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}))
		}
		if rapid.Bool().Draw(t, "v6") {
			c.Addresses = append(c.Addresses, netip.MustParseAddr(fmt.Sprintf("2001:db8::%d", i)))
		}
		if rapid.Bool().Draw(t, "named") {
			c.Hostname = drawName(t, rapid.SampledFrom([]string{"example.", "elsewhere."}).Draw(t, "in"))
		}
		h.Clusters = append(h.Clusters, c)
	}
	return h
}

// European and nobody's.
const european, nobodys = "185.17.0.1", "10.0.0.1"

func TestReference(t *testing.T) {
	db := database(t)
	rapid.Check(t, func(t *rapid.T) {
		zones := []Zone{drawZone(t, "example.")}
		if rapid.Bool().Draw(t, "child") {
			zones = append(zones, drawZone(t, "sub.example."))
		}
		if rapid.Bool().Draw(t, "other") {
			zones = append(zones, drawZone(t, "other."))
		}
		s := Build(Build(nil, db, zones[:1]), db, zones)
		for range 30 {
			name := drawName(t, rapid.SampledFrom([]string{"example.", "sub.example.", "other.", "elsewhere."}).Draw(t, "zone"))
			rtype := rapid.SampledFrom([]uint16{dns.TypeA, dns.TypeAAAA, dns.TypeTXT, dns.TypeMX, dns.TypeSRV, dns.TypeCNAME, dns.TypeNS,
				dns.TypeSOA, dns.TypeDS, dns.TypeANY, dns.TypePTR}).Draw(t, "type")
			client := rapid.SampledFrom([]string{european, nobodys}).Draw(t, "client")
			r, _ := ask(t, s, name, rtype, client, rapid.Uint64().Draw(t, "random"))
			want := &reference{zones: zones, place: placeOf(db, client)}
			want.resolve(name, rtype)
			slices.Sort(want.answer)
			slices.Sort(want.authority)
			if got := lines(r.Answer); r.Rcode != want.rcode || r.Authoritative != want.aa || !slices.Equal(got, want.answer) || !slices.Equal(lines(r.Ns), want.authority) {
				t.Fatalf("%s %s from %s\nzones %v\ngot  %s aa=%v %q %q\nwant %s aa=%v %q %q", name, dns.TypeToString[rtype], client, zones,
					dns.RcodeToString[r.Rcode], r.Authoritative, got, lines(r.Ns), dns.RcodeToString[want.rcode], want.aa, want.answer, want.authority)
			}
		}
	})
}

// placeOf is where the database has an address.
func placeOf(db *geo.DB, client string) geo.Place {
	location, _ := db.Lookup(netip.MustParseAddr(client))
	return db.Places()[location]
}

func database(t testing.TB) *geo.DB {
	t.Helper()
	db, err := geo.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	return db
}
