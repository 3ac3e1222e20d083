package route53

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/route53/types"

	"github.com/hanse-dev/hanse/internal/dns/geo"
	"github.com/hanse-dev/hanse/internal/dns/provider"
	"github.com/hanse-dev/hanse/internal/dns/steer"
	route53test "github.com/hanse-dev/hanse/test/route53"
)

func ttl(n int64) *int64 { return &n }

// TestBatches: many hosts take few requests, none of them too large.
func TestBatches(t *testing.T) {
	f := setUp(t, route53test.Options{}, nil)
	long := simple(400, "h%d.", aws1)
	for i := range long {
		long[i].Owner = "shop/" + strings.Repeat("x", 150)
	}
	f.sync(long...) // 400 × 200 characters
	if n := f.server.Calls("ChangeResourceRecordSets"); n != 3 {
		t.Errorf("%d requests for 80,000 characters", n)
	}
	f = setUp(t, route53test.Options{}, nil)
	f.sync(simple(3000, "h%d.", aws1)...)
	first := f.server.Calls("ChangeResourceRecordSets")
	f.sync(simple(3000, "h%d.", google)...)
	if n := f.server.Calls("ChangeResourceRecordSets") - first; first > 9 || n > 8 {
		t.Errorf("%d requests to create 3000 hosts, %d to change them", first, n)
	}
	if len(f.server.Records(f.zone.id)) != 6002 {
		t.Errorf("%d sets", len(f.server.Records(f.zone.id)))
	}
}

// TestOneBadRecord does not hold up 500 others, and takes few requests.
func TestOneBadRecord(t *testing.T) {
	f := setUp(t, route53test.Options{}, nil)
	f.sync()
	var changes []provider.Change
	for i := range 501 {
		s := provider.Set{Name: fmt.Sprintf("h%d.%s", i, domain), Type: "A", TTL: 30, Values: []string{"52.0.0.1"}}
		switch i {
		case 77:
			s.Values[0] = "52.0.0" // its message names it
		case 300:
			s.ID = "needs a routing" // InvalidInput names nothing that is read
		}
		changes = append(changes, provider.Change{Name: s.Name, Steps: []provider.Step{{New: &s}}})
	}
	before := f.server.Calls("ChangeResourceRecordSets")
	for i, err := range f.zone.Apply(t.Context(), changes) {
		if (err != nil) != (i == 77 || i == 300) {
			t.Errorf("%d: %v", i, err)
		}
	}
	if n := f.server.Calls("ChangeResourceRecordSets") - before; n > 40 {
		t.Errorf("%d requests", n)
	}
}

// TestLostAnswers: it was done, but the answer says otherwise.
func TestLostAnswers(t *testing.T) {
	for _, fault := range []route53test.Fault{
		{After: true, Status: 500, Code: "InternalFailure"},
		{After: true},
		{Cut: true},
		{After: true, Times: 20, Status: 503, Code: "ServiceUnavailable"},
	} {
		f := setUp(t, route53test.Options{}, nil)
		f.sync()
		fault.Operation = "ChangeResourceRecordSets"
		f.server.Inject(fault)
		r, err := provider.Sync(t.Context(), f.zone, []steer.Host{tutorial()}, f.options())
		if err != nil || len(r.Errors) > 0 {
			t.Errorf("%+v: %v, %v", fault, err, r.Errors)
		}
		if got := f.resolve("www."+domain, geo.Place{Country: "FR"}); got != azure {
			t.Errorf("%+v: Paris gets %q", fault, got)
		}
	}
}

// TestPartialFailure: what failed is said, and the next pass does only that.
func TestPartialFailure(t *testing.T) {
	f := setUp(t, route53test.Options{}, nil)
	f.sync()
	f.server.Inject(route53test.Fault{Operation: "ChangeResourceRecordSets", Skip: 1, Times: 4, Status: 403, Code: "AccessDenied"})
	r, err := provider.Sync(t.Context(), f.zone, simple(1200, "h%d.", aws1), f.options())
	if err != nil || len(r.Changed) != 500 || len(r.Errors) != 700 || r.Known != nil {
		t.Fatalf("%v; %d changed, %d errors", err, len(r.Changed), len(r.Errors))
	}
	for _, err := range r.Errors {
		if !strings.Contains(err.Error(), "IAM policy") {
			t.Fatal(err)
		}
	}
	f.zone = f.newZone(nil)
	if r := f.sync(simple(1200, "h%d.", aws1)...); len(r.Changed) != 700 {
		t.Errorf("the next pass changed %d", len(r.Changed))
	}
}

