package transfer

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"pgregory.net/rapid"
)

// RFC 1982, section 5.2, for 32 bits.
func TestNewer(t *testing.T) {
	for _, c := range []struct {
		a, b uint32
		want bool
	}{
		{1, 0, true}, {0, 1, false}, {44, 0, true}, {7, 7, false},
		{0, 1<<32 - 1, true}, {100, 1<<32 - 100, true}, {1<<31 - 1, 0, true},
		{1 << 31, 0, false}, {0, 1 << 31, false}, // undefined
	} {
		if got := Newer(c.a, c.b); got != c.want {
			t.Errorf("Newer(%d, %d) is %v", c.a, c.b, got)
		}
	}
}

// A secondary that applies the differences from any version that is known has the
// current one; and all versions are known that should be.
func TestDifferencesLeadToTheCurrentVersion(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var h *history
		versions := map[uint32][]string{}
		serial := rapid.Uint32().Draw(t, "first serial")
		n := rapid.IntRange(1, 80).Draw(t, "versions")
		var order []uint32
		for range n {
			records := drawRecords(t)
			var err error
			if h, err = h.next(append([]dns.RR{soa(serial)}, records...)); err != nil {
				t.Fatal(err)
			}
			versions[serial], order = texts(records), append(order, serial)
			serial += rapid.Uint32Range(1, 1<<20).Draw(t, "step")
		}
		for i, from := range order[:n-1] {
			d, ok := h.since(from)
			if want := n-1-i <= maxVersions; ok != want {
				t.Fatalf("%d versions ago: known is %v", n-1-i, ok)
			}
			if !ok {
				continue
			}
			if got, err := apply(from, versions[from], h.difference(d)); err != nil {
				t.Fatal(err)
			} else if want := versions[order[n-1]]; !slices.Equal(got, want) {
				t.Fatalf("from serial %d:\n%v\nwant\n%v", from, got, want)
			}
		}
		if got := texts(h.all()[1 : len(h.all())-1]); !slices.Equal(got, versions[order[n-1]]) {
			t.Fatalf("the whole zone is %v", got)
		}
	})
}

func TestHistoryIsForgotten(t *testing.T) {
	first := mustNext(t, nil, soa(10), a("a", 1))
	for name, serial := range map[string]uint32{"the same serial": 10, "a lower serial": 9, "half the circle on": 10 + 1<<31} {
		h := mustNext(t, first, soa(serial), a("a", 2))
		if _, ok := h.since(10); ok {
			t.Errorf("%s: differences from serial 10 are given", name)
		}
	}
	far := mustNext(t, first, soa(10+1<<30), a("a", 2))
	far = mustNext(t, far, soa(10+1<<31), a("a", 3))
	if _, ok := far.since(10); ok {
		t.Error("differences are given from a serial that is not older")
	}
	if _, ok := far.since(10 + 1<<30); !ok {
		t.Error("the version before is not known")
	}
}

func TestHistoryBranches(t *testing.T) {
	h := mustNext(t, nil, soa(1))
	for serial := range uint32(5) {
		h = mustNext(t, h, soa(2+serial), a("a", byte(serial)))
	}
	one := mustNext(t, h, soa(10), a("one", 1))
	mustNext(t, h, soa(10), a("two", 2))
	d, _ := one.since(1)
	if got := texts(d.added.sorted()); len(got) != 1 || !strings.HasPrefix(got[0], "one.") {
		t.Errorf("a version has changed after it was made: %v", got)
	}
}

func TestHistoryIsBounded(t *testing.T) {
	long := strings.Repeat("x", 255)
	var h *history
	for serial := range uint32(20) {
		var records []dns.RR
		for i := range 400 { // 400 KB gone and come with each version
			records = append(records, &dns.TXT{Hdr: header("txt", dns.TypeTXT), Txt: []string{fmt.Sprint(serial, i), long, long, long, long}})
		}
		h = mustNext(t, h, soa(serial), records...)
	}
	if len(h.deltas) != 1 {
		t.Errorf("%d versions of 800 KB of differences are kept, want 1", len(h.deltas))
	}
	if _, ok := h.since(18); !ok {
		t.Error("the version before is not known")
	}
}

