package schedule

import (
	"cmp"
	"slices"
	"strings"

	"github.com/hanse-dev/hanse/internal/schedule/apportion"
)

// planned is an open cluster, and what the preferences say that it is to have.
type planned struct {
	member *member
	apportion.Claim
}

// divideByPreferences is divide for preferences. Constraints come after, which
// Federation v1 did not know: what they do not let in stays unplaced by its own
// annotations, and goes to whoever can take more by Hanse's.
func (r *run) divideByPreferences() (left int64) {
	left = r.total
	var all []*planned
	for i := range r.members {
		m := &r.members[i]
		if m.standing == frozen || m.standing == keeping {
			left -= m.n
		}
		if m.standing != open {
			continue
		}
		if p := r.preferred(m); p != nil {
			all = append(all, p)
		}
	}
	left = max(0, left)
	switch {
	case r.w.ByRemainder:
		r.planByRemainder(left, all)
	default:
		claims := make([]*apportion.Claim, len(all))
		for i, p := range all {
			claims[i] = &p.Claim
		}
		apportion.LikeV1(left, claims, r.w.Preferences.Rebalance)
	}
	for i := range r.members {
		if m := &r.members[i]; m.standing == open {
			m.most = 0
		}
	}
	for _, p := range all {
		p.member.most = p.Given
	}
	r.strategy = Evenly
	for i := range r.members {
		m := &r.members[i]
		for u := m.units; m.standing == open && u < m.until && m.n > m.most; u++ {
			r.take(&r.units[u], min(r.units[u].n, m.n-m.most))
		}
		if m.standing == open {
			left -= m.n
		}
	}
	var aim int64
	for _, p := range all {
		aim += p.Given - p.member.n
	}
	left = left - aim + r.raise(aim)
	if !r.w.ByRemainder {
		return left
	}
	r.strategy = Weighted // what a rule kept from some, others may have
	for _, p := range all {
		p.member.most, p.member.weight = p.Max, p.Weight
	}
	return r.raise(left)
}

// preferred is what the preferences say of an open cluster, nil if it is to have
// nothing.
func (r *run) preferred(m *member) *planned {
	pref, ok := r.w.Preferences.Clusters[m.Name]
	if !ok {
		if pref, ok = r.w.Preferences.Clusters[Others]; !ok {
			m.most, m.why = 0, "not in the preferences"
			return nil
		}
	}
	_, object, _ := strings.Cut(r.w.Key, "/")
	p := &planned{member: m, Claim: apportion.Claim{
		Hash: apportion.Hash(m.Name, object), Min: pref.MinReplicas, Max: unlimited, Weight: pref.Weight, Current: m.before, Capacity: m.n}}
	if pref.MaxReplicas != nil {
		p.Max = *pref.MaxReplicas
	}
	if most, ok := r.policy.Ceilings[m.Name]; ok {
		p.Max, p.Min = min(p.Max, int64(most)), min(p.Min, int64(most))
	}
	for u := m.units; u < m.until; u++ {
		p.Capacity = min(unlimited, p.Capacity+r.space(&r.units[u]))
	}
	return p
}

// planByRemainder is plan for Hanse's own preferences: minima first; then, unless it is
// to rebalance, what runs; then by weight, each as near to its part as the others let
// it.
func (r *run) planByRemainder(total int64, all []*planned) {
	slices.SortFunc(all, func(a, b *planned) int { // who has its minimum first, and room for it
		return cmp.Or(cmp.Compare(b.Weight, a.Weight), cmp.Compare(a.member.rank, b.member.rank), cmp.Compare(a.member.Name, b.member.Name))
	})
	parts := make([]apportion.Part, len(all))
	rest := total
	var kept int64
	for i, p := range all {
		q := &parts[i]
		*q = apportion.Part{Weight: p.Weight, Low: min(p.Min, rest, p.Capacity), High: min(p.Max, p.Capacity), Rank: p.member.rank}
		rest -= q.Low
		if runs := max(q.Low, min(p.Current, q.High)); !r.w.Preferences.Rebalance {
			kept += runs
		}
	}
	for i, p := range all {
		q := &parts[i]
		runs := max(q.Low, min(p.Current, q.High))
		switch {
		case r.w.Preferences.Rebalance:
		case kept <= total:
			q.Low = runs
		default:
			q.High = runs
		}
	}
	if !r.w.Preferences.Rebalance && kept > total {
		apportion.Reduce(total, parts)
	} else {
		apportion.Divide(total, parts)
	}
	for i, p := range all {
		p.Given = parts[i].Given
	}
}
