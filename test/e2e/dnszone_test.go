package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/test/dnspeers"
)

// somewhere are clusters that routes with endpoints may name. Nobody answers there.
const somewhere = `
apiVersion: hanse.dev/v1alpha1
kind: Cluster
metadata: {name: aws, labels: {hanse.dev/continent: NA}}
spec: {endpoint: "https://127.0.0.1:1", credentialSecret: none, uid: aws, provider: aws, region: us-east-1}
---
apiVersion: hanse.dev/v1alpha1
kind: Cluster
metadata: {name: azure, labels: {hanse.dev/continent: EU}}
spec: {endpoint: "https://127.0.0.1:1", credentialSecret: none, uid: azure, provider: azure, region: westeurope}
`

// TestZones keeps zones of one hub, which needs no members for that, in the name
// servers of others.
func TestZones(t *testing.T) {
	t.Parallel()
	f := own(t, "zones")
	f.create(t, somewhere)
	t.Run("together", func(t *testing.T) {
		t.Run("by RFC 2136", func(t *testing.T) { t.Parallel(); f.keptByUpdates(t) })
		t.Run("in Route 53", func(t *testing.T) { t.Parallel(); f.keptInRoute53(t) })
		t.Run("with a secondary", func(t *testing.T) { t.Parallel(); f.followedBySecondary(t) })
		t.Run("two namespaces", func(t *testing.T) { t.Parallel(); f.twoNamespaces(t) })
		t.Run("roles", func(t *testing.T) { t.Parallel(); f.rolesForDNS(t) })
	})
	t.Run("hub killed while it writes", func(t *testing.T) { f.killedWhileWriting(t) })
}

func (f *fed) zone(ctx context.Context, name string) (*v1alpha1.DNSZone, error) {
	u, err := f.at.dynamic.Resource(v1alpha1.Resource("dnszones")).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	return as[v1alpha1.DNSZone](u)
}

// zoneIs waits until the Ready condition of a zone has a reason, and its message
// all of some words.
func (f *fed) zoneIs(t *testing.T, name, reason string, words ...string) *v1alpha1.DNSZone {
	t.Helper()
	var z *v1alpha1.DNSZone
	eventually(t, soon, func(ctx context.Context) (err error) {
		if z, err = f.zone(ctx, name); err != nil {
			return err
		}
		c := meta.FindStatusCondition(z.Status.Conditions, v1alpha1.ConditionReady)
		if c == nil || c.Reason != reason || c.ObservedGeneration != z.Generation {
			return fmt.Errorf("zone %s: %+v, want reason %s", name, c, reason)
		}
		return says(c.Message, words...)
	})
	return z
}

// says is an error if a text lacks one of some words.
func says(text string, words ...string) error {
	for _, w := range words {
		if !strings.Contains(text, w) {
			return fmt.Errorf("%q does not say %q", text, w)
		}
	}
	return nil
}

// hostIs waits until a host of a route is answered, or not, with a message that has
// all of some words.
func (f *fed) hostIs(t *testing.T, ns, route, host string, answered bool, words ...string) {
	t.Helper()
	eventually(t, soon, func(ctx context.Context) error {
		u, err := f.at.dynamic.Resource(v1alpha1.Resource("globalroutes")).Namespace(ns).Get(ctx, route, metav1.GetOptions{})
		if err != nil {
			return err
		}
		r, err := as[v1alpha1.GlobalRoute](u)
		if err != nil {
			return err
		}
		for _, h := range r.Status.Hosts {
			if h.Name == host && h.Answered == answered {
				return says(h.Message, words...)
			}
		}
		return fmt.Errorf("host %s of route %s/%s: %+v", host, ns, route, r.Status.Hosts)
	})
}

