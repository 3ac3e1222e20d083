package propagate

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/aggregate"
	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// membersPatience is how long after its start the hub waits with what it says of a
// workload for members that answered before, and have not been read so far.
const membersPatience = 10 * time.Second

// heard says whether a member answers, and its objects of a resource are known.
func (m *member) heard(gr schema.GroupResource) bool {
	m.mu.Lock()
	s := m.session
	m.mu.Unlock()
	if s == nil {
		return false
	}
	watched, missing := s.state(gr)
	return watched || missing
}

// awaitsMembers is for how long at most the status of t waits: a hub that has just
// started would take what it has not read for what there is not.
func (e *Engine) awaitsMembers(t *template) time.Duration {
	rest := membersPatience - e.clock().Sub(e.began)
	if rest <= 0 {
		return 0
	}
	for _, m := range e.sortedMembers() {
		if _, placed := t.shares[m.name]; placed && e.isReady(m.name) && !m.heard(t.key.GR) {
			return rest // or until it is read
		}
	}
	return 0
}

func (e *Engine) isReady(name string) bool {
	e.mu.RLock()
	defer e.mu.RUnlock()
	c := e.clusters[name]
	return c != nil && c.ready
}

// reachChanged has the statuses written of all that a member runs, or of what is of one
// of some resources: it does not answer any more, or does again. It takes Engine.mu for
// reading, and blocks on no server.
func (e *Engine) reachChanged(name string, of ...schema.GroupResource) {
	keys := e.inMember(name, of...)
	for _, key := range keys {
		e.statusSoon(key)
	}
	e.changes.notify(keys...)
}

// moveFirst is how long the statuses of what a lost cluster runs wait: the hub has to
// write where its replicas go, and members what they are to run. To say so is not urgent.
const moveFirst = time.Second

// lossChanged is reachChanged for a member that is lost, or is not any more.
func (e *Engine) lossChanged(name string) {
	keys := e.inMember(name)
	for _, key := range keys {
		e.statuses.AddAfter(key, moveFirst)
	}
	e.changes.notify(keys...)
}

// inMember is all that a member is to run or runs, or what of that is of some resources.
func (e *Engine) inMember(name string, of ...schema.GroupResource) (keys []Key) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	m := e.members[name]
	for gr, r := range e.resources {
		if len(of) > 0 && !slices.Contains(of, gr) {
			continue
		}
		for _, t := range r.templates {
			if _, placed := t.shares[name]; placed || m != nil && m.get(t.key).seen.exists() {
				keys = append(keys, t.key)
			}
		}
	}
	return keys
}

// withReached is the status of a template's object with its condition
// v1alpha1.ConditionReached. nil leaves the status alone.
func (t *template) withReached(merged map[string]any, members []aggregate.MemberStatus, now time.Time) map[string]any {
	var said []string
	is, status := problem{}, metav1.ConditionUnknown
	for _, s := range members {
		if s.Reachable || s.Replicas != nil && *s.Replicas == 0 || t.finished() {
			continue
		}
		said = append(said, t.unreached(s))
		switch {
		case s.Lost:
			is.reason, status = v1alpha1.ReasonClusterLost, metav1.ConditionFalse
		case is.reason == "":
			is.reason = v1alpha1.ReasonClusterAway
		}
	}
	is.message = strings.Join(said, "; ")
	return t.withCondition(merged, v1alpha1.ConditionReached, status, is, now)
}

// unreached says what is not known of a cluster that does not answer.
func (t *template) unreached(s aggregate.MemberStatus) string {
	what := "what it runs"
	if s.Replicas != nil {
		what = replicas(*s.Replicas) + " there"
	}
	switch {
	case !s.Lost:
		return fmt.Sprintf("%s is out of reach: %s counted as last seen", s.Cluster, isOrAre(what, s.Replicas))
	case t.division == kinds.Completions || t.division == kinds.One:
		return fmt.Sprintf("%s is lost: what became of its pods is not known, and their work is not done again elsewhere", s.Cluster)
	case s.Replicas == nil:
		return fmt.Sprintf("%s is lost: %s not counted", s.Cluster, isOrAre(what, nil))
	}
	return fmt.Sprintf("%s is lost: %s not ready", s.Cluster, isOrAre(what, s.Replicas))
}

func isOrAre(what string, n *int32) string {
	if n == nil || *n == 1 {
		return what + " is"
	}
	return what + " are"
}

func replicas(n int32) string {
	if n == 1 {
		return "1 replica"
	}
	return fmt.Sprintf("%d replicas", n)
}

// announceLosses says by an event on the hub's object what of a lost cluster is made up
// for and where, and what is not: once, and again when room has appeared. It does not
// block. Engine.mu is held.
func (e *Engine) announceLosses(before, after *template, r *resource) {
	if before == nil || before.uid != after.uid || after.decision.Hold {
		return
	}
	for _, l := range after.decision.Losses {
		if slices.ContainsFunc(before.decision.Losses, func(was schedule.Loss) bool { return was.Cluster == l.Cluster && was.Stays == l.Stays }) {
			continue
		}
		in := gained(before, after)
		if in == "" && l.Stays < l.Before {
			continue // there are to be fewer, nothing failed over
		}
		kind, reason := corev1.EventTypeNormal, v1alpha1.ReasonFailedOver
		said := fmt.Sprintf("%s is lost: %d of %s failed over%s", l.Cluster, l.Before-l.Stays, replicas(l.Before), in)
		if l.Stays > 0 {
			kind, reason = corev1.EventTypeWarning, v1alpha1.ReasonFailoverIncomplete
			said += fmt.Sprintf("; nothing else can take %d: %s", l.Stays, l.Why)
		}
		e.events.event(after.reference(r), kind, reason, said)
	}
}

// gained is the clusters that are to run more than before, as " to aws (2 to 3)".
func gained(before, after *template) string {
	var all []string
	for _, s := range after.decision.Shares {
		if had := before.shares[s.Cluster].replicas; s.Replicas > had {
			all = append(all, fmt.Sprintf("%s (%d to %d)", s.Cluster, had, s.Replicas))
		}
	}
	if len(all) == 0 {
		return ""
	}
	return " to " + strings.Join(all, ", ")
}

// reference is the hub's object, for events.
func (t *template) reference(r *resource) *corev1.ObjectReference {
	return &corev1.ObjectReference{
		APIVersion: r.gvk.GroupVersion().String(), Kind: r.gvk.Kind,
		Namespace: t.key.Namespace, Name: t.key.Name, UID: t.uid,
	}
}
