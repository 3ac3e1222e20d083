package route

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/dns/health"
	"github.com/hanse-dev/hanse/internal/dns/steer"
)

// wildcardProbe is the label that stands in for the * of a wildcard, so that what
// is asked for is a name that the wildcard answers for.
const wildcardProbe = "hanse-health"

// prober makes the probes of one host: its route's HealthCheck with all defaults
// filled in.
type prober struct {
	name     string // of the host
	zone     string // a name in the zone that says what may be probed
	protocol string // "" for none
	host     string
	path     string
	port     uint16
	status   string
	text     string
	any      bool // certificate will do
	interval time.Duration
	timeout  time.Duration
	down, up int
}

func newProber(r *v1alpha1.GlobalRoute, targets []*Target, name string) *prober {
	h := &r.Spec.HealthCheck
	p := &prober{
		name:     name,
		zone:     name,
		host:     cmp.Or(Canonical(h.Host), name),
		path:     cmp.Or(h.Path, "/"),
		status:   cmp.Or(h.ExpectedStatus, defaultStatus),
		text:     h.ExpectedText,
		any:      h.TLSVerification == v1alpha1.TLSVerificationNone,
		interval: defaultInterval,
		down:     cmp.Or(int(h.Down), defaultDown),
		up:       cmp.Or(int(h.Up), defaultUp),
	}
	p.host = probed(p.host)
	if h.Interval != nil {
		p.interval = max(h.Interval.Duration, time.Second)
	}
	p.timeout = min(defaultTimeout, p.interval)
	if h.Timeout != nil && h.Timeout.Duration > 0 {
		p.timeout = min(h.Timeout.Duration, p.interval)
	}
	p.protocol = protocol(h, targets, name)
	p.port = port(h, p.protocol, targets)
	return p
}

// probed is a name that a host answers for.
func probed(host string) string {
	if rest, ok := strings.CutPrefix(host, "*."); ok {
		return wildcardProbe + "." + rest
	}
	return host
}

// share has one probe made for all hosts that lead to the same Services: that of the
// first. By HTTPS each has a certificate to show.
func (p *prober) share(r *v1alpha1.GlobalRoute, hosts []string, targets []*Target) {
	if p.protocol != "HTTP" || r.Spec.HealthCheck.Host != "" {
		return
	}
	for _, h := range hosts {
		if !slices.ContainsFunc(targets, func(t *Target) bool { return !slices.Equal(t.behind(h), t.behind(p.name)) }) {
			p.host = probed(h)
			return
		}
	}
}

// own leaves out the text to look for where another host than the route's own is asked
// for, and says so.
func (p *prober) own(r *v1alpha1.GlobalRoute, hosts []string) string {
	if h := Canonical(r.Spec.HealthCheck.Host); p.text != "" && h != "" && !slices.Contains(hosts, h) {
		p.text = ""
		return textIsNotLooked
	}
	return ""
}

// protocol is the one asked for, or the one that suits what the route leads to.
func protocol(h *v1alpha1.HealthCheck, targets []*Target, host string) string {
	switch h.Protocol {
	case "None":
		return ""
	case "":
	default:
		return h.Protocol
	}
	for _, t := range targets {
		if t.Key.Kind == KindService {
			continue
		}
		if t.TLS[host] && h.Port == 0 {
			return "HTTPS"
		}
		return "HTTP"
	}
	if h.Path != "" || h.ExpectedStatus != "" || h.ExpectedText != "" {
		return "HTTP"
	}
	return "TCP"
}

func port(h *v1alpha1.HealthCheck, protocol string, targets []*Target) uint16 {
	if h.Port > 0 {
		return uint16(h.Port)
	}
	switch protocol {
	case "HTTP":
		return 80
	case "HTTPS":
		return 443
	}
	for _, t := range targets {
		if len(t.Ports) > 0 {
			return uint16(t.Ports[0])
		}
	}
	return 80
}

// check is the probe of one address.
func (p *prober) check(a netip.Addr, offset int) health.Check {
	port := p.port
	if port < 1024 && offset > 0 {
		port += uint16(offset)
	}
	c := health.Check{
		Protocol: p.protocol, Address: netip.AddrPortFrom(a, port),
		Interval: p.interval, Timeout: p.timeout, Down: p.down, Up: p.up,
	}
	if p.protocol != "TCP" { // a TCP probe is the same for all hosts: it is made once
		c.Host, c.Path, c.Status, c.Text = p.host, p.path, p.status, p.text
	}
	c.AnyCertificate = p.any && p.protocol == "HTTPS"
	return c
}

// forProviders is the check for those who probe by themselves; nil for none.
func (p *prober) forProviders() *steer.Check {
	if p.protocol == "" {
		return nil
	}
	return &steer.Check{
		Protocol: p.protocol, Port: p.port, Host: p.host, Path: p.path, Text: p.text,
		Interval: int(p.interval / time.Second), Down: p.down,
	}
}
