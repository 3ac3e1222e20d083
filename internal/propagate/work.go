package propagate

import (
	"errors"
	"maps"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/schedule"
	"github.com/hanse-dev/hanse/internal/transition"
)

func jobs() schema.GroupResource { return schema.GroupResource{Group: "batch", Resource: "jobs"} }

// ofKind is the share as package kinds writes it.
func (s share) ofKind() kinds.Share {
	return kinds.Share{Replicas: s.replicas, Before: s.before, Total: s.total, Parallelism: s.parallelism}
}

// runs is how many replicas a cluster is to run of t in the end, of a Job how many pods
// at once now.
func (t *template) runs(cluster string) int32 {
	if t.division == kinds.Completions {
		return t.shares[cluster].parallelism
	}
	return t.shares[cluster].replicas
}

// cutWork has the shares of a Job cut its completions as they were when it was made.
func (t *template) cutWork() {
	for name := range t.shares {
		s := t.cutFor(name)
		s.parallelism = s.replicas
		t.shares[name] = s
	}
}

// cutFor is the share of a cluster in the division by which the Job was made: clusters
// that left since count, or the pieces would not add up.
func (t *template) cutFor(cluster string) (s share) {
	division := t.divided()
	for _, name := range slices.Sorted(maps.Keys(division)) {
		if name == cluster {
			s.replicas, s.before = division[name], s.total
		}
		s.total += division[name]
	}
	if s.total == 0 && len(division) > 0 { // made while nothing was to run: one has it all
		if s.total = 1; slices.Min(slices.Collect(maps.Keys(division))) == cluster {
			s.replicas = 1
		} else {
			s.before = 1
		}
	}
	return s
}

// workShares is the shares of t, for a Job with how many pods are to run at once now. It
// follows from the division and from what members show. Engine.mu is held at least for
// reading.
func (e *Engine) workShares(t *template) map[string]share {
	if t.division != kinds.Completions || len(t.shares) == 0 {
		return t.shares
	}
	out := maps.Clone(t.shares)
	total := kinds.Parallelism(t.content.object)
	duplicate := false
	if p := e.outlook(t.policy).policy; p != nil {
		duplicate = p.Strategy == schedule.Duplicate
	}
	var names []string
	var parts []transition.Work
	for _, name := range slices.Sorted(maps.Keys(t.shares)) {
		w, c := e.work(t, name), e.clusters[name]
		switch {
		case duplicate:
			setParallelism(out, name, transition.Parallelism(total, []transition.Work{w})[0])
		case c != nil && e.losses.isLost(c, t.policy):
			setParallelism(out, name, w.Has) // the others go on without it
		default:
			names, parts = append(names, name), append(parts, w)
		}
	}
	for i, n := range transition.Parallelism(total, parts) {
		setParallelism(out, names[i], n)
	}
	return out
}

func setParallelism(shares map[string]share, name string, n int32) {
	s := shares[name]
	s.parallelism = n
	shares[name] = s
}

// work is a cluster's part in a Job. Engine.mu is held at least for reading.
func (e *Engine) work(t *template, cluster string) transition.Work {
	s := t.shares[cluster]
	w := transition.Work{Weight: s.replicas, Left: transition.Unlimited}
	if completions := numberIn(t.obj, "completions"); completions != nil {
		w.Left = int32(s.ofKind().Cut(int64(*completions)))
	}
	c, m := e.clusters[cluster], e.members[cluster]
	w.Closed = c != nil && (c.cordoned || c.drained)
	old := t.created.Before(e.began)
	var rec record
	read := false
	if m != nil {
		rec, read = m.get(t.key), m.hasRead(t.key)
	}
	if rec.sending != nil {
		w.Has = *rec.sending
	}
	switch {
	case rec.seen.exists() && rec.seen.mark.Origin.Template == t.uid:
		w = seenWork(w, rec.seen)
	case t.finished():
		w.Left = 0
	case read || rec.sending != nil || !old: // it has none
	case c != nil && c.ready:
		w.Unknown = true
	default:
		w.Has = s.replicas // away since before the hub started
	}
	return w
}

