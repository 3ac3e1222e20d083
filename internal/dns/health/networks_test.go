package health

import (
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/utils/clock"
	"pgregory.net/rapid"
)

// TestWhatMayBeProbed: public addresses, private ones by leave, and nothing of the hub's.
func TestWhatMayBeProbed(t *testing.T) {
	own := func() []netip.Addr {
		return []netip.Addr{netip.MustParseAddr("203.0.113.9"), netip.MustParseAddr("10.1.2.3")}
	}
	for address, c := range map[string]struct {
		allowed, within string
		want            string
	}{
		"198.51.100.1":           {want: ""},
		"2606:4700::1":           {want: ""},
		"10.0.0.1":               {want: "private"},
		"172.31.255.255":         {want: "private"},
		"192.168.1.1":            {want: "private"},
		"100.64.0.1":             {want: "private"},
		"fd12::1":                {want: "private"},
		"10.0.0.2":               {within: "10.0.0.0/8", want: ""},
		"10.9.0.1":               {within: "10.0.0.0/16", want: "private"},
		"10.0.0.3":               {allowed: "10.0.0.0/8", want: ""},
		"127.0.0.1":              {within: "127.0.0.0/8", want: "from outside"},
		"127.0.0.2":              {allowed: "127.0.0.0/8", want: ""},
		"0.0.0.0":                {within: "0.0.0.0/0", want: "from outside"},
		"::":                     {within: "::/0", want: "from outside"},
		"::1":                    {within: "::/0", want: "from outside"},
		"169.254.169.254":        {within: "0.0.0.0/0", want: "from outside"},
		"168.63.129.16":          {want: "from outside"},
		"fd00:ec2::254":          {within: "fd00::/8", want: "from outside"},
		"fe80::1%eth0":           {within: "fe80::/10", want: "from outside"},
		"224.0.0.1":              {want: "from outside"},
		"255.255.255.255":        {want: "from outside"},
		"203.0.113.9":            {want: "hub's own"},
		"10.1.2.3":               {within: "10.0.0.0/8", allowed: "10.0.0.0/8", want: "hub's own"},
		"::ffff:10.1.2.3":        {allowed: "10.1.2.3", want: ""},
		"::ffff:127.0.0.1":       {want: "from outside"},
		"64:ff9b::7f00:1":        {want: "from outside"}, // 127.0.0.1 by NAT64
		"2002:a9fe:a9fe::1":      {want: "from outside"}, // 169.254.169.254 by 6to4
		"::7f00:1":               {want: "from outside"}, // 127.0.0.1, IPv4-compatible
		"64:ff9b::cb00:7109":     {want: "hub's own"},
		"64:ff9b::c633:6401":     {want: ""},
		"2002:0a00:0001::1":      {want: "private"},
		"::ffff:198.51.100.1":    {want: ""},
		"100.100.100.200":        {within: "100.64.0.0/10", want: "from outside"},
		"fd20:ce::254":           {within: "fd00::/8", want: "from outside"},
		"::ffff:169.254.169.254": {within: "::/0", want: "from outside"},
	} {
		n := Networks{Own: own}
		var within []netip.Prefix
		var err error
		if c.allowed != "" {
			n.Allowed, err = ParseNetworks([]string{c.allowed})
		}
		if c.within != "" && err == nil {
			within, err = ParseNetworks([]string{c.within})
		}
		got := n.Refuse(netip.MustParseAddr(address), within)
		if err != nil || !strings.Contains(got, c.want) || (got == "") != (c.want == "") {
			t.Errorf("%s, allowed %q, in a zone with %q: %q, want %q (%v)", address, c.allowed, c.within, got, c.want, err)
		}
	}
	if why := (&Networks{}).Refuse(netip.Addr{}, nil); why == "" {
		t.Error("what is no address may be probed")
	}
	for _, bad := range []string{"", "10.0.0.0/33", "x", "10.0.0"} {
		if _, err := ParseNetworks([]string{bad}); err == nil || !strings.Contains(err.Error(), "Try: ") {
			t.Errorf("%q is a network: %v", bad, err)
		}
	}
}

// TestNoWayToWriteAnAddress: however an IPv4 address that is refused is written, it is
// refused.
func TestNoWayToWriteAnAddress(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := [4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "address"))
		if rapid.Bool().Draw(t, "loopback") {
			b[0] = 127
		}
		a := netip.AddrFrom4(b)
		n := Networks{}
		plain := n.Refuse(a, nil)
		v6 := func(prefix string, at int) netip.Addr {
			x := netip.MustParseAddr(prefix).As16()
			copy(x[at:], b[:])
			return netip.AddrFrom16(x)
		}
		for _, other := range []netip.Addr{v6("::ffff:0:0", 12), v6("64:ff9b::", 12), v6("2002::", 2), v6("::", 12)} {
			if got := n.Refuse(other, nil); (got == "") != (plain == "") && other != netip.IPv6Loopback() && other != netip.IPv6Unspecified() {
				t.Fatalf("%s is %q, and %s is %q", a, plain, other, got)
			}
		}
	})
}

// TestRefusedWhenItConnects: what became the hub's own since the check was made is not
// connected to.
func TestRefusedWhenItConnects(t *testing.T) {
	var asked atomic.Int32
	address := serve(t, false, func(http.ResponseWriter, *http.Request) { asked.Add(1) })
	cfg := anywhere()
	cfg.Networks.Own = func() []netip.Addr { return []netip.Addr{address.Addr()} }
	for name, cfg := range map[string]Config{"its own": cfg, "loopback": {Clock: clock.RealClock{}}} {
		for _, protocol := range []string{HTTP, HTTPS, TCP} {
			v := ask(New(nil, cfg), Check{Protocol: protocol, Address: address, Within: netip.MustParsePrefix("0.0.0.0/0"), Timeout: time.Second})
			if v.passed || !strings.Contains(v.message, "not probed: the address is") {
				t.Errorf("%s by %s: %+v", name, protocol, v)
			}
		}
	}
	if asked.Load() != 0 {
		t.Error("it was connected to")
	}
	if v := ask(New(nil, anywhere()), Check{Protocol: HTTP, Address: address}); !v.passed {
		t.Errorf("what is allowed: %+v", v)
	}
}
