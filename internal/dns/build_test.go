package dns

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	mdns "github.com/miekg/dns"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/dns/steer"
)

// TestNextSerial: it only rises, whatever the clock and a hub before have done.
func TestNextSerial(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	for name, c := range map[string]struct {
		last  uint32
		noted int64
		want  uint32
	}{
		"the first of all":                 {0, 0, 1_800_000_000},
		"a second later":                   {1_799_999_999, 0, 1_800_000_000},
		"twice in a second":                {1_800_000_000, 0, 1_800_000_001},
		"many in a second":                 {1_800_000_777, 1_800_000_700, 1_800_000_778},
		"the clock was put back":           {1_800_003_600, 1_800_003_600, 1_800_003_601},
		"a restart":                        {0, 1_799_999_000, 1_800_000_000},
		"killed before it noted the last":  {0, 1_799_999_999, 1_799_999_999 + serialReserve},
		"a restart in the noted second":    {0, 1_800_000_000, 1_800_000_000 + serialReserve},
		"a restart, the clock put back":    {0, 1_800_003_600, 1_800_003_600 + serialReserve},
		"noted is of no use while it runs": {1_800_000_005, 1_900_000_000, 1_800_000_006},
	} {
		if got := nextSerial(c.last, c.noted, now); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
	last := nextSerial(0, 0, now)
	for i := range 5000 {
		next := nextSerial(last, int64(last), now.Add(time.Duration(i)*time.Millisecond))
		if next <= last {
			t.Fatalf("%d after %d", next, last)
		}
		last = next
	}
}

func dnsZone(domain string, change func(*v1alpha1.DNSZone)) *v1alpha1.DNSZone {
	z := &v1alpha1.DNSZone{}
	z.Name, z.UID, z.Generation, z.Spec.Domain, z.Spec.Namespace = domain, "zone-uid", 3, domain, "ns"
	if change != nil {
		change(z)
	}
	return z
}

func hostNamed(name string) steer.Host { return steer.Host{Name: name, Owner: "ns/route"} }

// lines are records as a master file has them, with blanks for tabs.
func lines[R mdns.RR](records []R) []string {
	var all []string
	for _, r := range records {
		all = append(all, strings.Join(strings.Fields(r.String()), " "))
	}
	return all
}

var bothFamilies = []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}