// seenWork is w with what a member shows of its part.
func seenWork(w transition.Work, o observation) transition.Work {
	if o.parallelism != nil {
		w.Has = max(w.Has, *o.parallelism)
	}
	count := func(field string) int32 {
		n, _ := o.status[field].(int64)
		return int32(n)
	}
	succeeded := count("succeeded")
	switch {
	case jobEnds(o.status, "Complete", "Failed", "SuccessCriteriaMet", "FailureTarget"):
		w.Left = 0
	case o.completions != nil:
		w.Left = max(0, *o.completions-succeeded)
	case succeeded > 0:
		w.Left = count("active") // no more are begun once one has succeeded
	}
	return w
}

// jobEnds says whether a Job's status has one of these conditions.
func jobEnds(status map[string]any, conditionTypes ...string) bool {
	conditions, _ := status["conditions"].([]any)
	return slices.ContainsFunc(conditions, func(c any) bool {
		m, _ := c.(map[string]any)
		name, _ := m["type"].(string)
		return m["status"] == "True" && slices.Contains(conditionTypes, name)
	})
}

// spreadWork works out again how many pods of a Job each cluster is to run at once, and
// has the members look at it if that is not as before. It returns the Job's template as
// it is then.
func (e *Engine) spreadWork(key Key) *template {
	t, same := e.workAsBefore(key)
	if same {
		return t
	}
	e.locked(func() {
		if t = e.stored(key); t != nil {
			next := *t
			next.shares = e.workShares(t)
			e.grant(&next)
			e.resources[key.GR].templates[types.NamespacedName{Namespace: key.Namespace, Name: key.Name}] = &next
			t = &next
		}
	})
	e.toMembers(key)
	e.changes.notify(key)
	return t
}

// workAsBefore is the template of a Job, and whether each cluster is to run as many of
// its pods at once as it says.
func (e *Engine) workAsBefore(key Key) (t *template, same bool) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	t = e.stored(key)
	return t, t == nil || maps.Equal(t.shares, e.workShares(t))
}

// begin notes, before a member is written to, that work which stays put begins there, or
// how many pods at once it is told to run. It is false if that is not what was decided
// by now: then the object is to be looked at again.
func (t *task) begin() bool {
	if t.template == nil || !staysPut(t.template.division) || !t.placed() {
		return true
	}
	e := t.engine
	e.mu.RLock()
	defer e.mu.RUnlock()
	now := e.stored(t.key)
	if now == nil || now.uid != t.template.uid || now.undecided || now.shares[t.member.name] != t.template.shares[t.member.name] {
		return false
	}
	if _, in := now.shares[t.member.name]; !in {
		return false
	}
	n := t.now.parallelism
	t.member.update(t.key, func(r *record) { r.sending = &n })
	return true
}

// sent notes what came of an attempt to write: the member has answered, unless err may
// mean that nobody knows what it has done.
func (t *task) sent(err error) {
	var answer apierrors.APIStatus
	switch {
	case t.member.get(t.key).sending == nil:
		return
	case err == nil, errors.As(err, &waiting{}), errors.As(err, &conflictError{}):
	case errors.As(err, &answer) && answer.Status().Code >= 400 && answer.Status().Code < 500:
	default:
		return
	}
	t.member.update(t.key, func(r *record) { r.sending = nil })
}

// fixed are the fields of work that stays put which nobody can change once it has begun:
// what a policy or a cluster's labels make of them by now is for what is made later.
func (t *task) fixed() (paths []string) {
	if t.template.division == kinds.Completions {
		paths = append(paths, "spec.completions")
	}
	if started, _ := t.rec.seen.status["startTime"].(string); t.key.GR == jobs() && started != "" {
		paths = append(paths, "spec.template")
	}
	return paths
}
