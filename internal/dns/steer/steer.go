// Package steer decides which clusters answer for a hostname to somebody at a
// place. It is pure: the name server compiles its answers from it, the cloud
// providers their records, and `hanse dns query` its explanation.
package steer

import (
	"net/netip"

	"github.com/hanse-dev/hanse/internal/dns/geo"
)

// Host is a hostname, where it leads, and to whom.
type Host struct {
	// Name is in lower case with a final dot; the first label may be *.
	Name string
	// TTL in seconds.
	TTL uint32
	// Owner is the GlobalRoute, as NAMESPACE/NAME.
	Owner string
	// Policy says which of the fields below count.
	Policy Policy
	// Rules are for Geography and Latency: for each place the clusters in order of
	// preference. The most specific rule that fits a place wins: subdivision,
	// then country, then continent, then the Rule of the zero Place. Hosts with
	// the same clusters may share one slice; nobody changes it.
	Rules []Rule
	// Order is the clusters in order of preference, for Failover.
	Order []string
	// Default is for places without a rule, in order of preference; empty: all
	// healthy clusters together.
	Default []string
	// WhenAllDown says what to answer when no cluster is Up.
	WhenAllDown AllDown
	// Clusters, by name, each once.
	Clusters []Cluster
	// Serving says which clusters may answer clients where; nil: all may. Hosts may share it; nobody changes it.
	Serving *Serving
	// Check is how its addresses are probed, for providers that probe too; nil:
	// not at all.
	Check *Check
}

// Check is a health check in the terms that cloud providers share.
type Check struct {
	Protocol string // HTTP, HTTPS or TCP
	Port     uint16
	Host     string // without final dot
	Path     string
	Text     string // in the body; empty: any
	Interval int    // seconds
	Down     int    // failures in a row
}

// Rule gives the clients of a place their clusters, in order of preference. Only
// the most specific field of From is set: Subdivision, Country or Continent.
type Rule struct {
	From     geo.Place
	Clusters []string
}

// Cluster is one place where a Host leads to.
type Cluster struct {
	Name string
	// Addresses, sorted, each once; those that are down while the cluster is Up
	// are left out already.
	Addresses []netip.Addr
	// Hostname, with a final dot, is a name that another server knows the
	// addresses of (an AWS load balancer's); Addresses then are what it resolved
	// to, for where a CNAME cannot be.
	Hostname string
	// Up: in the answers.
	Up bool
	// Weight is for Weighted; 0: only if no cluster with a weight is Up.
	Weight uint32
}

// Policy is how a cluster is chosen among those that are Up.
type Policy uint8

// The policies. Latency is Geography whose Rules were made from a table of
// round-trip times.
const (
	Geography Policy = iota
	Weighted
	Failover
	Latency
	All
)

// AllDown is what to answer when no cluster is Up.
type AllDown uint8

// What to answer when no cluster is Up.
const (
	AnswerAll AllDown = iota
	AnswerDefault
	AnswerNothing
)
