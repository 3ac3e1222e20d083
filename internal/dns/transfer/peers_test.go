package transfer

import (
	"fmt"
	"net/netip"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/test/dnspeers"
)

// Knot and BIND as secondaries: they take the zone as a whole, hear of each new
// version at once, follow by IXFR, and have what Hanse has in the end.
func TestSecondaries(t *testing.T) {
	for name, start := range map[string]func(testing.TB, dnspeers.Config) *dnspeers.Server{"Knot": dnspeers.Knot, "BIND": dnspeers.BIND} {
		for keyName, key := range map[string]*Key{"key": testKey(), "address": nil} {
			t.Run(name+" by "+keyName, func(t *testing.T) {
				t.Parallel()
				follow(t, start, key)
			})
		}
	}
}

func follow(t *testing.T, start func(testing.TB, dnspeers.Config) *dnspeers.Server, key *Key) {
	tr := New(clock.RealClock{})
	served := &counter{}
	addr := serveOn(t, "127.0.0.1:0", tr.TSIG(), served.count(handler(tr)))
	listen := dnspeers.FreePort(t)
	mustSet(t, tr, Zone{Name: zoneName, Secondaries: []netip.AddrPort{netip.MustParseAddrPort(listen)}, Key: key})
	records := largeZone()
	mustUpdate(t, tr, 1<<31-2, records...)
	peer := start(t, dnspeers.Config{Zone: zoneName, Primary: addr, Listen: listen, Key: peerKey(key), Transfers: true})
	run(t, tr)
	expect(t, tr, peer, 1<<31-2, records)

	// One change after the other, one that takes back the one before, and many at
	// once; across the serials' middle and end.
	changes := [][]dns.RR{
		append(slices.Clone(records[:len(records)-1]), a("new", 1), a("new", 2)),
		records,
		append(slices.Clone(records), &dns.TXT{Hdr: header("Text", dns.TypeTXT), Txt: []string{"with \"quotes\" and a \\ in it", ""}}),
		otherTTL(records),
		append(slices.Clone(records[500:]), records[0]),
	}
	serial := uint32(1<<31 - 2)
	for _, change := range changes {
		serial++
		mustUpdate(t, tr, serial, change...)
		expect(t, tr, peer, serial, change)
	}
	for range 20 { // faster than a secondary follows
		serial += 1 << 26
		mustUpdate(t, tr, serial, append(slices.Clone(records), a("last", byte(serial>>26)))...)
	}
	expect(t, tr, peer, serial, append(slices.Clone(records), a("last", byte(serial>>26))))
	if whole, differences := served.of(dns.TypeAXFR), served.of(dns.TypeIXFR); whole > 2 || differences < len(changes) {
		t.Errorf("%d AXFRs and %d IXFRs for %d changes", whole, differences, len(changes))
	}
}

// expect waits until a secondary has a version, and compares all records.
func expect(t *testing.T, tr *Transfers, peer *dnspeers.Server, serial uint32, want []dns.RR) {
	t.Helper()
	dnspeers.Wait(t, fmt.Sprintf("the secondary has serial %d and acknowledged it", serial), func() bool {
		got, ok := peer.Serial()
		return ok && got == serial && acknowledged(tr, serial)
	})
	got, err := peer.Records()
	if err != nil {
		t.Fatal(err)
	}
	if g, w := lower(texts(got[1:])), lower(texts(want)); !slices.Equal(g, w) {
		t.Fatalf("serial %d: the secondary has %d records, want %d", serial, len(g), len(w))
	}
}

// A secondary with another secret gets nothing, and neither does one without.
func TestSecondariesWithTheWrongKey(t *testing.T) {
	wrong := testKey()
	wrong.Secret = "d3Jvbmc="
	for name, start := range map[string]func(testing.TB, dnspeers.Config) *dnspeers.Server{"Knot": dnspeers.Knot, "BIND": dnspeers.BIND} {
		for keyName, key := range map[string]*Key{"the wrong secret": wrong, "no key": nil} {
			t.Run(name+" with "+keyName, func(t *testing.T) {
				t.Parallel()
				tr := New(clock.RealClock{})
				served := &counter{}
				addr := serveOn(t, "127.0.0.1:0", tr.TSIG(), served.count(handler(tr)))
				mustSet(t, tr, Zone{Name: zoneName, Key: testKey()})
				mustUpdate(t, tr, 1, largeZone()...)
				peer := start(t, dnspeers.Config{Zone: zoneName, Primary: addr, Key: peerKey(key)})
				dnspeers.Wait(t, "a refusal in its log", func() bool {
					log := strings.ToUpper(peer.Log())
					return strings.Contains(log, "REFUSED") || strings.Contains(log, "TSIG")
				})
				if serial, ok := peer.Serial(); ok {
					t.Errorf("it has the zone, serial %d", serial)
				}
			})
		}
	}
}

