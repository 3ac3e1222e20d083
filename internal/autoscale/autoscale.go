// Package autoscale divides the bounds of a HorizontalPodAutoscaler over the
// clusters that have its target, so that each cluster's own autoscaler scales by
// its own load, and all together keep to the bounds. It is pure: the same input
// gives the same division, and nothing is read or written.
//
// The sum of what the clusters' autoscalers may do never exceeds the maximum,
// also not while it changes: what is to be higher somewhere is first taken away
// elsewhere, and given when that is confirmed. A cluster that reaches its maximum
// is given headroom that others do not use, step by step; they keep some, so
// that it does not go back and forth.
package autoscale

import (
	"cmp"
	"slices"
)

// Bounds are those of one cluster's autoscaler.
type Bounds struct {
	Min int32 `json:"min"`
	// Max is 0 where the cluster is to have no autoscaler.
	Max int32 `json:"max"`
	// Had is a higher maximum that the autoscaler may still have, until it is
	// confirmed that it has Max; 0: none.
	Had int32 `json:"had,omitempty"`
}

// Cluster is what is known of one cluster.
type Cluster struct {
	Name string
	// Replicas is the target's share there; 0: the cluster is to have none.
	Replicas int32
	// Bounds until now; zero: none.
	Bounds Bounds
	// Confirmed is that the cluster's autoscaler has these bounds, or is gone
	// where Max is 0.
	Confirmed bool
	// Away clusters cannot be written to: they have what they have.
	Away bool
	// Uses is how many replicas the autoscaler there has or wants, within its
	// bounds; Wants that it would have more than its maximum.
	Uses  int32
	Wants bool
	// Limit is the most that other rules let the cluster have; 0: none.
	Limit int32
}

// part is a cluster during a division.
type part struct {
	Cluster
	may int64 // the highest maximum that its autoscaler may have now
	max int64 // that it is to have in the end
}

// Divide says which bounds each cluster's autoscaler is to have now, by name;
// those that are not in the result have none. minimum and maximum are those of
// the whole.
func Divide(minimum, maximum int32, clusters []Cluster) map[string]Bounds {
	parts := make([]*part, 0, len(clusters))
	for _, c := range clusters {
		p := &part{Cluster: c, may: int64(max(c.Bounds.Max, c.Bounds.Had))}
		if c.Confirmed {
			p.may = int64(c.Bounds.Max)
		}
		parts = append(parts, p)
	}
	slices.SortFunc(parts, func(a, b *part) int { return cmp.Compare(a.Name, b.Name) })
	whole := int64(max(1, minimum, maximum))
	free := whole
	for _, p := range parts {
		if p.Away {
			free -= p.may
		}
	}
	aim(chosen(parts, free), free)
	return settle(parts, int64(max(1, minimum)), whole)
}

// chosen are the clusters that take part: those with replicas, as many as there
// can be with one replica each.
func chosen(parts []*part, free int64) []*part {
	var in []*part
	for _, p := range parts {
		if !p.Away && p.Replicas > 0 {
			in = append(in, p)
		}
	}
	slices.SortStableFunc(in, func(a, b *part) int {
		return cmp.Or(cmp.Compare(min(1, b.may), min(1, a.may)), cmp.Compare(b.Replicas, a.Replicas))
	})
	in = in[:min(int64(len(in)), max(0, free))]
	slices.SortFunc(in, func(a, b *part) int { return cmp.Compare(a.Name, b.Name) })
	return in
}

// aim sets the maxima that the clusters are to have in the end, which add up to
// free unless limits are in the way.
func aim(in []*part, free int64) {
	sum := int64(0)
	for _, p := range in {
		p.max = min(max(int64(p.Bounds.Max), int64(p.Replicas), 1), p.limit())
		sum += p.max
	}
	get := func(p *part) int64 { return p.max }
	set := func(p *part, n int64) { p.max = n }
	limit := (*part).limit
	switch rest := free - sum; {
	case rest < 0:
		rest = -rest
		rest -= drain(in, get, set, (*part).used, rest)
		drain(in, get, set, func(*part) int64 { return 1 }, rest)
	case rest > 0:
		rest -= fill(wanting(in), get, set, limit, rest)
		fill(in, get, set, limit, rest)
	default:
		shift(in, get, set)
	}
}

