package dns

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	mdns "github.com/miekg/dns"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/dns/route"
	"github.com/hanse-dev/hanse/internal/dns/steer"
	"github.com/hanse-dev/hanse/internal/dns/zone"
)

// Values of the records that every zone has.
const (
	nsTTL           = 3600 // name servers change rarely
	soaTTL          = 300
	soaRefresh      = 300 // secondaries are told of changes anyway
	soaRetry        = 60
	soaExpire       = 7 * 24 * 3600
	defaultNegative = 60 // a host that is new is known everywhere after a minute
	recordTTL       = 300
)

// built is a zone to serve, and what of its DNSZone made no sense.
type built struct {
	zone.Zone
	nameServers []string // without final dots
	problems    []string
}

// buildZone makes the zone of a DNSZone that the hub serves.
func buildZone(z *v1alpha1.DNSZone, serial uint32, hosts []steer.Host, addresses []netip.Addr) built {
	domain := dotted(z.Spec.Domain)
	b := built{Zone: zone.Zone{Name: domain, Hosts: hosts}}
	e := z.Spec.Embedded
	if e == nil {
		e = &v1alpha1.EmbeddedZone{}
	}
	for _, r := range z.Spec.Records {
		b.addRecords(r, domain)
	}
	names := e.NameServers
	if len(names) == 0 {
		names = []string{"ns1." + domain}
	}
	for _, name := range names {
		name = dotted(name)
		b.nameServers = append(b.nameServers, strings.TrimSuffix(name, "."))
		b.NS = append(b.NS, &mdns.NS{Hdr: header(domain, mdns.TypeNS, nsTTL), Ns: name})
		b.glue(name, domain, addresses)
	}
	negative := uint32(e.NegativeTTL)
	if negative == 0 {
		negative = defaultNegative
	}
	b.SOA = mdns.SOA{
		Hdr: header(domain, mdns.TypeSOA, soaTTL), Ns: dotted(names[0]), Mbox: mailbox(e.Contact, domain),
		Serial: serial, Refresh: soaRefresh, Retry: soaRetry, Expire: soaExpire, Minttl: negative,
	}
	return b
}

func header(name string, kind uint16, ttl uint32) mdns.RR_Header {
	return mdns.RR_Header{Name: name, Rrtype: kind, Class: mdns.ClassINET, Ttl: ttl}
}

// glue gives a name server inside the zone the addresses that the hub listens on,
// unless the zone's records or hosts say where it is.
func (b *built) glue(name, domain string, addresses []netip.Addr) {
	if !route.Within(name, strings.TrimSuffix(domain, ".")) {
		return
	}
	if slices.ContainsFunc(b.Records, func(r mdns.RR) bool { return r.Header().Name == name }) ||
		slices.ContainsFunc(b.Hosts, func(h steer.Host) bool { return h.Name == name }) {
		return
	}
	for _, a := range addresses {
		if a.Is4() {
			b.Records = append(b.Records, &mdns.A{Hdr: header(name, mdns.TypeA, nsTTL), A: a.AsSlice()})
		} else {
			b.Records = append(b.Records, &mdns.AAAA{Hdr: header(name, mdns.TypeAAAA, nsTTL), AAAA: a.AsSlice()})
		}
	}
}

// mailbox is a mail address as a SOA record has it (RFC 1035, section 8).
func mailbox(contact, domain string) string {
	local, at, ok := strings.Cut(contact, "@")
	if !ok {
		return "hostmaster." + domain
	}
	return strings.ReplaceAll(local, ".", `\.`) + "." + dotted(at)
}

// addRecords parses a record set of the DNSZone.
func (b *built) addRecords(r v1alpha1.ZoneRecord, domain string) {
	name := recordName(r, domain)
	if !plain(name) {
		b.problems = append(b.problems, fmt.Sprintf("record %q %s: this is no name", r.Name, r.Type))
		return
	}
	ttl := r.TTL
	if ttl == 0 {
		ttl = recordTTL
	}
	for _, value := range r.Values {
		what := fmt.Sprintf("record %s %s %q", r.Name, r.Type, value)
		if strings.ContainsAny(value, "\n\r") {
			b.problems = append(b.problems, what+" has more than one line")
			continue
		}
		rr, err := mdns.NewRR(fmt.Sprintf("%s %d IN %s %s", name, ttl, r.Type, value))
		switch {
		case err != nil:
			b.problems = append(b.problems, fmt.Sprintf("%s: %v", what, err))
		case rr == nil || emptyText(rr):
			b.problems = append(b.problems, what+" is empty")
		case slices.ContainsFunc(b.Hosts, func(h steer.Host) bool { return h.Name == name }) && addressType(rr):
			b.problems = append(b.problems, what+" is not served: a GlobalRoute has this name")
		default:
			b.Records = append(b.Records, rr)
		}
	}
}

// recordName is the name of a record set, with a final dot as the domain has.
func recordName(r v1alpha1.ZoneRecord, domain string) string {
	if r.Name == "@" {
		return domain
	}
	return strings.ToLower(strings.TrimSuffix(r.Name, ".")) + "." + domain
}

// plain says whether a name has nothing in it that means something else in a master
// file, where $INCLUDE would read a file of the hub's.
func plain(name string) bool {
	_, ok := mdns.IsDomainName(name)
	return ok && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-_*./") == ""
}

// emptyText is a TXT record without a string, which is none (RFC 1035, section
// 3.3.14).
func emptyText(rr mdns.RR) bool {
	t, ok := rr.(*mdns.TXT)
	return ok && len(t.Txt) == 0
}

func addressType(rr mdns.RR) bool {
	switch rr.Header().Rrtype {
	case mdns.TypeA, mdns.TypeAAAA, mdns.TypeCNAME:
		return true
	}
	return false
}
