package propagate

import (
	"cmp"
	"slices"
	"sort"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/policy"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// decideFreely is decide, and may panic.
func (e *Engine) decideFreely(t, before *template) schedule.Decision {
	o := e.outlook(t.policy)
	w := e.workload(t, before, o)
	if e.begun(t) {
		return e.kept(t, o, &w)
	}
	waiting := e.awaited(t, o, &w)
	if waiting != "" && len(w.Current) == 0 {
		return schedule.Decision{Divided: true, Unplaced: t.total, Reason: waiting, Hold: true}
	}
	snapshot := o.snapshot
	if e.awaitsTurn(t) {
		snapshot = o.undrained
	}
	snapshot = e.demanded(t, o, snapshot, &w)
	d := e.placeUnder(t, snapshot, &w)
	if unread := e.movesUnread(t, o, &w, &d); unread != "" {
		w.Problem = unread
		d = snapshot.Schedule(&w)
		d.Problem, d.Waits = "", true
		return d
	}
	if waiting != "" {
		d.Unplaced, d.Reason = t.total-w.Total, waiting
		d.Hold = t.recorded != nil && sameDivision(d.Division(), t.recorded)
	}
	for i := range d.Rejected {
		if why := o.rejected[d.Rejected[i].Cluster]; why != "" {
			d.Rejected[i].Reason = why
		}
	}
	if t.scaler != nil {
		return e.bounded(t, d)
	}
	return d
}

// workload is what scheduling has to know of a template.
func (e *Engine) workload(t, before *template, o *outlook) schedule.Workload {
	w := schedule.Workload{
		Key: t.key.String(), Divided: t.division != kinds.Everywhere, Total: t.total,
		Namespace: t.key.Namespace, Template: t.constraints, Policy: o.policy,
	}
	w.ReadFederation(t.obj.GetAnnotations(), t.preferences())
	w.Warning = cmp.Or(w.Warning, t.mistake)
	if w.Divided {
		w.Current = e.current(t, before, &w)
	}
	return w
}

// current is how a template is divided so far; nil if it is new.
func (e *Engine) current(t, before *template, w *schedule.Workload) map[string]int32 {
	demanding := t.demandUnder(w.Policy) != nil
	switch {
	case t.recorded != nil:
		return t.recorded
	case before != nil && before.uid == t.uid && (before.decision.Unplaced == 0 || before.placed() > 0):
		return before.decision.Division()
	case demanding && (e.steered(t) || !e.mayRun(t)):
		return nil
	}
	all := e.outlook(t.policy).snapshot.Clusters()
	if demanding || !allReady(all) || slices.ContainsFunc(all, func(c schedule.Cluster) bool { return !e.founded(t, c.Name) }) || e.isFirst(t) && anyClosed(all) {
		// Divided before by the formula, over the clusters of that time.
		return schedule.Even(*w, e.founding(t, all))
	}
	return nil
}

// preferences is the annotation that says how t is divided: Hanse's own goes
// before Federation v1's.
func (t *template) preferences() string {
	if _, own := t.obj.GetAnnotations()[v1alpha1.AnnotationPreferences]; own && (t.division == kinds.Replicas || t.division == kinds.Completions) {
		return v1alpha1.AnnotationPreferences
	}
	return preferencesOf(t.key.GR)
}

// preferencesOf is the annotation of Federation v1 that says how objects of a
// resource are divided, empty if there is none.
func preferencesOf(gr schema.GroupResource) string {
	switch gr {
	case schema.GroupResource{Group: "apps", Resource: "deployments"}:
		return schedule.AnnotationDeploymentPreferences
	case schema.GroupResource{Group: "apps", Resource: "replicasets"}:
		return schedule.AnnotationReplicaSetPreferences
	case schema.GroupResource{Group: "batch", Resource: "jobs"}:
		return schedule.AnnotationJobPreferences
	}
	return ""
}

// steered says whether a template's division depends on more than its number and
// its clusters, so that it has to be recorded.
func (e *Engine) steered(t *template) bool {
	annotations := t.obj.GetAnnotations()
	return t.constraints != nil || e.outlook(t.policy).policy != nil ||
		annotations[t.preferences()] != "" || annotations[schedule.AnnotationClusterSelector] != ""
}

// founded says whether a cluster is one of those over which the formula divided t when
// it was made: a member by then, and not away since before.
func (e *Engine) founded(t *template, name string) bool {
	c := e.clusters[name]
	away := !c.ready && !c.since.After(t.created)
	return !c.joined.After(t.created) && !away
}

// founding is those of the clusters, as they were when nothing was wrong with them.
func (e *Engine) founding(t *template, all []schedule.Cluster) (founding []schedule.Cluster) {
	for i := range all {
		if e.founded(t, all[i].Name) {
			founding = append(founding, bare(all[i]))
		}
	}
	return founding
}

// schedulingCluster is a cluster as package schedule knows it: each of its zones is
// a domain, so that rules about zones count those of all clusters.
func (e *Engine) schedulingCluster(c *cluster, p *policy.Policy) schedule.Cluster {
	s := schedule.Cluster{Name: c.name, Ready: c.ready, Labels: c.labels, Price: c.price}
	e.losses.close(&s, c, p)
	for _, zone := range c.zones {
		s.Domains = append(s.Domains, schedule.Domain{Labels: map[string]string{corev1.LabelTopologyZone: zone}})
	}
	return s
}

// schedulingClusters is all clusters by name. Engine.mu is held at least for reading.
func (e *Engine) schedulingClusters(p *policy.Policy) []schedule.Cluster {
	all := make([]schedule.Cluster, 0, len(e.clusters))
	for _, c := range e.clusters {
		all = append(all, e.schedulingCluster(c, p))
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Name < all[j].Name })
	return all
}

func allReady(clusters []schedule.Cluster) bool {
	return !slices.ContainsFunc(clusters, func(c schedule.Cluster) bool { return !c.Ready })
}
