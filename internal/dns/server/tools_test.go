package server

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/hanse-dev/hanse/test/dnspeers"
)

// tool runs what DNS people use.
func tool(t *testing.T, program string, args ...string) string {
	t.Helper()
	out, err := exec.Command(program, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v: %s", program, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// What dig, kdig and drill say of the server.
func TestTools(t *testing.T) {
	_, at := start(t, full(), exampleZone(t))
	_, port, _ := strings.Cut(at, ":")
	dig := func(args ...string) func(*testing.T) string {
		return func(t *testing.T) string {
			return tool(t, dnspeers.Require(t, "dig", "bind9-dnsutils"), append([]string{"@127.0.0.1", "-p", port, "+tries=1"}, args...)...)
		}
	}
	kdig := func(args ...string) func(*testing.T) string {
		return func(t *testing.T) string {
			return tool(t, dnspeers.Require(t, "kdig", "knot-dnsutils"), append([]string{"@127.0.0.1", "-p", port, "+retry=0"}, args...)...)
		}
	}
	drill := func(args ...string) func(*testing.T) string {
		return func(t *testing.T) string {
			return tool(t, dnspeers.Require(t, "drill", "ldnsutils"), append([]string{"-p", port, "@127.0.0.1"}, args...)...)
		}
	}
	for name, c := range map[string]struct {
		run          func(*testing.T) string
		want, wanted string // what has to be said, and what must not
	}{
		"aa, not ra":       {dig("www.example.org"), "flags: qr aa rd;", "FORMERR"},
		"EDNS":             {dig("+norec", "+dnssec", "www.example.org"), "EDNS: version: 0, flags: do; udp: 1232", "FORMERR"},
		"cookie":           {dig("+cookie", "www.example.org"), "(good)", "(bad)"},
		"cookie only":      {dig("+header-only", "+cookie", "."), "(good)", "FORMERR"},
		"version":          {dig("+edns=1", "+noednsneg", "www.example.org"), "status: BADVERS", "ANSWER SECTION"},
		"option":           {dig("+ednsopt=100", "www.example.org"), "status: NOERROR", "OPT=100"},
		"flag":             {dig("+ednsflags=0x80", "www.example.org"), "status: NOERROR", "MBZ"},
		"subnet":           {dig("+subnet=185.17.0.0/24", "+short", "www.example.org"), "192.0.2.1\n", "198.51"},
		"subnet shown":     {dig("+subnet=185.17.0.0/24", "www.example.org"), "CLIENT-SUBNET: 185.17.0.0/24/", "/24/0\n"},
		"subnet of nobody": {dig("+subnet=0/0", "www.example.org"), "CLIENT-SUBNET: 0.0.0.0/0/0", "FORMERR"},
		"large, by TCP":    {dig("large.example.org", "TXT"), "Truncated, retrying in TCP mode", "flags: qr aa tc"},
		"large, by UDP":    {dig("+ignore", "large.example.org", "TXT"), "flags: qr aa tc rd; QUERY: 1, ANSWER: 0", "IN\tTXT\t\""},
		"pipelined":        {dig("+tcp", "+keepopen", "www.example.org", "+tcp", "+keepopen", "text.example.org", "TXT"), "Hello, World", "FORMERR"},
		"any":              {dig("www.example.org", "ANY", "+notcp"), `HINFO	"RFC8482" ""`, "FORMERR"},
		"version.bind":     {dig("version.bind", "CH", "TXT"), "status: REFUSED", "ANSWER SECTION"},
		"hostname.bind":    {dig("hostname.bind", "CH", "TXT"), "status: REFUSED", "ANSWER SECTION"},
		"case":             {dig("wWw.eXample.Org"), "wWw.eXample.Org.\t30", "FORMERR"},
		"opcode":           {dig("+opcode=notify", "example.org", "SOA"), "status: NOTIMP", "ANSWER SECTION"},
		"AXFR by nobody":   {dig("example.org", "AXFR"), "Transfer failed", "192.0.2"},
		"kdig":             {kdig("+edns", "+subnet=185.17.0.0/24", "+cookie", "www.example.org"), "185.17.0.0/24/", "WARNING"},
		"kdig by TCP":      {kdig("+tcp", "large.example.org", "TXT"), "ANSWER: 40;", "WARNING"},
		"kdig, padded":     {kdig("+padding", "www.example.org"), "status: NOERROR", "WARNING"},
		"kdig, delegation": {kdig("+norec", "x.sub.example.org"), "ns.sub.example.org. 	300	IN	A	192.0.2.53", " aa"},
		"drill":            {drill("www.example.org"), "rcode: NOERROR", "FORMERR"},
		"drill, nothing":   {drill("nothing.example.org"), "rcode: NXDOMAIN", "FORMERR"},
		"drill, TC":        {drill("-u", "large.example.org", "TXT"), "flags: qr aa tc rd", "IN\tTXT\t\""},
	} {
		t.Run(name, func(t *testing.T) {
			out := c.run(t)
			if !strings.Contains(out, c.want) || strings.Contains(out, c.wanted) {
				t.Errorf("want %q and not %q in:\n%s", c.want, c.wanted, out)
			}
		})
	}
}

// A client that asks much at once on one connection, and byte by byte.
func TestPipelining(t *testing.T) {
	_, at := start(t, full(), exampleZone(t))
	conn, err := dns.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const n = 500
	var all []byte
	for id := range uint16(n) {
		m := query(t, "large.example.org.", dns.TypeTXT, func(m *dns.Msg) { m.Id = id })
		all = append(all, byte(len(m)>>8), byte(len(m)))
		all = append(all, m...)
	}
	go func() {
		for i := range 100 { // the first two queries in pieces
			if _, err := conn.Conn.Write(all[i : i+1]); err != nil {
				return // the other side sees that there is nothing to be read
			}
		}
		_, _ = conn.Conn.Write(all[100:])
	}()
	for id := range uint16(n) {
		r, err := conn.ReadMsg()
		if err != nil {
			t.Fatal(err)
		}
		if r.Id != id || len(r.Answer) != 40 {
			t.Fatalf("%v, want %d", r.MsgHdr, id)
		}
	}
}
