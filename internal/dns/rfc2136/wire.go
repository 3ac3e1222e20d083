package rfc2136

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/miekg/dns"
)

// fudge is how many seconds the two clocks may differ (RFC 8945, section 10).
const fudge = 300

// maxZone is how many records a transfer may have: a server that never ends must
// not fill the hub's memory.
const maxZone = 5_000_000

// dial connects, until ctx ends or the timeout has passed for the next answer.
func (z *Zone) dial(ctx context.Context) (*dns.Conn, func(), error) {
	d := net.Dialer{Timeout: z.timeout}
	c, err := d.DialContext(ctx, "tcp", z.server)
	if err != nil {
		return nil, nil, fmt.Errorf("the name server %s cannot be reached by TCP. Try: check spec.rfc2136.server, and that it is up: %w", z.server, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = c.Close() }) // ends a read that waits
	return &dns.Conn{Conn: c}, func() { stop(); _ = c.Close() }, nil
}

// send signs and sends a message, and gives the MAC that answers are signed with.
func (z *Zone) send(c *dns.Conn, m *dns.Msg) (mac string, err error) {
	if err := c.SetDeadline(z.clock.Now().Add(z.timeout)); err != nil {
		return "", err
	}
	if z.key == nil {
		return "", c.WriteMsg(m)
	}
	m.SetTsig(z.key.Name, z.key.Algorithm, fudge, z.clock.Now().Unix())
	packed, mac, err := dns.TsigGenerate(m, z.key.Secret, "", false)
	if err != nil {
		return "", err
	}
	_, err = c.Write(packed)
	return mac, err
}

// receive reads a message that answers id. With a key it has to be signed, unless
// it is a refusal: an answer that is not could be anybody's. timers: it is not the first one.
func (z *Zone) receive(c *dns.Conn, id uint16, mac string, timers bool) (*dns.Msg, string, error) {
	if err := c.SetDeadline(z.clock.Now().Add(z.timeout)); err != nil {
		return nil, "", err
	}
	var header dns.Header
	packed, err := c.ReadMsgHeader(&header)
	if err != nil {
		return nil, "", err
	}
	m := new(dns.Msg)
	if err := m.Unpack(packed); err != nil {
		return nil, "", fmt.Errorf("the answer cannot be read: %w", err)
	}
	if m.Id != id {
		return nil, "", errors.New("the answer is to something else")
	}
	if z.key == nil {
		return m, "", nil
	}
	sig := m.IsTsig()
	switch {
	case sig == nil && m.Rcode != dns.RcodeSuccess:
		return m, "", nil // a refusal: who forges one can do no harm
	case sig == nil:
		return nil, "", fmt.Errorf("the answer (%s) is not signed with the key %s. Try: check that the server knows the key and requires it for updates and transfers", rcode(m.Rcode), z.key.Name)
	case sig.Error == dns.RcodeBadTime:
		return nil, "", fmt.Errorf("the server's clock differs from the hub's by more than %d s. Try: set both", fudge)
	case sig.Error != dns.RcodeSuccess:
		return nil, "", fmt.Errorf("the server does not accept the key %s (%s). Try: the same name, algorithm and secret on both sides, and allow it updates and transfers there (Knot: acl)", z.key.Name, rcode(int(sig.Error)))
	}
	if err := dns.TsigVerify(packed, z.key.Secret, mac, timers); err != nil {
		return nil, "", fmt.Errorf("the answer's signature is wrong: %w", err)
	}
	return m, sig.MAC, nil
}

// exchange asks one question.
func (z *Zone) exchange(ctx context.Context, m *dns.Msg) (*dns.Msg, error) {
	c, done, err := z.dial(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	mac, err := z.send(c, m)
	if err != nil {
		return nil, fmt.Errorf("could not ask the name server %s: %w", z.server, err)
	}
	r, _, err := z.receive(c, m.Id, mac, false)
	if err != nil {
		return nil, fmt.Errorf("the name server %s: %w", z.server, err)
	}
	return r, nil
}

// transfer reads the whole zone by AXFR (RFC 5936), the SOA once. It is whole only
// if the SOA it began with has come again.
func (z *Zone) transfer(ctx context.Context) ([]dns.RR, error) {
	c, done, err := z.dial(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	m := new(dns.Msg).SetAxfr(z.domain)
	mac, err := z.send(c, m)
	if err != nil {
		return nil, fmt.Errorf("could not ask the name server %s for %s: %w", z.server, z.plain(), err)
	}
	var all []dns.RR
	for timers := false; ; timers = true {
		var r *dns.Msg
		if r, mac, err = z.receive(c, m.Id, mac, timers); err != nil {
			return nil, fmt.Errorf("the transfer of %s from %s broke off after %d records: %w", z.plain(), z.server, len(all), err)
		}
		if r.Rcode != dns.RcodeSuccess {
			return nil, fmt.Errorf("the name server %s refused a transfer of %s (%s). Try: allow transfers with the key of spec.rfc2136 (BIND: allow-transfer, Knot: acl)", z.server, z.plain(), rcode(r.Rcode))
		}
		all = append(all, r.Answer...)
		if done, err := z.whole(all, len(r.Answer)); err != nil {
			return nil, fmt.Errorf("the transfer of %s from %s is not one: %w", z.plain(), z.server, err)
		} else if done {
			return all[:len(all)-1], nil
		}
	}
}

// whole says whether a transfer, the last so many records of which are new, has
// come to its end.
func (z *Zone) whole(all []dns.RR, added int) (bool, error) {
	if len(all) == 0 {
		return false, errors.New("it begins without a record")
	}
	first, ok := all[0].(*dns.SOA)
	switch {
	case !ok || dns.CanonicalName(first.Hdr.Name) != z.domain:
		return false, errors.New("it does not begin with the zone's SOA record")
	case len(all) > maxZone:
		return false, fmt.Errorf("it has more than %d records", maxZone)
	case added == 0:
		return false, errors.New("it has an empty message")
	}
	for i := max(1, len(all)-added); i < len(all); i++ {
		soa, ok := all[i].(*dns.SOA)
		switch {
		case ok && (soa.Serial != first.Serial || i != len(all)-1):
			return false, errors.New("there is another SOA record within")
		case ok:
			return true, nil
		case !dns.IsSubDomain(z.domain, all[i].Header().Name):
			return false, fmt.Errorf("%s is not in the zone", all[i].Header().Name)
		}
	}
	return false, nil
}
