package server

import (
	"crypto/hmac"
	"crypto/sha256"
	"testing"
	"time"

	"github.com/miekg/dns"
)

const keyName, secret = "key.example.", "c2VjcmV0"

// fakeTransfers answers everything with one TXT record that says what it saw.
type fakeTransfers struct{}

func (fakeTransfers) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	r := new(dns.Msg)
	r.SetReply(q)
	text := w.RemoteAddr().Network()
	if err := w.TsigStatus(); err != nil {
		text = err.Error()
		r.Rcode = dns.RcodeNotAuth
	} else if tsig := q.IsTsig(); tsig != nil {
		r.SetTsig(tsig.Hdr.Name, tsig.Algorithm, 300, time.Now().Unix())
	}
	r.Answer = []dns.RR{&dns.TXT{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeTXT, Class: dns.ClassINET}, Txt: []string{text}}}
	_ = w.WriteMsg(r) // the client sees if not
}

func (fakeTransfers) TSIG() dns.TsigProvider { return fakeTransfers{} }

func (fakeTransfers) Generate(m []byte, t *dns.TSIG) ([]byte, error) {
	if t.Hdr.Name != keyName {
		return nil, dns.ErrSecret
	}
	h := hmac.New(sha256.New, []byte("secret"))
	_, _ = h.Write(m) // never fails
	return h.Sum(nil), nil
}

func (f fakeTransfers) Verify(m []byte, t *dns.TSIG) error {
	want, err := f.Generate(m, t)
	if err != nil {
		return err
	}
	if t.MAC != hexOf(want) {
		return dns.ErrSig
	}
	return nil
}

func hexOf(b []byte) string {
	const digits = "0123456789abcdef"
	var s []byte
	for _, c := range b {
		s = append(s, digits[c>>4], digits[c&15])
	}
	return string(s)
}

func TestTransfers(t *testing.T) {
	c := full()
	c.Transfers = fakeTransfers{}
	_, at := start(t, c, exampleZone(t))
	exchange := func(network string, rtype uint16, key, secret string) *dns.Msg {
		q := new(dns.Msg)
		q.SetQuestion("example.org.", rtype)
		client := &dns.Client{Net: network, TsigSecret: map[string]string{key: secret}}
		if key != "" {
			q.SetTsig(key, dns.HmacSHA256, 300, time.Now().Unix())
		}
		r, _, err := client.Exchange(q, at)
		if err != nil && r == nil {
			t.Fatalf("%s %s %s: %v", network, dns.TypeToString[rtype], key, err)
		}
		if key != "" && r.Rcode == dns.RcodeSuccess && (err != nil || r.IsTsig() == nil) {
			t.Errorf("%s %s: the response is not signed well: %v", network, dns.TypeToString[rtype], err)
		}
		return r
	}
	text := func(m *dns.Msg) string {
		if len(m.Answer) == 1 {
			if r, ok := m.Answer[0].(*dns.TXT); ok {
				return r.Txt[0]
			}
		}
		return ""
	}
	for _, network := range []string{"udp", "tcp"} {
		for _, key := range []string{"", keyName} {
			if r := exchange(network, dns.TypeIXFR, key, secret); text(r) != network {
				t.Errorf("IXFR by %s, key %q: %v", network, key, r)
			}
		}
		// What is no transfer is answered as without a signature, but signed.
		if r := exchange(network, dns.TypeSOA, keyName, secret); len(r.Answer) != 1 || !r.Authoritative || r.Answer[0].Header().Rrtype != dns.TypeSOA {
			t.Errorf("SOA by %s: %v", network, r)
		}
		if r := exchange(network, dns.TypeSOA, keyName, "d3Jvbmc="); r.Rcode != dns.RcodeNotAuth || text(r) == "" {
			t.Errorf("wrong key by %s: %v", network, r)
		}
	}
	if r := exchange("tcp", dns.TypeAXFR, "", ""); text(r) != "tcp" {
		t.Errorf("AXFR: %v", r)
	}
	if r := exchange("udp", dns.TypeAXFR, "", ""); r.Rcode != dns.RcodeRefused {
		t.Errorf("AXFR by UDP: %v", r)
	}
}
