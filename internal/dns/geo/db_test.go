package geo

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

func open(t testing.TB) *DB {
	t.Helper()
	d, err := Embedded()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestEmbeddedKnowsWellKnownAddresses(t *testing.T) {
	d := open(t)
	for address, want := range map[string]string{
		"8.8.8.8": "US", "194.25.0.60": "DE", "1.1.1.1": "AU", "202.12.27.33": "JP",
		"2600:1f18::1": "US", "2a01:4f8::1": "DE", "2001:dc0::1": "JP",
		"::ffff:8.8.8.8": "US",
		"10.1.2.3":       "", "127.0.0.1": "", "100.64.1.1": "", "169.254.1.1": "", "203.0.113.9": "",
		"239.1.1.1": "", "255.255.255.255": "", "0.0.0.0": "", "::1": "", "::": "", "fe80::1": "",
		"fd00::1": "", "2001:db8::1": "", "ff02::1": "", "2002:808:808::1": "",
	} {
		l, n := d.Lookup(netip.MustParseAddr(address))
		if got := d.Places()[l].Country; got != want {
			t.Errorf("%s is in %q (location %d, /%d), want %q", address, got, l, n, want)
		}
	}
}

func TestLookupOfNothingIsNowhere(t *testing.T) {
	if l, n := open(t).Lookup(netip.Addr{}); l != 0 || n != 0 {
		t.Errorf("the zero Addr is at %d/%d", l, n)
	}
}

// addressIn draws an address of the family, often next to where a range begins.
func addressIn(rt *rapid.T, d *DB, four bool) netip.Addr {
	if four {
		x := rapid.Uint32().Draw(rt, "x")
		if rapid.Bool().Draw(rt, "edge") {
			x = d.v4.starts[rapid.IntRange(0, len(d.v4.starts)-1).Draw(rt, "range")] + uint32(rapid.IntRange(-2, 2).Draw(rt, "offset"))
		}
		return address4(x)
	}
	x := uint128{rapid.Uint64().Draw(rt, "hi"), rapid.Uint64().Draw(rt, "lo")}
	if rapid.Bool().Draw(rt, "edge") {
		x = d.v6.starts[rapid.IntRange(0, len(d.v6.starts)-1).Draw(rt, "range")].add(uint128{lo: rapid.Uint64Range(0, 2).Draw(rt, "offset")})
	}
	return address6(x)
}

func address4(x uint32) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], x)
	return netip.AddrFrom4(b)
}

func address6(x uint128) netip.Addr {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], x.hi)
	binary.BigEndian.PutUint64(b[8:], x.lo)
	return netip.AddrFrom16(b)
}

// uniform says whether all addresses of a prefix have one location, by walking
// the ranges.
func uniform(d *DB, p netip.Prefix) bool {
	first := number(p.Addr())
	last := first.add(power(p.Addr().BitLen() - p.Bits()).sub(uint128{lo: 1}))
	if p.Addr().Is4() {
		return reference4(d, uint32(first.lo)) == reference4(d, uint32(last.lo))
	}
	return reference6(d, first) == reference6(d, last)
}

// reference4 and reference6 find the number of a range, slowly and surely.
func reference4(d *DB, x uint32) int {
	low, high := 0, len(d.v4.starts)
	for high-low > 1 {
		if middle := (low + high) / 2; d.v4.starts[middle] <= x {
			low = middle
		} else {
			high = middle
		}
	}
	return low
}

func reference6(d *DB, x uint128) int {
	low, high := 0, len(d.v6.starts)
	for high-low > 1 {
		if middle := (low + high) / 2; !x.less(d.v6.starts[middle]) {
			low = middle
		} else {
			high = middle
		}
	}
	return low
}

func TestPrefixIsTheLongestWithOneLocation(t *testing.T) {
	d := open(t)
	rapid.Check(t, func(rt *rapid.T) {
		four := rapid.Bool().Draw(rt, "IPv4")
		a := addressIn(rt, d, four)
		if a.Is4In6() {
			four, a = true, a.Unmap()
		}
		l, n := d.Lookup(a)
		want := Location(0)
		if four {
			want = d.v4.locations[reference4(d, uint32(number(a).lo))]
		} else {
			want = d.v6.locations[reference6(d, number(a))]
		}
		if l != want {
			rt.Fatalf("%v is at %d, want %d", a, l, want)
		}
		p, err := a.Prefix(n)
		if err != nil {
			rt.Fatal(err)
		}
		if !uniform(d, p) {
			rt.Fatalf("%v has more than one location", p)
		}
		if n == 0 {
			return
		}
		if wider, _ := a.Prefix(n - 1); uniform(d, wider) {
			rt.Fatalf("%v has one location, so %v is too long", wider, p)
		}
	})
}

func TestNeighboursDiffer(t *testing.T) {
	d := open(t)
	for i := 1; i < len(d.v4.locations); i++ {
		if d.v4.locations[i] == d.v4.locations[i-1] || d.v4.starts[i] <= d.v4.starts[i-1] {
			t.Fatalf("IPv4 ranges %d and %d should be one", i-1, i)
		}
	}
	for i := 1; i < len(d.v6.locations); i++ {
		if d.v6.locations[i] == d.v6.locations[i-1] || !d.v6.starts[i-1].less(d.v6.starts[i]) {
			t.Fatalf("IPv6 ranges %d and %d should be one", i-1, i)
		}
	}
}

func TestShareAddsUpToOne(t *testing.T) {
	d := open(t)
	sum := 0.0
	byCountry := map[string]float64{}
	for l, s := range d.Share() {
		sum += s
		byCountry[d.Places()[l].Country] += s
	}
	if sum < 0.999 || sum > 1.001 || d.Share()[0] != 0 {
		t.Errorf("shares add up to %v, that of nowhere is %v", sum, d.Share()[0])
	}
	if us := byCountry["US"]; us < 0.3 || us > 0.55 {
		t.Errorf("the United States have %v of the IPv4 addresses", us)
	}
}

func TestEveryPlaceHasAContinent(t *testing.T) {
	d := open(t)
	for l, p := range d.Places() {
		if l > 0 && (p.Continent == "" || p.Continent != ContinentOf(p.Country)) {
			t.Errorf("location %d is %+v", l, p)
		}
	}
	if len(d.Places()) < 240 {
		t.Errorf("only %d places", len(d.Places()))
	}
}

func TestLookupAllocatesNothing(t *testing.T) {
	d := open(t)
	four, six := netip.MustParseAddr("8.8.8.8"), netip.MustParseAddr("2a00:1450::1")
	if n := testing.AllocsPerRun(100, func() { d.Lookup(four); d.Lookup(six) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestEmbeddedIsSmall(t *testing.T) {
	if len(embedded) > 2_500_000 {
		t.Errorf("%d bytes", len(embedded))
	}
}

func BenchmarkLookup4(b *testing.B) {
	d := open(b)
	x := uint32(1)
	b.ReportAllocs()
	for b.Loop() {
		x = x*1664525 + 1013904223
		d.Lookup(address4(x &^ 0xff))
	}
}

func BenchmarkLookup6(b *testing.B) {
	d := open(b)
	x := uint64(1)
	b.ReportAllocs()
	for b.Loop() {
		x = x*6364136223846793005 + 1442695040888963407
		d.Lookup(address6(uint128{hi: 0x2000<<48 | x>>3, lo: x}))
	}
}

func BenchmarkEmbedded(b *testing.B) {
	for b.Loop() {
		open(b)
	}
}
