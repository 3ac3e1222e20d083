package aggregate

import (
	"reflect"
	"slices"
)

// service shows the addresses of all clusters. A Service that had none yet
// shows them once every cluster that answers has one: tools take a Service of
// type LoadBalancer to be done as soon as there is any address. From then on it
// shows what there is.
func (m *merger) service() map[string]any {
	loadBalancer := map[string]any{}
	if text(m.spec, "type") == "LoadBalancer" && (m.hasAddresses() || m.allHaveAddresses()) {
		if all := m.addresses(); len(all) > 0 {
			for _, a := range all {
				if a, ok := a.(map[string]any); ok && text(a, "ip") != "" && text(a, "ipMode") == "" {
					a["ipMode"] = "VIP" // the API's default, required by the hub and unknown to old members
				}
			}
			loadBalancer["ingress"] = unique(all)
		}
	}
	out := map[string]any{"loadBalancer": loadBalancer}
	m.setConditions(out, nil)
	return out
}

func (m *merger) ingress() map[string]any {
	loadBalancer := map[string]any{}
	if all := m.addresses(); len(all) > 0 {
		loadBalancer["ingress"] = unique(all)
	}
	return map[string]any{"loadBalancer": loadBalancer}
}

func ingresses(status map[string]any) []any {
	l, _ := object(status, "loadBalancer")["ingress"].([]any)
	return l
}

// hasAddresses is that the hub shows addresses already.
func (m *merger) hasAddresses() bool { return len(ingresses(m.prev)) > 0 }

func (m *merger) allHaveAddresses() bool {
	return !slices.ContainsFunc(m.members, func(s MemberStatus) bool {
		return s.Reachable && len(ingresses(s.Status)) == 0
	})
}

// addresses is the members' addresses, cluster by cluster.
func (m *merger) addresses() []any {
	var all []any
	for _, s := range m.members {
		for _, a := range ingresses(s.Status) {
			if a, ok := a.(map[string]any); ok {
				all = append(all, clone(a))
			}
		}
	}
	return all
}

// unique is the list without repetitions, in the order of first appearance.
func unique(list []any) []any {
	var out []any
	for _, e := range list {
		if !slices.ContainsFunc(out, func(o any) bool { return reflect.DeepEqual(o, e) }) {
			out = append(out, e)
		}
	}
	return out
}
