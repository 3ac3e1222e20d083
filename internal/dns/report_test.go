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
	"github.com/hanse-dev/hanse/internal/dns/external"
	"github.com/hanse-dev/hanse/internal/dns/grant"
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
	taken := grant.Refusal{Reason: v1alpha1.ReasonHostTaken, Message: "www belongs to another"}
	lost := verdict{lost: map[string]map[string]grant.Refusal{"ns/route": {"www.": taken}, "ns/other": {"x.": {Reason: "Other", Message: "of no interest"}}}}
	several := verdict{lost: map[string]map[string]grant.Refusal{"ns/route": {"www.": taken}}}
	for i := range 20 {
		name := fmt.Sprintf("%02d.", i)
		several.lost["ns/route"][name] = grant.Refusal{Reason: v1alpha1.ReasonNotAllowedByZone, Message: name + " is not allowed"}
	}
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
		"hosts are lost": {res: route.Resolved{Clusters: []route.ClusterState{reached}}, verdict: several, unanswered: make([]string, 21), healthy: 1,
			accepted: "False NotAllowedByZone", ready: "False NotAnswered", says: []string{"and 13 more"}},
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
	taken := func(route string) map[string]map[string]grant.Refusal {
		return map[string]map[string]grant.Refusal{route: {h.Name: {Reason: v1alpha1.ReasonHostTaken, Message: "is taken"}}}
	}
	for name, c := range map[string]struct {
		verdict    verdict
		external   map[string]external.Report
		answered   bool
		zone, says string
	}{
		"served by the hub":     {verdict{zone: in}, nil, true, "zone", ""},
		"in no zone":            {verdict{}, nil, false, "", "in no DNSZone yet"},
		"another's":             {verdict{zone: in, lost: taken("ns/route")}, nil, false, "", "is taken"},
		"another route's other": {verdict{zone: in, lost: taken("ns/other")}, nil, true, "zone", ""},
		"not there yet":         {verdict{zone: in}, map[string]external.Report{h.Name: {Message: "not yet"}}, false, "zone", "not yet"},
		"kept, with a note":     {verdict{zone: in}, map[string]external.Report{h.Name: {Done: true, Message: "note"}}, true, "zone", "note"},
	} {
		got := routeHost(&h, "ns/route", c.verdict, c.external)
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
