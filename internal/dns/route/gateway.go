package route

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// FromGateway reads a Gateway of gateway.networking.k8s.io with the HTTPRoutes that
// may be attached to it. Its hosts are those of its listeners, and those that the
// HTTPRoutes have within these; the Services behind them are told from HTTPRoutes
// of the Gateway's own namespace.
func FromGateway(g *unstructured.Unstructured, routes []*unstructured.Unstructured) Target {
	t := newTarget(KindGateway, g)
	open := false // some listener takes any host
	for _, listener := range objects(g.Object, "spec", "listeners") {
		host, _ := listener["hostname"].(string)
		host = Canonical(host)
		open = open || host == ""
		t.addHost(host)
		if protocol, _ := listener["protocol"].(string); protocol == "HTTPS" || protocol == "TLS" {
			t.TLS[host] = true
		}
		if port, ok := listener["port"].(int64); ok {
			t.Ports = append(t.Ports, int32(port))
		}
	}
	listeners := slices.Clone(t.Hosts)
	for _, r := range routes {
		if attached(r, g) {
			t.attach(r, listeners, open)
		}
	}
	return t
}

// attached says whether an HTTPRoute names the Gateway as a parent.
func attached(r, g *unstructured.Unstructured) bool {
	return slices.ContainsFunc(objects(r.Object, "spec", "parentRefs"), func(ref map[string]any) bool {
		kind, _ := ref["kind"].(string)
		name, _ := ref["name"].(string)
		namespace, _ := ref["namespace"].(string)
		if namespace == "" {
			namespace = r.GetNamespace()
		}
		return (kind == "" || kind == KindGateway) && name == g.GetName() && namespace == g.GetNamespace()
	})
}

// attach adds an HTTPRoute's hosts and what is behind them.
func (t *Target) attach(r *unstructured.Unstructured, listeners []string, open bool) {
	hosts, _, _ := unstructured.NestedStringSlice(r.Object, "spec", "hostnames")
	if len(hosts) == 0 {
		hosts = listeners
	}
	for _, host := range hosts {
		host = Canonical(host)
		listener := slices.IndexFunc(listeners, func(l string) bool { return covers(l, host) })
		if listener < 0 && !open {
			continue // no listener takes it
		}
		t.addHost(host)
		if listener >= 0 && t.TLS[listeners[listener]] || listener < 0 && t.TLS[""] {
			t.TLS[host] = true
		}
		if r.GetNamespace() == t.Key.Namespace {
			t.Backends[host] = append(t.Backends[host], backends(r)...)
		}
	}
}

// covers says whether a listener's hostname, which may be a wildcard, takes a host.
func covers(listener, host string) bool {
	suffix, wild := strings.CutPrefix(listener, "*.")
	return listener == host || wild && strings.HasSuffix(host, "."+suffix)
}

// backends are the Services behind the paths of an HTTPRoute.
func backends(r *unstructured.Unstructured) []Backend {
	var all []Backend
	for _, rule := range objects(r.Object, "spec", "rules") {
		paths := []string{"/"}
		if matches := objects(rule, "matches"); len(matches) > 0 {
			paths = nil
			for _, match := range matches {
				path, _, _ := unstructured.NestedString(match, "path", "value")
				if path == "" {
					path = "/"
				}
				paths = append(paths, path)
			}
		}
		for _, ref := range objects(rule, "backendRefs") {
			kind, _ := ref["kind"].(string)
			name, _ := ref["name"].(string)
			if name == "" || kind != "" && kind != KindService {
				continue
			}
			for _, path := range paths {
				all = append(all, Backend{Path: path, Service: name})
			}
		}
	}
	return all
}

// objects are the objects in a list at a path of an object.
func objects(in map[string]any, path ...string) []map[string]any {
	list, _, _ := unstructured.NestedFieldNoCopy(in, path...)
	items, _ := list.([]any)
	var all []map[string]any
	for _, item := range items {
		if object, ok := item.(map[string]any); ok {
			all = append(all, object)
		}
	}
	return all
}
