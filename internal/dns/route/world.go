package route

import (
	"net/netip"

	"github.com/hanse-dev/hanse/internal/dns/health"
	"github.com/hanse-dev/hanse/internal/dns/steer"
	"github.com/hanse-dev/hanse/internal/policy"
)

// Cluster is a member of the federation.
type Cluster struct {
	Name, UID, Provider, Region, Continent string
	Zones                                  []string
	// Facts is what Residencies select it by.
	Facts policy.Cluster
	// Answers says whether the member answers the hub, so that what is known of
	// its objects is of this moment.
	Answers bool
}

// Exposure is where a target is reached in one cluster.
type Exposure struct {
	Addresses []netip.Addr
	// Hostname without a final dot, instead of addresses.
	Hostname string
	// PortOffset is added to ports below 1024, as local clusters do.
	PortOffset int
	// Named: it is the route's author who says so, and no member.
	Named bool
}

// Empty says that the cluster has given the target no address (yet).
func (e Exposure) Empty() bool { return len(e.Addresses) == 0 && e.Hostname == "" }

// KindSlices stands for EndpointSlices beside the kinds of targets.
const KindSlices = "EndpointSlice"

// Endpoints is how many of a Service's endpoints are ready.
type Endpoints struct{ Ready, Total int }

// Residence is where what is in a namespace may be.
type Residence struct {
	// Outside is why it may not be in a cluster, by name.
	Outside map[string]string
	// Serving says which clusters may answer clients where; nil: all that it may be in.
	Serving *steer.Serving
}

// keepsOut is why nothing may be in a cluster; empty: it may.
func (r *Residence) keepsOut(cluster string) string {
	if r == nil {
		return ""
	}
	return r.Outside[cluster]
}

// World is what is known at this moment. Its methods do not block.
type World interface {
	// Clusters are all members by name. The slice is the same until something in
	// it changes.
	Clusters() []Cluster
	// Target is an object at the hub.
	Target(TargetKey) (*Target, bool)
	// Exposure is where a target is reached in a cluster; known is false as long
	// as the cluster has not been asked. What a cluster said last stays known
	// while it is away.
	Exposure(cluster string, key TargetKey) (e Exposure, known bool)
	// Endpoints are those of a Service in a cluster; known as above.
	Endpoints(cluster, namespace, service string) (e Endpoints, known bool)
	// Outdated is why what is known of a kind of objects in a cluster is not of this
	// moment, although the cluster answers; empty: it is.
	Outdated(cluster, kind string) string
	// Refuse is why an address may not be probed for a host, without a final dot; empty: it
	// may, and then within is the private network that it is in, if it is.
	Refuse(a netip.Addr, host string) (why string, within netip.Prefix)
	// Probe is what the probes of an address say.
	Probe(health.Check) health.Result
	// Residence is where what is in a namespace of the hub may be, and answer; nil: anywhere.
	Residence(namespace string) *Residence
	// Flat are the addresses of a hostname.
	Flat(hostname string) []netip.Addr
}
