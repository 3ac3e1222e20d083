package schedule

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// decision says what came out, and why.
func (r *run) decision(left int64) Decision {
	d := Decision{Divided: true, Unplaced: int32(min(left, 1<<31-1)), Waits: r.waits || r.crowded(), Ignored: sortedUnique(r.ignored)}
	nobody := r.addMembers(&d)
	r.addStrangers(&d)
	if r.total == 0 && len(d.Shares) == 0 && nobody != nil {
		d.Rejected = slices.DeleteFunc(d.Rejected, func(x Rejection) bool { return x.Cluster == nobody.Name })
		d.Shares = append(d.Shares, Share{Cluster: nobody.Name, Reason: "keeps the object, with 0 replicas"})
	}
	d.Unmet, d.Losses = r.unmet(), r.losses()
	d.Reason = r.reason(left, &d)
	return d
}

// addMembers adds the shares and rejections, and returns who would hold the
// object if nobody had to run it.
func (r *run) addMembers(d *Decision) (holder *member) {
	shares := 0
	for i := range r.members {
		if m := &r.members[i]; m.n > 0 || m.held {
			shares++
		}
	}
	d.Shares = make([]Share, 0, shares)
	if n := len(r.members) - shares; n > 0 {
		d.Rejected = make([]Rejection, 0, n)
	}
	var said phrases
	all := r.spanned()
	for i := range r.members {
		m := &r.members[i]
		switch {
		case m.n == 0 && (!m.held || m.standing == out || m.gone):
			why := m.why
			if m.standing == open {
				why = r.cause(m)
			}
			if why == "" {
				why = "no replicas left for it"
				if holder == nil || m.rank < holder.rank || m.rank == holder.rank && m.Name < holder.Name {
					holder = m
				}
			}
			d.Rejected = append(d.Rejected, Rejection{m.Name, why})
		default:
			d.Shares = append(d.Shares, Share{m.Name, int32(m.n), r.shareReason(m, &all, &said), m.standing != open})
		}
	}
	return holder
}

// addStrangers says what became of clusters that have left.
func (r *run) addStrangers(d *Decision) {
	known := 0
	for i := range r.members {
		if r.members[i].held {
			known++
		}
	}
	if known == len(r.w.Current) {
		return
	}
	for name := range r.w.Current {
		if _, found := slices.BinarySearchFunc(r.members, name, func(m member, n string) int { return cmp.Compare(m.Name, n) }); !found {
			d.Rejected = append(d.Rejected, Rejection{name, "no longer a member"})
		}
	}
	slices.SortFunc(d.Rejected, func(a, b Rejection) int { return cmp.Compare(a.Cluster, b.Cluster) })
}

// phrases are reasons with a number that many clusters share.
type phrases struct{ raised, lowered, least [32]string }

func (p *phrases) of(table *[32]string, format string, n int64) string {
	if n < 0 || n >= int64(len(table)) {
		return fmt.Sprintf(format, n)
	}
	if table[n] == "" {
		table[n] = fmt.Sprintf(format, n)
	}
	return table[n]
}

