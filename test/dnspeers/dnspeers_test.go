package dnspeers

import (
	"errors"
	"testing"
	"time"

	"github.com/miekg/dns"
)

const file = `$ORIGIN example.
$TTL 60
@ SOA ns.example. admin.example. 7 3600 600 86400 60
@ NS ns.example.
ns A 192.0.2.1
`

func key() *Key {
	return &Key{Name: "tests.", Algorithm: dns.HmacSHA256, Secret: "c2VjcmV0IG9mIHRoZSB0ZXN0cywgMzIgYnl0ZXMgLi4="}
}

// Each server as a primary that takes an update, and the other as its secondary.
func TestPrimaryAndSecondary(t *testing.T) {
	servers := map[string]func(testing.TB, Config) *Server{"Knot": Knot, "BIND": BIND}
	for primaryName, startPrimary := range servers {
		for secondaryName, startSecondary := range servers {
			for keyName, k := range map[string]*Key{"key": key(), "no key": nil} {
				t.Run(primaryName+" to "+secondaryName+", "+keyName, func(t *testing.T) {
					t.Parallel()
					p := startPrimary(t, Config{Zone: "example", File: file, Key: k, Updates: true, Transfers: true})
					if err := update(p, k); err != nil {
						t.Fatal(err)
					}
					if serial, _ := p.Serial(); serial != 8 {
						t.Errorf("serial %d after an update of 7", serial)
					}
					s := startSecondary(t, Config{Zone: "example.", Primary: p.Addr, Key: k, Transfers: true})
					Wait(t, "the secondary has the zone", func() bool { serial, ok := s.Serial(); return ok && serial == 8 })
					records, err := s.Records()
					if err != nil || len(records) != 4 {
						t.Errorf("%d records, %v", len(records), err)
					}
					if k != nil {
						if err := update(p, nil); err == nil {
							t.Error("an update without the key was taken")
						}
					}
					s.Stop()
					if _, ok := s.Serial(); ok {
						t.Error("it answers though it was stopped")
					}
				})
			}
		}
	}
}

func update(s *Server, k *Key) error {
	m := new(dns.Msg).SetUpdate("example.")
	m.Insert([]dns.RR{&dns.TXT{Hdr: dns.RR_Header{Name: "new.example.", Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: 60}, Txt: []string{"x"}}})
	c := &dns.Client{Net: "tcp"}
	if k != nil {
		m.SetTsig(k.Name, k.Algorithm, 300, time.Now().Unix())
		c.TsigSecret = map[string]string{k.Name: k.Secret}
	}
	r, _, err := c.Exchange(m, s.Addr)
	if err != nil {
		return err
	}
	if r.Rcode != dns.RcodeSuccess {
		return errors.New(dns.RcodeToString[r.Rcode])
	}
	return nil
}

func TestRequire(t *testing.T) {
	for ci, want := range map[string]string{"true": "failed", "": "skipped"} {
		t.Setenv("CI", ci)
		r := &recorder{TB: t}
		Require(r, "no-such-program", "no-such-package")
		if r.was != want {
			t.Errorf("CI=%q: %s, want %s", ci, r.was, want)
		}
	}
}

type recorder struct {
	testing.TB
	was string
}

func (r *recorder) Fatalf(string, ...any) { r.was = "failed" }
func (r *recorder) Skipf(string, ...any)  { r.was = "skipped" }