// What people do by hand.
func TestDigAndKdig(t *testing.T) {
	tr := New(clock.RealClock{})
	key := testKey()
	mustSet(t, tr, Zone{Name: zoneName, Key: key})
	mustUpdate(t, tr, 1, largeZone()...)
	mustUpdate(t, tr, 2, append(largeZone(), a("new", 1))...)
	host, port, _ := strings.Cut(serve(t, tr), ":")
	dig, kdig := dnspeers.Require(t, "dig", "bind9-dnsutils"), dnspeers.Require(t, "kdig", "knot-dnsutils")
	y := fmt.Sprintf("hmac-sha256:%s:%s", key.Name, key.Secret)
	whole := strconv.Itoa(len(largeZone()) + 3)
	for _, c := range []struct {
		command []string
		want    string
	}{
		{[]string{dig, "-y", y, "AXFR"}, "XFR size: " + whole + " records"},
		{[]string{dig, "-y", y, "IXFR=1"}, "XFR size: 5 records"},
		{[]string{dig, "-y", y, "IXFR=2"}, "XFR size: 1 records"},
		{[]string{dig, "-y", y, "+notcp", "IXFR=1"}, "SERVER: 127.0.0.1#" + port + "(127.0.0.1) (UDP)"},
		{[]string{dig, "-y", "hmac-sha256:" + key.Name + ":d3Jvbmc=", "AXFR"}, "Transfer failed"},
		{[]string{dig, "AXFR"}, "Transfer failed"},
		{[]string{kdig, "-y", y, "AXFR"}, whole + " records"},
		{[]string{kdig, "-y", y, "IXFR=1"}, "5 records"},
		{[]string{kdig, "-y", "hmac-sha256:" + key.Name + ":d3Jvbmc=", "AXFR"}, "BADSIG"},
		{[]string{kdig, "-y", "hmac-sha256:nobody:d3Jvbmc=", "AXFR"}, "BADKEY"},
		{[]string{kdig, "AXFR"}, "REFUSED"},
	} {
		args := append([]string{"@" + host, "-p", port, zoneName}, c.command[1:]...)
		// The exit code differs by program and failure; what it says decides.
		out, _ := exec.Command(c.command[0], args...).CombinedOutput()
		if !strings.Contains(string(out), c.want) {
			t.Errorf("%v: want %q, got the end\n%s", c.command, c.want, out[max(0, len(out)-600):])
		}
		if strings.Contains(string(out), "could not be verified") || strings.Contains(string(out), "WARNING") {
			t.Errorf("%v: %s", c.command, out[max(0, len(out)-600):])
		}
	}
}

// largeZone takes several messages.
func largeZone() []dns.RR {
	ns := header("", dns.TypeNS)
	ns.Name = zoneName
	return append([]dns.RR{&dns.NS{Hdr: ns, Ns: "ns." + zoneName}, a("ns", 1), a("*", 9), a("*.deep.er", 9)}, records(1500, 3)...)
}

// otherTTL is the records with another TTL for some.
func otherTTL(records []dns.RR) []dns.RR {
	changed := slices.Clone(records)
	for i := 1; i < 4; i++ {
		changed[i] = dns.Copy(changed[i])
		changed[i].Header().Ttl = 77
	}
	return changed
}

func lower(texts []string) []string {
	for i, s := range texts {
		name, rest, _ := strings.Cut(s, "\t")
		texts[i] = strings.ToLower(name) + "\t" + rest
	}
	slices.Sort(texts)
	return texts
}

func peerKey(k *Key) *dnspeers.Key {
	if k == nil {
		return nil
	}
	return &dnspeers.Key{Name: k.Name, Algorithm: k.Algorithm, Secret: k.Secret}
}

// counter counts requests by type.
type counter struct {
	mu sync.Mutex
	n  map[uint16]int
}

func (c *counter) count(h dns.Handler) dns.HandlerFunc {
	return func(w dns.ResponseWriter, r *dns.Msg) {
		c.mu.Lock()
		if c.n == nil {
			c.n = map[uint16]int{}
		}
		c.n[r.Question[0].Qtype]++
		c.mu.Unlock()
		h.ServeDNS(w, r)
	}
}

func (c *counter) of(kind uint16) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n[kind]
}