func (r *run) shareReason(m *member, all *span, said *phrases) string {
	switch m.standing {
	case frozen:
		return "kept: not ready"
	case leaving:
		switch {
		case m.before == 0:
			return m.why
		case m.n == 0:
			return fmt.Sprintf("%s: its %d fail over", m.why, m.before)
		default:
			return fmt.Sprintf("%s: %d of %d stay, because no other cluster can take them", m.why, m.n, m.before)
		}
	case keeping:
		if m.n == m.before {
			return "as before; " + m.why
		}
	}
	switch {
	case r.w.Preferences != nil && m.n != m.before:
		return "by the preferences"
	case r.fresh:
		return r.givenReason(m, all)
	case m.n < m.before && m.cut:
		return fmt.Sprintf("lowered from %d: %s", m.before, r.cause(m))
	case m.n > m.before && m.n == m.least:
		return said.of(&said.least, "raised from %d: its minimum", m.before)
	case m.n > m.before && r.strategy == Evenly && m.before == all.fewest && m.n <= all.least+1:
		return said.of(&said.raised, "raised from %d: had the fewest", m.before)
	case m.n > m.before:
		return fmt.Sprintf("raised from %d: %s", m.before, r.givenReason(m, all))
	case m.n < m.before && m.before == all.mostBefore:
		return said.of(&said.lowered, "lowered from %d: had the most", m.before)
	case m.n < m.before && r.proportional():
		return fmt.Sprintf("lowered from %d: %s", m.before, r.strategyReason(m))
	case m.n < m.before && m.n+1 < all.most:
		return fmt.Sprintf("lowered from %d: other clusters are preferred", m.before)
	case m.n < m.before:
		return fmt.Sprintf("lowered from %d: %s", m.before, r.evenShare(m))
	}
	return AsBefore
}

// span is what the clusters that may be given more have, and had: that a share is even
// can be said only next to the others'.
type span struct {
	fewest, mostBefore int64 // before
	least, most        int64 // now
	last               *member
}

func (r *run) spanned() (s span) {
	for i := range r.members {
		m := &r.members[i]
		if m.standing != open {
			continue
		}
		if s.last == nil || m.before < s.fewest {
			s.fewest = m.before
		}
		if s.last == nil || m.n < s.least {
			s.least, s.last = m.n, m
		}
		s.mostBefore, s.most = max(s.mostBefore, m.before), max(s.most, m.n)
	}
	return s
}

// givenReason is why a cluster was given as much as it was: by the strategy, unless that
// is not what made it so.
func (r *run) givenReason(m *member, all *span) string {
	if r.strategy != Evenly || m.n == m.least && m.least > 0 || m.n == m.most || r.policy.Strategy == Duplicate {
		return r.strategyReason(m)
	}
	if m.n+1 < all.most {
		if why := r.causeIn(m, func(rule *rule, _ int32) string { return rule.text }, r.roomIn); why != "" {
			return "as much as it can take: " + why
		}
	}
	if m.n > all.least+1 {
		switch {
		case len(r.spreads) > 0:
			return "for the spread that " + r.policy.title() + " wants"
		case r.cause(all.last) != "":
			return "other clusters cannot take more"
		case m.group < all.last.group:
			return "preferred to other clusters by " + r.policy.title()
		default:
			return "its pods prefer it"
		}
	}
	return r.evenShare(m)
}

// evenShare is the reason for a share that is even, with the rule of the pods that could
// have made it another.
func (r *run) evenShare(m *member) string {
	rule := r.governing(m)
	if rule == nil {
		return "even share"
	}
	if rule.even == "" {
		rule.even = "even share; " + rule.text
	}
	return rule.even
}

// governing is the first rule of the pods about each other that has a say in how many of
// them a cluster can take, also where it has let all in; nil if there is none.
func (r *run) governing(m *member) *rule {
	for _, rule := range r.moving {
		if rule.kind != apart && rule.kind != skewed {
			continue
		}
		for u := m.units; u < m.until; u++ {
			if rule.of[r.units[u].site] >= 0 {
				return rule
			}
		}
	}
	return nil
}

// strategyReason is why a cluster was given replicas by the strategy.
func (r *run) strategyReason(m *member) string {
	switch {
	case r.policy.Strategy == Duplicate:
		return "all replicas"
	case m.n == m.least && m.least > 0:
		return "its minimum"
	case m.n == m.most:
		return "its maximum"
	}
	switch r.strategy {
	case Weighted:
		return fmt.Sprintf("by its weight of %d", m.weight)
	case FreeCapacity:
		return "by what is free there"
	case Pack:
		return "packed"
	case Cheapest:
		if m.cost == 0 {
			return "its price is not known"
		}
		return fmt.Sprintf("costs %.4g a replica", m.cost)
	}
	return "even share"
}

