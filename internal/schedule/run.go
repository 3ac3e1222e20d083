package schedule

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/hanse-dev/hanse/internal/schedule/constraints"
)

// standing is what may be done with a cluster.
type standing int8

const (
	open    standing = iota // may be given more
	keeping                 // keeps what it has, is given nothing new
	frozen                  // not reachable: has what it has
	leaving                 // is emptied as far as others can take it
	out                     // has no part in this
)

// member is a cluster during one decision.
type member struct {
	*Cluster
	rank uint64
	// Looked at for each replica, and therefore side by side.
	n            int64 // replicas now
	placed       int64 // of n, those that were not there before
	most         int64 // bounds; see least
	units, until int32 // its part of run.units
	standing     standing
	gone         bool // leaving: the object goes with the last replica
	mismatched   bool // leaving because of what the template asks of nodes
	cut          bool // has less than before because a rule or a maximum says so
	held         bool // in Current
	noSchedule   bool
	group        int32
	why          string // of any standing but open
	before       int64  // replicas in Current
	prior        int64  // before, unless all is divided again: then nothing may depend on it, or it would never come to rest
	least        int64
	weight       int64
	aim          int64 // what it is to have by its weight, while replicas are placed one by one
	cost         float64
	preferNot    int64
}

// unit is sites of one cluster that no rule can tell apart.
type unit struct {
	member int32
	site   int32 // one of them
	class  int32
	closed int32 // 1 + the rule that keeps everything new away; 0: none
	group  int32 // the member's, as is rank: here they are at hand
	rank   uint64
	seen   int64 // the member's replicas when the unit was last put in order
	score  int64
	n      int64
	own    int64 // pods of the workload that are known to be there
	room   int64 // how many more fit
	more   int64 // how many more than that, if others are preempted
}

// run is one decision in the making.
type run struct {
	s        *Snapshot
	x        *sites // nil where nothing asks for it
	w        *Workload
	policy   *Policy
	strategy Strategy
	*workspace
	rules   []*rule
	whole   bool    // nothing tells the parts of a cluster apart: each is one unit
	moving  []*rule // rules that own replicas change
	spreads []*usage
	nodes   *constraints.NodeAffinity
	request Resources
	classes int32
	total   int64 // wanted in all, what is frozen included
	evicted int64 // what leaving clusters have
	fresh   bool
	waits   bool // with more room elsewhere, some would be there
	notes   []string
	ignored []string
}

// Schedule places a workload; see the function of this name.
func (s *Snapshot) Schedule(w *Workload) Decision {
	if !w.Divided {
		return s.everywhere(w)
	}
	space, ok := s.spare.Get().(*workspace)
	if !ok {
		space = &workspace{}
	}
	r := &run{s: s, w: w, workspace: space, policy: w.Policy, total: max(0, int64(w.Total)), fresh: len(w.Current) == 0}
	if r.policy == nil {
		r.policy = &Policy{}
	}
	d := r.decide()
	s.spare.Put(space)
	return d
}

// workspace is memory that decisions take turns to use.
type workspace struct {
	members []member // by name
	units   []unit
	turns   []turn
}

func (r *run) decide() Decision {
	w := r.w
	if r.strategy = r.policy.Strategy; r.strategy == "" {
		r.strategy = Evenly
	}
	problem := r.problem()
	if problem != "" {
		return r.hold(problem)
	}
	r.enlist()
	r.settle()
	r.seed()
	left := r.divide()
	if w.Selector != nil && w.Selector.hub && !slices.ContainsFunc(r.members, func(m member) bool { return m.standing != out }) {
		r.total, left = 0, 0 // it is where it is to be
	}
	d := r.decision(left)
	d.Problem = w.Warning
	return d
}

