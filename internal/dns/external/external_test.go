package external

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/dns/provider"
	"github.com/hanse-dev/hanse/internal/dns/steer"
)

// fakeProvider is a zone in memory.
type fakeProvider struct {
	sets    []provider.Set
	fail    error
	hang    bool // until the context ends
	made    int  // providers
	ensured []time.Time
	reads   int
	fence
}

// fence orders what a test does with a fake before what happens as time passes.
type fence struct{ passed atomic.Int32 }

// elapse lets time pass, and then all that happens at its end.
func (f *fence) elapse(d time.Duration) {
	f.passed.Add(1)
	<-time.After(d)
	synctest.Wait()
}

func (p *fakeProvider) provide(context.Context, *v1alpha1.DNSZone) (provider.Provider, error) {
	p.passed.Load()
	p.made++
	return p, nil
}

func (p *fakeProvider) Ensure(ctx context.Context, _ bool) (provider.Zone, error) {
	p.passed.Load()
	p.ensured = append(p.ensured, time.Now())
	if p.hang {
		<-ctx.Done()
		return provider.Zone{}, ctx.Err()
	}
	return provider.Zone{ID: "Z1"}, p.fail
}

func (p *fakeProvider) Express(hosts []steer.Host) provider.Expressed {
	var e provider.Expressed
	for i := range hosts {
		e.Sets = append(e.Sets, provider.Set{Name: hosts[i].Name, Type: "A", TTL: hosts[i].TTL, Values: []string{"192.0.2.1"}, Route: hosts[i].Owner})
	}
	return e
}

func (p *fakeProvider) Read(context.Context) ([]provider.Set, error) {
	p.reads++
	return slices.Clone(p.sets), nil
}

func (p *fakeProvider) Apply(_ context.Context, changes []provider.Change) []error {
	for _, c := range changes {
		for _, s := range c.Steps {
			if s.Old != nil {
				p.sets = slices.DeleteFunc(p.sets, func(o provider.Set) bool { return o.Key() == s.Old.Key() })
			}
			if s.New != nil {
				p.sets = append(p.sets, *s.New)
			}
		}
	}
	return make([]error, len(changes))
}

func (p *fakeProvider) has(name string) bool {
	return slices.ContainsFunc(p.sets, func(s provider.Set) bool { return s.Name == name && s.Type == "A" })
}

// kept is Zones with providers by domain, which are kept until the test ends; changed collects the routes that are told of.
func kept(t *testing.T, providers map[string]*fakeProvider) (z *Zones, changed map[string]bool) {
	t.Helper()
	changed = map[string]bool{}
	z = New(Config{
		HubUID: "hub", Clock: clock.RealClock{}, Status: func(*v1alpha1.DNSZone, v1alpha1.DNSZoneStatus) {},
		Changed: func(routes []string) {
			for _, r := range routes {
				changed[r] = true
			}
		},
		Provide: func(ctx context.Context, z *v1alpha1.DNSZone) (provider.Provider, error) {
			return providers[z.Name].provide(ctx, z)
		},
	})
	ctx, cancel := context.WithCancel(t.Context())
	go z.Run(ctx)
	synctest.Wait()
	t.Cleanup(func() { cancel(); synctest.Wait() })
	return z, changed
}

func keptZone(name string) *v1alpha1.DNSZone {
	return dnsZone(name, func(z *v1alpha1.DNSZone) { z.Spec.RFC2136 = &v1alpha1.RFC2136Zone{Server: "ns.example"} })
}

const www = "www.example.org."

func wwwHost(ttl uint32) []steer.Host {
	return []steer.Host{{Name: www, Owner: "ns/route", TTL: ttl, Clusters: []steer.Cluster{{Name: "aws", Up: true, Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}}}}
}

func (e *Zones) wantReport(t *testing.T, host string, done bool, says string) {
	t.Helper()
	r, ok := e.Host("example.org", host)
	if !ok || r.Done != done || !strings.Contains(r.Message, says) {
		t.Errorf("%s: %+v, want %t and %q", host, r, done, says)
	}
}

func TestKeeperBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fakeProvider{fail: errors.New("the server is away")}
		e, changed := kept(t, map[string]*fakeProvider{"example.org": p})
		z := keptZone("example.org")
		e.Want(z, wwwHost(30))
		e.wantReport(t, "new.example.org.", false, "not there yet")
		p.elapse(time.Minute)
		e.wantReport(t, www, false, "the server is away")
		for i, want := range []time.Duration{2, 4, 8, 16} {
			// A pass comes no sooner than the rest after the one before.
			if gap := p.ensured[i+1].Sub(p.ensured[i]); gap < want*time.Second || gap > want*time.Second+keepRest {
				t.Errorf("try %d came after %s, want %ds", i+2, gap, want)
			}
		}
		tries := len(p.ensured)
		e.Want(z, wwwHost(30)) // the same again is no reason to hurry
		p.elapse(time.Second)
		if len(p.ensured) != tries {
			t.Error("it was tried again at once, and nothing had changed")
		}
		p.fail = nil
		p.elapse(driftInterval)
		e.wantReport(t, www, true, "")
		if !p.has(www) {
			t.Error("it is not there")
		}
		if !changed["ns/route"] {
			t.Error("the route is not looked at again")
		}
	})
}

// TestKeeperIsPatient: a provider that does not answer holds up nobody else.
func TestKeeperIsPatient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow, quick := &fakeProvider{hang: true}, &fakeProvider{}
		e, _ := kept(t, map[string]*fakeProvider{"example.org": slow, "example.net": quick})
		began := time.Now()
		e.Want(keptZone("example.org"), wwwHost(30))
		e.Want(keptZone("example.net"), []steer.Host{{Name: "www.example.net.", Owner: "ns/other"}})
		synctest.Wait()
		if !quick.has("www.example.net.") || time.Since(began) != 0 {
			t.Errorf("the other zone had to wait %s: %v", time.Since(began), quick.sets)
		}
		slow.hang = false
		slow.elapse(patience + time.Second)
		e.wantReport(t, www, false, "deadline exceeded")
		slow.elapse(time.Minute)
		e.wantReport(t, www, true, "")
	})
}

func TestKeeperLeavesOthersAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		foreign := provider.Set{Name: www, Type: "A", TTL: 60, Values: []string{"203.0.113.1"}}
		p := &fakeProvider{sets: []provider.Set{foreign}}
		e, _ := kept(t, map[string]*fakeProvider{"example.org": p})
		const api = "api.example.org."
		e.Want(keptZone("example.org"), append(wwwHost(30), steer.Host{Name: api, Owner: "ns/route"}))
		synctest.Wait()
		e.wantReport(t, www, false, "in the way")
		e.wantReport(t, api, true, "")
		if i := slices.IndexFunc(p.sets, func(s provider.Set) bool { return s.Name == www }); !slices.Equal(p.sets[i].Values, foreign.Values) || !p.has(api) {
			t.Errorf("the zone: %v", p.sets)
		}
		// Given up, the zone stays as it is.
		before := len(p.sets)
		e.Only(nil)
		p.elapse(2 * driftInterval)
		if _, ok := e.Host("example.org", www); ok || len(p.sets) != before || p.reads > 1 {
			t.Errorf("a zone that is given up is kept on: %d reads, %v", p.reads, p.sets)
		}
	})
}

// TestKeeperAsksNoMoreThanItMust counts what a zone costs.
func TestKeeperAsksNoMoreThanItMust(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fakeProvider{}
		e, _ := kept(t, map[string]*fakeProvider{"example.org": p})
		z := keptZone("example.org")
		check := func(what string, passes, made, reads int) {
			t.Helper()
			if len(p.ensured) != passes || p.made != made || p.reads != reads {
				t.Errorf("%s: %d passes, %d providers made, %d reads; want %d, %d, %d", what, len(p.ensured), p.made, p.reads, passes, made, reads)
			}
		}
		e.Want(z, wwwHost(30))
		p.elapse(2 * time.Second)
		check("the first time", 1, 1, 1)
		e.Want(z, wwwHost(30))
		p.elapse(2 * time.Second)
		check("nothing is new", 1, 1, 1)
		for ttl := range uint32(5) {
			e.Want(z, wwwHost(40+ttl))
			synctest.Wait()
		}
		p.elapse(2 * time.Second)
		check("a change at once, and four in the second after", 3, 1, 1)
		e.Nudge(z.Name)
		p.elapse(2 * time.Second)
		check("its credentials have changed", 4, 2, 2)
		again := z.DeepCopy()
		again.Generation++
		e.Want(again, wwwHost(44))
		p.elapse(2 * time.Second)
		check("its spec has changed", 5, 3, 3)
		p.sets = nil // somebody has emptied it
		p.elapse(driftInterval)
		check("five minutes later", 6, 4, 4)
		if !p.has(www) {
			t.Error("drift was not put right")
		}
		namesake := z.DeepCopy()
		namesake.UID = "another"
		e.Want(namesake, wwwHost(44))
		p.elapse(2 * time.Second)
		check("another zone of that name", 7, 5, 5)
	})
}