// cause is why a cluster cannot be given more, or "".
func (r *run) cause(m *member) string { return r.causeIn(m, (*rule).detail, r.roomIn) }

// causeIn is cause with a choice of how a rule, or that there is no room, is said.
func (r *run) causeIn(m *member, say func(*rule, int32) string, full func(*member) string) string {
	if m.standing != open {
		return m.why
	}
	if r.w.Preferences != nil && m.n >= m.most {
		return cmp.Or(m.why, fmt.Sprintf("the preferences give it %d", m.most))
	}
	if m.n >= m.most {
		return fmt.Sprintf("at its maximum of %d", m.most)
	}
	if m.weight == 0 && r.strategy == Weighted {
		return "its weight is 0"
	}
	why := ""
	for i := m.units; i < m.until; i++ {
		u := &r.units[i]
		switch rule := r.refused(u, anyKind); {
		case u.closed != 0:
			why = say(r.rules[u.closed-1], u.site)
		case u.room <= 0:
			why = full(m)
		case rule != nil:
			why = say(rule, u.site)
		default:
			return ""
		}
	}
	return why
}

// reason is what is unusual about the whole.
func (r *run) reason(left int64, d *Decision) string {
	var away int64
	waiting := len(r.members) > 0
	for i := range r.members {
		m := &r.members[i]
		if m.standing == frozen {
			away += m.n
		}
		waiting = waiting && m.why == "not ready"
	}
	notes := r.notes
	if d.Unmet != "" {
		notes = append(notes, d.Unmet)
	}
	switch {
	case away > r.total && r.strategy != Duplicate:
		notes = append(notes, fmt.Sprintf("clusters that are not ready hold %d, more than the total of %d", away, r.total))
	case len(r.members) == 0:
		notes = append(notes, "no cluster has joined")
	case waiting && (left > 0 || len(d.Shares) == 0):
		notes = append(notes, "no cluster is ready")
	case left > 0:
		notes = append(notes, fmt.Sprintf("%d of %d replicas fit nowhere: %s", left, r.total, r.tally(nil)))
	case r.w.Selector != nil && r.w.Selector.hub && len(d.Shares) == 0:
		notes = append(notes, "its cluster selector keeps it at the hub")
	}
	return strings.Join(notes, "; ")
}

// tally is the causes by how many of some clusters have them; of all, if which is nil.
func (r *run) tally(which func(*member) bool) string {
	count := map[string]int{}
	for i := range r.members {
		if which != nil && !which(&r.members[i]) {
			continue
		}
		why := r.causeIn(&r.members[i], func(rule *rule, _ int32) string { return rule.text },
			func(*member) string { return "no room for " + r.request.String() })
		if why == "" {
			why = "could take more"
		}
		count[why]++
	}
	type cause struct {
		why string
		n   int
	}
	var causes []cause
	for why, n := range count {
		causes = append(causes, cause{why, n})
	}
	slices.SortFunc(causes, func(a, b cause) int { return cmp.Or(cmp.Compare(b.n, a.n), cmp.Compare(a.why, b.why)) })
	var parts []string
	for i, c := range causes {
		if i == 5 {
			parts = append(parts, fmt.Sprintf("%d more reasons", len(causes)-i))
			break
		}
		clusters := "clusters"
		if c.n == 1 {
			clusters = "cluster"
		}
		parts = append(parts, fmt.Sprintf("%d %s: %s", c.n, clusters, c.why))
	}
	return strings.Join(parts, "; ")
}

func sortedUnique(keys []string) []string {
	if len(keys) == 0 {
		return nil
	}
	return slices.Compact(slices.Sorted(slices.Values(keys)))
}

// note keeps what is unusual about the whole, for the reason.
func (r *run) note(format string, args ...any) {
	r.notes = append(r.notes, fmt.Sprintf(format, args...))
}