// TestDrift: what somebody has changed in ours is put right, what is theirs stays.
func TestDrift(t *testing.T) {
	f := setUp(t, route53test.Options{}, nil)
	h := tutorial()
	f.sync(h)
	id := f.zone.id
	mail := route53test.RecordSet{Name: h.Name, Type: "MX", TTL: ttl(300), Values: []string{"10 mail.example."}}
	f.server.Put(id, mail)
	f.server.Put(id, route53test.RecordSet{Name: h.Name, Type: "A", SetIdentifier: "hub/continent-EU", TTL: ttl(1),
		GeoLocation: &route53test.GeoLocation{ContinentCode: "EU"}, Values: []string{"6.6.6.6"}})
	f.server.Remove(id, h.Name, "A", "hub/continent-AS")
	f.server.Put(id, route53test.RecordSet{Name: h.Name, Type: "A", SetIdentifier: "hub/*", GeoLocation: &route53test.GeoLocation{CountryCode: "*"},
		AliasTarget: &route53test.AliasTarget{HostedZoneID: "Z", DNSName: "lb.example.net."}})
	if r := f.sync(h); len(r.Changed) != 3 {
		t.Errorf("changed %v", r.Changed)
	}
	if fr, sg := f.resolve(h.Name, geo.Place{Country: "FR"}), f.resolve(h.Name, geo.Place{Country: "SG"}); fr != azure || sg != google {
		t.Errorf("Paris %s, Singapore %s", fr, sg)
	}
	f.sync() // the route is deleted: the mail stays
	if left := f.server.Records(id); len(left) != 3 {
		t.Errorf("left are %d sets", len(left))
	}
}

// TestForeign: the same name in somebody's hand is a conflict of that host alone.
func TestForeign(t *testing.T) {
	f := setUp(t, route53test.Options{}, nil)
	f.sync()
	theirs := route53test.RecordSet{Name: "www." + domain, Type: "A", TTL: ttl(300), Values: []string{"9.9.9.9"}}
	f.server.Put(f.zone.id, theirs)
	r, err := provider.Sync(t.Context(), f.zone, append(simple(3, "h%d.", aws1), tutorial()), f.options())
	if err != nil || len(r.Errors) > 0 || !strings.Contains(r.Conflicts["www."+domain], "not Hanse's") {
		t.Errorf("%v, %+v", err, r)
	}
	if got := f.resolve("www."+domain, geo.Place{}) + f.resolve("h1."+domain, geo.Place{}); got != "9.9.9.9"+aws1 {
		t.Errorf("answers %s", got)
	}
	for _, alias := range []bool{false, true} { // they come while nothing is read again
		known := f.sync(simple(3, "h%d.", aws1)...).Known
		s := route53test.RecordSet{Name: fmt.Sprint("new-", alias, ".", domain), Type: "A", TTL: ttl(300), Values: []string{"9.9.9.9"}}
		if alias {
			s.TTL, s.Values, s.AliasTarget = nil, nil, &route53test.AliasTarget{HostedZoneID: "Z", DNSName: "lb."}
		}
		f.server.Put(f.zone.id, s)
		o := f.options()
		o.Known = known
		hosts := append(simple(4, "h%d.", google), simple(1, strings.TrimSuffix(s.Name, domain)+"%.0d", google)...)
		hosts[4].Name = s.Name
		r, err := provider.Sync(t.Context(), f.zone, hosts, o)
		if err != nil || len(r.Conflicts) != 1 || len(r.Errors) > 0 || f.resolve("h3."+domain, geo.Place{}) != google {
			t.Errorf("%v, %+v", err, r)
		}
		f.sync(simple(3, "h%d.", aws1)...)
	}
}

// TestTwoOwners share a name, and a zone.
func TestTwoOwners(t *testing.T) {
	f := setUp(t, route53test.Options{}, nil)
	weighted := func(name, address string) steer.Host {
		c := cluster(name, address)
		c.Weight = 10
		return steer.Host{Name: "www." + domain, TTL: 30, Owner: "shop/web", Policy: steer.Weighted, Clusters: []steer.Cluster{c}, Check: tutorial().Check}
	}
	f.sync(weighted("one", aws1))
	first := f.zone
	f.zone = f.newZone(func(c *Config) { c.Owner = "hub-2" })
	f.sync(append(simple(30, "h%d.", google), weighted("two", google))...)
	if a, b := f.server.Resolve(f.zone.id, "www."+domain, "A", geo.Place{}, 0), f.server.Resolve(f.zone.id, "www."+domain, "A", geo.Place{}, 0.9); a[0] == b[0] {
		t.Errorf("only one of two owners answers: %v", a)
	}
	f.zone = first
	f.sync() // the first owner leaves
	if got := f.resolve("www."+domain, geo.Place{}); got != google {
		t.Errorf("the second's answer is %q", got)
	}
	if n := len(f.server.Records(f.zone.id)); n != 2+62 {
		t.Errorf("%d sets", n)
	}
}

