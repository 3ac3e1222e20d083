package dns

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/dns/provider"
	"github.com/hanse-dev/hanse/internal/dns/route"
	"github.com/hanse-dev/hanse/internal/dns/steer"
)

// conditionIs checks a condition: "Status Reason", and words of its message.
func conditionIs(t *testing.T, all []metav1.Condition, kind, want string, words ...string) {
	t.Helper()
	c := meta.FindStatusCondition(all, kind)
	if c == nil || string(c.Status)+" "+c.Reason != want || c.ObservedGeneration != 3 {
		t.Errorf("%s is %+v, want %s", kind, c, want)
		return
	}
	for _, w := range words {
		if !strings.Contains(c.Message, w) {
			t.Errorf("%s says %q, not %q", kind, c.Message, w)
		}
	}
}

func TestRouteConditions(t *testing.T) {
	r := &v1alpha1.GlobalRoute{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "route", Generation: 3}}
	reached := route.ClusterState{Name: "aws", Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}
	named := route.ClusterState{Name: "azure", Hostname: "lb.example.net"}
	nowhere := route.ClusterState{Name: "google"}
	lost := verdict{lost: map[string]map[string]string{"ns/route": {"www.": "www belongs to another"}, "ns/other": {"x.": "of no interest"}}}
	for name, c := range map[string]struct {
		res             route.Resolved
		verdict         verdict
		unanswered      []string
		healthy         int
		accepted, ready string
		says            []string // words of Ready's message
	}{
		"all is well":          {res: route.Resolved{Clusters: []route.ClusterState{reached, named}}, healthy: 1, accepted: "True Accepted", ready: "True Answered", says: []string{"1 of 2"}},
		"a hostname is enough": {res: route.Resolved{Clusters: []route.ClusterState{named}}, healthy: 1, accepted: "True Accepted", ready: "True Answered"},
		"refused":              {res: route.Resolved{Refused: "no hostname"}, accepted: "False Invalid", ready: "False Invalid", says: []string{"no hostname"}},
		"a host is lost": {res: route.Resolved{Clusters: []route.ClusterState{reached}}, verdict: lost, unanswered: []string{"www belongs to another"}, healthy: 1,
			accepted: "False HostTaken", ready: "False NotAnswered", says: []string{"belongs to another"}},
		"an unknown cluster": {res: route.Resolved{Unknown: "no cluster is called x", Clusters: []route.ClusterState{reached}}, healthy: 1,
			accepted: "False UnknownCluster", ready: "True Answered"},
		"problems": {res: route.Resolved{Problems: []string{"one", "two"}, Clusters: []route.ClusterState{reached}}, healthy: 1,
			accepted: "True PartlyIgnored", ready: "True Answered"},
		"in no zone": {res: route.Resolved{Clusters: []route.ClusterState{reached}}, unanswered: []string{"a", "b"}, healthy: 1,
			accepted: "True Accepted", ready: "False NotAnswered", says: []string{"a; b"}},
		"no address":     {res: route.Resolved{Clusters: []route.ClusterState{nowhere}}, accepted: "True Accepted", ready: "False NoAddresses"},
		"all are down":   {res: route.Resolved{Clusters: []route.ClusterState{reached}}, accepted: "True Accepted", ready: "False AllClustersDown", says: []string{"whenAllDown"}},
		"no cluster yet": {accepted: "True Accepted", ready: "False NoAddresses"},
	} {
		t.Run(name, func(t *testing.T) {
			c.res.Key = "ns/route"
			got := routeConditions(r, &c.res, c.verdict, c.unanswered, c.healthy)
			conditionIs(t, got, v1alpha1.ConditionAccepted, c.accepted)
			conditionIs(t, got, v1alpha1.ConditionReady, c.ready, c.says...)
		})
	}
}

