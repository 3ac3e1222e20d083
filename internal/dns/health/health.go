// Package health asks addresses from outside whether they serve, and says when
// one goes down or comes up.
package health

import (
	"cmp"
	"net/netip"
	"time"
)

// Check is how an address is probed. Two that are equal are one.
type Check struct {
	// Protocol is HTTP, HTTPS or TCP. TCP passes when a connection is accepted.
	Protocol string
	// Address is the address and port to connect to.
	Address netip.AddrPort
	// Host is the Host of the request and the server name of TLS, which the
	// certificate has to be for; empty: the address.
	Host string
	// AnyCertificate of HTTPS will do; otherwise what a user's browser would refuse
	// fails.
	AnyCertificate bool
	// Within is the private network that Address may be in, by leave of whose zone it is; the
	// zero Prefix: none.
	Within netip.Prefix
	// Path of the request, with its query; empty: /. Redirects are not followed.
	Path string
	// Status is the codes that pass, as 200-399,401; empty: 200-399.
	Status string
	// Text has to be within the first 5120 bytes of the body; empty: any body.
	Text string
	// Interval from one probe to the next; 0: 10 s. At least 100 ms.
	Interval time.Duration
	// Timeout of a probe, from connecting to the last byte that is needed; 0: 4 s,
	// or the interval if that is shorter.
	Timeout time.Duration
	// Down is how many probes in a row have to fail for Down; 0: 3.
	Down int
	// Up is how many have to pass for Up after Down; 0: 2.
	Up int
}

// Protocols.
const (
	HTTP  = "HTTP"
	HTTPS = "HTTPS"
	TCP   = "TCP"
)

// withDefaults fills in what is empty.
func (c Check) withDefaults() Check {
	c.Path = cmp.Or(c.Path, "/")
	c.Status = cmp.Or(c.Status, "200-399")
	if c.Host == "" {
		c.Host = c.Address.Addr().WithZone("").String()
		if c.Address.Addr().Is6() {
			c.Host = "[" + c.Host + "]"
		}
	}
	if c.Interval <= 0 {
		c.Interval = 10 * time.Second
	}
	c.Interval = max(c.Interval, 100*time.Millisecond)
	if c.Timeout <= 0 {
		c.Timeout = min(4*time.Second, c.Interval)
	}
	if c.Down <= 0 {
		c.Down = 3
	}
	if c.Up <= 0 {
		c.Up = 2
	}
	return c
}

// Result is how an address is.
type Result struct {
	// State is Up, Down or Unknown.
	State string
	// Since is when State became what it is; for Unknown, when the check began.
	Since time.Time
	// Message is what was seen last, as "200", "connection refused" or
	// "503, expected 200-399".
	Message string
}

// States.
const (
	Up      = "Up"
	Down    = "Down"
	Unknown = "Unknown"
)