func TestNextSaysNothingNew(t *testing.T) {
	h := mustNext(t, nil, soa(1), a("www", 1), a("www", 1), a("WWW", 1), a("b", 2), soa(1))
	if len(h.records) != 2 {
		t.Errorf("%d records, want 2: %v", len(h.records), h.all())
	}
	if again := mustNext(t, h, soa(1), a("b", 2), a("www", 1)); again != h {
		t.Error("the same records in another order are a new version")
	}
	other := a("b", 2)
	other.Header().Ttl++
	if again := mustNext(t, h, soa(2), a("www", 1), other); len(again.deltas) != 1 || len(again.deltas[0].added) != 1 {
		t.Error("another TTL is no difference")
	}
	for _, records := range [][]dns.RR{nil, {}, {a("b", 1)}} {
		if _, err := h.next(records); err == nil {
			t.Errorf("%v is taken for a zone", records)
		}
	}
}

func mustNext(t *testing.T, h *history, soa *dns.SOA, records ...dns.RR) *history {
	t.Helper()
	h, err := h.next(append([]dns.RR{soa}, records...))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// apply does what a secondary does with the answer to IXFR (RFC 1995, section 4);
// the answer may be a whole zone.
func apply(serial uint32, zone []string, answer []dns.RR) ([]string, error) {
	last, ok := answer[len(answer)-1].(*dns.SOA)
	if !ok || answer[0].(*dns.SOA).Serial != last.Serial {
		return nil, fmt.Errorf("the answer of %d records does not begin and end with the same SOA", len(answer))
	}
	if len(answer) == 1 {
		return zone, nil
	}
	body := answer[1 : len(answer)-1]
	if len(body) == 0 || body[0].Header().Rrtype != dns.TypeSOA {
		return texts(body), nil
	}
	have := map[string]bool{}
	for _, r := range zone {
		have[r] = true
	}
	adding := true
	for _, rr := range body {
		if soa, ok := rr.(*dns.SOA); ok {
			if adding = !adding; !adding && soa.Serial != serial {
				return nil, fmt.Errorf("differences from %d to a zone of %d", soa.Serial, serial)
			}
			serial = soa.Serial
			continue
		}
		if have[rr.String()] == adding {
			return nil, fmt.Errorf("%v: added though there, or removed though not", rr)
		}
		have[rr.String()] = adding
	}
	if serial != last.Serial || !adding {
		return nil, fmt.Errorf("differences lead to %d instead of %d", serial, last.Serial)
	}
	maps.DeleteFunc(have, func(_ string, there bool) bool { return !there })
	return slices.Sorted(maps.Keys(have)), nil
}

func drawRecords(t *rapid.T) []dns.RR {
	seen := map[string]dns.RR{}
	for range rapid.IntRange(0, 12).Draw(t, "records") {
		var rr dns.RR = a(rapid.SampledFrom([]string{"a", "b", "*.c", "c"}).Draw(t, "name"), rapid.ByteRange(0, 5).Draw(t, "address"))
		if rapid.IntRange(0, 3).Draw(t, "kind") == 0 {
			rr = &dns.TXT{Hdr: header("t", dns.TypeTXT), Txt: []string{rapid.StringMatching(`[a-z]{0,2}`).Draw(t, "text")}}
		}
		seen[rr.String()] = rr
	}
	return slices.Collect(maps.Values(seen))
}

func texts(records []dns.RR) []string {
	s := make([]string, 0, len(records))
	for _, rr := range records {
		s = append(s, rr.String())
	}
	slices.Sort(s)
	return s
}

const zoneName = "example."

func header(name string, kind uint16) dns.RR_Header {
	return dns.RR_Header{Name: name + "." + zoneName, Rrtype: kind, Class: dns.ClassINET, Ttl: 30}
}

func soa(serial uint32) *dns.SOA {
	h := header("", dns.TypeSOA)
	h.Name = zoneName
	return &dns.SOA{Hdr: h, Ns: "ns." + zoneName, Mbox: "admin." + zoneName,
		Serial: serial, Refresh: 3600, Retry: 600, Expire: 86400, Minttl: 30}
}

func a(name string, last byte) *dns.A {
	return &dns.A{Hdr: header(name, dns.TypeA), A: []byte{192, 0, 2, last}}
}

// One of 10,000 hosts has changed.
func BenchmarkNext(b *testing.B) {
	all := records(10_000, 1)
	h, err := (*history)(nil).next(append([]dns.RR{soa(1)}, all...))
	if err != nil {
		b.Fatal(err)
	}
	all[5000] = a("host-5000", 2)
	changed := append([]dns.RR{soa(2)}, all...)
	for b.Loop() {
		if _, err := h.next(changed); err != nil {
			b.Fatal(err)
		}
	}
}