// TestMassDeletion is held back, said, and done once it is allowed.
func TestMassDeletion(t *testing.T) {
	f := setUp(t, route53test.Options{}, nil)
	f.sync(simple(100, "h%d.", aws1)...)
	r := f.sync(simple(80, "h%d.", aws1)...)
	if r.Held != 20 || len(r.Pending) != 20 || len(f.server.Records(f.zone.id)) != 202 {
		t.Fatalf("held %d, pending %d", r.Held, len(r.Pending))
	}
	o := f.options()
	o.AllowDeletion = r.Held
	if r, err := provider.Sync(t.Context(), f.zone, simple(80, "h%d.", aws1), o); err != nil || r.Held != 0 || len(f.server.Records(f.zone.id)) != 162 {
		t.Errorf("%v, held %d", err, r.Held)
	}
}

// TestDryRun changes nothing, not even a zone.
func TestDryRun(t *testing.T) {
	f := setUp(t, route53test.Options{}, nil)
	o := f.options()
	o.DryRun = true
	for _, want := range []string{"create the zone devfest.example", "create www.devfest.example 60 A " + azure + " [geo continent EU] checked"} {
		r, err := provider.Sync(t.Context(), f.zone, []steer.Host{tutorial()}, o)
		if err != nil || !strings.Contains(strings.Join(r.Pending, "\n"), want) {
			t.Errorf("%v, pending %q", err, r.Pending)
		}
		for _, operation := range []string{"CreateHostedZone", "ChangeResourceRecordSets", "CreateHealthCheck"} {
			if f.server.Calls(operation) > 0 {
				t.Errorf("%s was called", operation)
			}
		}
	}
}

// TestSettled follows the change through its propagation.
func TestSettled(t *testing.T) {
	now := time.Now()
	f := setUp(t, route53test.Options{Delay: time.Minute, Now: func() time.Time { return now }}, nil)
	if r := f.sync(tutorial()); r.Settled {
		t.Error("settled at once")
	}
	if got := f.resolve("www."+domain, geo.Place{}); got != "" {
		t.Errorf("answered before: %s", got)
	}
	now = now.Add(time.Minute)
	if r := f.sync(tutorial()); !r.Settled || f.resolve("www."+domain, geo.Place{}) != aws1 {
		t.Error("not settled after a minute")
	}
	checks := len(f.server.Checks())
	f.sync()
	if len(f.server.Checks()) != checks {
		t.Error("a check was deleted while name servers still look at it")
	}
	now = now.Add(time.Minute)
	f.sync()
	if n := len(f.server.Checks()); n != 0 {
		t.Errorf("%d checks are left", n)
	}
}

// TestHealthChecks are made once, replaced when they change, and taken away; those
// of others stay.
func TestHealthChecks(t *testing.T) {
	f := setUp(t, route53test.Options{PageSize: 2}, nil)
	theirs := f.server.AddCheck(route53test.CheckConfig{Type: "TCP", IPAddress: azure, Port: 80, RequestInterval: 30, FailureThreshold: 3})
	h := tutorial()
	f.sync(h)
	ids := maps.Clone(f.server.Checks())
	if len(ids) != 4 {
		t.Fatalf("%d checks", len(ids))
	}
	for id := range ids {
		if tags := f.server.Tags(id); id != theirs && (tags["hanse.dev/owner"] != "hub" || tags["hanse.dev/zone"] != "devfest.example") {
			t.Errorf("tags of %s are %v", id, tags)
		}
	}
	f.zone = f.newZone(nil)
	f.sync(h)
	if !maps.EqualFunc(ids, f.server.Checks(), func(a, b route53test.CheckConfig) bool { return a.Type == b.Type }) {
		t.Error("checks were made again")
	}
	h.Check = &steer.Check{Protocol: "TCP", Port: 443, Interval: 30, Down: 2}
	f.sync(h)
	for id, c := range f.server.Checks() {
		if id != theirs && (c.Type != "TCP" || c.RequestInterval != 30 || c.FailureThreshold != 2 || ids[id].Type != "") {
			t.Errorf("after the change there is %+v", c)
		}
	}
	h.Clusters[0].Addresses = append(h.Clusters[0].Addresses, cluster("", "52.1.1.2").Addresses...)
	f.sync(h) // a set of two addresses has a calculated check
	if n := len(f.server.Checks()); n != 1+5 {
		t.Errorf("%d checks", n)
	}
	f.server.SetReachable(azure, false)
	f.server.SetReachable(aws1, false)
	if got := f.resolve(h.Name, geo.Place{Country: "FR"}); got != "52.1.1.1 52.1.1.2" {
		t.Errorf("one of two is up, and %s is answered", got)
	}
	f.sync()
	if c := f.server.Checks(); len(c) != 1 || c[theirs].Type == "" {
		t.Errorf("left are %v", c)
	}
}

