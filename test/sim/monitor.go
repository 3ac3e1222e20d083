package sim

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hanse-dev/hanse/internal/lineage"
)

// monitor knows the truth, which the hub cannot see, and compares what the hub does with it. All of it is guarded by the
// mutex of the history.
type monitor struct {
	f      *federation
	wrong  []string
	writes int // that the hub made, members and itself

	puts    map[string]bool             // UIDs of objects in members that the hub put there or took over
	copies  map[string]bool             // UIDs of copies that somebody made under other names
	may     map[pair]bool               // what the rules let be now
	allowed map[pair]time.Time          // until when they did
	since   map[pair]time.Time          // since when they do
	total   map[string]int64            // how many were wanted in all when the hub wrote it last, by UID in a member
	had     map[string]int64            // replicas that the hub gave, by template and cluster
	work    map[string]int64            // completions by the UID of a Job at the hub
	begun   map[string]map[string]int64 // completions that were given to clusters, by the same
	lost    map[string][]drop           // ready pods that went by no doing of the hub, by object
	truth   map[string][]moment         // how many are ready, by object
	fewer   map[string]time.Time        // when people wanted fewer replicas last, by UID at the hub
	freed   map[string]time.Time        // when Namespace shop of a member was gone, by member
	parted  map[string]bool             // Jobs, by UID, and clusters that left with their part of them: it is done when they are back
	again   map[string]bool             // UIDs of Jobs of which some work is rightly done again
	excused map[string]bool             // UIDs of Jobs that cannot end
	shaken  time.Time                   // until when the hub's own way was bad
	resided map[string]time.Time        // until when Residencies let the vault be in a member
	naming  naming
	cutOff  time.Time // when half of the clusters were out of reach last, so that the hub takes itself to be the one
}

type drop struct {
	at      time.Time
	cluster *member
	n       int
	death   bool
}

// moment is what was true from a time on.
type moment struct {
	at time.Time
	n  int64
}

func newMonitor(f *federation) *monitor {
	return &monitor{
		f: f, puts: map[string]bool{}, copies: map[string]bool{}, may: map[pair]bool{}, allowed: map[pair]time.Time{}, since: map[pair]time.Time{},
		work: map[string]int64{}, begun: map[string]map[string]int64{}, lost: map[string][]drop{}, truth: map[string][]moment{}, excused: map[string]bool{}, parted: map[string]bool{}, fewer: map[string]time.Time{}, freed: map[string]time.Time{}, again: map[string]bool{}, resided: map[string]time.Time{}, had: map[string]int64{}, total: map[string]int64{},
	}
}

func (m *monitor) fail(format string, args ...any) {
	said := fmt.Sprintf(format, args...)
	m.f.note("WRONG: %s", said)
	m.wrong = append(m.wrong, said)
}

// origin is the UID of the template that an object in a member says it comes from.
func origin(obj object) string {
	raw := text(obj, "metadata", "annotations", "hanse.dev/origin")
	o, err := lineage.ParseOrigin(raw)
	if err != nil {
		return ""
	}
	return string(o.Template)
}

// heard is called with each write of the hub that was carried out, or refused.
func (m *monitor) heard(c *call) {
	f := m.f
	f.mu.Lock()
	defer f.mu.Unlock()
	fault := ""
	if c.fault != "" {
		fault = " (" + c.fault + ")"
	}
	body := ""
	if c.method != "DELETE" && c.ref.gr.Resource != "events" {
		body = " " + clip(strings.TrimSpace(string(c.body)), 300)
	}
	f.note("    hub writes %s: %s %s%s -> %d%s", c.server.name, c.method, c.ref, body, c.answer.code, fault)
	if c.answer.code < 300 {
		m.writes++
	}
	at := f.member(c.server)
	if at != nil && c.method == "POST" && c.answer.code >= 300 { // it is tried again, whatever rules say by then
		if obj, err := decode(c.body); err == nil {
			m.give(c.ref, at.name, origin(obj), max(1, number(obj, "spec", "replicas")))
		}
	}
	if at == nil || c.answer.code >= 300 || c.ref.gr.Resource == "events" {
		return
	}
	if c.method == "DELETE" {
		m.deleted(at, c)
		return
	}
	after, err := decode(c.answer.body)
	if err != nil {
		return
	}
	uid := text(after, "metadata", "uid")
	if m.copies[uid] {
		m.fail("the hub writes the copy %s in %s", c.ref, at.name)
	}
	m.puts[uid] = true
	m.trespassed(at, c, after)
	if c.ref.gr == deployments {
		m.lowered(at, c, after)
		m.lacks(at, c, after)
	}
	m.gained(at, c, after)
	switch c.ref.gr {
	case deployments:
		if template := f.hub.get(c.ref); template != nil {
			m.total[uid] = number(template, "spec", "replicas")
		}
	case jobs:
		m.given(at, c, after)
	}
}

