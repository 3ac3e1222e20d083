package route

import (
	"cmp"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// Annotations of k8gb.
const (
	k8gbStrategy = "k8gb.io/strategy"
	k8gbPrimary  = "k8gb.io/primary-geotag"
	k8gbTTL      = "k8gb.io/dns-ttl-seconds"
)

// Global says whether a target asks for a GlobalRoute, by AnnotationGlobal. Where that
// says nothing, k8gb's strategy does, and on a Service, which has no hosts of its own,
// external-dns' hostname.
func (t *Target) Global() bool {
	switch strings.ToLower(t.Annotations[v1alpha1.AnnotationGlobal]) {
	case "true":
		return true
	case "":
		return t.Annotations[k8gbStrategy] != "" ||
			t.Key.Kind == KindService && annotation(t.Annotations, externalDNS("hostname")...) != ""
	}
	return false
}

// Insists says whether a target asks in words that only mean a GlobalRoute, so that to
// get none is worth a complaint: others read external-dns' hostname, too.
func (t *Target) Insists() bool {
	return t.Global() && (t.Annotations[v1alpha1.AnnotationGlobal] != "" || t.Annotations[k8gbStrategy] != "")
}

// Complaint is why a target that seems to ask for a GlobalRoute has none; empty: it has
// one, or does not ask.
func (t *Target) Complaint() string {
	if t.Global() {
		return ""
	}
	return wrongGlobal(t)
}

func wrongGlobal(t *Target) string {
	switch v := strings.ToLower(t.Annotations[v1alpha1.AnnotationGlobal]); v {
	case "", "true", "false":
		return ""
	default:
		return fmt.Sprintf("annotation %s is %q: it must be \"true\" or \"false\"", v1alpha1.AnnotationGlobal, v)
	}
}

// Derive makes the GlobalRoute of a target that is Global. Annotations that make
// no sense are left out of it; each of problems says in a sentence which.
func Derive(t *Target, clusters []Cluster) (r *v1alpha1.GlobalRoute, problems []string) {
	r = &v1alpha1.GlobalRoute{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: t.Key.Namespace,
			Name:      strings.ToLower(t.Key.Kind) + "-" + t.Key.Name,
			Labels:    map[string]string{v1alpha1.LabelDerivedFrom: t.Key.Kind},
		},
		Spec: v1alpha1.GlobalRouteSpec{Targets: []v1alpha1.RouteTarget{{Kind: t.Key.Kind, Name: t.Key.Name}}},
	}
	if wrong := wrongGlobal(t); wrong != "" {
		problems = append(problems, wrong)
	}
	if s := annotation(t.Annotations, append([]string{k8gbTTL}, externalDNS("ttl")...)...); s != "" {
		if ttl, ok := parseTTL(s); ok {
			r.Spec.TTL = ttl
		} else {
			problems = append(problems, fmt.Sprintf("TTL %q is neither seconds nor a duration such as 1m", s))
		}
	}
	if s := strings.TrimSpace(t.Annotations[v1alpha1.AnnotationTLSVerification]); s != "" {
		switch {
		case strings.EqualFold(s, v1alpha1.TLSVerificationFull): // as without it
		case strings.EqualFold(s, v1alpha1.TLSVerificationNone):
			r.Spec.HealthCheck.TLSVerification = v1alpha1.TLSVerificationNone
		default:
			problems = append(problems, fmt.Sprintf("annotation %s is %q: it must be %s or %s; certificates are verified",
				v1alpha1.AnnotationTLSVerification, s, v1alpha1.TLSVerificationFull, v1alpha1.TLSVerificationNone))
		}
	}
	problems = append(problems, strategy(t, clusters, &r.Spec.Routing)...)
	return r, problems
}

// parseTTL reads seconds, or a duration; at most a week, as RFC 8767 advises.
func parseTTL(s string) (int32, bool) {
	if n, err := strconv.ParseInt(s, 10, 32); err == nil {
		return int32(n), n >= 0 && n <= 604800
	}
	d, err := time.ParseDuration(s)
	return int32(d.Seconds()), err == nil && d >= 0 && d <= 7*24*time.Hour
}

// strategy reads the annotations of k8gb into a Routing.
func strategy(t *Target, clusters []Cluster, into *v1alpha1.Routing) []string {
	s := t.Annotations[k8gbStrategy]
	switch s {
	case "", "geoip":
	case "roundRobin":
		into.Policy = v1alpha1.RoutingAll
	case "failover":
		tag := t.Annotations[k8gbPrimary]
		var primary, others []string
		for _, c := range clusters {
			if c.tagged(tag) {
				primary = append(primary, c.Name)
			} else {
				others = append(others, c.Name)
			}
		}
		if len(primary) == 0 {
			return []string{fmt.Sprintf("%s is %q, which is not the name, continent, region or provider of a cluster: the nearest cluster answers. "+
				"Try: one of those that `kubectl get clusters --show-labels` shows", k8gbPrimary, tag)}
		}
		into.Policy, into.Order = v1alpha1.RoutingFailover, append(primary, others...)
	default:
		return []string{fmt.Sprintf("%s is %q: it must be geoip, roundRobin or failover; the nearest cluster answers", k8gbStrategy, s)}
	}
	return nil
}

// tagged says whether a geo tag, as k8gb's users give them to clusters, means c.
func (c *Cluster) tagged(tag string) bool {
	return tag != "" && (strings.EqualFold(tag, c.Name) || strings.EqualFold(tag, c.Region) ||
		strings.EqualFold(tag, c.Continent) || strings.EqualFold(tag, c.Provider))
}

// hostnames are the names that a target answers to: its own, and those of the
// annotation.
func (t *Target) hostnames() []string {
	hosts := t.Hosts
	if s := annotation(t.Annotations, externalDNS("hostname")...); s != "" {
		hosts = append([]string(nil), hosts...)
		for _, h := range strings.Split(s, ",") {
			if h = Canonical(h); h != "" {
				hosts = append(hosts, h)
			}
		}
	}
	return hosts
}

// override is what the annotation says instead of a load balancer's addresses.
func override(annotations map[string]string) (e Exposure, ok bool) {
	s := annotation(annotations, externalDNS("target")...)
	if s == "" {
		return Exposure{}, false
	}
	for _, one := range strings.Split(s, ",") {
		one = strings.TrimSpace(one)
		if a, err := netip.ParseAddr(one); err == nil && len(e.Addresses) < maxAddresses {
			e.Addresses = append(e.Addresses, a.Unmap().WithZone(""))
		} else if one = Canonical(one); err != nil && Hostname(one) {
			e.Hostname = cmp.Or(e.Hostname, one)
		}
	}
	return e, true
}
