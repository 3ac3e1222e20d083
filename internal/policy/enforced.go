package policy

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/override"
)

// under is p with what enforced policies leave of it. They are in order, and not to be modified. p stays as it is.
//
// Nothing in the result allows more than any of them does: its clusters, maxima and tolerations are those that all allow, and
// their overrides come last.
func (p *Policy) under(enforced []*Policy) *Policy {
	if len(enforced) == 0 {
		return p
	}
	c := *p
	c.base, c.enforced = p, enforced
	for _, e := range enforced {
		if c.held == "" {
			c.held = e.held
		}
		if len(e.Tolerations) > 0 {
			c.Tolerations = slices.DeleteFunc(slices.Clone(c.Tolerations), func(t corev1.Toleration) bool {
				return !slices.ContainsFunc(e.Tolerations, func(allowed corev1.Toleration) bool { return covers(&allowed, &t) })
			})
		}
	}
	return &c
}

// covers says whether all that t tolerates, and as long as it does, a tolerates, too.
func covers(a, t *corev1.Toleration) bool {
	operator := func(t *corev1.Toleration) corev1.TolerationOperator {
		if t.Operator == "" {
			return corev1.TolerationOpEqual
		}
		return t.Operator
	}
	switch {
	case a.Effect != "" && a.Effect != t.Effect:
		return false
	case a.TolerationSeconds != nil && (t.TolerationSeconds == nil || *t.TolerationSeconds > *a.TolerationSeconds):
		return false
	case a.Key == "" && operator(a) == corev1.TolerationOpExists:
		return true
	case a.Key != t.Key:
		return false
	}
	return operator(a) == corev1.TolerationOpExists || operator(t) == corev1.TolerationOpEqual && a.Value == t.Value
}

// Ceiling is the most replicas that enforced policies let a cluster have; ok is false if they do not say.
func (p *Policy) Ceiling(cluster string) (most int32, ok bool) {
	for _, e := range p.enforced {
		if limit := e.LimitsOf(cluster).Max; limit != nil && (!ok || *limit < most) {
			most, ok = *limit, true
		}
	}
	return most, ok
}

// Caps says whether enforced policies have maxima.
func (p *Policy) Caps() bool {
	return slices.ContainsFunc(p.enforced, func(e *Policy) bool {
		for _, l := range e.Limits {
			if l.Max != nil {
				return true
			}
		}
		return false
	})
}

// capped is limits with the ceiling of a cluster.
func (p *Policy) capped(l v1alpha1.ClusterLimits, cluster string) v1alpha1.ClusterLimits {
	most, ok := p.Ceiling(cluster)
	if !ok {
		return l
	}
	if l.Max == nil || *l.Max > most {
		l.Max = &most
	}
	l.Min = min(l.Min, *l.Max)
	return l
}

// Bars is why an enforced policy keeps a cluster from having what p applies to, whatever else says that it is to be there;
// empty: none does.
func (p *Policy) Bars(c *Cluster) string {
	if p == nil {
		return ""
	}
	for _, e := range p.enforced {
		if len(e.groups) == 0 {
			continue
		}
		if e.isResidency {
			if why := e.Excludes(c); why != "" {
				return why
			}
			continue
		}
		if at, why := placeIn(e.groups, c); at < 0 {
			return e.String() + ", which is enforced: " + why
		}
	}
	return ""
}

// Barring is an enforced policy that bars all of some clusters; nil: none does.
func (p *Policy) Barring(clusters []Cluster) *Policy {
	for _, e := range p.enforced {
		bars := len(clusters) > 0
		for i := range clusters {
			at, _ := placeIn(e.groups, &clusters[i])
			bars = bars && len(e.groups) > 0 && (e.isResidency && e.Excludes(&clusters[i]) != "" || !e.isResidency && at < 0)
		}
		if bars {
			return e
		}
	}
	return nil
}

// restricts says whether enforced policies bar clusters at all.
func (p *Policy) restricts() bool {
	return slices.ContainsFunc(p.enforced, func(e *Policy) bool { return len(e.groups) > 0 })
}

// enforcedOverrides are those of the enforced policies for a cluster, and its ceiling, for after all others.
func (p *Policy) enforcedOverrides(c *Cluster, before []override.Override) []override.Override {
	for _, e := range p.enforced {
		if e != p.base {
			before = append(before, e.Overrides(c)...)
		}
	}
	if most, ok := p.Ceiling(c.Name); ok && len(before) > 0 {
		before = append(before, override.Override{Name: fmt.Sprintf("the maximum %d of what is enforced", most), Spec: &v1alpha1.Override{}, AtMost: &most})
	}
	return before
}

// besides names the enforced policies that hold besides p, for people.
func (p *Policy) besides(enforced []*Policy) string {
	var names []string
	for _, e := range enforced {
		if e != p {
			names = append(names, e.String())
		}
	}
	if len(names) == 0 {
		return ""
	}
	return "; enforced besides: " + strings.Join(names, ", ")
}

// combinations are policies under others. They are made when they are asked for, and the same as long as their parts are, so
// that a change of other policies is none for what they apply to.
type combinations struct {
	none *Policy // for what no policy applies to
	mu   sync.Mutex
	made map[string]*Policy
}

func newCombinations() *combinations {
	return &combinations{none: NoPolicy(), made: map[string]*Policy{}}
}

// of is p under enforced policies.
func (c *combinations) of(p *Policy, enforced []*Policy) *Policy {
	if len(enforced) == 0 {
		return p
	}
	var key strings.Builder
	for _, part := range append([]*Policy{p}, enforced...) {
		fmt.Fprintf(&key, "%s %s %d %p\n", part, part.UID, part.Generation, part)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if made, ok := c.made[key.String()]; ok {
		return made
	}
	made := p.under(enforced)
	c.made[key.String()] = made
	return made
}

// kept are those all of whose parts are still there.
func (c *combinations) kept(policies []*Policy) *combinations {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := newCombinations()
	out.none = c.none
	there := map[*Policy]bool{c.none: true}
	for _, p := range policies {
		there[p] = true
	}
	for key, made := range c.made {
		if there[made.base] && !slices.ContainsFunc(made.enforced, func(e *Policy) bool { return !there[e] }) {
			out.made[key] = made
		}
	}
	return out
}
