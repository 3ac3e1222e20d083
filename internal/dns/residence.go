package dns

import (
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/internal/dns/route"
	"github.com/hanse-dev/hanse/internal/dns/steer"
	"github.com/hanse-dev/hanse/internal/policy"
	"github.com/hanse-dev/hanse/internal/watch"
)

// residencySink keeps the Residencies in effect. One that cannot be understood stays in effect as it was; one that never could be
// holds what it selects as it is, which says nothing of what is answered.
func (c *Controller) residencySink(listed func()) watch.Sink[*unstructured.Unstructured] {
	k := c.caches
	change := func(written []*unstructured.Unstructured, gone []types.UID) {
		k.change(func(d *dirty) {
			if k.residencies.Write(written, gone) {
				d.everything, d.services = true, true
			}
		})
	}
	return watch.Sink[*unstructured.Unstructured]{
		Replace: func(all []*unstructured.Unstructured) {
			there := map[types.UID]bool{}
			for _, u := range all {
				there[u.GetUID()] = true
			}
			var gone []types.UID
			for _, known := range k.residencies.Known() { // this sink alone changes them
				if uid := known.Object.GetUID(); !there[uid] {
					gone = append(gone, uid)
				}
			}
			change(all, gone)
			listed()
		},
		Apply:  func(u *unstructured.Unstructured) { change([]*unstructured.Unstructured{u}, nil) },
		Remove: func(u *unstructured.Unstructured) { change(nil, []types.UID{u.GetUID()}) },
	}
}

// Residence is part of route.World.
func (c *caches) Residence(namespace string) *route.Residence {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r, known := c.residences[namespace]; known {
		return r
	}
	var r *route.Residence
	of, read := c.namespaces[namespace]
	switch all := c.residencies.Index().Residencies(namespace, of); {
	case !read && c.residencies.Index().ByNamespaceLabels():
		r = c.nowhere("its Namespace has not been read yet")
	case len(all) > 0:
		r = c.residence(all)
	}
	if c.residences == nil {
		c.residences = map[string]*route.Residence{}
	}
	c.residences[namespace] = r
	return r
}

// nowhere is in no cluster; the caller holds mu.
func (c *caches) nowhere(why string) *route.Residence {
	r := &route.Residence{Outside: map[string]string{}}
	for name := range c.clusters {
		r.Outside[name] = why
	}
	return r
}

// residence is what Residencies come to together; the caller holds mu.
func (c *caches) residence(all []*policy.Policy) *route.Residence {
	r := &route.Residence{Outside: map[string]string{}}
	names := slices.Sorted(maps.Keys(c.clusters))
	for _, p := range all {
		for _, name := range names {
			cluster := c.clusters[name].Facts
			if why := p.Excludes(&cluster); why != "" && r.Outside[name] == "" {
				r.Outside[name] = why
			}
		}
		if rules := p.Serving(); len(rules) > 0 {
			if r.Serving == nil {
				r.Serving = &steer.Serving{}
			}
			r.Serving.Terms = append(r.Serving.Terms, c.term(p, rules, names))
		}
	}
	return r
}

func (c *caches) term(p *policy.Policy, rules []policy.Serving, names []string) steer.Term {
	t := steer.Term{Of: p.String()}
	for i := range rules {
		rule := steer.ServingRule{Continents: rules[i].Continents, Countries: rules[i].Countries, Clusters: []string{}}
		for _, name := range names {
			if cluster := c.clusters[name].Facts; rules[i].Allows(&cluster) {
				rule.Clusters = append(rule.Clusters, name)
			}
		}
		t.Rules = append(t.Rules, rule)
	}
	return t
}