func (f *fed) patch(t *testing.T, resource, ns, name, patch string) {
	t.Helper()
	_, err := f.at.dynamic.Resource(v1alpha1.Resource(resource)).Namespace(ns).
		Patch(t.Context(), name, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	must(t, err)
}

// setSecret makes or changes a Secret in the hub's own namespace.
func (f *fed) setSecret(t *testing.T, name string, data map[string]string) {
	t.Helper()
	secrets := f.at.CoreV1().Secrets(v1alpha1.SystemNamespace)
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, StringData: data}
	eventually(t, soon, func(ctx context.Context) error { // a hub may serve before it has its namespace
		_, err := secrets.Update(ctx, s, metav1.UpdateOptions{})
		if apierrors.IsNotFound(err) {
			_, err = secrets.Create(ctx, s, metav1.CreateOptions{})
		}
		return err
	})
}

const (
	keySecret   = "c2VjcmV0IG9mIHRoZSB0ZXN0cywgMzIgYnl0ZXMgLi4="
	wrongSecret = "YW5vdGhlciBzZWNyZXQgb2YgdGhlIHNhbWUgc2l6ZSA="
)

// keptByUpdates keeps a zone in a real BIND, beside what is somebody else's.
func (f *fed) keptByUpdates(t *testing.T) {
	key := &dnspeers.Key{Name: "hanse.", Algorithm: dns.HmacSHA256, Secret: keySecret}
	bind := dnspeers.BIND(t, dnspeers.Config{Zone: "updates.example", Key: key, Updates: true, Transfers: true, File: `$ORIGIN updates.example.
$TTL 60
@ SOA ns.updates.example. admin.updates.example. 1 3600 600 86400 60
@ NS ns.updates.example.
ns A 192.0.2.1
taken A 192.0.2.99
`})
	ns := f.namespace(t, "updates")
	f.setSecret(t, "updates-key", map[string]string{"secret": keySecret})
	f.create(t, fmt.Sprintf(`
apiVersion: hanse.dev/v1alpha1
kind: DNSZone
metadata: {name: updates}
spec: {domain: updates.example, namespace: updates, rfc2136: {server: %q, key: {name: hanse, secret: updates-key}}}
---
apiVersion: hanse.dev/v1alpha1
kind: GlobalRoute
metadata: {name: web, namespace: updates}
spec:
  hosts: [www.updates.example, taken.updates.example]
  endpoints: [{cluster: aws, addresses: [198.51.100.1]}, {cluster: azure, addresses: [198.51.100.2]}]
  routing: {order: [aws, azure]}
  healthCheck: {protocol: None}`, bind.Addr))
	peer := &peer{bind, key}
	t.Run("beside others' records", func(t *testing.T) {
		peer.has(t, "www.updates.example", "198.51.100.1")
		f.hostIs(t, ns, "web", "www.updates.example", true)
		f.hostIs(t, ns, "web", "taken.updates.example", false, "in the way", "not Hanse's", "Try: ")
		f.zoneIs(t, "updates", "KeptInPart", "1 of 2 hosts", "taken.updates.example")
		peer.has(t, "taken.updates.example", "192.0.2.99")
	})
	t.Run("drift", func(t *testing.T) {
		peer.update(t, func(m *dns.Msg) {
			m.RemoveRRset([]dns.RR{addressRecord("www.updates.example.", "0.0.0.0")})
			m.Insert([]dns.RR{addressRecord("www.updates.example.", "203.0.113.66")})
		})
		f.setSecret(t, "updates-key", map[string]string{"secret": keySecret, "note": "has it looked at now, not within five minutes"})
		peer.has(t, "www.updates.example", "198.51.100.1")
	})
	t.Run("dry run", func(t *testing.T) {
		f.patch(t, "dnszones", "", "updates", `{"spec":{"dryRun":true}}`)
		f.patch(t, "globalroutes", ns, "web", `{"spec":{"routing":{"order":["azure","aws"]}}}`)
		eventually(t, soon, func(ctx context.Context) error {
			z, err := f.zone(ctx, "updates")
			if err != nil {
				return err
			}
			return says(strings.Join(z.Status.Pending, "\n"), "www.updates.example", "198.51.100.1", "198.51.100.2")
		})
		f.hostIs(t, ns, "web", "www.updates.example", false, "dryRun")
		peer.has(t, "www.updates.example", "198.51.100.1")
		f.patch(t, "dnszones", "", "updates", `{"spec":{"dryRun":false}}`)
		peer.has(t, "www.updates.example", "198.51.100.2")
	})
	t.Run("wrong key", func(t *testing.T) {
		f.setSecret(t, "updates-key", map[string]string{"secret": wrongSecret})
		f.zoneIs(t, "updates", "Failed", "key")
		f.hostIs(t, ns, "web", "www.updates.example", false, "key")
		peer.has(t, "www.updates.example", "198.51.100.2")
		f.setSecret(t, "updates-key", map[string]string{"secret": keySecret})
		f.zoneIs(t, "updates", "KeptInPart")
		f.hostIs(t, ns, "web", "www.updates.example", true)
	})
	t.Run("geography", func(t *testing.T) {
		f.create(t, `
apiVersion: hanse.dev/v1alpha1
kind: GlobalRoute
metadata: {name: places, namespace: updates}
spec:
  hosts: [places.updates.example]
  endpoints: [{cluster: aws, addresses: [198.51.100.1]}, {cluster: azure, addresses: [198.51.100.2]}]
  routing: {geography: [{continent: EU, clusters: [azure]}], default: [aws]}
  healthCheck: {protocol: None}`)
		f.hostIs(t, ns, "places", "places.updates.example", false, "where a client is", "Try: ", "Route 53")
		if got := peer.addresses(t.Context(), "places.updates.example"); len(got) != 0 {
			t.Errorf("it is there nevertheless: %v", got)
		}
	})
}