func TestBuildZone(t *testing.T) {
	for name, c := range map[string]struct {
		change      func(*v1alpha1.DNSZone)
		hosts       []steer.Host
		soa         string
		nameServers []string
		records     []string
		problems    []string // a part of each
	}{
		"nothing said": {
			soa:         "example.org. 300 IN SOA ns1.example.org. hostmaster.example.org. 7 300 60 604800 60",
			nameServers: []string{"ns1.example.org"},
			records:     []string{"ns1.example.org. 3600 IN A 192.0.2.1", "ns1.example.org. 3600 IN AAAA 2001:db8::1"},
		},
		"name servers of one's own": {
			change: func(z *v1alpha1.DNSZone) {
				z.Spec.Embedded = &v1alpha1.EmbeddedZone{NameServers: []string{"NS.Other.net.", "a.example.org"}, Contact: "dns.team@Example.org", NegativeTTL: 5}
			},
			soa:         `example.org. 300 IN SOA ns.other.net. dns\.team.example.org. 7 300 60 604800 5`,
			nameServers: []string{"ns.other.net", "a.example.org"},
			records:     []string{"a.example.org. 3600 IN A 192.0.2.1", "a.example.org. 3600 IN AAAA 2001:db8::1"},
		},
		"a name server whose address is a record": {
			change: func(z *v1alpha1.DNSZone) {
				z.Spec.Records = []v1alpha1.ZoneRecord{{Name: "NS1", Type: "A", Values: []string{"203.0.113.9"}}}
			},
			nameServers: []string{"ns1.example.org"},
			records:     []string{"ns1.example.org. 300 IN A 203.0.113.9"},
		},
		"a name server that is a host": {
			hosts: []steer.Host{hostNamed("ns1.example.org.")}, nameServers: []string{"ns1.example.org"},
		},
		"a name server whose name only ends alike": {
			change: func(z *v1alpha1.DNSZone) {
				z.Spec.Embedded = &v1alpha1.EmbeddedZone{NameServers: []string{"ns.badexample.org"}}
			},
			nameServers: []string{"ns.badexample.org"},
		},
		"records, some of them bad": {
			change: func(z *v1alpha1.DNSZone) {
				z.Spec.Embedded = &v1alpha1.EmbeddedZone{NameServers: []string{"ns.other.net"}}
				z.Spec.Records = []v1alpha1.ZoneRecord{
					{Name: "@", Type: "MX", TTL: 60, Values: []string{"10 mail.example.org."}},
					{Name: "mail", Type: "A", Values: []string{"192.0.2.5", "not an address", "192.0.2.6"}},
					{Name: "txt", Type: "TXT", Values: []string{"\"a\"\nevil.example.org. 60 IN A 192.0.2.66"}},
					{Name: "empty", Type: "TXT", Values: []string{"; a comment"}},
				}
			},
			nameServers: []string{"ns.other.net"},
			records: []string{"example.org. 60 IN MX 10 mail.example.org.", "mail.example.org. 300 IN A 192.0.2.5",
				"mail.example.org. 300 IN A 192.0.2.6"},
			problems: []string{`mail A "not an address"`, "more than one line", "record empty TXT"},
		},
		"names that mean something in a master file": {
			change: func(z *v1alpha1.DNSZone) {
				z.Spec.Embedded = &v1alpha1.EmbeddedZone{NameServers: []string{"ns.other.net"}}
				z.Spec.Records = []v1alpha1.ZoneRecord{
					{Name: "$INCLUDE /etc/hostname ;", Type: "A", Values: []string{"192.0.2.5"}},
					{Name: "x 60 IN A 192.0.2.66 ;", Type: "A", Values: []string{"192.0.2.5"}},
					{Name: "a..b", Type: "A", Values: []string{"192.0.2.5"}},
					{Name: "*.wild", Type: "A", Values: []string{"192.0.2.5"}},
				}
			},
			nameServers: []string{"ns.other.net"},
			records:     []string{"*.wild.example.org. 300 IN A 192.0.2.5"},
			problems:    []string{`"$INCLUDE /etc/hostname ;" A: this is no name`, "this is no name", `"a..b" A: this is no name`},
		},
		"records at a host's name": {
			change: func(z *v1alpha1.DNSZone) {
				z.Spec.Embedded = &v1alpha1.EmbeddedZone{NameServers: []string{"ns.other.net"}}
				z.Spec.Records = []v1alpha1.ZoneRecord{
					{Name: "WWW", Type: "A", Values: []string{"192.0.2.5"}}, {Name: "www", Type: "CNAME", Values: []string{"x.net."}},
					{Name: "www", Type: "TXT", Values: []string{`"beside it"`}},
				}
			},
			hosts:       []steer.Host{hostNamed("www.example.org.")},
			nameServers: []string{"ns.other.net"},
			records:     []string{`www.example.org. 300 IN TXT "beside it"`},
			problems:    []string{"record WWW A \"192.0.2.5\" is not served: a GlobalRoute has this name", "record www CNAME"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := buildZone(dnsZone("Example.org", c.change), 7, c.hosts, bothFamilies)
			if got := lines([]*mdns.SOA{&b.SOA}); c.soa != "" && got[0] != c.soa {
				t.Errorf("SOA %s\nwant %s", got[0], c.soa)
			}
			var ns []string
			for _, r := range b.NS {
				ns = append(ns, strings.TrimSuffix(r.(*mdns.NS).Ns, "."))
			}
			if !slices.Equal(ns, c.nameServers) || !slices.Equal(b.nameServers, c.nameServers) {
				t.Errorf("NS records %v, in the status %v, want %v", ns, b.nameServers, c.nameServers)
			}
			if got := lines(b.Records); !slices.Equal(got, c.records) {
				t.Errorf("records\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.records, "\n"))
			}
			if len(b.problems) != len(c.problems) {
				t.Fatalf("problems %q, want %q", b.problems, c.problems)
			}
			for i, want := range c.problems {
				if !strings.Contains(b.problems[i], want) {
					t.Errorf("problem %q, want %q in it", b.problems[i], want)
				}
			}
		})
	}
}

func TestListenAddresses(t *testing.T) {
	machine := func() []netip.Addr { return bothFamilies }
	for listeners, want := range map[string][]string{
		"":                            nil,
		"127.0.0.1:53 127.0.0.1:5353": {"127.0.0.1"},
		"0.0.0.0:53":                  {"192.0.2.1", "2001:db8::1"},
		"[::]:53 192.0.2.1:53":        {"192.0.2.1", "2001:db8::1"},
		"[::ffff:192.0.2.7]:53 [fe80::1%lo]:53 localhost:53": {"192.0.2.7", "fe80::1"},
	} {
		var got []string
		for _, a := range listenAddresses(strings.Fields(listeners), machine) {
			got = append(got, a.String())
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", listeners, got, want)
		}
	}
}
