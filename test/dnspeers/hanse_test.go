package dnspeers

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/miekg/dns"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/internal/dns/cookie"
	"github.com/hanse-dev/hanse/internal/dns/ratelimit"
	"github.com/hanse-dev/hanse/internal/dns/server"
	"github.com/hanse-dev/hanse/internal/dns/steer"
	"github.com/hanse-dev/hanse/internal/dns/transfer"
	"github.com/hanse-dev/hanse/internal/dns/zone"
)

// Hanse's name server as the primary of Knot and BIND: all that it is made of,
// together.
func TestHanseAsPrimary(t *testing.T) {
	for name, start := range map[string]func(testing.TB, Config) *Server{"Knot": Knot, "BIND": BIND} {
		for keyName, k := range map[string]*Key{"key": key(), "address": nil} {
			t.Run(name+" by "+keyName, func(t *testing.T) {
				t.Parallel()
				h := startHanse(t)
				listen := FreePort(t)
				zone := transfer.Zone{Name: "example.", Secondaries: []netip.AddrPort{netip.MustParseAddrPort(listen)}}
				if k != nil {
					zone.Key = &transfer.Key{Name: k.Name, Algorithm: k.Algorithm, Secret: k.Secret}
				}
				if err := h.transfers.SetZones([]transfer.Zone{zone}); err != nil {
					t.Fatal(err)
				}
				h.publish(t, 1, 3000)
				peer := start(t, Config{Zone: "example.", Primary: h.addr, Listen: listen, Key: k, Transfers: true})
				for i, hosts := range []int{3000, 3001, 2990, 0, 1} {
					serial := uint32(i + 1)
					records := h.publish(t, serial, hosts)
					Wait(t, fmt.Sprintf("the secondary has serial %d", serial), func() bool { got, ok := peer.Serial(); return ok && got == serial })
					got, err := peer.Records()
					if err != nil {
						t.Fatal(err)
					}
					if g, w := texts(got), texts(records); !slices.Equal(g, w) {
						t.Fatalf("serial %d: %d records, want %d", serial, len(g), len(w))
					}
				}
			})
		}
	}
}

type hanse struct {
	addr      string
	server    *server.Server
	transfers *transfer.Transfers
	snapshot  *zone.Snapshot
}

func startHanse(t *testing.T) *hanse {
	t.Helper()
	h := &hanse{transfers: transfer.New(clock.RealClock{})}
	h.server = server.New(server.Config{
		Listen: []string{"127.0.0.1:0"}, Transfers: h.transfers, Clock: clock.RealClock{},
		Cookies: cookie.New([16]byte{1}), Limiter: ratelimit.New(ratelimit.Config{PerSecond: 100, Slip: 2}),
	})
	at, err := h.server.Listen()
	if err != nil {
		t.Fatal(err)
	}
	h.addr = at[0]
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() { ended <- h.server.Serve(ctx) }()
	go func() { h.transfers.Run(ctx); ended <- nil }()
	t.Cleanup(func() {
		cancel()
		for range cap(ended) {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	})
	return h
}

// publish makes a version with so many hosts.
func (h *hanse) publish(t *testing.T, serial uint32, hosts int) []dns.RR {
	t.Helper()
	header := func(name string, kind uint16) dns.RR_Header {
		return dns.RR_Header{Name: name, Rrtype: kind, Class: dns.ClassINET, Ttl: 60}
	}
	z := zone.Zone{
		Name: "example.",
		SOA: dns.SOA{Hdr: header("example.", dns.TypeSOA), Ns: "ns.example.", Mbox: "admin.example.",
			Serial: serial, Refresh: 3600, Retry: 600, Expire: 86400, Minttl: 60},
		NS:      []dns.RR{&dns.NS{Hdr: header("example.", dns.TypeNS), Ns: "ns.example."}},
		Records: []dns.RR{&dns.A{Hdr: header("ns.example.", dns.TypeA), A: []byte{127, 0, 0, 1}}},
	}
	for i := range hosts {
		z.Hosts = append(z.Hosts, steer.Host{
			Name: fmt.Sprintf("host-%d.example.", i), TTL: 30, Policy: steer.All,
			Clusters: []steer.Cluster{{Name: "aws", Up: true, Addresses: []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), netip.MustParseAddr("2001:db8::1")}}},
		})
	}
	h.snapshot = zone.Build(h.snapshot, nil, []zone.Zone{z})
	h.server.Swap(h.snapshot)
	records := h.snapshot.Records("example.")
	if err := h.transfers.Update("example.", records); err != nil {
		t.Fatal(err)
	}
	return records
}

func texts(records []dns.RR) []string {
	var s []string
	for _, rr := range records {
		s = append(s, rr.String())
	}
	slices.Sort(s)
	return s
}
