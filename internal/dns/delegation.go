package dns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/dns/route"
)

const (
	// delegationInterval is how often it is checked whether the world finds a zone.
	delegationInterval = 10 * time.Minute
	// delegationFirst is how soon zones that have not been checked are.
	delegationFirst = 5 * time.Second
	// lookupTimeout bounds one look-up.
	lookupTimeout = 10 * time.Second
)

// delegations is whether the world finds the zones.
type delegations struct {
	resolver *net.Resolver
	zones    func() []*v1alpha1.DNSZone
	say      func(*v1alpha1.DNSZone, metav1.Condition)
	clock    clock.Clock
}

// check says on each zone whether the DNS leads to its name servers,
// until ctx ends.
func (d delegations) check(ctx context.Context) {
	checked := map[string]time.Time{}
	for pause(ctx, d.clock, delegationFirst) {
		before := checked
		checked = map[string]time.Time{} // of zones that there are
		for _, z := range d.zones() {
			key := string(z.UID) + strings.Join(z.Status.NameServers, " ")
			checked[key] = before[key]
			if len(z.Status.NameServers) == 0 || d.clock.Since(checked[key]) < delegationInterval {
				continue
			}
			checked[key] = d.clock.Now()
			d.say(z, delegation(ctx, d.resolver, z))
		}
	}
}

// resolverAt asks HOST:PORT, or the system's resolver.
func resolverAt(server string) *net.Resolver {
	if server == "" {
		return &net.Resolver{}
	}
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, server)
	}}
}

// delegation looks up a zone's name servers as the world does.
func delegation(ctx context.Context, resolver *net.Resolver, z *v1alpha1.DNSZone) metav1.Condition {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	c := metav1.Condition{Type: v1alpha1.ConditionDelegated, Status: metav1.ConditionFalse, Reason: "NotDelegated", ObservedGeneration: z.Generation}
	found, err := resolver.LookupNS(ctx, z.Spec.Domain+".")
	var failure *net.DNSError
	switch {
	case errors.As(err, &failure) && failure.IsNotFound:
		c.Message = fmt.Sprintf("the DNS knows no name servers of %s. Try: have the parent zone, or the registrar, delegate it to %s",
			z.Spec.Domain, strings.Join(z.Status.NameServers, ", "))
		return c
	case err != nil:
		c.Status, c.Reason, c.Message = metav1.ConditionUnknown, "LookupFailed", fmt.Sprintf("the name servers of %s could not be looked up: %v", z.Spec.Domain, err)
		return c
	}
	var names []string
	for _, ns := range found {
		names = append(names, route.Canonical(ns.Host))
	}
	slices.Sort(names)
	for _, want := range z.Status.NameServers {
		if slices.Contains(names, route.Canonical(want)) {
			c.Status, c.Reason, c.Message = metav1.ConditionTrue, "Delegated", "delegated to "+strings.Join(names, ", ")
			return c
		}
	}
	c.Message = fmt.Sprintf("%s is delegated to %s, and not to %s", z.Spec.Domain, strings.Join(names, ", "), strings.Join(z.Status.NameServers, ", "))
	return c
}