// deleted checks a deletion in a member.
func (m *monitor) deleted(at *member, c *call) {
	uid := text(c.before, "metadata", "uid")
	if !m.puts[uid] {
		m.fail("%s in %s was deleted, which the hub had not put there", c.ref, at.name)
		return
	}
	f := m.f
	cluster := f.hub.get(ref{gr: clusters, name: at.name})
	leaving := cluster == nil || text(cluster, "metadata", "deletionTimestamp") != ""
	from := origin(c.before)
	template := f.hub.get(c.ref)
	switch {
	case leaving, f.people.deleted[from]:
		return
	case c.ref.namespace != "" && template == nil && from == "":
		return
	case template == nil:
		m.fail("%s in %s was deleted, and nobody has deleted it at the hub", c.ref, at.name)
	case text(template, "metadata", "uid") != from, text(template, "metadata", "deletionTimestamp") != "":
		// It is another one's place.
	case c.ref.gr == jobs && !knows(f.history(), c.before):
		m.excused[from] = true // the hub was restored, and knows it to be elsewhere
		delete(m.begun[from], at.name)
	case c.ref.gr == jobs && number(c.before, "status", "active") > 0:
		m.fail("the running Job %s in %s was deleted", c.ref, at.name)
	case c.ref.gr == jobs, c.ref.gr == deployments:
	case c.ref.gr == configMaps && (f.propagation(c.ref) == "Needed" || time.Since(m.naming.changed) < patience):
		m.leftEarly(at, c)
	case m.wasAllowed(c.ref, at.name, c.sent):
		m.fail("%s in %s was deleted, where it is to be", c.ref, at.name)
	}
	if c.ref.gr == deployments {
		m.lowered(at, c, nil)
	}
}

func (m *monitor) key(r ref) string { return r.String() }

// patience is how long the hub has to hear of a change of rules.
const patience = 3 * time.Second

// wasAllowed says whether the rules let an object be in a cluster, when the hub may have known them last.
func (m *monitor) wasAllowed(r ref, cluster string, sent time.Time) bool {
	since, known := m.since[pair{r, cluster}]
	// While the hub's own way is bad, it may hear of a policy before it hears of a label that was changed earlier.
	return m.f.allows(r, cluster) && (!known || sent.Sub(since) > patience) && sent.After(m.shaken)
}

// gained checks that a cluster that gets something, or more of it, may have it.
func (m *monitor) gained(at *member, c *call, after object) {
	more := c.before == nil
	if c.ref.gr == deployments && !more {
		more = number(after, "spec", "replicas") > number(c.before, "spec", "replicas")
	}
	before, n := origin(after)+" "+at.name, int64(1)
	if c.ref.gr == deployments {
		n = number(after, "spec", "replicas")
	}
	more = more && n > m.had[before]
	if sets(c) {
		m.had[before] = n
	}
	nowhere := m.f.propagation(c.ref) != "None" && !slices.ContainsFunc(m.f.members, func(one *member) bool { return m.f.allows(c.ref, one.name) })
	if !more || nowhere || m.f.allowsMore(c.ref, at.name) || m.parted[before] {
		return // a policy that allows no cluster at all is taken for a mistake: all goes on as it was
	}
	last := m.allowed[pair{c.ref, at.name}]
	if c.sent.Sub(last) < patience || c.sent.Before(m.shaken) || c.sent.Before(at.disturbed.Add(4*patience)) || c.sent.Sub(m.f.run.began) < patience {
		return
	}
	m.fail("%s in %s gains, where the rules have not let it be for %s", c.ref, at.name, c.sent.Sub(last).Round(time.Millisecond))
}

// give notes that a cluster was given so many of something, if rules let it be.
func (m *monitor) give(r ref, cluster, uid string, n int64) {
	if key := uid + " " + cluster; m.f.allowsMore(r, cluster) {
		m.had[key] = max(m.had[key], n)
	}
}

// sets says whether a write sets how many replicas there are to be: where somebody in the member does, it does not.
func sets(c *call) bool {
	if c.before == nil || c.ref.gr != deployments {
		return true
	}
	sent, err := decode(c.body)
	return err == nil && at(sent, "spec", "replicas") != nil
}

// pair is an object and a cluster.
type pair struct {
	ref     ref
	cluster string
}

// rules notes what is allowed now, and that what was so before has been until now. mu is held.
func (m *monitor) rules() {
	now := time.Now()
	m.noteResidence()
	before := maps.Clone(m.may)
	for p := range m.may {
		m.allowed[p] = now
	}
	clear(m.may)
	for _, gr := range []resource{namespaces, configMaps, deployments, jobs} {
		for r := range m.f.hub.byKind[gr] {
			for _, at := range m.f.members {
				if m.f.allowsMore(r, at.name) {
					p := pair{r, at.name}
					if m.may[p] = true; !before[p] {
						m.since[p] = now
					}
				}
			}
		}
	}
}