// problem reads what may be wrong with the input.
func (r *run) problem() string {
	if r.w.Problem != "" {
		return r.w.Problem
	}
	if p := r.policy.problem(r.s); p != "" {
		return p
	}
	if len(r.policy.Spread) > 0 || r.w.Template != nil {
		r.x = r.s.index()
	}
	if sel := r.w.Selector; sel != nil && !sel.hub && len(r.s.clusters) > 0 &&
		!slices.ContainsFunc(r.s.clusters, func(c Cluster) bool { return sel.Matches(c.Labels) }) {
		return "the cluster selector matches no cluster"
	}
	if r.w.Template == nil {
		return ""
	}
	var err error
	if r.nodes, err = constraints.NewNodeAffinity(r.w.Template, r.w.VolumeZones, &r.x.Sites); err != nil {
		return err.Error()
	}
	r.ignored = r.nodes.Ignored()
	rules, ignored, err := podRules(r.w, r.s)
	if err != nil {
		return err.Error()
	}
	r.rules, r.ignored = rules, append(r.ignored, ignored...)
	r.whole = len(r.rules)+len(r.policy.Spread) == 0 && !r.nodes.Any()
	r.request = RequestOf(r.w.Template)
	return ""
}

// enlist finds out what may be done with each cluster, and with which parts.
func (r *run) enlist() {
	clusters := r.s.clusters
	r.members = r.members[:0]
	r.members = slices.Grow(r.members, len(clusters))[:len(clusters)]
	clear(r.members)
	r.units = r.units[:0]
	hashes := r.s.nameHashes()
	groups := r.groups()
	seed := mix(hash(r.w.Key))
	for i := range clusters {
		m := &r.members[i]
		m.Cluster = &clusters[i]
		m.rank = mix(hashes[i] ^ seed)
		replicas, held := r.w.Current[m.Name]
		m.held, m.before = held, int64(max(0, replicas))
		m.least = int64(lookup(r.policy.Min, m.Name, 0))
		m.most = int64(lookup(r.policy.Max, m.Name, unlimited))
		m.weight = 1
		if r.strategy == Weighted {
			m.weight = lookup(r.policy.Weights, m.Name, 0)
		}
		if r.strategy == Cheapest {
			m.cost = r.request.price(m.Price)
		}
		r.judge(m, groups)
		if m.standing != open || !r.policy.Rebalance {
			m.prior = m.before
		}
		r.addUnits(int32(i))
	}
}

func (r *run) groups() map[string]int32 {
	if r.policy.Groups == nil {
		return nil
	}
	groups := map[string]int32{}
	for g, names := range r.policy.Groups {
		for _, name := range names {
			if _, twice := groups[name]; !twice {
				groups[name] = int32(g)
			}
		}
	}
	return groups
}

// judge is what the cluster as a whole allows.
func (r *run) judge(m *member, groups map[string]int32) {
	allowed := true
	if groups != nil {
		m.group, allowed = groups[m.Name]
	}
	var t constraints.Taints
	if len(m.Taints) > 0 {
		var own []corev1.Toleration
		if r.w.Template != nil {
			own = r.w.Template.Spec.Tolerations
		}
		t = constraints.ReadTaints(m.Taints, own, r.policy.Tolerations, r.s.Now)
		m.preferNot, m.noSchedule = t.PreferNoSchedule, t.NoSchedule != nil || t.NoExecute != nil
	}
	set := func(s standing, why string) { m.standing, m.why = s, why }
	switch {
	case r.w.Selector != nil && !r.w.Selector.Matches(m.Labels):
		set(out, "not selected: "+r.w.Selector.String())
	case m.Lost:
		set(leaving, "lost")
	case !m.Ready && m.held:
		set(frozen, "not ready")
	case !m.Ready:
		set(out, "not ready")
	case !allowed:
		set(leaving, "not allowed by "+r.policy.title())
		m.gone = true
	case m.Drained:
		set(leaving, "drained")
	case t.NoExecute != nil:
		set(leaving, "taint "+constraints.TaintString(t.NoExecute)+" is not tolerated")
	case m.Cordoned:
		set(keeping, "cordoned")
	case t.NoSchedule != nil:
		set(keeping, "taint "+constraints.TaintString(t.NoSchedule)+" is not tolerated")
	}
}