// TestHealthCheckLimit: without a check an address is still answered.
func TestHealthCheckLimit(t *testing.T) {
	f := setUp(t, route53test.Options{MaxChecks: 2}, nil)
	r, err := provider.Sync(t.Context(), f.zone, []steer.Host{tutorial()}, f.options())
	if err != nil || !errors.Is(r.Errors["www."+domain], errLacking) {
		t.Errorf("%v, %v", err, r.Errors)
	}
	if got := f.resolve("www."+domain, geo.Place{Country: "SG"}); got != google {
		t.Errorf("Singapore gets %q", got)
	}
}

// TestLargeHost has more sets than a batch takes.
func TestLargeHost(t *testing.T) {
	f := setUp(t, route53test.Options{}, nil)
	h := tutorial()
	h.Check = nil
	for i, p := range geo.Countries() {
		h.Rules = append(h.Rules, steer.Rule{From: geo.Place{Country: p.Country}, Clusters: []string{[]string{"aws", "azure", "google"}[i%3]}})
	}
	for i := range h.Clusters {
		for n := range 5 {
			h.Clusters[i].Addresses = append(h.Clusters[i].Addresses, cluster("", fmt.Sprintf("52.%d.2.%d", i, n)).Addresses...)
		}
	}
	f.sync(h)
	h.Policy = steer.All
	f.sync(h) // all sets at once make room for a simple one
	if got := len(strings.Fields(f.resolve(h.Name, geo.Place{}))); got != 18 {
		t.Errorf("%d addresses", got)
	}
	f.sync()
	if n := len(f.server.Records(f.zone.id)); n != 2 {
		t.Errorf("%d sets are left", n)
	}
}

// TestUnits: what says whose a set is, and the set, are never in two batches; nor
// what takes a set away to put another in its place.
func TestUnits(t *testing.T) {
	set := func(typ, value string) *provider.Set {
		return &provider.Set{Name: domain, Type: typ, TTL: 30, Values: []string{value}}
	}
	units, err := pureZone(false).translate(provider.Change{Name: domain, Steps: []provider.Step{
		{Old: set("A", "52.1.1.1")},
		{New: set("TXT", `"x"`)}, {New: set("A", "52.1.1.1")},
		{Old: set("AAAA", "2600::1"), New: set("AAAA", "2600::2")},
		{Old: set("TXT", `"y"`)},
	}}, nil)
	var sizes []int
	for _, u := range units {
		sizes = append(sizes, len(u))
	}
	if err != nil || fmt.Sprint(sizes) != "[1 2 2 1]" {
		t.Errorf("%v, %v", sizes, err)
	}
}

func FuzzCulprits(f *testing.F) {
	f.Add("Tried to create resource record set [name='www.example.org.', type='A'] but it already exists")
	f.Add(`RRSet with DNS name \052.example.org., type A, SetIdentifier x cannot be created`)
	f.Add("RRSet of type CNAME with DNS name _hanse-a.www.example.org. is not permitted at apex in zone example.org.")
	f.Add("DNS name _hAnse-")
	f.Fuzz(func(t *testing.T, m string) {
		for name := range culprits(&types.InvalidChangeBatch{Messages: []string{m}}) {
			if !strings.HasSuffix(name, ".") {
				t.Errorf("%q names %q", m, name)
			}
		}
	})
}

func TestCulprits(t *testing.T) {
	for m, want := range map[string]string{
		"Tried to delete resource record set [name='www.example.org.', type='A', set identifier='x'] but it was not found": "www.example.org.",
		`RRSet with DNS name \052.example.org., type A, SetIdentifier x cannot be created as other RRSets exist`:           "*.example.org.",
		"RRSet of type TXT with DNS name _hanse-a.www.example.org. is not permitted as it conflicts":                       "www.example.org.",
	} {
		if names := culprits(&types.InvalidChangeBatch{Messages: []string{m}}); !names[want] {
			t.Errorf("%s: %v", m, names)
		}
	}
}
