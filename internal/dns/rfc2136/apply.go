package rfc2136

import (
	"context"
	"fmt"
	"strings"

	"github.com/miekg/dns"

	"github.com/hanse-dev/hanse/internal/dns/provider"
)

// maxUpdate is how large an update may be in bytes: a message has at most 65535,
// and needs a signature.
const maxUpdate = 60000

// job is a change on its way.
type job struct {
	index    int // into the errors
	name     string
	requires []dns.RR // prerequisites
	updates  []dns.RR
	size     int
}

// Apply sends changes in updates of at most 64 KB. Each update is made as a whole
// or not at all (RFC 2136, section 3.4.2.7), and only if what it replaces is what
// was read and what it creates is not there: another writer is never overwritten.
// An update that is refused is halved until what is wrong stands alone.
func (z *Zone) Apply(ctx context.Context, changes []provider.Change) []error {
	errs := make([]error, len(changes))
	var batch []job
	size := 0
	for i, c := range changes {
		j, err := prepare(i, c)
		if errs[i] = err; err != nil {
			continue
		}
		if size+j.size > maxUpdate {
			z.update(ctx, batch, errs)
			batch, size = nil, 0
		}
		batch = append(batch, j)
		size += j.size
	}
	z.update(ctx, batch, errs)
	return errs
}

// prepare makes the steps of a change those of an update. Prerequisites are about
// what there is before all of them.
func prepare(index int, c provider.Change) (job, error) {
	j := job{index: index, name: strings.TrimSuffix(c.Name, ".")}
	for _, s := range c.Steps {
		if s.Old != nil {
			old, err := records(s.Old)
			if err != nil {
				return job{}, err
			}
			for _, rr := range old { // value dependent: section 2.4.2
				rr.Header().Ttl = 0
			}
			j.requires = append(j.requires, old...)
			j.updates = append(j.updates, bare(s.Old.Name, old[0].Header().Rrtype, dns.ClassANY)) // section 2.5.2
		}
		if s.New == nil {
			continue
		}
		rrs, err := records(s.New)
		if err != nil {
			return job{}, err
		}
		j.updates = append(j.updates, rrs...)
		if s.Old == nil {
			j.requires = append(j.requires, absent(c, s.New.Name, rrs[0].Header().Rrtype)...)
		}
	}
	for _, rr := range append(append([]dns.RR(nil), j.requires...), j.updates...) {
		j.size += dns.Len(rr)
	}
	return j, nil
}

// absent are the prerequisites for creating a set: no such set (section 2.4.3), no
// CNAME beside it, and nothing beside a CNAME (section 2.4.5) but what the change
// takes away itself. A server would ignore such a record silently (3.4.2.2).
func absent(c provider.Change, name string, rrtype uint16) []dns.RR {
	for _, s := range c.Steps {
		if s.Old != nil && s.Old.Name == name {
			return []dns.RR{bare(name, rrtype, dns.ClassNONE)}
		}
	}
	if rrtype == dns.TypeCNAME {
		return []dns.RR{bare(name, dns.TypeANY, dns.ClassNONE)}
	}
	return []dns.RR{bare(name, rrtype, dns.ClassNONE), bare(name, dns.TypeCNAME, dns.ClassNONE)}
}

// bare is a record without data, by which an update speaks of a set or a name.
func bare(name string, rrtype, class uint16) dns.RR {
	return &dns.ANY{Hdr: dns.RR_Header{Name: name, Rrtype: rrtype, Class: class}}
}

// update sends a batch, or as much of it as is taken.
func (z *Zone) update(ctx context.Context, batch []job, errs []error) {
	if len(batch) == 0 {
		return
	}
	m := new(dns.Msg).SetUpdate(z.domain)
	m.Compress = true
	for _, j := range batch {
		m.Answer = append(m.Answer, j.requires...)
		m.Ns = append(m.Ns, j.updates...)
	}
	r, err := z.exchange(ctx, m)
	switch {
	case err != nil:
		for _, j := range batch {
			errs[j.index] = fmt.Errorf("%s: %w", j.name, err)
		}
	case r.Rcode == dns.RcodeSuccess:
	case len(batch) == 1 || r.Rcode == dns.RcodeNotAuth || r.Rcode == dns.RcodeNotImplemented:
		for _, j := range batch {
			errs[j.index] = z.refusal(j.name, r.Rcode)
		}
	default:
		z.update(ctx, batch[:len(batch)/2], errs)
		z.update(ctx, batch[len(batch)/2:], errs)
	}
}

// refusal says what an answer's code means for a user.
func (z *Zone) refusal(name string, code int) error {
	switch code {
	case dns.RcodeYXDomain, dns.RcodeYXRrset, dns.RcodeNXRrset, dns.RcodeNameError:
		return fmt.Errorf("%s has been changed by somebody else meanwhile (%s); it is tried again", name, rcode(code))
	case dns.RcodeRefused, dns.RcodeNotAuth:
		return fmt.Errorf("the name server %s refused an update of %s (%s). Try: allow updates with the key of spec.rfc2136 (BIND: allow-update or update-policy, Knot: acl)", z.server, name, rcode(code))
	case dns.RcodeNotImplemented:
		return fmt.Errorf("the name server %s takes no updates (%s). Try: the zone's primary", z.server, rcode(code))
	default:
		return fmt.Errorf("the name server %s did not update %s: %s", z.server, name, rcode(code))
	}
}
