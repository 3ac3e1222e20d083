package decide

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/policy"
	"github.com/hanse-dev/hanse/internal/propagate/agenda"
	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/rollout"
)

// rolloutInterval is how often a rollout that is under way is looked at even if nothing was heard of it: clusters go away and come
// back.
const rolloutInterval = 5 * time.Second

// milestone is when a rollout was last seen to come nearer to its goal. A hub that has just started gives every step its
// deadline again.
type milestone struct {
	revision string
	count    int64 // of pods that are as they should be
	at       time.Time
}

// RollingCluster is a cluster with how the pods of a workload are doing there.
type RollingCluster struct {
	rollout.Cluster
	Health   rollout.Health
	Revision string
}

// Rolling is the clusters that have a workload or are to have it, by name. seen is what is known of the object in a cluster, nil if
// nothing is; unread says that it is as it was last seen there, because the cluster cannot be read.
func Rolling(a *Assignment, facts *Facts, seen func(cluster string) *Observed, unread func(cluster string) bool) []RollingCluster {
	var out []RollingCluster
	for _, c := range facts.PolicyClusters() {
		o := seen(c.Name)
		if one, part := rolling(a, c.Name, o); part {
			one.Away = !facts.Clusters[c.Name].Ready
			if unread(c.Name) {
				one.Ready = false
				one.Updated = a.Governed() && o.has(a) && o.Revision == a.Content.Revision
			}
			out = append(out, one)
		}
	}
	return out
}

// has says whether the object is this hub's, of that template.
func (o *Observed) has(a *Assignment) bool { return o.From(a.UID) && o.Ours }

// rolling is a cluster's part in a rollout, if it has one.
func rolling(a *Assignment, cluster string, o *Observed) (c RollingCluster, part bool) {
	there := o.has(a)
	if _, placed := a.Shares[cluster]; !placed && !there {
		return c, false
	}
	c.Name = cluster
	if there {
		c.Revision = o.Revision
		synced, spec, wanted := a.Synced(cluster, o), o.Spec, int64(1) // by the API's default
		if o.Replicas != nil {
			wanted = int64(*o.Replicas)
			spec = template.With(spec, "replicas", wanted) // an autoscaler's, perhaps
		}
		c.Health = rollout.HealthOf(rollout.Workload{
			Kind: a.GVK.GroupKind(), Replicas: wanted, Generation: o.Generation, Observed: o.ObservedGeneration, Spec: spec, Status: o.Status,
		})
		c.Updated = synced || a.Governed() && o.Revision == a.Content.Revision
		c.Ready = synced && c.Health.Done
	}
	c.Note = c.Health.String()
	if c.Updated && (o.Outlived == "" || o.Outlived != rollout.SaidAt(o.Status)) {
		c.Failed = c.Health.Failed
	}
	if o != nil && o.Fault != nil {
		c.Note = o.Fault.Message
	}
	return c, true
}

// PlainClusters is what package rollout knows of clusters.
func PlainClusters(clusters []RollingCluster) []rollout.Cluster {
	out := make([]rollout.Cluster, len(clusters))
	for i, c := range clusters {
		out[i] = c.Cluster
	}
	return out
}

// RolloutInput is what the rollout of a depends on, which a policy governs. progressed is Assignment.Progressed, all what policies
// select clusters by.
func RolloutInput(a *Assignment, clusters []RollingCluster, all []policy.Cluster, progressed, now time.Time) rollout.Input {
	p := a.Policy.Rollout
	in := rollout.Input{
		Revision: a.Content.Revision, Clusters: PlainClusters(clusters), Progress: progressed, Now: now,
		Held: a.Progress.Hold != "", Paused: p.Paused || a.Progress.Hold == v1alpha1.RolloutPaused,
		Wait: p.Wait, Deadline: p.ProgressDeadline, Stop: p.Stop,
	}
	if paused, _, _ := unstructured.NestedBool(a.Content.Object, "spec", "paused"); paused {
		in.Progress = now // by kubectl rollout pause, which is in the members too: no pods follow
	}
	for _, s := range p.Steps(all) {
		in.Steps = append(in.Steps, rollout.Step(s))
	}
	return in
}

