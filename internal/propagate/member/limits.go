package member

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/limits"
	"github.com/hanse-dev/hanse/internal/lineage"
	"github.com/hanse-dev/hanse/internal/propagate/needed"
	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/propagate/work"
)

// DefaultLimits bound what is remembered of one member: what comes to it is somebody else's, and whoever may write objects in
// the member with the hub's marks may make it grow. They are far beyond what a federation needs: of an object that is as it
// is to be, some 1 KiB is remembered and its status; of one that the hub has no template for, 1 KiB; of 10,000 objects that
// have to be compared when a session begins, some 60 KiB each at worst.
func DefaultLimits() limits.Limits { return limits.Limits{Objects: 250_000, Bytes: 768 << 20} }

const (
	// pagesAtOnce is how many pages of lists of one member are in memory at the same time.
	pagesAtOnce = 2
	// recordWeight is about what a record costs beside what its object says.
	recordWeight = 1 << 10
	// firstTruce and longestExile are how long a member that was too large is left alone.
	firstTruce   = 30 * time.Second
	longestExile = 10 * time.Minute
	// provenAfter is how long a session has to last until its member is taken to be within its limits.
	provenAfter = time.Minute
)

// within says whether the member is within its limits, nil if so.
func (m *Member) within() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.options.Limits.Check(len(m.records), m.bytes)
}

// overrun is that a member was too large, and when it is, or was, tried again.
type overrun struct {
	err   error // nil: never
	tries int
	again time.Time
}

// exceed ends the session: the member is more than the hub will remember of one. It does not block.
func (s *session) exceed(err error) {
	s.mu.Lock()
	if s.exceeded == nil {
		s.exceeded = err
	}
	s.mu.Unlock()
	s.cancel()
}

// engageAgain is for a session that has ended: if that was because its member is too large, all that was remembered of it is
// dropped, and after a while a new session is begun. It blocks until then, or until ctx ends.
func (m *Member) engageAgain(ctx context.Context, cfg *rest.Config, ended *session) {
	ended.mu.Lock()
	err, restarts := ended.exceeded, ended.restarts
	ended.mu.Unlock()
	switch {
	case ctx.Err() != nil || err == nil && !restarts:
		return
	case err == nil:
		m.engageNow(ctx, cfg)
		return
	}
	pause := m.exile(err, m.clock.Now())
	klog.FromContext(ctx).Error(err, "The member is too large and is disengaged", "cluster", m.name, "again", pause.String())
	for _, r := range m.source.Resources() {
		m.listener.Changed(m.source.Keys(m.name, r.GVR.GroupResource())...)
	}
	if work.Rest(ctx, m.clock, pause, nil) {
		m.engageNow(ctx, cfg)
	}
}

// engageNow begins a session, unless somebody else has.
func (m *Member) engageNow(ctx context.Context, cfg *rest.Config) {
	if m.Reachable() {
		return
	}
	if err := m.Engage(ctx, cfg); err != nil {
		klog.FromContext(ctx).Error(err, "Member cannot be used", "cluster", m.name)
	}
}

// exile drops what is remembered of a member and says for how long it is to be left alone.
func (m *Member) exile(err error, now time.Time) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now.Sub(m.overrun.again) > longestExile+provenAfter {
		m.overrun.tries = 0 // it has been well for a while
	}
	pause := min(firstTruce<<min(m.overrun.tries, 10), longestExile)
	m.overrun = overrun{err: err, tries: m.overrun.tries + 1, again: now.Add(pause)}
	for key := range m.records {
		if template.Decides(key.GR) {
			m.listener.Seen(m.name, key, nil)
		}
	}
	clear(m.records)
	clear(m.approved)
	clear(m.incomplete)
	m.uses = needed.NewThere()
	m.bytes = 0
	m.version++
	return pause
}

// Disengaged is the Cluster's condition, nil while the member is within its limits.
func (m *Member) Disengaged() *metav1.Condition {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.overrun.err == nil || m.session != nil && m.clock.Since(m.overrun.again) > provenAfter {
		return nil
	}
	return &metav1.Condition{Type: v1alpha1.ConditionDisengaged, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonTooLarge, Message: fmt.Sprintf(
		"%v: the hub leaves the cluster alone, and tries again from time to time. Try: kubectl get all,configmaps,secrets -A -l %s=true in the cluster, for who makes them",
		m.overrun.err, v1alpha1.LabelManaged)}
}

// cutObject is the field that tells an object that was cut down from a whole one.
const cutObject = "hanse.dev/cut"

func isCut(obj *unstructured.Unstructured) bool { return obj.Object[cutObject] != nil }

// cutManaged leaves all of an object that the hub has a template for, or may have, and of any other what
// says whose it is.
func (s *session) cutManaged(gr schema.GroupResource) func(*unstructured.Unstructured) {
	return func(obj *unstructured.Unstructured) {
		key := template.Key{GR: gr, Namespace: obj.GetNamespace(), Name: obj.GetName()}
		mark, marked := readMark(key, obj)
		if w, known := s.member.source.Wanted(s.member.name, key); marked && (w != nil || !known) {
			return
		}
		metadata, _ := obj.Object["metadata"].(map[string]any)
		kept := map[string]any{}
		for _, field := range []string{"name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp"} {
			if v, has := metadata[field]; has {
				kept[field] = v
			}
		}
		var names []any
		if marked {
			kept["annotations"] = lineage.Marks(metadata)
			kept["managedFields"] = mark.Evidence()
			names = needed.CutDown(gr, obj.Object)
		}
		obj.Object = map[string]any{cutObject: true, needed.Cut: names, "apiVersion": obj.Object["apiVersion"], "kind": obj.Object["kind"], "metadata": kept}
	}
}

// weigh is about how many bytes of memory an object takes that was cut down, or not.
func weigh(obj *unstructured.Unstructured) int {
	if isCut(obj) {
		return recordWeight
	}
	return limits.Weight(obj.Object)
}
