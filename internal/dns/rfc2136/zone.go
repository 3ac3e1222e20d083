// Package rfc2136 keeps zones on name servers that take dynamic updates (RFC 2136)
// and zone transfers (RFC 5936), both signed by TSIG (RFC 8945), over TCP: BIND,
// Knot, PowerDNS and others. Such a server answers everybody alike, so that only
// routes whose answer is the same everywhere can be expressed.
package rfc2136

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/internal/dns/provider"
)

// Config of a Zone.
type Config struct {
	// Domain with or without a final dot.
	Domain string
	// Server is the primary as HOST:PORT or HOST.
	Server string
	// Key signs everything; nil: nothing is signed.
	Key *Key
	// Timeout of a request; 0: 10 s.
	Timeout time.Duration
	Clock   clock.PassiveClock
}

// Key is a TSIG key. Algorithm is hmac-sha256 (also if empty) and its like, Secret
// base64.
type Key struct{ Name, Algorithm, Secret string }

// Zone is a zone on such a server. It implements provider.Provider; its methods
// are called one at a time.
type Zone struct {
	domain  string // with a final dot
	server  string
	key     *Key
	timeout time.Duration
	clock   clock.PassiveClock
}

// New connects to nothing yet. An error is one of the key or of the server's name.
func New(c Config) (*Zone, error) {
	server := c.Server
	if host, port, err := net.SplitHostPort(server); err != nil {
		server = net.JoinHostPort(strings.Trim(server, "[]"), "53")
	} else if host == "" || port == "" {
		return nil, fmt.Errorf("%q is no name server. Try: spec.rfc2136.server as HOST or HOST:PORT", c.Server)
	}
	z := &Zone{domain: dns.CanonicalName(c.Domain), server: server, timeout: cmp.Or(c.Timeout, 10*time.Second), clock: c.Clock}
	if c.Key != nil {
		if secret, err := base64.StdEncoding.DecodeString(c.Key.Secret); err != nil || len(secret) == 0 {
			return nil, fmt.Errorf("the secret of the key %s is not in base64. Try: the text that BIND's tsig-keygen or Knot's keymgr prints", c.Key.Name)
		}
		z.key = &Key{Name: dns.CanonicalName(c.Key.Name), Algorithm: dns.CanonicalName(cmp.Or(c.Key.Algorithm, "hmac-sha256")), Secret: c.Key.Secret}
	}
	return z, nil
}

// Name of the provider.
func (z *Zone) Name() string { return "RFC2136" }

// Ensure asks the server whether it has the zone; it cannot be created this way.
func (z *Zone) Ensure(ctx context.Context, _ bool) (provider.Zone, error) {
	m := new(dns.Msg).SetQuestion(z.domain, dns.TypeNS)
	r, err := z.exchange(ctx, m)
	if err != nil {
		return provider.Zone{}, err
	}
	if r.Rcode != dns.RcodeSuccess || !r.Authoritative {
		return provider.Zone{}, fmt.Errorf("the name server %s does not serve %s (%s). Try: create the zone there, with a SOA and a NS record: %w",
			z.server, z.plain(), rcode(r.Rcode), provider.ErrNoZone)
	}
	var servers []string
	for _, rr := range r.Answer {
		if ns, ok := rr.(*dns.NS); ok {
			servers = append(servers, strings.TrimSuffix(ns.Ns, "."))
		}
	}
	slices.Sort(servers)
	return provider.Zone{NameServers: servers}, nil
}

// Read transfers the zone.
func (z *Zone) Read(ctx context.Context) ([]provider.Set, error) {
	records, err := z.transfer(ctx)
	if err != nil {
		return nil, err
	}
	index := map[provider.Key]int{}
	var sets []provider.Set
	for _, rr := range records {
		h := rr.Header()
		switch h.Rrtype {
		case dns.TypeRRSIG, dns.TypeNSEC, dns.TypeNSEC3:
			continue // the server's own, which may be beside a CNAME
		}
		s := provider.Set{Name: dns.CanonicalName(h.Name), Type: dns.Type(h.Rrtype).String(), TTL: h.Ttl}
		i, ok := index[s.Key()]
		if !ok {
			i = len(sets)
			index[s.Key()], sets = i, append(sets, s)
		}
		sets[i].Values = append(sets[i].Values, value(rr))
	}
	for i := range sets {
		slices.Sort(sets[i].Values)
	}
	return sets, nil
}

// value is a record's data as in a master file.
func value(rr dns.RR) string {
	if c, ok := rr.(*dns.CNAME); ok {
		return dns.CanonicalName(c.Target)
	}
	return strings.TrimPrefix(rr.String(), rr.Header().String())
}

// records of a set.
func records(s *provider.Set) ([]dns.RR, error) {
	var all []dns.RR
	for _, v := range s.Values {
		rr, err := dns.NewRR(fmt.Sprintf("%s %d IN %s %s", s.Name, s.TTL, s.Type, v))
		if err != nil || rr == nil {
			return nil, fmt.Errorf("%s %s %q is no record: %w", s.Name, s.Type, v, errors.Join(err))
		}
		all = append(all, rr)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s %s has no values", s.Name, s.Type)
	}
	return all, nil
}

// plain is the domain as users write it.
func (z *Zone) plain() string { return strings.TrimSuffix(z.domain, ".") }

// rcode is an answer's code by name.
func rcode(code int) string {
	if s, ok := dns.RcodeToString[code]; ok {
		return s
	}
	return fmt.Sprint("code ", code)
}
