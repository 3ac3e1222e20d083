// Package residence says where what is in a namespace of the hub may be, and whom it may answer, by the Residencies in effect.
package residence

import (
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/internal/dns/route"
	"github.com/hanse-dev/hanse/internal/dns/steer"
	"github.com/hanse-dev/hanse/internal/policy"
	"github.com/hanse-dev/hanse/internal/propagate/policies"
)

// Residencies are those at the hub. Whoever has them guards them with a lock.
type Residencies struct {
	known policies.Policies
	made  map[string]*route.Residence // by namespace, as long as nothing changes
}

// New is without any.
func New() Residencies { return Residencies{known: policies.New()} }

// Write takes over what was written or deleted, and says whether others are in effect now. One that cannot be understood stays in
// effect as it was; one that never could be holds what it selects as it is, which says nothing of what is answered.
func (r *Residencies) Write(written []*unstructured.Unstructured, gone []types.UID) (changed bool) {
	return r.known.Write(written, gone)
}

// Replace is Write where these are all.
func (r *Residencies) Replace(all []*unstructured.Unstructured) (changed bool) {
	there := map[types.UID]bool{}
	for _, u := range all {
		there[u.GetUID()] = true
	}
	var gone []types.UID
	for _, known := range r.known.Known() {
		if uid := known.Object.GetUID(); !there[uid] {
			gone = append(gone, uid)
		}
	}
	return r.known.Write(all, gone)
}

// ByLabels says whether any selects by the labels of Namespaces.
func (r *Residencies) ByLabels() bool { return r.known.Index().ByNamespaceLabels() }

// Forget has all be worked out again: something changed.
func (r *Residencies) Forget() { r.made = nil }

// Of is where what is in a namespace may be, whose labels are known if it was read; nil: anywhere.
func (r *Residencies) Of(namespace string, labels map[string]string, read bool, clusters map[string]route.Cluster) *route.Residence {
	if of, made := r.made[namespace]; made {
		return of
	}
	var of *route.Residence
	switch all := r.known.Index().Residencies(namespace, labels); {
	case !read && r.ByLabels():
		of = nowhere("its Namespace has not been read yet", clusters)
	case len(all) > 0:
		of = together(all, clusters)
	}
	if r.made == nil {
		r.made = map[string]*route.Residence{}
	}
	r.made[namespace] = of
	return of
}

func nowhere(why string, clusters map[string]route.Cluster) *route.Residence {
	of := &route.Residence{Outside: map[string]string{}}
	for name := range clusters {
		of.Outside[name] = why
	}
	return of
}

// together is what Residencies come to.
func together(all []*policy.Policy, clusters map[string]route.Cluster) *route.Residence {
	of := &route.Residence{Outside: map[string]string{}}
	names := slices.Sorted(maps.Keys(clusters))
	for _, p := range all {
		for _, name := range names {
			cluster := clusters[name].Facts
			if why := p.Excludes(&cluster); why != "" && of.Outside[name] == "" {
				of.Outside[name] = why
			}
		}
		if rules := p.Serving(); len(rules) > 0 {
			if of.Serving == nil {
				of.Serving = &steer.Serving{}
			}
			of.Serving.Terms = append(of.Serving.Terms, term(p, rules, names, clusters))
		}
	}
	return of
}

func term(p *policy.Policy, rules []policy.Serving, names []string, clusters map[string]route.Cluster) steer.Term {
	t := steer.Term{Of: p.String()}
	for i := range rules {
		rule := steer.ServingRule{Continents: rules[i].Continents, Countries: rules[i].Countries, Clusters: []string{}}
		for _, name := range names {
			if cluster := clusters[name].Facts; rules[i].Allows(&cluster) {
				rule.Clusters = append(rule.Clusters, name)
			}
		}
		t.Rules = append(t.Rules, rule)
	}
	return t
}

// ForAll are hosts as others serve them, who are not trusted to tell apart whom which cluster may answer.
func ForAll(hosts []steer.Host) []steer.Host {
	out := slices.Clone(hosts)
	for i := range out {
		if out[i].Serving != nil {
			out[i] = out[i].ForAll()
		}
	}
	return out
}
