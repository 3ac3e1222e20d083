package rfc2136

import (
	"cmp"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/internal/dns/provider"
)

// TestBrokenTransfer is a failure, never a smaller zone.
func TestBrokenTransfer(t *testing.T) {
	soa, other := "devfest.example. 60 IN SOA ns. h. 7 1 1 1 1", "devfest.example. 60 IN SOA ns. h. 8 1 1 1 1"
	ns, a := "devfest.example. 60 IN NS ns.", "www.devfest.example. 60 IN A 192.0.2.1"
	rrsig := "www.devfest.example. 60 IN RRSIG A 13 3 60 20300101000000 20200101000000 1 devfest.example. AAAA"
	nsec := "www.devfest.example. 60 IN NSEC devfest.example. A RRSIG NSEC"
	for name, c := range map[string]struct {
		messages [][]string
		rcode    int
		unsigned bool
		secret   string
		want     string
	}{
		"whole":             {messages: [][]string{{soa, ns}, {a}, {soa}}},
		"in one":            {messages: [][]string{{soa, ns, a, soa}}},
		"signed":            {messages: [][]string{{soa, ns, a, rrsig, nsec, soa}}},
		"cut":               {messages: [][]string{{soa, ns}, {a}}, want: "broke off after 3 records"},
		"nothing":           {want: "broke off after 0 records"},
		"empty":             {messages: [][]string{{}}, want: "without a record"},
		"empty within":      {messages: [][]string{{soa, ns}, {}, {soa}}, want: "empty message"},
		"no SOA":            {messages: [][]string{{ns, a, ns}}, want: "does not begin"},
		"changed meanwhile": {messages: [][]string{{soa, ns, a, other}}, want: "another SOA"},
		"goes on":           {messages: [][]string{{soa, ns, soa, a}}, want: "another SOA"},
		"another's":         {messages: [][]string{{soa, ns, "www.example. 60 IN A 192.0.2.1", soa}}, want: "not in the zone"},
		"refused":           {messages: [][]string{{}}, rcode: dns.RcodeRefused, want: "allow transfers"},
		"refused unsigned":  {messages: [][]string{{}}, rcode: dns.RcodeRefused, unsigned: true, want: "allow transfers"},
		"not signed":        {messages: [][]string{{soa, ns, a, soa}}, unsigned: true, want: "is not signed"},
		"forged":            {messages: [][]string{{soa, ns, a, soa}}, secret: "b3RoZXI=", want: "signature is wrong"},
	} {
		t.Run(name, func(t *testing.T) {
			addr := serve(t, cmp.Or(c.secret, key().Secret), func(w dns.ResponseWriter, q *dns.Msg) {
				for i, records := range c.messages {
					m := new(dns.Msg).SetReply(q)
					m.Rcode = c.rcode
					for _, r := range records {
						m.Answer = append(m.Answer, parse(t, r))
					}
					if !c.unsigned {
						m.SetTsig("hanse.", dns.HmacSHA256, fudge, time.Now().Unix())
					}
					w.TsigTimersOnly(i > 0)
					if err := w.WriteMsg(m); err != nil {
						t.Error(err)
					}
				}
				_ = w.Close()
			})
			z, err := New(Config{Clock: clock.RealClock{}, Domain: domain, Server: addr, Key: &Key{Name: "hanse", Secret: key().Secret}})
			if err != nil {
				t.Fatal(err)
			}
			sets, err := z.Read(t.Context())
			if c.want == "" {
				if err != nil || len(sets) != 3 {
					t.Errorf("%d sets, %v", len(sets), err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || sets != nil {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

// serve is a name server on loopback that signs with a secret.
func serve(t *testing.T, secret string, handle dns.HandlerFunc) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &dns.Server{Listener: l, Handler: handle, TsigSecret: map[string]string{"hanse.": secret}}
	ended := make(chan error, 1)
	go func() { ended <- s.ActivateAndServe() }()
	t.Cleanup(func() {
		_ = l.Close()
		<-ended
	})
	return l.Addr().String()
}

func parse(t *testing.T, record string) dns.RR {
	rr, err := dns.NewRR(record)
	if err != nil {
		t.Error(err)
	}
	return rr
}

// TestValuesComeBack: what is written is what is read, for all that a route or the
// registry writes.
func TestValuesComeBack(t *testing.T) {
	for typ, values := range map[string][]string{
		"A":     {"192.0.2.1", "192.0.2.2"},
		"AAAA":  {"2001:db8::1", "64:ff9b::c000:201"},
		"CNAME": {"lb.example.net."},
		"TXT":   {provider.Ownership{Owner: "hub", Type: "A", ID: "*", Route: "shop/" + strings.Repeat("x", 253)}.String()},
	} {
		rrs, err := records(&provider.Set{Name: "*.www." + domain, Type: typ, TTL: 30, Values: values})
		if err != nil {
			t.Fatal(err)
		}
		for i, rr := range rrs {
			packed := make([]byte, 1024)
			n, err := dns.PackRR(rr, packed, 0, nil, false)
			if err != nil {
				t.Fatal(err)
			}
			back, _, err := dns.UnpackRR(packed[:n], 0)
			if err != nil || value(back) != values[i] {
				t.Errorf("%s: %q comes back as %q, %v", typ, values[i], value(back), err)
			}
		}
	}
}

// FuzzWhole: no transfer makes it panic, and none is whole without two SOAs.
func FuzzWhole(f *testing.F) {
	f.Add([]byte{0, 1, 0, 0}, uint8(2))
	f.Add([]byte{0, 1, 2, 3, 1}, uint8(5))
	f.Fuzz(func(t *testing.T, kinds []byte, added uint8) {
		var all []dns.RR
		for _, k := range kinds {
			record := []string{"devfest.example. IN SOA ns. h. 7 1 1 1 1", "www.devfest.example. IN A 192.0.2.1",
				"devfest.example. IN SOA ns. h. 8 1 1 1 1", "other. IN A 192.0.2.1"}[k%4]
			all = append(all, parse(t, record))
		}
		z := &Zone{domain: domain}
		done, err := z.whole(all, min(int(added), len(all)))
		if done && (err != nil || len(all) < 2 || all[0].String() != all[len(all)-1].String()) {
			t.Errorf("%v, %d records", err, len(all))
		}
	})
}
