package propagate

import (
	"context"
	"errors"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/dynamic"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/lineage"
	"github.com/hanse-dev/hanse/internal/override"
)

// task is one object in one member that a worker looks at.
type task struct {
	*session
	key      Key
	template *template // nil: none
	rec      record
	now      share // what the member is to run now
	turn     turn
	skipped  []string // what is left as the member has it; set where that matters
}

// reconcile makes key in the member what the hub wants it to be. It is
// idempotent and blocks for as long as the member takes to answer. An error
// means that it has to be tried again.
func (s *session) reconcile(ctx context.Context, key Key) error {
	t, known := s.engine.template(key)
	watched, missing := s.state(key.GR)
	if !known || t != nil && (t.undecided || t.awaitsNamespace) {
		return nil // queued again once it is
	}
	if t != nil && t.division == kinds.Completions {
		t = s.engine.spreadWork(key) // by what this member has shown since it was read
	}
	task := &task{session: s, key: key, template: t, rec: s.member.get(key)}
	if t != nil {
		task.now = s.engine.shareNow(t, s.member, &task.rec)
	}
	if missing {
		return task.unserved()
	}
	if !watched {
		return nil // queued again once it is
	}
	if !task.begin() {
		s.queue.Add(key)
		return nil
	}
	err := task.do(ctx)
	if ctx.Err() != nil {
		return nil // the session is over
	}
	task.sent(err)
	var wait waiting
	if errors.As(err, &wait) {
		task.await(wait)
		return err
	}
	var override *override.Error
	if errors.As(err, &override) && (task.rec.fault == nil || task.rec.fault.message != err.Error()) {
		task.tell(corev1.EventTypeWarning, v1alpha1.ReasonOverrideFailed, err.Error())
	}
	if err != nil {
		task.note(&fault{conflict: errors.As(err, &conflictError{}), message: err.Error()})
		s.engine.statusSoon(key)
		if errors.As(err, &conflictError{}) {
			return nil // until the object, here or there, or the annotation changes
		}
	}
	return err
}

// waiting is an error that is no fault: what the object needs is not there yet.
type waiting struct{ what string }

func (w waiting) Error() string { return "waiting for " + w.what }

func (t *task) do(ctx context.Context) error {
	placed := t.placed()
	if placed {
		if err := t.takeTurn(); err != nil {
			return err
		}
	}
	switch {
	case t.template.held() && !t.member.leaving():
		t.note(nil)
		return nil
	case !t.rec.seen.exists() && !placed:
		t.forgetMe()
		return nil
	case t.rec.seen.deleting:
		t.note(nil)
		return nil // its deletion, when it is complete, queues it again
	case !t.rec.seen.exists():
		return t.create(ctx)
	}
	return t.act(ctx, placed)
}

// placed says whether the member is to have the object. A workload whose share
// went away keeps the object, with no replicas: scaling deletes nothing.
func (t *task) placed() bool {
	if t.template == nil || t.template.going || t.member.leaving() {
		return false
	}
	if _, ok := t.template.shares[t.member.name]; ok {
		return true
	}
	switch t.template.division {
	case kinds.Replicas:
		return t.rec.seen.exists() && t.rec.seen.mark.Origin.Template == t.template.uid
	case kinds.OneActive:
		return true
	}
	return false
}

// held says whether nobody knows where the object is to be, so that it is left alone
// where it is. What is divided is not: its division so far goes on.
func (t *template) held() bool {
	return t != nil && t.decision.Hold && !t.going && (t.division == kinds.Everywhere || len(t.decision.Shares) == 0)
}

func (t *task) target() target {
	target := t.template.target(t.member.name)
	target.share = t.now
	target.revision = t.turn.revision
	return target
}

// desired is what the object in the member has to say, save what others own. The
// error is about an override of its policy that cannot be applied.
func (t *task) desired(origin string, adopted bool) (map[string]any, error) {
	out := maps.Clone(t.template.content.object)
	meta := maps.Clone(out["metadata"].(map[string]any))
	meta["labels"] = with(meta["labels"], v1alpha1.LabelManaged, "true")
	meta["annotations"] = with(meta["annotations"], v1alpha1.AnnotationOrigin, origin)
	if adopted {
		meta["annotations"] = with(meta["annotations"], v1alpha1.AnnotationAdopted, "true")
	}
	out["metadata"] = meta
	out = t.turned(out)
	if spec, ok := out["spec"].(map[string]any); ok && (t.template.division != kinds.Everywhere || t.template.scaler != nil) {
		out["spec"] = maps.Clone(spec)
		sh := t.now
		kinds.SetShare(t.template.division, out, sh.ofKind())
		setBounds(out, sh)
	}
	out, _, err := override.Apply(out, t.template.shapes[t.member.name].overrides)
	if err != nil {
		return nil, fmt.Errorf("for cluster %s: %w", t.member.name, err)
	}
	return t.turn.withoutAsIs(t.localised(out)), nil
}