// addUnits adds the parts of a cluster that the template allows.
func (r *run) addUnits(i int32) {
	m := &r.members[i]
	m.units = int32(len(r.units))
	defer func() { m.until = int32(len(r.units)) }()
	if m.standing == out || m.standing == leaving {
		return
	}
	if r.x == nil {
		r.addUnit(i, 0)
		return
	}
	if r.w.Template == nil {
		r.addUnit(i, r.x.First[i])
		return
	}
	if r.whole {
		r.addWhole(i)
		return
	}
	why := ""
	for site := r.x.First[i]; site < r.x.First[i+1]; site++ {
		v := r.nodes.Verdict(site)
		if v.Why != "" && m.standing != frozen {
			why = v.Why
			continue
		}
		u := r.addUnit(i, site)
		u.score = v.Score - 100*m.preferNot
		if d := int(site - r.x.First[i]); d < len(m.Domains) {
			u.room, u.more = r.roomOf(&m.Domains[d])
		}
	}
	if int32(len(r.units)) == m.units {
		m.standing, m.why, m.mismatched = leaving, why, true
	}
}

// addWhole adds a cluster as one unit, as merge would make of its parts.
func (r *run) addWhole(i int32) {
	m := &r.members[i]
	u := r.addUnit(i, r.x.First[i])
	u.score = -100 * m.preferNot
	for d := range m.Domains {
		room, more := r.roomOf(&m.Domains[d])
		if d == 0 {
			u.room, u.more = room, more
			continue
		}
		u.room, u.more = min(unlimited, u.room+room), min(unlimited, u.more+more)
	}
}

// roomOf is how many replicas fit into a part of a cluster, and how many more if pods
// of lower priority made room.
func (r *run) roomOf(d *Domain) (room, more int64) {
	room = r.request.fitDomain(d)
	if len(d.Reclaim) > 0 {
		more = r.request.fitPreempting(d, r.priority()) - room
	}
	return room, more
}

func (r *run) addUnit(member, site int32) *unit {
	m := &r.members[member]
	r.units = append(r.units, unit{member: member, site: site, room: unlimited, group: m.group, rank: m.rank})
	return &r.units[len(r.units)-1]
}

// priority is that of the workload's pods; without preemption, the least.
func (r *run) priority() int32 {
	spec := &r.w.Template.Spec
	switch {
	case spec.PreemptionPolicy != nil && *spec.PreemptionPolicy == corev1.PreemptNever:
		return -1 << 31
	case spec.Priority != nil:
		return *spec.Priority
	}
	return r.s.PriorityClasses[spec.PriorityClassName]
}

// refused is the first rule of a kind, or of any, that keeps a replica away.
func (r *run) refused(u *unit, kind ruleKind) *rule {
	for _, rule := range r.moving {
		if (kind == anyKind || rule.kind == kind) && rule.refuses(u.site) {
			return rule
		}
	}
	return nil
}

const anyKind ruleKind = -1

// count adds n replicas, which may be below zero, to a unit and all that
// depends on it, but not to what is placed again.
func (r *run) count(u *unit, n int64) {
	if n == 0 {
		return
	}
	u.n += n
	r.members[u.member].n += n
	for _, rule := range r.moving {
		rule.add(u.site, n)
	}
	for _, s := range r.spreads {
		s.add(u.site, n)
	}
}

// place adds n replicas that were not there before.
func (r *run) place(u *unit, n int64) {
	u.room -= n
	r.members[u.member].placed += n
	r.count(u, n)
}

// space is how many more the unit may be given, rules apart.
func (r *run) space(u *unit) int64 {
	m := &r.members[u.member]
	if m.standing != open || u.closed != 0 {
		return 0
	}
	return max(0, min(u.room, m.most-m.n))
}
