package route

import (
	"slices"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/dns/health"
	"github.com/hanse-dev/hanse/internal/dns/steer"
)

// FederatedTTL is that of Federation v1's records, in seconds.
const FederatedTTL = 180

// Federated are the names of Federation v1 for a Service of type LoadBalancer:
// SERVICE.NAMESPACE.FEDERATION.svc.ZONE.REGION.DOMAIN, the same without the zone,
// and without both. Each has the addresses of its healthy clusters; where a level
// has none, it is a CNAME for the next. A cluster with nodes in several zones
// stands for each of them.
func Federated(t *Target, federation, domain string, w World) ([]steer.Host, []health.Check) {
	r := &v1alpha1.GlobalRoute{}
	p := newProber(r, []*Target{t}, "")
	p.zone = domain
	base := t.Key.Name + "." + t.Key.Namespace + "." + federation + ".svc."
	tree := tree{owner: "service " + t.Key.Namespace + "/" + t.Key.Name, nodes: map[string]*node{}}
	global := tree.node(base+domain+".", "")
	var checks []health.Check
	clusters, residence := w.Clusters(), w.Residence(t.Key.Namespace)
	for i := range clusters {
		c := &clusters[i]
		if residence.keepsOut(c.Name) != "" {
			continue
		}
		state, ok := resolveCluster(r, c, []*Target{t}, p, w)
		if !ok || len(state.Addresses) == 0 && state.Hostname == "" {
			continue
		}
		checks = append(checks, state.checks...)
		shard := steer.Cluster{Name: c.Name, Addresses: state.Addresses, Up: state.Healthy}
		if state.Hostname != "" {
			shard.Hostname = state.Hostname + "."
		}
		global.add(shard)
		if c.Region == "" {
			continue
		}
		region := tree.node(base+Canonical(c.Region)+"."+domain+".", global.name)
		region.add(shard)
		for _, zone := range c.Zones {
			tree.node(base+Canonical(zone)+"."+Canonical(c.Region)+"."+domain+".", region.name).add(shard)
		}
	}
	if len(global.shards) == 0 {
		return nil, nil
	}
	hosts := tree.hosts()
	for i := range hosts {
		if residence != nil {
			hosts[i].Serving = residence.Serving
		}
	}
	return hosts, checks
}

// tree is the names of one Service.
type tree struct {
	owner string
	nodes map[string]*node
}

// node is a name, and the clusters below it.
type node struct {
	name, parent string
	shards       []steer.Cluster
}

func (t *tree) node(name, parent string) *node {
	n := t.nodes[name]
	if n == nil {
		n = &node{name: name, parent: parent}
		t.nodes[name] = n
	}
	return n
}

func (n *node) add(c steer.Cluster) {
	if !slices.ContainsFunc(n.shards, func(o steer.Cluster) bool { return o.Name == c.Name }) {
		n.shards = append(n.shards, c)
	}
}

func (t *tree) hosts() []steer.Host {
	var hosts []steer.Host
	for _, name := range sortedKeys(t.nodes) {
		n := t.nodes[name]
		h := steer.Host{Name: n.name, TTL: FederatedTTL, Owner: t.owner, Policy: steer.All, Clusters: n.shards}
		if n.parent != "" && !slices.ContainsFunc(n.shards, func(c steer.Cluster) bool { return c.Up }) {
			h.Clusters = []steer.Cluster{{Name: "elsewhere", Hostname: n.parent, Up: true}}
		} else {
			h.Clusters = withoutHostnames(n.shards)
		}
		hosts = append(hosts, h)
	}
	return hosts
}

// withoutHostnames gives the addresses of all: Federation v1 published A records.
// A cluster known by its name only keeps it.
func withoutHostnames(shards []steer.Cluster) []steer.Cluster {
	plain := slices.Clone(shards)
	for i := range plain {
		if len(plain[i].Addresses) > 0 {
			plain[i].Hostname = ""
		}
	}
	return plain
}
