package zone

import (
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/hanse-dev/hanse/internal/dns/geo"
	"github.com/hanse-dev/hanse/internal/dns/steer"
)

// reference answers as RFC 1034, section 4.3.2, says, from lists of records: plainly, slowly, and without anything of
// what the package does.
type reference struct {
	zones []Zone
	place geo.Place

	rcode             int
	aa                bool
	answer, authority []string
}

func (r *reference) zoneOf(name string, rtype uint16) *Zone {
	var best *Zone
	for i := range r.zones {
		z := &r.zones[i]
		if !dns.IsSubDomain(z.Name, name) || rtype == dns.TypeDS && z.Name == name && r.parentOf(z) != nil {
			continue
		}
		if best == nil || len(z.Name) > len(best.Name) {
			best = z
		}
	}
	return best
}

func (r *reference) parentOf(child *Zone) *Zone {
	for i := range r.zones {
		if z := &r.zones[i]; z.Name != child.Name && dns.IsSubDomain(z.Name, child.Name) {
			return z
		}
	}
	return nil
}

func hostAt(z *Zone, name string) *steer.Host {
	for i := range z.Hosts {
		if z.Hosts[i].Name == name {
			return &z.Hosts[i]
		}
	}
	return nil
}

// recordsAt are the static records of a name that count.
func recordsAt(z *Zone, name string) []dns.RR {
	var all []dns.RR
	for _, rr := range slices.Concat(z.NS, z.Records) {
		h := rr.Header()
		lost := false
		switch h.Rrtype {
		case dns.TypeCNAME:
			lost = hostAt(z, name) != nil || name == z.Name
		case dns.TypeA, dns.TypeAAAA:
			lost = hostAt(z, name) != nil
		}
		if strings.ToLower(h.Name) == name && !lost {
			all = append(all, rr)
		}
	}
	return all
}

func (r *reference) exists(z *Zone, name string) bool {
	for _, rr := range slices.Concat(z.NS, z.Records) {
		// A CNAME at the apex, and what is in a zone below, is not there.
		if dns.IsSubDomain(name, strings.ToLower(rr.Header().Name)) && r.zoneOf(strings.ToLower(rr.Header().Name), 0) == z {
			return true
		}
	}
	for i := range z.Hosts {
		if dns.IsSubDomain(name, z.Hosts[i].Name) && r.zoneOf(z.Hosts[i].Name, 0) == z {
			return true
		}
	}
	for i := range r.zones { // zones of ours below make the names between
		if r.zones[i].Name != z.Name && dns.IsSubDomain(name, r.zones[i].Name) && r.parentOf(&r.zones[i]) == z {
			return true
		}
	}
	return name == z.Name
}

// cut is the highest delegation at or above a name.
func cut(z *Zone, name string) string {
	found := ""
	for ; name != z.Name; name = up(name) {
		if strings.HasPrefix(name, "*.") {
			continue
		}
		for _, rr := range recordsAt(z, name) {
			if rr.Header().Rrtype == dns.TypeNS {
				found = name
			}
		}
	}
	return found
}

func up(name string) string {
	_, rest, _ := strings.Cut(name, ".")
	return rest
}

func (r *reference) resolve(name string, rtype uint16) {
	r.answer, r.authority = nil, nil
	var seen []string
	for hop := 0; ; hop++ {
		z := r.zoneOf(name, rtype)
		if z == nil {
			if hop == 0 {
				r.rcode = dns.RcodeRefused
			}
			return
		}
		if hop == 0 {
			r.aa = true
		}
		if c := cut(z, name); c != "" && (rtype != dns.TypeDS || c != name) {
			if hop == 0 {
				r.aa = false
			}
			for _, rr := range recordsAt(z, c) {
				if rr.Header().Rrtype == dns.TypeNS {
					r.authority = addLine(r.authority, c, rr)
				}
			}
			return
		}
		source := name
		if !r.exists(z, name) {
			encloser := up(name)
			for !r.exists(z, encloser) {
				encloser = up(encloser)
			}
			if source = "*." + encloser; !r.exists(z, source) {
				r.rcode = dns.RcodeNameError
				r.deny(z)
				return
			}
		}
		if owner := r.zoneOf(source, 0); owner != z {
			r.delegated(z, source) // DS of a zone of ours below
			return
		}
		target := r.at(z, source, name, rtype, seen)
		if target == "" {
			return
		}
		seen = append(seen, source)
		name = target
		if hop == maxHops-1 {
			return
		}
	}
}