// peer is a name server of others whose zone Hanse keeps.
type peer struct {
	*dnspeers.Server
	key *dnspeers.Key
}

func (p *peer) addresses(ctx context.Context, name string) []string {
	m, err := dns.ExchangeContext(ctx, new(dns.Msg).SetQuestion(name+".", dns.TypeA), p.Addr)
	if err != nil {
		return []string{err.Error()}
	}
	return addressesOf(m)
}

// has waits until a name has some addresses there.
func (p *peer) has(t *testing.T, name string, want ...string) {
	t.Helper()
	eventually(t, soon, func(ctx context.Context) error {
		if got := p.addresses(ctx, name); !slices.Equal(got, want) {
			return fmt.Errorf("%s has %v there, want %v", name, got, want)
		}
		return nil
	})
}

// update changes the zone as somebody else would.
func (p *peer) update(t *testing.T, change func(*dns.Msg)) {
	t.Helper()
	m := new(dns.Msg).SetUpdate("updates.example.")
	change(m)
	m.SetTsig(p.key.Name, p.key.Algorithm, 300, time.Now().Unix())
	c := &dns.Client{Net: "tcp", TsigSecret: map[string]string{p.key.Name: p.key.Secret}}
	r, _, err := c.ExchangeContext(t.Context(), m, p.Addr)
	if err == nil && r.Rcode != dns.RcodeSuccess {
		err = errors.New(dns.RcodeToString[r.Rcode])
	}
	must(t, err)
}

func addressRecord(name, a string) dns.RR {
	return &dns.A{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60}, A: netip.MustParseAddr(a).AsSlice()}
}

