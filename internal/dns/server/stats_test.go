package server

import (
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/hanse-dev/hanse/internal/dns/ratelimit"
)

// Responses are counted for the zone that they are about, whatever they are, and others as outside.
func TestResponsesByZone(t *testing.T) {
	r := newTestResponder(t, full())
	for name, times := range map[string]int{"www.example.org.": 3, "nothing.example.org.": 2, "elsewhere.example.": 4} {
		for range times {
			respondTo(t, r, query(t, name, dns.TypeA))
		}
	}
	respondTo(t, r, query(t, "large.example.org.", dns.TypeTXT)) // truncated
	respondTo(t, r, query(t, "www.example.org.", dns.TypeA, func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS }))
	zone := r.Snapshot().Responses()["example.org."]
	if zone[dns.RcodeSuccess] != 4 || zone[dns.RcodeNameError] != 2 || zone[dns.RcodeRefused] != 0 {
		t.Errorf("of the zone: %v", zone)
	}
	s := r.Stats()
	if s.Outside[dns.RcodeRefused] != 5 || s.Outside[dns.RcodeSuccess] != 0 {
		t.Errorf("of none: %v", s.Outside)
	}
	sum := uint64(0)
	for rcode := range zone {
		sum += zone[rcode] + s.Outside[rcode]
	}
	if sum != s.Queries() {
		t.Errorf("%d by zone, %d in all", sum, s.Queries())
	}
}

// What the rate limit makes a truncated answer is still about its zone.
func TestLimitedResponsesByZone(t *testing.T) {
	r := newTestResponder(t, Config{Limiter: ratelimit.New(ratelimit.Config{PerSecond: 1, Slip: 1, V4Prefix: 24, V6Prefix: 56})})
	m, out, now := query(t, "www.example.org.", dns.TypeA), make([]byte, 0, outSize), time.Now()
	for range 20 {
		r.respond(m, out, client, now, false)
	}
	if zone := r.Snapshot().Responses()["example.org."]; zone[dns.RcodeSuccess] != 20 || r.Stats().Truncated == 0 {
		t.Errorf("%v, %+v", zone, r.Stats())
	}
}