// hubChanged is called with each change at the hub, and notes what was allowed until then.
func (m *monitor) hubChanged(r ref, before, after object) {
	if after == nil && r.gr != clusters {
		m.f.people.deleted[text(before, "metadata", "uid")] = true
	}
	if (r.gr == deployments || r.gr == jobs) && after != nil {
		for name, n := range divisionOf(after) { // it is given once it is recorded
			m.give(r, name, text(after, "metadata", "uid"), n)
		}
		if number(after, "spec", "replicas") < number(before, "spec", "replicas") {
			m.fewer[text(after, "metadata", "uid")] = time.Now()
		}
	}
	switch r.gr {
	case clusters, policies, residencies:
		m.rules()
		m.naming.changed = time.Now()
	case namespaces, configMaps, deployments, jobs:
		if r.gr == namespaces {
			m.naming.changed = time.Now()
		}
		if before == nil || after == nil || r.gr == namespaces || text(before, "metadata", "labels", "grp") != text(after, "metadata", "labels", "grp") {
			m.rules()
		}
	}
}

// lowered checks that no replicas go that are ready and wanted.
func (m *monitor) lowered(at *member, c *call, after object) {
	template := m.f.hub.get(c.ref)
	if template == nil || c.before == nil {
		return
	}
	var to int64
	if after != nil {
		to = number(after, "spec", "replicas")
	}
	if after != nil && to >= number(c.before, "spec", "replicas") {
		return
	}
	wanted := number(template, "spec", "replicas")
	credit := m.credit(c.ref)
	// Where there are to be fewer than the member was told last, it is told at once.
	last, known := m.total[text(c.before, "metadata", "uid")]
	m.total[text(c.before, "metadata", "uid")] = wanted
	given, told := m.had[origin(c.before)+" "+at.name]
	if told && given != number(c.before, "spec", "replicas") {
		return // somebody in the member had set another number, which is put back
	}
	open := func(one *member) bool {
		return one.faults == (faults{}) && time.Since(one.disturbed) > patience && m.f.allowsMore(c.ref, one.name)
	}
	if !m.f.allows(c.ref, at.name) && (cpuOf(template) > 0 || !slices.ContainsFunc(m.f.members, open)) {
		return // it may not stay, and can go nowhere, or nobody here knows whether there is room
	}
	if known && last > wanted || time.Since(m.fewer[text(template, "metadata", "uid")]) < 2*patience {
		return
	}
	var were, are int64
	for _, one := range m.f.members {
		n := one.ready(c.ref)
		were += n
		if one == at {
			n = min(n, to)
		}
		are += n
	}
	if are+credit < min(wanted, were) && are < were {
		m.fail("%s has %d ready after %s was told %d; %d were, %d are wanted", c.ref, are, at.name, to, were, wanted)
	}
}

// credit is how many replicas the hub may believe in that are not ready any more.
func (m *monitor) credit(r ref) (n int64) {
	now := time.Now()
	for _, d := range m.lost[m.key(r)] {
		until := d.at.Add(3 * time.Second)
		if now.Before(d.cluster.disturbed.Add(10*time.Second)) || d.cluster.faults != (faults{}) {
			until = now.Add(time.Second)
		}
		if d.death {
			until = m.lostBy(d.at)
		}
		if now.Before(until) {
			n += int64(d.n)
		}
	}
	return n
}

// lostBy is when the hub knows that a cluster is lost that died at a time.
func (m *monitor) lostBy(died time.Time) time.Time {
	for _, from := range []time.Time{m.f.run.began, m.cutOff} {
		if from.After(died) {
			died = from
		}
	}
	return died.Add(failoverAfter + 20*time.Second)
}

// away is called when the hub's word on whether clusters are in reach is about to change, and when it has. mu is held.
func (m *monitor) away() {
	all, out := m.f.joined(), 0
	for _, one := range all {
		if text(m.f.hub.get(ref{gr: clusters, name: one.name}), "status", "phase") == "Unreachable" {
			out++
		}
	}
	if 2*out >= len(all) && out > 0 {
		m.cutOff = time.Now()
	}
}

// dropped notes that ready pods are gone, by no doing of the hub.
func (m *monitor) dropped(at *member, r ref, n int) {
	if n > 0 {
		m.lost[m.key(r)] = append(m.lost[m.key(r)], drop{time.Now(), at, n, at.dead || at.faults.refused})
	}
}

