package route53

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/internal/dns/geo"
	"github.com/hanse-dev/hanse/internal/dns/provider"
	"github.com/hanse-dev/hanse/internal/dns/steer"
	route53test "github.com/hanse-dev/hanse/test/route53"
)

const (
	domain = "devfest.example."
	azure  = "20.50.1.1"
	aws1   = "52.1.1.1"
	google = "34.80.1.1"
)

// fixture is a stand-in for Route 53 and a zone there.
type fixture struct {
	t      *testing.T
	server *route53test.Server
	zone   *Zone
}

func setUp(t *testing.T, o route53test.Options, change func(*Config)) *fixture {
	t.Helper()
	s := route53test.New(o)
	t.Cleanup(s.Close)
	f := &fixture{t: t, server: s}
	f.zone = f.newZone(change)
	return f
}

func (f *fixture) newZone(change func(*Config)) *Zone {
	f.t.Helper()
	c := Config{Clock: clock.RealClock{}, Domain: domain, Owner: "hub", Endpoint: f.server.URL, AccessKeyID: "id", SecretAccessKey: "secret",
		HealthChecks: true, Pace: NewPace(1e6, clock.RealClock{}), MaxBackoff: time.Millisecond}
	if change != nil {
		change(&c)
	}
	z, err := New(f.t.Context(), c)
	if err != nil {
		f.t.Fatal(err)
	}
	return z
}

func (f *fixture) options() provider.Options {
	return provider.Options{Domain: domain, Owner: f.zone.owner}
}

// sync makes a pass that has to succeed in all.
func (f *fixture) sync(hosts ...steer.Host) provider.Report {
	f.t.Helper()
	r, err := provider.Sync(f.t.Context(), f.zone, hosts, f.options())
	if err != nil || len(r.Errors)+len(r.Conflicts)+len(r.Refused) > 0 || r.Tidying != nil {
		f.t.Fatalf("%v; errors %v, conflicts %v, refused %v, tidying %v", err, r.Errors, r.Conflicts, r.Refused, r.Tidying)
	}
	return r
}

// resolve as somebody at a place; a country's continent is filled in.
func (f *fixture) resolve(name string, p geo.Place) string {
	f.t.Helper()
	if p.Country != "" && p.Continent == "" {
		p.Continent = geo.ContinentOf(p.Country)
	}
	return strings.Join(f.server.Resolve(f.zone.id, name, "A", p, 0.5), " ")
}

func cluster(name string, addresses ...string) steer.Cluster {
	c := steer.Cluster{Name: name, Up: true}
	for _, a := range addresses {
		c.Addresses = append(c.Addresses, netip.MustParseAddr(a))
	}
	return c
}

// tutorial is the host of the tutorial: Europe to Azure, North America to AWS,
// Asia to Google, default AWS.
func tutorial() steer.Host {
	return steer.Host{Name: "www." + domain, TTL: 60, Owner: "shop/web", Policy: steer.Geography, Default: []string{"aws"},
		Rules: []steer.Rule{
			{From: geo.Place{Continent: "EU"}, Clusters: []string{"azure", "aws"}},
			{From: geo.Place{Continent: "NA"}, Clusters: []string{"aws"}},
			{From: geo.Place{Continent: "AS"}, Clusters: []string{"google", "aws"}},
		},
		Clusters: []steer.Cluster{cluster("aws", aws1), cluster("azure", azure), cluster("google", google)},
		Check:    &steer.Check{Protocol: "HTTP", Port: 80, Host: "www.devfest.example", Path: "/", Interval: 10, Down: 3}}
}

// simple hosts answer everybody alike.
func simple(n int, format, address string) []steer.Host {
	var all []steer.Host
	for i := range n {
		all = append(all, steer.Host{Name: fmt.Sprintf(format, i) + domain, TTL: 30, Owner: "shop/web", Policy: steer.All, Clusters: []steer.Cluster{cluster("one", address)}})
	}
	return all
}

// TestTutorial follows the tutorial: a zone with its name servers, and the answers.
func TestTutorial(t *testing.T) {
	f := setUp(t, route53test.Options{PageSize: 3}, nil)
	r := f.sync(tutorial())
	if len(r.Zone.NameServers) != 4 || r.Zone.ID == "" {
		t.Errorf("zone %+v", r.Zone)
	}
	for country, want := range map[string]string{"FR": azure, "US": aws1, "SG": google, "BR": aws1, "TR": google, "CY": google} {
		want := want
		if geo.ContinentOf(country) == "EU" {
			want = azure
		}
		if got := f.resolve("www."+domain, geo.Place{Country: country}); got != want {
			t.Errorf("%s: %s, want %s", country, got, want)
		}
	}
	if got := f.resolve("www."+domain, geo.Place{}); got != aws1 {
		t.Errorf("somewhere: %s", got)
	}
	changes := f.server.Calls("ChangeResourceRecordSets")
	if r := f.sync(tutorial()); len(r.Changed) > 0 || f.server.Calls("ChangeResourceRecordSets") != changes {
		t.Errorf("a second pass changed %v", r.Changed)
	}
}

// TestHubAway: without the hub, Route 53's checks move clients on.
func TestHubAway(t *testing.T) {
	f := setUp(t, route53test.Options{}, nil)
	f.sync(tutorial())
	f.server.SetReachable(azure, false)
	if got := f.resolve("www."+domain, geo.Place{Country: "FR"}); got != aws1 {
		t.Errorf("Paris gets %s while Azure is down", got)
	}
	f.server.SetReachable(azure, true)
	h := tutorial()
	h.Policy, h.Order = steer.Failover, []string{"google", "azure", "aws"}
	r := f.sync(h)
	if got := f.resolve(h.Name, geo.Place{}); got != google {
		t.Errorf("failover begins with %s", got)
	}
	f.server.SetReachable(google, false)
	if got := f.resolve(h.Name, geo.Place{}); got != azure {
		t.Errorf("failover goes on to %s", got)
	}
	if !strings.Contains(r.Notes[h.Name], "azure only") {
		t.Errorf("the third cluster is not spoken of: %q", r.Notes[h.Name])
	}
}