// localised is desired without what its pod template says of clusters.
func (t *task) localised(desired map[string]any) map[string]any {
	spec, _ := desired["spec"].(map[string]any)
	template, ok := spec["template"].(map[string]any)
	if !ok {
		return desired
	}
	t.engine.mu.RLock()
	c := t.engine.clusters[t.member.name]
	t.engine.mu.RUnlock()
	if c == nil {
		return desired
	}
	// Kinds whose template is not a pod's have none of these fields in it.
	if local, ok := kinds.Localise(template, c.labels); ok {
		return withField(desired, "spec", withField(spec, "template", local))
	}
	return desired
}

// with is a copy of the map v with one more entry.
func with(v any, key, value string) map[string]any {
	m, _ := v.(map[string]any)
	return withField(m, key, value)
}

// withField is a copy of m with one more field.
func withField(m map[string]any, key string, value any) map[string]any {
	out := make(map[string]any, len(m)+1)
	maps.Copy(out, m)
	out[key] = value
	return out
}

// origin is what a new object in a member is marked with.
func (t *task) origin() string {
	return lineage.Origin{Hub: t.engine.hubUID, Session: t.engine.session, Revision: t.template.rv, Template: t.template.uid, On: t.key.object()}.String()
}

// skip are the fields that are the member's although the hub's object sets
// them.
func (t *task) skip() (paths []string, known bool) {
	switch t.template.division {
	case kinds.Replicas:
		r := t.engine.resource(t.key.GR)
		if r == nil {
			return nil, false
		}
		owned, known := t.scaled.owns(r.gvk.GroupKind(), t.key.Namespace, t.key.Name)
		if !known {
			return nil, false
		}
		if t.engine.follows(t.template) {
			owned = t.ownCount(owned)
		}
		if owned {
			return []string{"spec.replicas"}, true
		}
	case kinds.Completions, kinds.One:
		return t.fixed(), true
	}
	return nil, true
}

func (t *task) objects() dynamic.ResourceInterface {
	r := t.engine.resource(t.key.GR)
	if r == nil { // it stopped being served at the hub this moment
		return t.client.Resource(t.key.GR.WithVersion("v1")).Namespace(t.key.Namespace)
	}
	return t.client.Resource(r.gvr).Namespace(t.key.Namespace)
}

// note remembers a failed attempt, or that there is no fault any more.
func (t *task) note(f *fault) {
	if f == nil && t.rec.fault == nil && t.rec.waits == "" {
		return
	}
	t.member.update(t.key, func(r *record) { r.setFault(f) })
	t.engine.changes.notify(t.key)
}

// await remembers what the object waits for.
func (t *task) await(what waiting) {
	if t.rec.fault == nil && t.rec.waits == what.what {
		return
	}
	t.member.update(t.key, func(r *record) {
		r.setFault(nil)
		r.waits = what.what
	})
	t.engine.changes.notify(t.key)
}

func (t *task) forgetMe() {
	if t.rec.fault == nil && t.rec.left == nil && t.rec.waits == "" {
		return
	}
	t.member.update(t.key, func(r *record) {
		if !r.seen.exists() {
			*r = record{}
		}
	})
	t.engine.changes.notify(t.key)
}

// unserved is for an object of a kind that the member does not know.
func (t *task) unserved() error {
	if t.template == nil || !t.placed() {
		t.forgetMe()
		return nil
	}
	kind := t.template.obj.GroupVersionKind()
	t.note(&fault{message: fmt.Sprintf("cluster %s does not serve %s of %s. Try: install it there, or upgrade the cluster", t.member.name, kind.Kind, kind.GroupVersion())})
	return nil
}

func (m *member) leaving() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.withdrawing
}

// releasing says whether, of a member that leaves, the workloads stay.
func (m *member) releasing() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.withdrawing && m.staying
}

// refused words an error of the member for whoever looks at the Placement. It
// names the object's fields, never what is in them: an API server repeats
// values that it finds invalid.
func (t *task) refused(doing string, err error) error {
	secret := t.key.GR.Group == "" && t.key.GR.Resource == "secrets"
	switch {
	case apierrors.IsForbidden(err) && secret, apierrors.IsInvalid(err) && secret, apierrors.IsBadRequest(err) && secret:
		return fmt.Errorf("%s in cluster %s: %s (details are left out, the object is a Secret)", doing, t.member.name, apierrors.ReasonForError(err))
	}
	return fmt.Errorf("%s in cluster %s: %w", doing, t.member.name, err)
}
