package loadbalancer

import (
	"net"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
)

// backend is where an Ingress sends a request.
type backend struct {
	ingress   *networkingv1.Ingress
	reference networkingv1.IngressBackend
}

// candidate is a backend with what decides between several that match: a host in full wins over a wildcard and that over
// none, then an exact path over a prefix, then the longer path, then the older Ingress.
type candidate struct {
	backend
	host, kind, length int
}

func (c candidate) beats(other candidate) bool {
	for _, rank := range [][2]int{{c.host, other.host}, {c.kind, other.kind}, {c.length, other.length}} {
		if rank[0] != rank[1] {
			return rank[0] > rank[1]
		}
	}
	return older(c.ingress, other.ingress)
}

// older makes the choice between equals independent of their order.
func older(a, b *networkingv1.Ingress) bool {
	if !a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return a.CreationTimestamp.Before(&b.CreationTimestamp)
	}
	if a.Namespace != b.Namespace {
		return a.Namespace < b.Namespace
	}
	return a.Name < b.Name
}

const (
	hostNone = iota + 1 // a rule without a host; 0 is a default backend
	hostWildcard
	hostExact
)

const (
	pathNone = iota // the rule has no paths: everything goes to the default backend
	pathPrefix
	pathExact
)

// route finds the backend for a request by the rules of the Ingress API. hostport is the Host header.
func route(ingresses []*networkingv1.Ingress, hostport, path string) (backend, bool) {
	var best candidate
	found := false
	consider := func(c candidate) {
		if !found || c.beats(best) {
			best, found = c, true
		}
	}
	host := hostname(hostport)
	for _, ingress := range ingresses {
		if ingress.Spec.DefaultBackend != nil {
			consider(candidate{backend: backend{ingress, *ingress.Spec.DefaultBackend}})
		}
		for i := range ingress.Spec.Rules {
			if rank := matchHost(ingress.Spec.Rules[i].Host, host); rank > 0 {
				matchRule(ingress, &ingress.Spec.Rules[i], rank, path, consider)
			}
		}
	}
	return best.backend, found
}

func matchRule(ingress *networkingv1.Ingress, rule *networkingv1.IngressRule, host int, path string, consider func(candidate)) {
	if rule.HTTP == nil {
		if ingress.Spec.DefaultBackend != nil {
			consider(candidate{backend: backend{ingress, *ingress.Spec.DefaultBackend}, host: host})
		}
		return
	}
	for _, p := range rule.HTTP.Paths {
		if kind := matchPath(p.PathType, p.Path, path); kind > pathNone {
			consider(candidate{backend{ingress, p.Backend}, host, kind, len(p.Path)})
		}
	}
}

// hostname is the Host header without its port, in the form in which Ingresses have it.
func hostname(hostport string) string {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	return strings.TrimSuffix(strings.ToLower(host), ".")
}

// matchHost returns hostExact, hostWildcard, hostNone, or 0. A wildcard stands for exactly one label.
func matchHost(rule, host string) int {
	switch {
	case rule == "":
		return hostNone
	case strings.HasPrefix(rule, "*."):
		if label, rest, ok := strings.Cut(host, "."); ok && label != "" && rest == rule[2:] {
			return hostWildcard
		}
		return 0
	case rule == host:
		return hostExact
	default:
		return 0
	}
}

// matchPath returns pathExact, pathPrefix, or pathNone. A prefix matches whole elements: /a matches /a, /a/ and /a/b, and
// not /ab. What is up to the implementation is a prefix here.
func matchPath(kind *networkingv1.PathType, rule, path string) int {
	if kind != nil && *kind == networkingv1.PathTypeExact {
		if rule == path {
			return pathExact
		}
		return pathNone
	}
	prefix := strings.TrimRight(rule, "/")
	if rest, ok := strings.CutPrefix(path, prefix); ok && (rest == "" || rest[0] == '/') {
		return pathPrefix
	}
	return pathNone
}