// risen notes that more is ready: it may be over at the next step.
func (m *monitor) risen(r ref) {
	template := m.f.hub.get(r)
	if template == nil {
		return
	}
	var n int64
	for _, at := range m.f.members {
		n += at.ready(r)
	}
	k := m.key(r) + text(template, "metadata", "uid")
	m.truth[k] = append(m.truth[k], moment{time.Now(), n})
}

// look is called after each step. mu is held.
func (m *monitor) look() {
	now := time.Now()
	m.rules()
	m.freshNamespaces()
	for _, o := range m.f.hub.all(deployments) {
		r := ref{deployments, text(o.obj, "metadata", "namespace"), text(o.obj, "metadata", "name")}
		var n int64
		shaken := now.Before(m.shaken)
		for _, at := range m.f.members {
			n += at.ready(r)
			shaken = shaken || now.Before(at.disturbed.Add(15*time.Second)) || at.faults != (faults{}) && !at.dead
			if at.dead {
				shaken = shaken || now.Before(m.lostBy(at.died))
			}
		}
		k := m.key(r) + text(o.obj, "metadata", "uid")
		m.truth[k] = append(m.truth[k], moment{now, n})
		if i := slices.IndexFunc(m.truth[k], func(one moment) bool { return now.Sub(one.at) < 8*time.Second }); i > 1 {
			m.truth[k] = m.truth[k][i-1:]
		}
		best := n
		for _, one := range m.truth[k] {
			best = max(best, one.n)
		}
		if told := number(o.obj, "status", "readyReplicas"); told > best && !shaken {
			m.fail("%s: the hub tells of %d ready replicas, there are %d", r, told, best)
		}
	}
}

// namespaceIn is how long what waited for a Namespace in a member may take to come.
const namespaceIn = 8 * time.Second

// gone notes that something is gone in a member.
func (m *monitor) gone(at *member, r ref) {
	m.naming.gone(at, r)
	cluster := m.f.hub.get(ref{gr: clusters, name: at.name})
	if r == (ref{gr: namespaces, name: "shop"}) && cluster != nil && text(cluster, "metadata", "deletionTimestamp") == "" {
		m.freed[at.name] = time.Now()
	}
}

// freshNamespaces checks that what waited for a Namespace comes soon once it can. mu is held.
func (m *monitor) freshNamespaces() {
	now, r := time.Now(), ref{configMaps, "shop", "one"}
	for _, at := range m.f.joined() {
		since, was := m.freed[at.name]
		if !was || now.Sub(since) < namespaceIn {
			continue
		}
		delete(m.freed, at.name)
		calm := !at.dead && at.faults == (faults{}) && at.disturbed.Add(5*time.Second).Before(since) && m.f.hubWay == (faults{}) &&
			m.shaken.Before(since) && m.f.run.began.Before(since) && now.Sub(since) < 2*namespaceIn
		made, err := time.Parse(time.RFC3339, text(m.f.hub.get(r), "metadata", "creationTimestamp"))
		if calm && err == nil && made.Before(since) && m.f.allows(r, at.name) && m.f.propagation(r) == "Everywhere" && at.get(r) == nil {
			m.fail("%s is not in %s, %s after the namespace that held it up was gone", r, at.name, now.Sub(since).Round(time.Millisecond))
		}
	}
}

// report is what went wrong, for people.
func (m *monitor) report() string {
	return strings.Join(m.wrong, "\n")
}

// unreadAfter is how long something may be unreadable in a member until the hub says so.
const unreadAfter = 12 * time.Second

// unread checks that the hub says so where it cannot read what it has put somewhere. mu is not held.
func (f *federation) unread() {
	now := time.Now()
	for _, m := range f.members {
		f.mu.Lock()
		due := m.faults.forbidden != "" && now.Sub(m.since) > unreadAfter && now.Sub(f.run.began) > unreadAfter && m.session != "" &&
			slices.Contains(f.joined(), m) && slices.ContainsFunc(m.theirs(), func(r ref) bool {
			made, err := time.Parse(time.RFC3339, text(m.get(r), "metadata", "creationTimestamp"))
			return err == nil && now.Sub(made) > unreadAfter && r.gr == deployments && f.given(r, m) && f.watch.puts[text(m.get(r), "metadata", "uid")] && f.allows(r, m.name)
		})
		run := f.run
		f.mu.Unlock()
		if !due || run.engine.Report(m.name).Unread != "" {
			continue
		}
		f.mu.Lock()
		f.watch.fail("deployments of %s cannot be read for %s, and the hub does not say so", m.name, now.Sub(m.since))
		f.mu.Unlock()
	}
}

// given says whether the hub has recorded that a member is to have replicas of a Deployment, which have some there. mu is held.
func (f *federation) given(r ref, m *member) bool {
	return number(m.get(r), "spec", "replicas") > 0 && divisionOf(f.hub.get(r))[m.name] > 0
}
