package grant

import (
	"fmt"
	"testing"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// TestProbing: a zone's owner speaks for the hosts in that zone, and for no others.
func TestProbing(t *testing.T) {
	zone := func(domain string, networks ...string) *v1alpha1.DNSZone {
		z := dnsZone(func(s *v1alpha1.DNSZoneSpec) { s.Domain, s.ProbeNetworks = domain, networks })
		z.Name = domain
		return z
	}
	bank, lab := zone("bank.example", "10.1.0.0/16", "rubbish"), zone("lab.bank.example")
	p := ProbingOf([]*v1alpha1.DNSZone{bank, lab})
	for host, want := range map[string]string{"www.bank.example": "[10.1.0.0/16]", "*.bank.example": "[10.1.0.0/16]", "x.lab.bank.example": "[]", "other.example": "[]"} {
		if got := fmt.Sprint(p.Of(host)); got != want {
			t.Errorf("%s: %s, want %s", host, got, want)
		}
	}
	if len((*Probing)(nil).Of("www.bank.example")) != 0 {
		t.Error("nobody has said anything")
	}
	for what, c := range map[string]struct {
		other *Probing
		same  bool
	}{
		"the same":        {ProbingOf([]*v1alpha1.DNSZone{lab, bank}), true},
		"another network": {ProbingOf([]*v1alpha1.DNSZone{zone("bank.example", "10.2.0.0/16"), lab}), false},
		"a zone less":     {ProbingOf([]*v1alpha1.DNSZone{bank}), false},
		"nothing":         {nil, false},
	} {
		if p.Same(c.other) != c.same {
			t.Errorf("%s: same %t", what, !c.same)
		}
	}
}
