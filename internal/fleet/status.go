package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/fleet/access"
	"github.com/hanse-dev/hanse/internal/fleet/survey"
	"github.com/hanse-dev/hanse/internal/policy"
	"github.com/hanse-dev/hanse/internal/rights"
)

// ConditionLeaving is True while a Cluster that is being deleted is still
// there; its message says what it waits for.
const ConditionLeaving = "Leaving"

// countsInterval is how often at most a status is written again although only
// the numbers in its messages have changed.
const countsInterval = 10 * time.Second

// publishing remembers what the last statuses were about.
type publishing struct {
	pending int       // looks in a row at which something was pending
	written time.Time // when status was written last
	refused string    // why labels were not written, as was said
	said    statement // what labels and status say, as was seen; zero: nobody knows
}

// statement is what a status is made of, and of which version of the Cluster it was
// found that there is nothing to write. Most looks find what the last one did: two
// numbers are compared then, and no statuses.
type statement struct {
	version string
	health  health
	surveys int
	report  Report
	leaving leaving
}

// maxCondition bounds, in bytes, a condition's message; the API allows 32 KiB.
const maxCondition = 4 << 10

// view is all that a Cluster's status is made of.
type view struct {
	health  health
	facts   survey.Facts
	report  Report
	leaving leaving
	now     time.Time
}

// publish writes labels and status of the Cluster if they are not what they
// should be. What cannot be written now is at the next look. The status does not
// depend on the labels.
func (m *member) publish(ctx context.Context, c *v1alpha1.Cluster) {
	report := m.fleet.prop.Report(m.name)
	if report.Pending == 0 {
		m.publishing.pending = 0
	} else if m.publishing.pending++; m.publishing.pending < 2 {
		report.Pending = 0 // it may well be done in a moment
	}
	says := statement{c.ResourceVersion, m.health, m.surveys, report, m.leaving}
	if says == m.publishing.said {
		return
	}
	m.publishing.said = statement{}
	now := m.fleet.clock.Now()
	want := render(c, view{m.health, m.facts, report, m.leaving, now})
	// Labels first: whoever waits for ready clusters wants to choose among them.
	labelled, err := m.publishLabels(ctx, c, want)
	if err == nil {
		c, m.publishing.refused = labelled, ""
	} else {
		m.refusedLabels(ctx, c, err)
	}
	if equality.Semantic.DeepEqual(c.Status, want) {
		if err == nil && c.ResourceVersion == says.version {
			m.publishing.said = says
		}
		return
	}
	if now.Before(m.publishing.written.Add(countsInterval)) && onlyCounts(c.Status, want) {
		return
	}
	if err = m.writeStatus(ctx, c, want); err != nil {
		if !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) && ctx.Err() == nil {
			m.troubles.Failed(klog.FromContext(ctx), "status", err, "The Cluster's status could not be written")
		}
		return
	}
	m.troubles.Worked(klog.FromContext(ctx), "status", "The Cluster's status was written")
	m.publishing.written = now
	m.fleet.events.held(c, meta.FindStatusCondition(want.Conditions, v1alpha1.ConditionDeletionsHeld))
	m.fleet.events.failedOver(c, meta.FindStatusCondition(want.Conditions, v1alpha1.ConditionFailedOver))
}

// writeStatus writes a status. If the hub's API refuses it, it writes what
// matters most, with what was accepted before of the rest.
func (m *member) writeStatus(ctx context.Context, c *v1alpha1.Cluster, want v1alpha1.ClusterStatus) error {
	opts := metav1.UpdateOptions{FieldManager: v1alpha1.FieldManager}
	update := &v1alpha1.Cluster{TypeMeta: c.TypeMeta, ObjectMeta: *c.ObjectMeta.DeepCopy(), Spec: c.Spec, Status: want}
	_, err := m.fleet.clusterClient.UpdateStatus(ctx, update, opts)
	if !apierrors.IsInvalid(err) {
		if err == nil {
			m.troubles.Worked(klog.FromContext(ctx), "whole status", "All of the Cluster's status was written")
		}
		return err
	}
	m.troubles.Failed(klog.FromContext(ctx), "whole status", err, "The Cluster's status was refused; its phase and conditions are written alone")
	update.Status = *c.Status.DeepCopy()
	update.Status.Phase, update.Status.Conditions = want.Phase, want.Conditions
	if equality.Semantic.DeepEqual(c.Status, update.Status) {
		return nil
	}
	_, err = m.fleet.clusterClient.UpdateStatus(ctx, update, opts)
	return err
}

