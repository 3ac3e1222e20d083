package loadbalancer

import (
	"strings"
	"testing"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func to(service string) networkingv1.IngressBackend {
	return networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{
		Name: service, Port: networkingv1.ServiceBackendPort{Number: 80}}}
}

// rule reads "HOST KIND PATH", KIND being =, for exact, or ~, for a prefix.
func rule(text, service string) networkingv1.IngressRule {
	fields := strings.Fields(text)
	if fields[0] == "-" {
		fields[0] = ""
	}
	kind := networkingv1.PathTypePrefix
	if fields[1] == "=" {
		kind = networkingv1.PathTypeExact
	}
	return networkingv1.IngressRule{Host: fields[0], IngressRuleValue: networkingv1.IngressRuleValue{
		HTTP: &networkingv1.HTTPIngressRuleValue{Paths: []networkingv1.HTTPIngressPath{{Path: fields[2], PathType: &kind, Backend: to(service)}}}}}
}

func ingress(name string, age time.Duration, rules ...networkingv1.IngressRule) *networkingv1.Ingress {
	return &networkingv1.Ingress{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, CreationTimestamp: metav1.NewTime(time.Unix(1_000_000, 0).Add(-age))},
		Spec:       networkingv1.IngressSpec{Rules: rules},
	}
}

func TestRoute(t *testing.T) {
	all := []*networkingv1.Ingress{
		ingress("shop", time.Hour,
			rule("shop.example.com ~ /", "shop"),
			rule("shop.example.com ~ /cart", "cart"),
			rule("shop.example.com = /cart/exact", "exact"),
			rule("shop.example.com ~ /slash/", "slash")),
		ingress("late", time.Minute, rule("shop.example.com ~ /cart", "latecomer"), rule("*.example.com ~ /", "wildcard")),
		ingress("any", time.Second, rule("- ~ /any", "any")),
	}
	for _, test := range []struct{ host, path, want string }{
		{"shop.example.com", "/", "shop"},
		{"SHOP.example.com:20080", "/", "shop"},
		{"shop.example.com.", "/", "shop"},
		{"shop.example.com", "/cart", "cart"},
		{"shop.example.com", "/cart/", "cart"},
		{"shop.example.com", "/cart/1", "cart"},
		{"shop.example.com", "/carts", "shop"},
		{"shop.example.com", "/Cart", "shop"},
		{"shop.example.com", "/cart/exact", "exact"},
		{"shop.example.com", "/cart/exact/", "cart"},
		{"shop.example.com", "/slash", "slash"},
		{"shop.example.com", "/slash/x", "slash"},
		{"shop.example.com", "/any", "shop"}, // a host wins over a longer path
		{"blog.example.com", "/any", "wildcard"},
		{"a.blog.example.com", "/", ""},
		{"example.com", "/", ""},
		{"elsewhere.org", "/any/thing", "any"},
		{"elsewhere.org", "/", ""},
		{"", "/any", "any"},
		{"127.0.0.1:80", "/", ""},
	} {
		got, ok := route(all, test.host, test.path)
		name := ""
		if ok {
			name = got.reference.Service.Name
		}
		if name != test.want {
			t.Errorf("%s%s goes to %q, want %q", test.host, test.path, name, test.want)
		}
	}
}

func TestRouteToDefaultBackends(t *testing.T) {
	old, young := ingress("old", time.Hour, rule("a.example.com ~ /x", "x")), ingress("young", time.Minute)
	oldDefault, youngDefault := to("old"), to("young")
	old.Spec.DefaultBackend, young.Spec.DefaultBackend = &oldDefault, &youngDefault
	young.Spec.Rules = []networkingv1.IngressRule{{Host: "b.example.com"}} // a host without paths
	for _, order := range [][]*networkingv1.Ingress{{old, young}, {young, old}} {
		for _, test := range []struct{ host, path, want string }{
			{"a.example.com", "/x", "x"},
			{"a.example.com", "/y", "old"},
			{"b.example.com", "/y", "young"},
			{"c.example.com", "/", "old"},
		} {
			got, ok := route(order, test.host, test.path)
			if !ok || got.reference.Service.Name != test.want {
				t.Errorf("%s%s goes to %v, want %s", test.host, test.path, got.reference.Service, test.want)
			}
		}
	}
}

// prefixByElements is the definition in the Ingress API, word by word.
func prefixByElements(rule, path string) bool {
	elements := func(s string) []string { return strings.Split(strings.Trim(s, "/"), "/") }
	want := elements(rule)
	if len(want) == 1 && want[0] == "" {
		return true
	}
	have := elements(path)
	if len(have) < len(want) {
		return false
	}
	for i := range want {
		if have[i] != want[i] {
			return false
		}
	}
	return true
}

func FuzzRoute(f *testing.F) {
	f.Add("shop.example.com", "/cart", false, "shop.example.com:80", "/cart/1")
	f.Add("*.example.com", "/", true, "x.example.com", "/")
	f.Add("", "/a//b", false, "[::1]:80", "//")
	f.Fuzz(func(t *testing.T, host, path string, exact bool, requestHost, requestPath string) {
		kind, separator := networkingv1.PathTypePrefix, "~"
		if exact {
			kind, separator = networkingv1.PathTypeExact, "="
		}
		one := ingress("one", 0, rule("h "+separator+" /", "s"))
		one.Spec.Rules[0].Host = host
		one.Spec.Rules[0].HTTP.Paths[0].Path = path
		_, ok := route([]*networkingv1.Ingress{one}, requestHost, requestPath)
		if matched := matchHost(host, hostname(requestHost)) > 0 && matchPath(&kind, path, requestPath) > 0; ok != matched {
			t.Errorf("found is %v, host and path match is %v", ok, matched)
		}
		// What the API server lets through begins with a slash and has no empty elements.
		sane := func(s string) bool { return strings.HasPrefix(s, "/") && !strings.Contains(s, "//") }
		if !exact && sane(path) && sane(requestPath) && (matchPath(&kind, path, requestPath) > 0) != prefixByElements(path, requestPath) {
			t.Errorf("prefix %q of %q is not what the definition says", path, requestPath)
		}
		if h := hostname(requestHost); strings.HasPrefix(host, "*.") && matchHost(host, h) > 0 && strings.Count(h, ".") != strings.Count(host, ".") {
			t.Errorf("wildcard %q matches %q: not one label", host, h)
		}
	})
}