// rollOn takes a workload's change as far as it goes now. What is to be recorded of it is added to r: only when it is, and the
// template shows it, do members act upon it.
func (w *World) rollOn(o *object, a *Assignment, r *Recording) {
	a.Progressed = time.Time{}
	switch {
	case !rollout.Rolls(a.Key.GR), a.Revision < o.outdated, a.Settled():
		return
	case !a.Governed():
		hold, none := a.holdAfter(nil), ""
		r.State, r.Hold = &none, &hold
		return
	}
	if !w.keepsRevision(o, a) {
		return
	}
	clusters := w.rolling(o, a)
	a.Progressed = o.progressed(a.Content.Revision, clusters, w.now)
	out := rollout.Advance(a.Progress.State, RolloutInput(a, clusters, w.policyClusters(), a.Progressed, w.now))
	state, hold := out.State.String(), a.holdAfter(out.State)
	if state == a.Progress.Kept && hold == a.Object.GetAnnotations()[v1alpha1.AnnotationRollout] {
		if !out.State.Done && out.Phase != rollout.Stopped {
			again := rolloutInterval
			if out.Again > 0 {
				again = min(again, out.Again)
			}
			w.alarms.Set(w.now.Add(again), agenda.Alarm{Key: o.key})
		}
		return
	}
	r.State, r.Hold = &state, &hold
	for _, e := range out.Events {
		kind := corev1.EventTypeNormal
		if e.Warning {
			kind = corev1.EventTypeWarning
		}
		r.Tell = append(r.Tell, Tell{Template: a.Template, Type: kind, Reason: e.Reason, Message: e.Message})
	}
}

// holdAfter is what AnnotationRollout has to say: the hub sets and takes off its own value only.
func (a *Assignment) holdAfter(state *rollout.State) string {
	switch {
	case state != nil && state.Stopped != "":
		return v1alpha1.RolloutStopped
	case a.Progress.Hold == v1alpha1.RolloutStopped:
		return ""
	}
	return a.Progress.Hold
}

// rolling is what Rolling is for all members.
func (w *World) rolling(o *object, a *Assignment) (out []RollingCluster) {
	for _, name := range w.names {
		if one, part := rolling(a, name, o.seen[name]); part {
			c := w.clusters[name]
			one.Away = c == nil || !c.Ready
			out = append(out, one)
		}
	}
	return out
}

// progressed is when what counts of a rollout last changed.
func (o *object) progressed(revision string, clusters []RollingCluster, now time.Time) time.Time {
	var count int64
	for _, c := range clusters {
		if c.Updated {
			count += 1 + c.Health.Updated + c.Health.Ready
		}
	}
	if o.progress.at.IsZero() || o.progress.revision != revision || o.progress.count != count {
		o.progress = milestone{revision: revision, count: count, at: now}
	}
	return o.progress.at
}

// keepsRevision says whether the pod template of a is kept at the hub as the last of its revisions. If not it has it kept: what
// a member has must never be unknown.
func (w *World) keepsRevision(o *object, a *Assignment) bool {
	past := w.pasts[a.UID]
	if entry := past.history.Find(a.Content.Revision); past.loaded && entry != nil && entry.Number == past.history.Next(a.Content.Revision) {
		o.keeping = ""
		return true
	}
	if o.keeping != a.Content.Revision {
		o.keeping = a.Content.Revision
		w.asked(a)
		w.out.others = append(w.out.others, KeepRevision{a.Template})
	}
	return false
}

// asked notes that the answer of what was asked about the revisions of a will be a Revised. It says whether that is new.
func (w *World) asked(a *Assignment) bool {
	_, was := w.pasts[a.UID]
	if !was {
		w.pasts[a.UID] = past{key: a.Key}
	}
	return !was
}

// turns is which pod template clusters are to have that is not the hub's. One whose turn it is not keeps the one that it has. An
// object that is not there (the cluster is new, or somebody deleted it) is made with the pod template that went everywhere
// before; with the hub's where that is not known.
func (w *World) turns(o *object, a *Assignment) map[string]template.Turn {
	if !a.Governed() {
		return nil
	}
	var out map[string]template.Turn
	for _, name := range w.names {
		seen := o.seen[name]
		there := seen.has(a)
		if _, placed := a.Shares[name]; !placed && !there {
			continue
		}
		if turn, other := w.turn(a, name, seen, there); other {
			if out == nil {
				out = map[string]template.Turn{}
			}
			out[name] = turn
		}
	}
	return out
}

// turn is what turns says of one cluster.
func (w *World) turn(a *Assignment, cluster string, seen *Observed, there bool) (turn template.Turn, other bool) {
	target, state := a.Content.Revision, a.Progress.State
	if state.Opens(cluster, target) || there && seen.Revision == target {
		return turn, false
	}
	has := ""
	if there {
		has = seen.Revision
	} else if state != nil {
		has = state.Proven
	}
	past := w.pasts[a.UID]
	entry := past.history.Find(has)
	if !past.loaded && w.asked(a) {
		w.out.others = append(w.out.others, ReadRevisions{a.Template})
	}
	switch {
	case entry != nil && entry.Template != nil:
		return template.Turn{Revision: has, Template: entry.Template}, true
	case there:
		return template.Turn{Revision: has, AsIs: true}, true
	case !past.loaded && has != "":
		return template.Turn{Waits: "the earlier revisions of the object"}, true
	}
	return turn, false
}