// refusedLabels says once why the labels of a Cluster are not what they should
// be; they are tried again at each look.
func (m *member) refusedLabels(ctx context.Context, c *v1alpha1.Cluster, err error) {
	why := access.OneLine(err.Error())
	if ctx.Err() != nil || apierrors.IsNotFound(err) || why == m.publishing.refused {
		return
	}
	m.publishing.refused = why
	klog.FromContext(ctx).Error(err, "The Cluster's labels could not be written")
	m.fleet.events.labelsRefused(c, why)
}

// publishLabels puts what is known of the member's place where selectors find
// it, and returns the Cluster as it is then. Labels that have no value any more
// go.
func (m *member) publishLabels(ctx context.Context, c *v1alpha1.Cluster, s v1alpha1.ClusterStatus) (*v1alpha1.Cluster, error) {
	change := map[string]any{}
	for key, value := range placeLabels(c.Name, s) {
		switch {
		case value == "" && c.Labels[key] != "":
			change[key] = nil
		case value != c.Labels[key]:
			change[key] = value
		}
	}
	if len(change) == 0 {
		return c, nil
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": change}})
	if err != nil {
		return nil, fmt.Errorf("cannot encode labels: %w", err)
	}
	return m.fleet.clusterClient.Patch(ctx, c.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: v1alpha1.FieldManager})
}

// placeLabels are the labels that hanse owns on a Cluster; "" is none.
func placeLabels(name string, s v1alpha1.ClusterStatus) map[string]string {
	zone := ""
	if len(s.Zones) == 1 {
		zone = s.Zones[0]
	}
	return map[string]string{
		v1alpha1.LabelClusterName:  survey.LabelValue(name),
		v1alpha1.LabelProvider:     survey.LabelValue(s.Provider),
		v1alpha1.LabelContinent:    policy.ContinentOf(s.Provider, s.Region),
		corev1.LabelTopologyRegion: survey.LabelValue(s.Region),
		corev1.LabelTopologyZone:   survey.LabelValue(zone),
	}
}

// render is the status that a Cluster should have.
func render(c *v1alpha1.Cluster, v view) v1alpha1.ClusterStatus {
	s := *c.Status.DeepCopy()
	s.Phase = v.health.phase()
	if c.DeletionTimestamp != nil {
		s.Phase = v1alpha1.ClusterLeaving
	}
	v.facts.Fill(&s, c)
	s.Held = int32(min(v.report.Held, 1<<31-1))
	set := func(kind string, status metav1.ConditionStatus, reason, message string) {
		meta.SetStatusCondition(&s.Conditions, metav1.Condition{Type: kind, Status: status, Reason: reason, Message: access.Printable(message, maxCondition),
			ObservedGeneration: c.Generation, LastTransitionTime: metav1.NewTime(v.now)})
	}
	ready := metav1.ConditionFalse
	switch {
	case v.health.ok():
		ready = metav1.ConditionTrue
	case v.health.reason == v1alpha1.ReasonConnecting:
		ready = metav1.ConditionUnknown
	}
	set(v1alpha1.ConditionReady, ready, v.health.reason, v.health.message)
	synced, reason, message := syncedCondition(v.health, v.report)
	set(v1alpha1.ConditionSynced, synced, reason, message)
	held, reason, message := heldCondition(c.Name, v.report)
	set(v1alpha1.ConditionDeletionsHeld, held, reason, message)
	restricted, reason, message := restrictedCondition(c)
	set(v1alpha1.ConditionRestricted, restricted, reason, message)
	at := func(kind string, c *metav1.Condition) {
		if c == nil {
			meta.RemoveStatusCondition(&s.Conditions, kind)
			return
		}
		set(kind, c.Status, c.Reason, c.Message)
	}
	if v.health.ok() {
		v.report.FailedOver = nil // one look that failed is no news
	}
	at(v1alpha1.ConditionFailedOver, v.report.FailedOver)
	at(v1alpha1.ConditionDrained, v.report.Drained)
	at(v1alpha1.ConditionFailoverReady, v.report.FailoverReady)
	at(v1alpha1.ConditionDisengaged, v.report.Disengaged)
	if v.leaving.reason != "" {
		set(ConditionLeaving, metav1.ConditionTrue, v.leaving.reason, v.leaving.waitsFor)
	}
	return s
}