// shift moves a step of headroom from those that do not use theirs to those
// that want more.
func shift(in []*part, get func(*part) int64, set func(*part, int64)) {
	to := wanting(in)
	from := slices.DeleteFunc(slices.Clone(in), func(p *part) bool { return p.Wants })
	steps := make(map[*part]int64, len(to))
	var asked, spare int64
	for _, p := range to {
		steps[p] = min(p.max+max(1, p.max/2), p.limit())
		asked += steps[p] - p.max
	}
	for _, p := range from {
		spare += max(0, p.max-p.reserved())
	}
	moved := drain(from, get, set, (*part).reserved, min(asked, spare))
	fill(to, get, set, func(p *part) int64 { return steps[p] }, moved)
}

func wanting(in []*part) []*part {
	return slices.DeleteFunc(slices.Clone(in), func(p *part) bool { return !p.Wants })
}

func (p *part) limit() int64 {
	if p.Limit > 0 {
		return int64(p.Limit)
	}
	return 1<<31 - 1
}

// used is what a cluster needs to stay as it is.
func (p *part) used() int64 {
	return max(1, int64(p.Uses), int64(p.Replicas), int64(p.Bounds.Min))
}

// reserved is what a cluster keeps of headroom that others want: what it uses
// and a quarter more, so that a little more load there does not take it back.
func (p *part) reserved() int64 { return p.used() + 1 + p.used()/4 }

// settle is the bounds that can be had now: what is lowered at once, what is
// raised as far as the whole allows while others may have theirs.
func settle(parts []*part, minimum, whole int64) map[string]Bounds {
	now := make(map[*part]int64, len(parts))
	var rising []*part
	budget := whole
	for _, p := range parts {
		budget -= p.may
		now[p] = min(p.max, p.may)
		if !p.Away && p.max > p.may {
			rising = append(rising, p)
		}
	}
	fill(rising, func(p *part) int64 { return now[p] }, func(p *part, n int64) { now[p] = n },
		func(p *part) int64 { return p.max }, max(0, budget))
	out := map[string]Bounds{}
	for _, p := range parts {
		switch {
		case p.Away && p.may > 0:
			out[p.Name] = p.Bounds
		case p.Away:
		case p.may > now[p]:
			out[p.Name] = Bounds{Max: int32(now[p]), Had: int32(p.may)}
		case now[p] > 0:
			out[p.Name] = Bounds{Max: int32(now[p])}
		}
	}
	setMinima(parts, out, minimum)
	return out
}

// setMinima divides the minimum over the clusters that have an autoscaler: at
// least 1 each, as the API wants, and what they had before as far as it goes.
func setMinima(parts []*part, out map[string]Bounds, minimum int64) {
	least := map[*part]int64{}
	var in []*part
	sum := int64(0)
	for _, p := range parts {
		b := out[p.Name]
		switch {
		case b.Max == 0:
		case p.Away:
			sum += int64(b.Min)
		default:
			in = append(in, p)
			least[p] = int64(max(1, min(p.Bounds.Min, b.Max)))
			sum += least[p]
		}
	}
	get := func(p *part) int64 { return least[p] }
	set := func(p *part, n int64) { least[p] = n }
	fill(in, get, set, func(p *part) int64 { return int64(out[p.Name].Max) }, max(0, minimum-sum))
	drain(in, get, set, func(*part) int64 { return 1 }, max(0, sum-minimum))
	for _, p := range in {
		b := out[p.Name]
		b.Min = int32(least[p])
		out[p.Name] = b
	}
}
