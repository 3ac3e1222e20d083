package scaling

import (
	"errors"
	"fmt"
	"maps"

	"github.com/hanse-dev/hanse/internal/schedule"
)

// preferences are those to keep: what was, with what is asked for now. nil
// where nothing is left that differs from an even division.
func (r *Request) preferences(before *schedule.Preferences) *schedule.Preferences {
	if r.Even {
		return nil
	}
	if before == nil && len(r.Min)+len(r.Max)+len(r.Weight) == 0 {
		return nil
	}
	p := &schedule.Preferences{Clusters: map[string]schedule.ClusterPreferences{schedule.Others: {Weight: 1}}}
	if before != nil {
		p.Rebalance, p.Clusters = before.Rebalance, maps.Clone(before.Clusters)
		if p.Clusters == nil {
			p.Clusters = map[string]schedule.ClusterPreferences{}
		}
	}
	others := p.Clusters[schedule.Others]
	change := func(name string, change func(*schedule.ClusterPreferences)) {
		c, named := p.Clusters[name]
		if !named {
			c = others
		}
		change(&c)
		p.Clusters[name] = c
	}
	for name, n := range r.Min {
		change(name, func(c *schedule.ClusterPreferences) { c.MinReplicas = n })
	}
	for name, n := range r.Max {
		change(name, func(c *schedule.ClusterPreferences) { c.MaxReplicas = n })
	}
	for name, n := range r.Weight {
		change(name, func(c *schedule.ClusterPreferences) { c.Weight = n })
	}
	if before == nil && even(p) {
		return nil
	}
	return p
}

// even says whether preferences ask for nothing.
func even(p *schedule.Preferences) bool {
	for _, c := range p.Clusters {
		if c.MinReplicas != 0 || c.MaxReplicas != nil || c.Weight != 1 {
			return false
		}
	}
	_, others := p.Clusters[schedule.Others]
	return others && !p.Rebalance
}

func (r *Request) checkPreferences(p *schedule.Preferences) error {
	if p == nil {
		return nil
	}
	var weights int64
	for _, name := range keys(p.Clusters) {
		c := p.Clusters[name]
		weights += c.Weight
		if c.MaxReplicas != nil && c.MinReplicas > *c.MaxReplicas {
			return fmt.Errorf("cluster %s would have the minimum %d and the maximum %d. Try: --min %s=%d, or a higher maximum", name, c.MinReplicas, *c.MaxReplicas, name, *c.MaxReplicas)
		}
	}
	if weights == 0 && len(r.Weight) > 0 {
		return errors.New("all weights are zero. Try: --weight of one cluster above zero")
	}
	return nil
}

// of is what preferences say of a cluster.
func of(p *schedule.Preferences, cluster string) (c schedule.ClusterPreferences, ok bool) {
	if c, ok = p.Clusters[cluster]; ok {
		return c, true
	}
	c, ok = p.Clusters[schedule.Others]
	return c, ok
}

// within is the error of a count that preferences do not allow.
func within(p *schedule.Preferences, cluster string, n int32) error {
	if p == nil {
		return nil
	}
	switch c, listed := of(p, cluster); {
	case !listed && n > 0:
		return fmt.Errorf("cluster %s is not in the preferences, so that it gets no replicas. Try: --weight %s=1 first", cluster, cluster)
	case c.MaxReplicas != nil && int64(n) > *c.MaxReplicas:
		return fmt.Errorf("cluster %s may have at most %s, not %d. Try: --max %s=%d", cluster, replicas(*c.MaxReplicas), n, cluster, n)
	case int64(n) < c.MinReplicas:
		return fmt.Errorf("cluster %s must have at least %s, not %d. Try: --min %s=%d", cluster, replicas(c.MinReplicas), n, cluster, n)
	}
	return nil
}

// minima is the sum of those of clusters that are named.
func minima(p *schedule.Preferences) (sum int64) {
	if p == nil {
		return 0
	}
	for name, c := range p.Clusters {
		if name != schedule.Others {
			sum += c.MinReplicas
		}
	}
	return sum
}
