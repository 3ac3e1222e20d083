// Package provider keeps the hostnames of routes in DNS zones that somebody else
// serves. It has what Route 53, RFC 2136 and later clouds have in common: the
// interface that they implement, whose a record is, and a plan that touches
// nothing of others, deletes little at a time, and may be interrupted anywhere.
//
// What each can express:
//
//	             Route 53                       RFC 2136
//	Geography    continents, countries, states  only if it is the same everywhere
//	             of the US
//	Latency      as Geography                   as Geography
//	Weighted     weights in a ratio of at       only if one cluster has all
//	             most 255
//	Failover     the first that is up; its      the first that is up
//	             own checks move to the second
//	             while the hub is away
//	All          yes                            yes
//	hostnames    CNAME; beside addresses what   as Route 53
//	             they resolve to; not at the
//	             apex
//	checks       of public addresses            none
//
// A route that a provider cannot express is refused with the reason and left as
// it is there; it is never approximated.
package provider

import (
	"context"
	"errors"

	"github.com/hanse-dev/hanse/internal/dns/steer"
)

// Provider is a zone kept elsewhere. Its methods are called one at a time. Those
// that take a context ask a server, and block until it has answered or ctx ends.
type Provider interface {
	// Ensure finds the zone, or creates it if create is set. It is idempotent, also
	// when it was killed between. ErrNoZone: there is none and create is not set,
	// or such a zone cannot be created.
	Ensure(ctx context.Context, create bool) (Zone, error)
	// Express says which sets make the provider answer as hosts want. It is pure
	// but for what Ensure found, and its result depends on nothing else than hosts.
	Express(hosts []steer.Host) Expressed
	// Read gives all sets of the zone, of all owners. An answer that is not complete
	// is an error.
	Read(ctx context.Context) ([]Set, error)
	// Apply makes the changes and returns an error for each, nil where it was made.
	// The steps of one change are made in their order, at once where the provider's
	// limits allow; changes that fail do not hold up the others. A step whose Old is
	// no longer what the server has fails, as one that creates what is there. A step
	// that creates a TXT record and the next one are made both or neither: else what
	// somebody creates in between would be taken for ours.
	Apply(ctx context.Context, changes []Change) []error
}

// Tidier is a Provider that keeps something beside the records, as health checks.
type Tidier interface {
	// Tidy deletes what is this owner's and which no set of kept uses. Idempotent.
	Tidy(ctx context.Context, kept []Set) error
}

// Settler is a Provider whose changes take time until all its servers have them.
type Settler interface {
	// Settled says whether they have all that Apply changed.
	Settled(ctx context.Context) (bool, error)
}

// ErrNoZone is returned by Ensure, wrapped, if there is no such zone.
var ErrNoZone = errors.New("no such zone")

// Zone is what a provider says of its zone.
type Zone struct {
	// ID is the provider's name for it, if it has one.
	ID string
	// NameServers, without final dot, are what the domain must be delegated to.
	NameServers []string
}

// Expressed is what routes are in the terms of a provider.
type Expressed struct {
	Sets []Set
	// Refused has the reason by host, for hosts that cannot be expressed.
	Refused map[string]string
	// Notes by host say what holds less than a user may expect.
	Notes map[string]string
}

// Change is what belongs together in the sets of one hostname: a set with the TXT
// record that says whose it is, or all sets of a name which cannot be changed one
// by one (a CNAME in place of addresses).
type Change struct {
	Name  string
	Steps []Step
}

// Step creates a set (Old is nil), deletes one (New is nil) or replaces one by
// another of the same Key.
type Step struct {
	Old, New *Set
}
