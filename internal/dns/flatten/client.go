package flatten

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/miekg/dns"
)

const (
	// patience is how long one server has for an answer, and attempts how often
	// all servers are asked.
	patience = 2 * time.Second
	attempts = 2
)

// client asks recursive resolvers.
type client struct {
	server     string // HOST:PORT; empty: those of resolvConf
	resolvConf string
}

var errNoServer = errors.New("there is no resolver")

// servers returns whom to ask. The file is read each time: it changes when a
// machine moves to another network.
func (c *client) servers() ([]string, error) {
	if c.server != "" {
		return []string{c.server}, nil
	}
	config, err := dns.ClientConfigFromFile(c.resolvConf)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", c.resolvConf, err)
	}
	var servers []string
	for _, s := range config.Servers {
		servers = append(servers, net.JoinHostPort(s, config.Port))
	}
	if len(servers) == 0 {
		return nil, fmt.Errorf("%w in %s", errNoServer, c.resolvConf)
	}
	return servers, nil
}

// lookup returns the IPv4 and IPv6 addresses of a name and how long they are
// good for, 0 if nobody says so. A name without addresses is no error, and
// neither is one that does not exist. It blocks until both answers are there, at
// most for some seconds.
func (c *client) lookup(ctx context.Context, name string) ([]netip.Addr, time.Duration, error) {
	servers, err := c.servers()
	if err != nil {
		return nil, 0, err
	}
	var addresses []netip.Addr
	ttl := time.Duration(0)
	for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA} {
		answer, err := ask(ctx, servers, name, kind)
		if err != nil {
			return nil, 0, fmt.Errorf("looking up %s %s: %w", name, dns.TypeToString[kind], err)
		}
		found, good := read(answer, name)
		addresses = append(addresses, found...)
		ttl = shorter(ttl, good)
	}
	return addresses, ttl, nil
}

// ask asks one server after another until one answers.
func ask(ctx context.Context, servers []string, name string, kind uint16) (*dns.Msg, error) {
	query := new(dns.Msg).SetQuestion(name, kind)
	query.SetEdns0(1232, false)
	var failed error
	for range attempts {
		for _, server := range servers {
			answer, err := exchange(ctx, server, query)
			if err == nil {
				return answer, nil
			}
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			failed = fmt.Errorf("%s: %w", server, err)
		}
	}
	return nil, failed
}

// exchange asks a server over UDP, and over TCP if the answer does not fit.
func exchange(ctx context.Context, server string, query *dns.Msg) (*dns.Msg, error) {
	client := dns.Client{Timeout: patience}
	answer, _, err := client.ExchangeContext(ctx, query, server)
	if err == nil && answer.Truncated {
		client.Net = "tcp"
		answer, _, err = client.ExchangeContext(ctx, query, server)
	}
	switch {
	case err != nil:
		return nil, err
	case answer.Rcode != dns.RcodeSuccess && answer.Rcode != dns.RcodeNameError:
		return nil, fmt.Errorf("the answer is %s", dns.RcodeToString[answer.Rcode])
	}
	return answer, nil
}

// read returns the addresses at the end of the name's chain of CNAMEs, which the
// resolver has followed, and how long they are good for: the shortest TTL on the
// way (of the SOA, if there are none: RFC 2308, section 5), 0 if there is none.
func read(answer *dns.Msg, name string) ([]netip.Addr, time.Duration) {
	var addresses []netip.Addr
	ttl := time.Duration(0)
	at := func(h *dns.RR_Header) bool { return dns.CanonicalName(h.Name) == name }
	// In each round one CNAME is followed, so that loops end.
	for range len(answer.Answer) + 1 {
		next := ""
		for _, rr := range answer.Answer {
			if !at(rr.Header()) {
				continue
			}
			switch rr := rr.(type) {
			case *dns.A:
				addresses = appendAddress(addresses, rr.A)
			case *dns.AAAA:
				addresses = appendAddress(addresses, rr.AAAA)
			case *dns.CNAME:
				next = dns.CanonicalName(rr.Target)
			default:
				continue
			}
			ttl = shorter(ttl, seconds(rr.Header().Ttl))
		}
		if next == "" || len(addresses) > 0 {
			break
		}
		name = next
	}
	if len(addresses) > 0 {
		return addresses, ttl
	}
	for _, rr := range answer.Ns {
		if soa, ok := rr.(*dns.SOA); ok {
			ttl = shorter(ttl, seconds(min(soa.Hdr.Ttl, soa.Minttl)))
		}
	}
	return nil, ttl
}

// seconds is a TTL; one of 0 is as short as one can be, since 0 is none here.
func seconds(ttl uint32) time.Duration { return max(time.Duration(ttl)*time.Second, 1) }

func appendAddress(addresses []netip.Addr, ip net.IP) []netip.Addr {
	if a, ok := netip.AddrFromSlice(ip); ok {
		return append(addresses, a.Unmap())
	}
	return addresses
}