// followedBySecondary has a real Knot follow a zone that the hub serves.
func (f *fed) followedBySecondary(t *testing.T) {
	ns := f.namespace(t, "secondary")
	listen := dnspeers.FreePort(t)
	f.setSecret(t, "transfer-key", map[string]string{"secret": keySecret})
	f.create(t, fmt.Sprintf(`
apiVersion: hanse.dev/v1alpha1
kind: DNSZone
metadata: {name: secondary}
spec:
  domain: secondary.example
  namespace: secondary
  embedded: {secondaries: [%q], transferKey: {name: hanse, secret: transfer-key}}
  records: [{name: "@", type: TXT, values: ['"hello"']}]
---
apiVersion: hanse.dev/v1alpha1
kind: GlobalRoute
metadata: {name: web, namespace: secondary}
spec:
  hosts: [www.secondary.example]
  endpoints: [{cluster: aws, addresses: [198.51.100.1]}]
  healthCheck: {protocol: None}`, listen))
	var hub string
	eventually(t, soon, func(ctx context.Context) error {
		z, err := f.zone(ctx, "secondary")
		if err == nil && len(z.Status.Listeners) == 0 {
			err = fmt.Errorf("it is not served: %+v", z.Status)
		}
		if err == nil {
			hub = z.Status.Listeners[0]
		}
		return err
	})
	key := &dnspeers.Key{Name: "hanse.", Algorithm: dns.HmacSHA256, Secret: keySecret}
	knot := &peer{dnspeers.Knot(t, dnspeers.Config{Zone: "secondary.example", Primary: hub, Listen: listen, Key: key, Transfers: true}), key}
	knot.has(t, "www.secondary.example", "198.51.100.1")
	before, _ := knot.Serial()
	f.patch(t, "globalroutes", ns, "web", `{"spec":{"endpoints":[{"cluster":"aws","addresses":["198.51.100.7"]}]}}`)
	knot.has(t, "www.secondary.example", "198.51.100.7") // long before the zone's refresh
	if after, _ := knot.Serial(); after <= before {
		t.Errorf("the serial was %d and is %d", before, after)
	}
	// Whoever has no key gets nothing.
	records, err := new(dns.Transfer).In(new(dns.Msg).SetAxfr("secondary.example."), hub)
	must(t, err)
	for e := range records {
		if e.Error == nil {
			t.Errorf("a transfer without the key was allowed: %v", e.RR)
		}
	}
}

// twoNamespaces claim one host: who came first has it, and the other says so, and may
// have it when the zone's administrator says so.
func (f *fed) twoNamespaces(t *testing.T) {
	first, second := f.namespace(t, "claim-first"), f.namespace(t, "claim-second")
	f.create(t, `
apiVersion: hanse.dev/v1alpha1
kind: DNSZone
metadata: {name: claimed}
spec: {domain: claimed.example, allowedRoutes: {namespaces: {from: All}}}`)
	claim := func(ns, address string) {
		f.create(t, fmt.Sprintf(`
apiVersion: hanse.dev/v1alpha1
kind: GlobalRoute
metadata: {name: web, namespace: %s}
spec:
  hosts: [www.claimed.example]
  endpoints: [{cluster: aws, addresses: [%s]}]
  healthCheck: {protocol: None}`, ns, address))
	}
	is := func(address string) {
		t.Helper()
		eventually(t, soon, func(ctx context.Context) error {
			return f.answersAddresses(ctx, "www.claimed.example", fromParis, []string{address})
		})
	}
	claim(first, "198.51.100.1")
	is("198.51.100.1")
	f.hostIs(t, first, "web", "www.claimed.example", true)
	claim(second, "198.51.100.2")
	f.hostIs(t, second, "web", "www.claimed.example", false, "belongs to GlobalRoute claim-first/web")
	is("198.51.100.1")
	must(t, f.at.dynamic.Resource(v1alpha1.Resource("globalroutes")).Namespace(first).Delete(t.Context(), "web", metav1.DeleteOptions{}))
	f.hostIs(t, second, "web", "www.claimed.example", false, "namespace claim-first's until not long ago")
	f.patch(t, "dnszones", "", "claimed", `{"spec":{"namespace":"claim-second","allowedRoutes":null}}`)
	is("198.51.100.2")
	f.hostIs(t, second, "web", "www.claimed.example", true)
}
