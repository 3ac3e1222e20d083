package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/internal/dns/cookie"
	"github.com/hanse-dev/hanse/internal/dns/geo"
	"github.com/hanse-dev/hanse/internal/dns/ratelimit"
	nameserver "github.com/hanse-dev/hanse/internal/dns/server"
	"github.com/hanse-dev/hanse/internal/dns/steer"
	"github.com/hanse-dev/hanse/internal/dns/zone"
)

// serveDNS is the argument that makes this program a name server, made of what the hub's is made of.
const serveDNS = "serve-dns"

const benchZone = "bench.example."

func routeName(i int) string { return fmt.Sprintf("www%d.%s", i, benchZone) }

// sites are the clusters, by the continent that they are for; the first is for all others, too.
func sites() []string { return []string{"NA", "EU", "AS"} }

// siteAddress is what a route has at a site; it differs in each generation.
func siteAddress(route, site, generation int) netip.Addr {
	n := route + generation
	return netip.AddrFrom4([4]byte{10, byte(site), byte(n >> 8), byte(n)})
}

func dnsZone(routes, generation int, rules []steer.Rule) (zone.Zone, error) {
	z := zone.Zone{Name: benchZone}
	soa, err := dns.NewRR(benchZone + " 3600 SOA ns1." + benchZone + " hostmaster." + benchZone + " 1 3600 600 604800 60")
	if err != nil {
		return z, fmt.Errorf("making the zone: %w", err)
	}
	ns, err := dns.NewRR(benchZone + " 3600 NS ns1." + benchZone)
	if err != nil {
		return z, fmt.Errorf("making the zone: %w", err)
	}
	z.SOA, z.NS = *soa.(*dns.SOA), []dns.RR{ns}
	for i := range routes {
		h := steer.Host{Name: routeName(i), TTL: 30, Rules: rules}
		for s, name := range sites() {
			h.Clusters = append(h.Clusters, steer.Cluster{Name: name, Up: true, Addresses: []netip.Addr{siteAddress(i, s, generation)}})
		}
		z.Hosts = append(z.Hosts, h)
	}
	return z, nil
}

func dnsRules() []steer.Rule {
	rules := []steer.Rule{{Clusters: sites()[:1]}}
	for _, s := range sites() {
		rules = append(rules, steer.Rule{From: geo.Place{Continent: s}, Clusters: []string{s}})
	}
	return rules
}

// runDNS serves until its input ends, and does what that says.
func runDNS(ctx context.Context, args []string, stdin io.Reader, stdout io.Writer) error {
	routes, err := strconv.Atoi(strings.Join(args, " "))
	if err != nil {
		return fmt.Errorf("how many routes is %q: %w", args, err)
	}
	db, err := geo.Embedded()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := nameserver.New(nameserver.Config{
		Listen:  []string{"127.0.0.1:0"},
		Clock:   clock.RealClock{},
		Cookies: cookie.New([16]byte{1}),
		Limiter: ratelimit.New(ratelimit.Config{PerSecond: 100_000_000, Slip: 2}),
	})
	at, err := s.Listen()
	if err != nil {
		return err
	}
	rules, generation := dnsRules(), 0
	swap := func() (time.Duration, error) {
		z, err := dnsZone(routes, generation, rules)
		generation++
		began := time.Now()
		s.Swap(zone.Build(s.Snapshot(), db, []zone.Zone{z}))
		return time.Since(began), err
	}
	if _, err := swap(); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	runtime.GC()
	out := json.NewEncoder(stdout)
	if err := out.Encode(dnsReport{Address: at[0]}); err != nil {
		return err
	}
	for lines := bufio.NewScanner(stdin); lines.Scan(); {
		var r dnsReport
		if lines.Text() == "swap" {
			took, err := swap()
			if err != nil {
				return err
			}
			r.Milliseconds = took.Seconds() * 1000
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		r.Mallocs, r.Queries = m.Mallocs, s.Stats().Queries()
		if err := out.Encode(r); err != nil {
			return err
		}
	}
	cancel()
	return <-done
}

func freePort() (string, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("finding a free port: %w", err)
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if closeErr := l.Close(); err == nil {
		err = closeErr
	}
	return port, err
}

// writeGdnsd configures gdnsd for the same: the networks of each continent as our database has them, a resource for each
// route.
func writeGdnsd(dir, port string, routes int) error {
	db, err := geo.Embedded()
	if err != nil {
		return err
	}
	var config, hosts strings.Builder
	fmt.Fprintf(&config, "options => { listen => 127.0.0.1:%s, run_dir => %s/run, state_dir => %s/state, udp_threads => 1, tcp_threads => 1 }\n", port, dir, dir)
	fmt.Fprintf(&config, "plugins => { geoip => {\n  maps => { world => { datacenters => [%s], nets => %s/nets } }\n  resources => {\n", strings.Join(sites(), ", "), dir)
	fmt.Fprintf(&hosts, "@ 3600 SOA ns1 hostmaster 1 3600 600 604800 60\n@ 3600 NS ns1\nns1 A 127.0.0.1\n")
	for i := range routes {
		fmt.Fprintf(&config, "    r%d => { map => world, service_types => up, dcmap => {", i)
		for s, name := range sites() {
			fmt.Fprintf(&config, " %s => %s", name, siteAddress(i, s, 0))
		}
		config.WriteString(" } }\n")
		fmt.Fprintf(&hosts, "www%d 30 DYNA geoip!r%d\n", i, i)
	}
	config.WriteString("  }\n} }\n")
	for file, text := range map[string]string{
		"config": config.String(), "nets": networks(db), "zones/" + strings.TrimSuffix(benchZone, "."): hosts.String(),
	} {
		file = filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return fmt.Errorf("configuring gdnsd: %w", err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return fmt.Errorf("configuring gdnsd: %w", err)
		}
	}
	return nil
}

// networks are those of the sites but the first, which is gdnsd's default.
func networks(db *geo.DB) string {
	var b strings.Builder
	for at := uint64(0); at < 1<<32; {
		a := netip.AddrFrom4([4]byte{byte(at >> 24), byte(at >> 16), byte(at >> 8), byte(at)})
		location, length := db.Lookup(a)
		at += 1 << (32 - length)
		for _, s := range sites()[1:] {
			if db.Places()[location].Continent == s {
				fmt.Fprintf(&b, "%s/%d => %s\n", a, length, s)
			}
		}
	}
	return b.String()
}
