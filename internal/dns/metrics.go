package dns

import (
	"strings"

	"github.com/miekg/dns"
	apimeta "k8s.io/apimachinery/pkg/api/meta"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/dns/zone"
	"github.com/hanse-dev/hanse/internal/metrics"
)

// Metrics is what has been done, and how zones are, at this moment. It does not block, and may be called by several
// goroutines at once.
func (c *Controller) Metrics() metrics.DNSSnapshot {
	s := c.listener.server.Stats()
	probes := c.prober.Stats()
	m := metrics.DNSSnapshot{
		Zones: map[string]metrics.DNSResponses{}, Outside: responses(s.Outside),
		DNSZones: map[string]metrics.DNSZone{},
		TCP:      s.TCP, Truncated: s.Truncated, Dropped: s.Dropped, Transfers: s.Transfers,
		Passed: probes.Passed, Failed: probes.Failed, Targets: map[string]int{},
	}
	if snapshot := c.listener.server.Snapshot(); snapshot != nil {
		for name, sum := range snapshot.Responses() {
			m.Zones[name] = responses(sum)
		}
		if len(c.listener.listen) > 0 {
			bound, _, _ := c.listener.state()
			listening := len(bound) > 0
			m.Listening = &listening
		}
	}
	for state, n := range probes.States {
		m.Targets[strings.ToLower(state)] = n
	}
	_, zones := c.caches.objects()
	for _, z := range zones {
		m.DNSZones[z.Name] = metrics.DNSZone{Domain: dotted(z.Spec.Domain), Ready: apimeta.IsStatusConditionTrue(z.Status.Conditions, v1alpha1.ConditionReady)}
	}
	return m
}

// responses are numbers by the names of rcodes. NOERROR and SERVFAIL are always there, so that a first one is seen to
// be an increase.
func responses(sum [zone.Rcodes]uint64) metrics.DNSResponses {
	named := metrics.DNSResponses{}
	for rcode, n := range sum {
		if n > 0 || rcode == dns.RcodeSuccess || rcode == dns.RcodeServerFailure {
			named[rcodeName(rcode)] += n
		}
	}
	return named
}

func rcodeName(rcode int) string {
	switch name, ok := dns.RcodeToString[rcode]; {
	case rcode == dns.RcodeBadVers: // 16 is BADSIG, too, in another place than this
		return "BADVERS"
	case ok:
		return name
	}
	return "Other"
}
