package flatten

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// serve starts a DNS server on UDP and TCP.
func serve(t *testing.T, handle dns.HandlerFunc) string {
	t.Helper()
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", packets.LocalAddr().String())
	if err != nil {
		packets.Close()
		t.Skipf("the port is taken for TCP: %v", err)
	}
	for _, s := range []*dns.Server{{PacketConn: packets, Handler: handle}, {Listener: listener, Handler: handle}} {
		started := make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		go s.ActivateAndServe()
		<-started
		t.Cleanup(func() { s.Shutdown() })
	}
	return packets.LocalAddr().String()
}

func records(t *testing.T, lines ...string) []dns.RR {
	t.Helper()
	var rrs []dns.RR
	for _, l := range lines {
		rr, err := dns.NewRR(l)
		if err != nil {
			t.Fatal(err)
		}
		rrs = append(rrs, rr)
	}
	return rrs
}

func TestLookup(t *testing.T) {
	lines := map[string][]string{
		"lb.example. A":      {"lb.example. 40 A 192.0.2.1", "lb.example. 60 A 192.0.2.2"},
		"lb.example. AAAA":   {"lb.example. 50 AAAA 2001:db8::1"},
		"www.example. A":     {"WWW.example. 20 CNAME lb.Example.", "LB.example. 60 A 192.0.2.1", "other.example. 1 A 192.0.2.9"},
		"www.example. AAAA":  {"www.example. 20 CNAME lb.example."},
		"loop.example. A":    {"loop.example. 20 CNAME loop2.example.", "loop2.example. 20 CNAME loop.example."},
		"loop.example. AAAA": {},
	}
	server := serve(t, func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		question := q.Question[0]
		switch question.Name {
		case "none.example.":
			m.Rcode = dns.RcodeNameError
			m.Ns = records(t, "example. 300 SOA ns.example. host.example. 1 1 1 1 15")
		case "broken.example.":
			m.Rcode = dns.RcodeServerFailure
		case "large.example.":
			if question.Qtype == dns.TypeA && w.LocalAddr().Network() == "udp" {
				m.Truncated = true
			} else if question.Qtype == dns.TypeA {
				for i := range 100 {
					m.Answer = append(m.Answer, records(t, fmt.Sprintf("large.example. 60 A 192.0.2.%d", i))...)
				}
			}
		default:
			m.Answer = records(t, lines[question.Name+" "+dns.TypeToString[question.Qtype]]...)
		}
		w.WriteMsg(m)
	})
	c := &client{server: server}
	for name, want := range map[string]struct {
		addresses []netip.Addr
		ttl       time.Duration
		err       string
	}{
		"lb.example.":     {addresses("192.0.2.1", "192.0.2.2", "2001:db8::1"), 40 * time.Second, ""},
		"www.example.":    {addresses("192.0.2.1"), 20 * time.Second, ""},
		"loop.example.":   {nil, 20 * time.Second, ""},
		"none.example.":   {nil, 15 * time.Second, ""},
		"broken.example.": {nil, 0, "looking up broken.example. A: " + server + ": the answer is SERVFAIL"},
	} {
		got, ttl, err := c.lookup(t.Context(), name)
		if (err == nil) != (want.err == "") || err != nil && err.Error() != want.err {
			t.Errorf("%s: %v, want %q", name, err, want.err)
		}
		if !slices.Equal(got, want.addresses) || ttl != want.ttl {
			t.Errorf("%s: %v for %v, want %+v", name, got, ttl, want)
		}
	}
	if got, _, err := c.lookup(t.Context(), "large.example."); err != nil || len(got) != 100 {
		t.Errorf("over TCP: %d addresses, %v", len(got), err)
	}
}

func TestNextServerIsAsked(t *testing.T) {
	good := serve(t, func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		if q.Question[0].Qtype == dns.TypeA {
			m.Answer = records(t, "a. 60 A 192.0.2.1")
		}
		w.WriteMsg(m)
	})
	refusing := serve(t, func(w dns.ResponseWriter, q *dns.Msg) {
		w.WriteMsg(new(dns.Msg).SetRcode(q, dns.RcodeRefused))
	})
	query := new(dns.Msg).SetQuestion("a.", dns.TypeA)
	if _, err := exchange(t.Context(), refusing, query); err == nil {
		t.Error("a refusal is no error")
	}
	if m, err := ask(t.Context(), []string{refusing, good}, "a.", dns.TypeA); err != nil || len(m.Answer) != 1 {
		t.Errorf("%v, %v", m, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := ask(ctx, []string{refusing, good}, "a.", dns.TypeA); err == nil {
		t.Error("asked although the context has ended")
	}
}

func TestSystemResolvers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "resolv.conf")
	c := &client{resolvConf: path}
	if _, err := c.servers(); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("no file: %v", err)
	}
	for text, want := range map[string][]string{
		"nameserver 192.0.2.53\nnameserver 2001:db8::53\n": {"192.0.2.53:53", "[2001:db8::53]:53"},
		"search example\n": nil,
	} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		got, err := c.servers()
		if !slices.Equal(got, want) || (err == nil) != (want != nil) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	c.server = "127.0.0.1:5300"
	if got, err := c.servers(); err != nil || !slices.Equal(got, []string{"127.0.0.1:5300"}) {
		t.Errorf("%v, %v", got, err)
	}
}