// delegated answers with what the zone above has of DS where a zone of ours begins.
func (r *reference) delegated(z *Zone, name string) {
	found := false
	for _, rr := range z.Records {
		if strings.ToLower(rr.Header().Name) == name && rr.Header().Rrtype == dns.TypeDS {
			r.answer = addLine(r.answer, name, rr)
			found = true
		}
	}
	if !found {
		r.deny(z)
	}
}

// at answers from the records and the host at source, and returns the target of a CNAME that is to be followed.
func (r *reference) at(z *Zone, source, name string, rtype uint16, seen []string) string {
	all := recordsAt(z, source)
	var alias dns.RR
	for _, rr := range all {
		if rr.Header().Rrtype == dns.TypeCNAME && alias == nil {
			alias = rr
		}
	}
	h := hostAt(z, source)
	if h != nil {
		steered, cname := r.steered(h, len(all) == 0 && source != z.Name)
		all = append(all, steered...)
		alias = cname
		if cname != nil {
			all = append(all, cname)
		}
	}
	if rtype == dns.TypeANY {
		switch {
		case alias != nil:
			r.answer = addLine(r.answer, name, alias)
		case len(all) > 0 || h != nil:
			r.answer = append(r.answer, name+"\t3600\tIN\tHINFO\t\"RFC8482\" \"\"")
		default:
			r.deny(z)
		}
		return ""
	}
	found := false
	for _, rr := range all {
		if rr.Header().Rrtype == rtype && (rtype != dns.TypeCNAME || rr == alias) && (rtype != dns.TypeSOA) {
			r.answer = addLine(r.answer, name, rr)
			found = true
		}
	}
	if rtype == dns.TypeSOA && name == z.Name {
		r.answer = addLine(r.answer, name, &z.SOA)
		found = true
	}
	switch {
	case found:
	case alias != nil:
		if slices.Contains(seen, source) {
			return ""
		}
		r.answer = addLine(r.answer, name, alias)
		return strings.ToLower(alias.(*dns.CNAME).Target)
	default:
		r.deny(z)
	}
	return ""
}

func (r *reference) steered(h *steer.Host, canAlias bool) (all []dns.RR, alias dns.RR) {
	for _, c := range steer.Choose(h, r.place) {
		head := dns.RR_Header{Name: h.Name, Class: dns.ClassINET, Ttl: h.TTL}
		if len(c.Clusters) == 1 && canAlias && h.Clusters[c.Clusters[0]].Hostname != "" {
			head.Rrtype = dns.TypeCNAME
			return nil, &dns.CNAME{Hdr: head, Target: h.Clusters[c.Clusters[0]].Hostname}
		}
		for _, k := range c.Clusters {
			for _, a := range h.Clusters[k].Addresses {
				if a.Is4() {
					head.Rrtype = dns.TypeA
					all = append(all, &dns.A{Hdr: head, A: a.AsSlice()})
				} else {
					head.Rrtype = dns.TypeAAAA
					all = append(all, &dns.AAAA{Hdr: head, AAAA: a.AsSlice()})
				}
			}
		}
	}
	return all, nil
}

func (r *reference) deny(z *Zone) {
	soa := z.SOA
	soa.Hdr.Ttl = min(soa.Hdr.Ttl, soa.Minttl)
	r.authority = addLine(r.authority, z.Name, &soa)
}

// addLine adds a record under another name, in lower case and once.
func addLine(lines []string, name string, rr dns.RR) []string {
	rr = dns.Copy(rr)
	rr.Header().Name = name
	line := strings.ToLower(rr.String())
	if rr.Header().Rrtype == dns.TypeHINFO {
		line = rr.String()
	}
	if slices.Contains(lines, line) {
		return lines
	}
	return append(lines, line)
}
