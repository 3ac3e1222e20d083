package external

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/dns/provider"
)

func dnsZone(domain string, change func(*v1alpha1.DNSZone)) *v1alpha1.DNSZone {
	z := &v1alpha1.DNSZone{}
	z.Name, z.UID, z.Generation, z.Spec.Domain = domain, "zone-uid", 3, domain
	if change != nil {
		change(z)
	}
	return z
}

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
		want   Report
	}{
		"kept":     {want: Report{true, "note"}},
		"failed":   {err: errors.New("away"), want: Report{false, "away"}},
		"refused":  {change: func(r *provider.Report) { r.Refused = map[string]string{host: "refused"} }, dryRun: true, want: Report{false, "refused"}},
		"conflict": {change: func(r *provider.Report) { r.Conflicts = map[string]string{host: "in the way"} }, want: Report{false, "in the way"}},
		"error":    {change: func(r *provider.Report) { r.Errors = map[string]error{host: errors.New("error")} }, want: Report{false, "error"}},
		"dry run":  {dryRun: true, want: Report{false, "dryRun is set on DNSZone example.org: nothing is changed there"}},
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