func syncedCondition(h health, r Report) (metav1.ConditionStatus, string, string) {
	switch {
	case !h.ok():
		return metav1.ConditionUnknown, "NotReachable", "unknown, because the cluster is not ready"
	case r.Disengaged != nil:
		return metav1.ConditionFalse, v1alpha1.ConditionDisengaged, r.Disengaged.Message
	case r.Unread != "":
		return metav1.ConditionFalse, v1alpha1.ReasonUnreadable, "what cannot be read there is as last seen: " + r.Unread
	case r.Failing > 0:
		return metav1.ConditionFalse, "Failing", fmt.Sprintf("%s not as the hub wants them: %s. Try: hanse status", objects(r.Failing), access.OneLine(r.Message))
	case r.Pending > 0:
		message := objects(r.Pending) + " still to be written or deleted"
		if r.Waiting != "" {
			message += ": " + access.OneLine(r.Waiting)
		}
		return metav1.ConditionFalse, "Pending", message
	}
	return metav1.ConditionTrue, "Synced", "everything that is placed here is as the hub wants it"
}

func heldCondition(name string, r Report) (metav1.ConditionStatus, string, string) {
	if r.Held == 0 {
		return metav1.ConditionFalse, "NothingHeld", "no objects are held in this cluster"
	}
	return metav1.ConditionTrue, "NotKnownToHub", fmt.Sprintf(
		"%s in the cluster came from a hub, but this hub does not know them or did not put them there itself; they are held, and left as they are. Try: hanse prune %s, which lists them with the reasons, and asks before it deletes", objects(r.Held), name)
}

// restrictedCondition says what the hub's account may do in a cluster, as it is.
func restrictedCondition(c *v1alpha1.Cluster) (metav1.ConditionStatus, string, string) {
	guard := "no policy in the cluster bounds what it does with its rights"
	if c.Spec.Access.Guard == v1alpha1.GuardEnforced {
		guard = "the policy " + rights.GuardName + " in the cluster bounds what it does with its rights"
	}
	a := rights.Read(c.Spec.Access)
	if limits := a.Limits(); limits != "" {
		role := v1alpha1.RoleNamespaced
		if a.Full {
			role = v1alpha1.RoleFull
		}
		return metav1.ConditionTrue, string(role), fmt.Sprintf("the hub's account (%s) does not write %s; %s. Try: hanse join %s again with other rights, by an administrator of that cluster", a, limits, guard, c.Name)
	}
	return metav1.ConditionFalse, string(v1alpha1.RoleFull), "the hub's account is an administrator of the cluster: with creating and reading Secrets go the tokens of all service accounts, and it may grant rights that it does not hold; " + guard
}

// objects is n with its noun.
func objects(n int) string {
	if n == 1 {
		return "1 object"
	}
	return fmt.Sprintf("%d objects", n)
}

// onlyCounts is true if two statuses differ in nothing but messages about how
// much there still is to do.
func onlyCounts(a, b v1alpha1.ClusterStatus) bool {
	a, b = *a.DeepCopy(), *b.DeepCopy()
	for _, s := range []*v1alpha1.ClusterStatus{&a, &b} {
		if c := meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionSynced); c != nil {
			c.Message = ""
		}
	}
	return equality.Semantic.DeepEqual(a, b)
}