// TestZoneIsMadeOnce: the answer to the creation is lost, twice.
func TestZoneIsMadeOnce(t *testing.T) {
	f := setUp(t, route53test.Options{}, nil)
	f.server.Inject(route53test.Fault{Operation: "CreateHostedZone", After: true, Times: 2})
	f.sync(tutorial())
	f.zone = f.newZone(nil) // as after a kill
	f.sync(tutorial())
	if ids, err := f.zone.list(t.Context()); err != nil || len(ids) != 1 {
		t.Errorf("zones %v, %v", ids, err)
	}
}

// TestFindsZone by ID and name, and says what is wrong.
func TestFindsZone(t *testing.T) {
	f := setUp(t, route53test.Options{PageSize: 1}, nil)
	f.server.AddZone("adevfest.example", false)
	f.server.AddZone("zdevfest.example", false)
	private := f.server.AddZone(domain, true)
	if _, err := f.zone.Ensure(t.Context(), false); err == nil || !strings.Contains(err.Error(), "no such zone") {
		t.Errorf("a private zone was taken: %v", err)
	}
	one := f.server.AddZone(domain, false)
	if z, err := f.zone.Ensure(t.Context(), true); err != nil || z.ID != one {
		t.Errorf("found %v, %v", z, err)
	}
	two := f.server.AddZone(domain, false)
	_, err := f.newZone(nil).Ensure(t.Context(), true)
	if err == nil || !strings.Contains(err.Error(), one) || !strings.Contains(err.Error(), two) || strings.Contains(err.Error(), private) {
		t.Errorf("two zones: %v", err)
	}
	byID := func(id string) error {
		_, err := f.newZone(func(c *Config) { c.HostedZoneID = id }).Ensure(t.Context(), true)
		return err
	}
	if err := byID(two); err != nil {
		t.Error(err)
	}
	if err := byID("Z0"); err == nil || !strings.Contains(err.Error(), "hostedZoneID") {
		t.Errorf("unknown: %v", err)
	}
	if err := byID(f.server.AddZone("other.example", false)); err == nil || !strings.Contains(err.Error(), "is for other.example") {
		t.Errorf("another's: %v", err)
	}
}

// TestFailedReadChangesNothing, whatever fails in whichever list.
func TestFailedReadChangesNothing(t *testing.T) {
	for _, operation := range []string{"ListResourceRecordSets", "ListHealthChecks"} {
		for name, fault := range map[string]route53test.Fault{
			"cut":       {Cut: true},
			"endless":   {Endless: true},
			"empty":     {Empty: true},
			"denied":    {Status: 403, Code: "AccessDenied"},
			"internal":  {Status: 500, Code: "InternalFailure"},
			"no answer": {},
			"throttled": {Status: 400, Code: "Throttling"},
		} {
			if (name == "endless" || name == "empty") && operation == "ListHealthChecks" {
				continue // the stand-in does it to records only
			}
			t.Run(operation+", "+name, func(t *testing.T) {
				f := setUp(t, route53test.Options{PageSize: 10}, nil)
				f.sync(simple(20, "h%d.", aws1)...)
				before := f.server.Calls("ChangeResourceRecordSets")
				fault.Operation, fault.Skip, fault.Times = operation, 1, 100
				if operation == "ListHealthChecks" || name == "empty" {
					fault.Skip = 0
				}
				f.server.Inject(fault)
				_, err := provider.Sync(t.Context(), f.zone, nil, f.options())
				if err == nil {
					t.Error("no error")
				}
				if f.server.Calls("ChangeResourceRecordSets") != before || len(f.server.Records(f.zone.id)) != 42 {
					t.Errorf("something was changed after %v", err)
				}
			})
		}
	}
}

// TestThrottled: what is refused for its pace is done later.
func TestThrottled(t *testing.T) {
	now := time.Now()
	clock := func() time.Time { now = now.Add(50 * time.Millisecond); return now } // 20 requests a second, 5 of which are taken
	f := setUp(t, route53test.Options{PageSize: 10, PerSecond: 5, Now: clock}, nil)
	f.server.Inject(route53test.Fault{Operation: "ChangeResourceRecordSets", Status: 400, Code: "PriorRequestNotComplete", Times: 2})
	f.sync(simple(100, "h%d.", aws1)...)
	f.sync(simple(100, "h%d.", google)...)
	if n := f.server.Calls("Throttled"); n < 30 {
		t.Errorf("%d requests were throttled", n)
	}
}

// TestPace: requests are apart, whoever makes them.
func TestPace(t *testing.T) {
	p, start := NewPace(100, clock.RealClock{}), time.Now()
	var all sync.WaitGroup
	for range 11 {
		all.Go(func() {
			if err := p.wait(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if d := time.Since(start); d < 100*time.Millisecond {
		t.Errorf("11 requests at 100 a second took %s", d)
	}
}

// TestCancelled: a pass ends with its context.
func TestCancelled(t *testing.T) {
	f := setUp(t, route53test.Options{}, func(c *Config) { c.Pace = NewPace(0.001, clock.RealClock{}) })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := provider.Sync(ctx, f.zone, nil, f.options()); err == nil {
		t.Error("no error")
	}
}