func TestRouteHost(t *testing.T) {
	h := steer.Host{Name: "www.example.org.", Clusters: []steer.Cluster{{Name: "aws", Up: true}, {Name: "azure"}}}
	in := map[string]string{h.Name: "zone"}
	for name, c := range map[string]struct {
		verdict    verdict
		elsewhere  map[string]hostReport
		answered   bool
		zone, says string
	}{
		"served by the hub":     {verdict{zone: in}, nil, true, "zone", ""},
		"in no zone":            {verdict{}, nil, false, "", "in no DNSZone yet"},
		"another's":             {verdict{zone: in, lost: map[string]map[string]string{"ns/route": {h.Name: "is taken"}}}, nil, false, "", "is taken"},
		"another route's other": {verdict{zone: in, lost: map[string]map[string]string{"ns/other": {h.Name: "is taken"}}}, nil, true, "zone", ""},
		"not there yet":         {verdict{zone: in}, map[string]hostReport{h.Name: {message: "not yet"}}, false, "zone", "not yet"},
		"kept, with a note":     {verdict{zone: in}, map[string]hostReport{h.Name: {done: true, message: "note"}}, true, "zone", "note"},
	} {
		got := routeHost(&h, "ns/route", c.verdict, c.elsewhere)
		if got.Name != "www.example.org" || got.Answered != c.answered || got.Zone != c.zone || !strings.Contains(got.Message, c.says) ||
			(got.Message == "") != (c.says == "") || !slices.Equal(got.Clusters, []string{"aws"}) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestZoneStatus(t *testing.T) {
	listening := []string{"127.0.0.1:53"}
	for name, c := range map[string]struct {
		report zoneReport
		ready  string
		says   []string
	}{
		"served":        {zoneReport{listeners: listening}, "True Served", nil},
		"in part":       {zoneReport{listeners: listening, problems: []string{"one", "two"}, geo: errors.New("three")}, "True ServedInPart", []string{"one; two; three"}},
		"an older zone": {zoneReport{listeners: listening, refused: "another is older"}, "False DomainTaken", []string{"another is older"}},
		"off":           {zoneReport{off: true}, "False NotListening", []string{"--dns-listen=off"}},
		"a port in use": {zoneReport{broken: errors.New("in use")}, "False NotListening", []string{"in use"}},
		"not yet":       {zoneReport{}, "False Starting", nil},
	} {
		t.Run(name, func(t *testing.T) {
			c.report.serial, c.report.hosts, c.report.nameServers = 20, 2, []string{"ns1.example.org"}
			for noted, want := range map[int64]int64{0: 20, 19: 20, 21: 21} { // it never falls
				z := dnsZone("example.org", func(z *v1alpha1.DNSZone) { z.Status.Serial = noted })
				s := zoneStatus(z, c.report)
				conditionIs(t, s.Conditions, v1alpha1.ConditionReady, c.ready, c.says...)
				if s.Serial != want || s.Hosts != 2 || s.Provider != "Embedded" || len(s.NameServers) != 1 || !slices.Equal(s.Listeners, c.report.listeners) {
					t.Errorf("status %+v, want serial %d", s, want)
				}
			}
		})
	}
}

func TestKeptStatus(t *testing.T) {
	zone := provider.Zone{ID: "Z1", NameServers: []string{"ns.aws.example"}}
	bad := provider.Report{Zone: zone, Settled: true, Refused: map[string]string{"b.": "b is refused"}, Conflicts: map[string]string{"c.": "c is in the way"},
		Errors: map[string]error{"a.example.org.": errors.New("no such thing")}}
	for name, c := range map[string]struct {
		report provider.Report
		err    error
		dryRun bool
		ready  string
		says   []string
		held   string
		hints  []string
	}{
		"kept":          {report: provider.Report{Zone: zone, Settled: true}, ready: "True Kept"},
		"failed":        {err: errors.New("credentials are wrong"), ready: "False Failed", says: []string{"credentials are wrong"}},
		"in part":       {report: bad, ready: "False KeptInPart", says: []string{"3 of 4 hosts", "a.example.org: no such thing"}},
		"dry run":       {report: provider.Report{Zone: zone, Pending: []string{"create x"}}, dryRun: true, ready: "False DryRun", says: []string{"1 changes"}},
		"on its way":    {report: provider.Report{Zone: zone}, ready: "True Propagating"},
		"not tidied up": {report: provider.Report{Zone: zone, Settled: true, Tidying: errors.New("a check is left")}, ready: "True Kept", says: []string{"a check is left"}},
		"many deletions": {report: provider.Report{Zone: zone, Settled: true, Held: 40}, ready: "True Kept", held: "True TooMany",
			hints: []string{"40 records", "kubectl patch dnszone example.org", `"allowDeletion":40`}},
	} {
		t.Run(name, func(t *testing.T) {
			z := dnsZone("example.org", func(z *v1alpha1.DNSZone) {
				z.Spec.Route53, z.Spec.DryRun = &v1alpha1.Route53Zone{}, c.dryRun
				z.Status.NameServers, z.Status.HostedZoneID = zone.NameServers, zone.ID
			})
			s := keptStatus(z, 4, c.report, c.err)
			conditionIs(t, s.Conditions, v1alpha1.ConditionReady, c.ready, c.says...)
			if c.held == "" {
				c.held = "False NoneHeld"
			}
			conditionIs(t, s.Conditions, v1alpha1.ConditionDeletionsHeld, c.held, c.hints...)
			if s.HostedZoneID != "Z1" || !slices.Equal(s.NameServers, zone.NameServers) || s.Provider != "Route53" || s.Hosts != 4 {
				t.Errorf("what is known of the zone: %+v", s)
			}
		})
	}
}

// TestPendingIsBounded: a status must not grow with the zone.
func TestPendingIsBounded(t *testing.T) {
	for n, last := range map[int]string{50: "line 49", 51: "… and 2 more", 1000: "… and 951 more"} {
		var r provider.Report
		for i := range n {
			r.Pending = append(r.Pending, fmt.Sprint("line ", i))
		}
		s := keptStatus(dnsZone("example.org", nil), 1, r, nil)
		if len(s.Pending) != maxPending || s.Pending[maxPending-1] != last || s.Pending[maxPending-2] != "line 48" || len(r.Pending) != n {
			t.Errorf("of %d lines: %d, the last %q", n, len(s.Pending), s.Pending[len(s.Pending)-1])
		}
	}
}

func TestReportOf(t *testing.T) {
	const host = "www.example.org."
	r := provider.Report{Notes: map[string]string{host: "note"}}
	for name, c := range map[string]struct {
		change func(*provider.Report)
		err    error
		dryRun bool
		want   hostReport
	}{
		"kept":     {want: hostReport{true, "note"}},
		"failed":   {err: errors.New("away"), want: hostReport{false, "away"}},
		"refused":  {change: func(r *provider.Report) { r.Refused = map[string]string{host: "refused"} }, dryRun: true, want: hostReport{false, "refused"}},
		"conflict": {change: func(r *provider.Report) { r.Conflicts = map[string]string{host: "in the way"} }, want: hostReport{false, "in the way"}},
		"error":    {change: func(r *provider.Report) { r.Errors = map[string]error{host: errors.New("error")} }, want: hostReport{false, "error"}},
		"dry run":  {dryRun: true, want: hostReport{false, "dryRun is set on DNSZone example.org: nothing is changed there"}},
	} {
		r := r
		if c.change != nil {
			c.change(&r)
		}
		z := dnsZone("example.org", func(z *v1alpha1.DNSZone) { z.Spec.DryRun = c.dryRun })
		if got := reportOf(host, z, r, c.err); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}
