// Package route turns GlobalRoutes, and the objects that they lead to, into what
// the name server and the cloud providers answer from. It is pure: what is known
// of the world comes in through the interface World.
package route

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Kinds of targets.
const (
	KindIngress = "Ingress"
	KindService = "Service"
	KindGateway = "Gateway"
)

// TargetKey names a target.
type TargetKey struct{ Kind, Namespace, Name string }

func (k TargetKey) String() string { return k.Kind + " " + k.Namespace + "/" + k.Name }

// Target is what matters of an Ingress, a Service of type LoadBalancer or a
// Gateway at the hub.
type Target struct {
	Key         TargetKey
	UID         string
	Annotations map[string]string // those that route reads
	// Hosts are the names that the object itself has, in its order.
	Hosts []string
	// TLS are those of Hosts that have a certificate.
	TLS map[string]bool
	// Backends are the Services behind a host, in the object's order; "" is for
	// hosts that have none of their own.
	Backends map[string][]Backend
	// Ports of a Service.
	Ports []int32
}

// Backend is a Service that answers for a path of a host.
type Backend struct {
	Path    string
	Service string
}

// Read says whether route reads an annotation of that name.
func Read(annotation string) bool {
	prefix, _, _ := strings.Cut(annotation, "/")
	switch prefix {
	case "hanse.dev", "k8gb.io", "external-dns.kubernetes.io", "external-dns.alpha.kubernetes.io":
		return true
	}
	return false
}

func newTarget(kind string, o metav1.Object) Target {
	t := Target{
		Key:         TargetKey{kind, o.GetNamespace(), o.GetName()},
		UID:         string(o.GetUID()),
		Annotations: map[string]string{},
		TLS:         map[string]bool{},
		Backends:    map[string][]Backend{},
	}
	for k, v := range o.GetAnnotations() {
		if Read(k) {
			t.Annotations[k] = v
		}
	}
	return t
}

// FromIngress reads an Ingress.
func FromIngress(i *networkingv1.Ingress) Target {
	t := newTarget(KindIngress, i)
	if b := i.Spec.DefaultBackend; b != nil && b.Service != nil {
		t.Backends[""] = append(t.Backends[""], Backend{Path: "/", Service: b.Service.Name})
	}
	for _, rule := range i.Spec.Rules {
		host := Canonical(rule.Host)
		t.addHost(host)
		if rule.HTTP == nil {
			continue
		}
		for _, p := range rule.HTTP.Paths {
			if p.Backend.Service != nil {
				t.Backends[host] = append(t.Backends[host], Backend{Path: p.Path, Service: p.Backend.Service.Name})
			}
		}
	}
	for _, tls := range i.Spec.TLS {
		for _, host := range tls.Hosts {
			t.TLS[Canonical(host)] = true
		}
	}
	return t
}

// FromService reads a Service; ok is false if it is not of type LoadBalancer, and
// then only what it asks for is read.
func FromService(s *corev1.Service) (t Target, ok bool) {
	t = newTarget(KindService, s)
	if s.Spec.Type != corev1.ServiceTypeLoadBalancer {
		return t, false
	}
	t.Backends[""] = []Backend{{Path: "/", Service: s.Name}}
	for _, p := range s.Spec.Ports {
		if p.Protocol == corev1.ProtocolTCP || p.Protocol == "" {
			t.Ports = append(t.Ports, p.Port)
		}
	}
	return t, true
}

func (t *Target) addHost(host string) {
	if host == "" {
		return
	}
	for _, h := range t.Hosts {
		if h == host {
			return
		}
	}
	t.Hosts = append(t.Hosts, host)
}

// backend is the Service behind a path of a host, "" if it cannot be told: the
// one with the longest path that the asked one begins with, or else the first.
func (t *Target) backend(host, path string) string {
	backends := t.behind(host)
	if len(backends) == 0 {
		return ""
	}
	best := backends[0]
	found := false
	for _, b := range backends {
		if under(path, b.Path) && (!found || len(b.Path) > len(best.Path)) {
			best, found = b, true
		}
	}
	return best.Service
}

// behind are the Services behind a host.
func (t *Target) behind(host string) []Backend {
	if b := t.Backends[host]; len(b) > 0 {
		return b
	}
	return t.Backends[""]
}

// under says whether a path is below another, element by element.
func under(path, prefix string) bool {
	prefix = strings.TrimSuffix(prefix, "/")
	return path == prefix || strings.HasPrefix(path, prefix+"/")
}

// Canonical is a hostname in lower case without a final dot.
func Canonical(host string) string {
	return strings.ToLower(strings.TrimSuffix(strings.TrimSpace(host), "."))
}

// Hostname says whether a canonical name can be a host's: RFC 1035's lengths, and the
// letters that GlobalRoutes allow. The first label may be *.
func Hostname(name string) bool {
	name = strings.TrimPrefix(name, "*.")
	if len(name) > 250 { // a * is to find room
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' ||
			strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return true
}

// annotation is the first of the named annotations that is set.
func annotation(from map[string]string, names ...string) string {
	for _, name := range names {
		if v := strings.TrimSpace(from[name]); v != "" {
			return v
		}
	}
	return ""
}

// externalDNS are the names of an annotation of external-dns, the present and the
// older one.
func externalDNS(name string) []string {
	return []string{"external-dns.kubernetes.io/" + name, "external-dns.alpha.kubernetes.io/" + name}
}
