package member

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/guard"
	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/lineage"
	"github.com/hanse-dev/hanse/internal/override"
	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// task is one object in one member that a worker looks at.
type task struct {
	*session
	view
	resource Resource
}

// attempt is reconcile, with a panic as the fault of that one object.
func (s *session) attempt(ctx context.Context, key template.Key) error {
	err := guard.Run(func() error { return s.reconcile(ctx, key) })
	if guard.Stack(err) != nil {
		m := s.member
		m.update(key, func(r *record) {
			r.setFault(&decide.Problem{Message: fmt.Sprintf("in cluster %s: %v", m.name, err)}, m.clock.Now())
		})
		m.listener.Changed(key)
	}
	return err
}

// reconcile makes key in the member what the hub wants it to be. It is idempotent and blocks for as long as the member takes
// to answer. An error means that it has to be tried again.
func (s *session) reconcile(ctx context.Context, key template.Key) error {
	w, known := s.member.source.Wanted(s.member.name, key)
	if !known || w != nil && w.Waits {
		return nil // queued again once it is
	}
	read, missing := s.state(key.GR)
	t := s.task(key, w)
	placed := t.placed()
	switch {
	case missing:
		return t.unserved(placed)
	case !read || placed && key.Namespace != "" && !s.knowsNamespaces():
		return nil // queued again once it is
	case placed, t.expelled() && t.rec.seen.exists():
		s.watchSoon(key.GR) // what is placed is watched; what it has now was read
	}
	if err := t.lookInside(ctx); err != nil {
		return t.end(t.refused("look into", err))
	}
	err := t.do(ctx)
	if ctx.Err() != nil {
		return nil // the session is over
	}
	return err
}

func (s *session) task(key template.Key, w *decide.Wanted) *task {
	m := s.member
	t := &task{session: s, view: view{
		cluster: m.name, key: key, want: w, hub: m.options.Hub, run: m.options.Run, history: m.options.History, hasher: m.options.Hasher, now: m.clock.Now(),
		accepts: func(n int32) bool { return m.source.Accepts(m.name, key, n) },
	}}
	m.look(&t.view)
	if t.expelled() {
		m.surround(&t.view)
	}
	t.bounds = m.source.Bounds(m.name)
	if key.Namespace != "" && !t.in.ours {
		ns, _ := m.source.Wanted(m.name, template.Key{GR: template.Namespaces(), Name: key.Namespace})
		t.in.wanted = ns != nil && ns.Placed && !ns.Going
	}
	t.unread = w != nil && w.Unnamed && t.rec.seen.exists() && !m.heardAll()
	t.namespaceNext = key.Namespace != "" && !t.rec.seen.exists() && s.replacesNamespace(&t.view)
	t.resource, _ = m.source.Resource(key.GR)
	t.schema = s.schemas.of(t.resource.GVR.GroupVersion())
	if m.options.Version != nil {
		t.version = m.options.Version(m.name)
	}
	if template.IsScalable(key.GR) {
		t.scaled, t.scalersKnown = s.scalers.owns(t.resource.GVK.GroupKind(), key.Namespace, key.Name)
	}
	return t
}

// replacesNamespace says whether the namespace that the object is in is to be deleted in the member, because it is from another
// Namespace of that name, or may be: what is made in it now goes with it.
func (s *session) replacesNamespace(of *view) bool {
	ns := view{key: template.Key{GR: template.Namespaces(), Name: of.key.Namespace}, hub: of.hub, run: of.run, history: of.history}
	if ns.want, _ = s.member.source.Wanted(s.member.name, ns.key); ns.want == nil {
		return false
	}
	if read, missing := s.state(ns.key.GR); !read && !missing {
		return true // nobody knows yet
	}
	s.member.look(&ns)
	if !ns.rec.seen.exists() || ns.rec.seen.deleting || ns.rec.seen.from(ns.want.UID) {
		return false
	}
	action, _ := ns.judge(ns.placed())
	return action == lineage.Delete
}

// do carries out what follows for the object, step by step. At most one of them writes.
func (t *task) do(ctx context.Context) error {
	s := next(&t.view)
	for s.verb != nothing {
		t.note(s)
		if s.verb.writes() && s.wanted != nil {
			switch missing := t.lacks(s.wanted); {
			case missing == "":
			case t.queue.NumRequeues(t.key) == 0:
				return waiting{missing} // it is on its way, most likely: nobody has to hear of that
			default:
				return t.end(waits(missing))
			}
		}
		begun := s.verb.writes() && s.wanted != nil && t.want.StaysPut()
		if begun && !t.begins() {
			t.queue.Add(t.key)
			return nil
		}
		if s.verb.writes() && t.lowers() && t.member.Unread(t.key.GR) != nil {
			if err := t.reread(ctx); err != nil {
				return t.end(t.refused("read", err))
			}
		}
		if s.verb.writes() && t.lowers() && !t.member.source.Lowers(t.cluster, t.want, t.rec.observed(t.hub)) {
			t.queue.Add(t.key)
			return nil
		}
		if s.wanted != nil {
			t.early(t.key)
		}
		obj, err := t.request(ctx, s)
		if ctx.Err() != nil {
			return nil
		}
		asked := s
		s = t.answered(asked, obj, err)
		if begun {
			t.sent(s.err)
		}
		t.after(asked, err)
	}
	t.note(s)
	return t.end(s)
}

// lowers says whether the member is to run fewer replicas than it is seen to run.
func (t *task) lowers() bool {
	n := t.rec.seen.replicas
	return t.want != nil && t.want.Division == kinds.Replicas && t.rec.seen.exists() && n != nil && t.want.Share.Replicas < *n
}

// reread notes what the object shows now, which no watch says.
func (t *task) reread(ctx context.Context) error {
	obj, err := t.request(ctx, step{verb: get})
	if err != nil {
		return err
	}
	(&sink{session: t.session, gr: t.key.GR}).take(obj, true)
	t.rec = t.member.get(t.key)
	return nil
}

// after is for what others have to do once a request was answered.
func (t *task) after(s step, err error) {
	if err != nil || s.wanted == nil {
		return
	}
	if t.key.GR == template.Namespaces() && (s.verb == create || s.adopts) {
		t.namespaceChanged(t.key)
	}
	if t.Metrics() != nil && len(s.drift) == 0 && !s.adopts {
		t.Metrics().Confirmed(t.cluster, t.want)
	}
}

// note remembers what a step says, and tells of it.
func (t *task) note(s step) {
	if s.remember != nil {
		t.member.update(t.key, s.remember)
		if !s.quietly {
			t.member.listener.Changed(t.key)
		}
	}
	if s.synced {
		t.member.listener.StatusChanged(t.cluster, t.key)
		t.schemas.watch(t.session)
	}
	for _, n := range s.tell {
		t.tell(n)
	}
}

// end is what becomes of an attempt that ends with s.
func (t *task) end(s step) error {
	if s.atOnce {
		t.queue.Add(t.key)
	}
	if s.again > 0 {
		t.queue.AddAfter(t.key, s.again)
	}
	if s.err == nil {
		return nil
	}
	var wait waiting
	var conflict conflictError
	var mistake *override.Error
	var denied deniedError
	if s.awaits {
		s.err = t.awaited(s.err)
	}
	switch f := t.rec.fault(); {
	case errors.As(s.err, &wait):
		if f == nil && t.rec.waits() == wait.what {
			return s.err
		}
		t.note(step{remember: func(r *record) { r.wait(wait.what, t.now) }})
		return s.err
	case errors.As(s.err, &mistake) && (f == nil || f.Message != s.err.Error()):
		t.tell(news{eventType: corev1.EventTypeWarning, reason: v1alpha1.ReasonOverrideFailed, message: s.err.Error()})
	}
	problem := &decide.Problem{Conflict: errors.As(s.err, &conflict), Message: s.err.Error()}
	t.note(step{remember: func(r *record) { r.setFault(problem, t.now) }})
	t.member.listener.StatusChanged(t.cluster, t.key)
	switch {
	case problem.Conflict:
		return nil // until the object, here or there, or the annotation changes
	case errors.As(s.err, &denied) && t.queue.NumRequeues(t.key) >= triesWithoutRight:
		t.queue.AddAfter(t.key, lookAtDenials)
		return nil
	}
	return s.err
}

// API servers learn a moment later of rights that were given, so what is denied is tried some times, for seconds; then rarely.
const (
	triesWithoutRight = 7
	lookAtDenials     = 5 * time.Minute
)

// awaited is what a write waits for that came before the namespace it is in, or before the member serves its kind; err if
// for nothing.
func (t *task) awaited(err error) error {
	if t.key.Namespace == "" {
		t.refreshSoon()
		return waiting{t.key.GR.String() + " to be served"}
	}
	ns := template.Key{GR: template.Namespaces(), Name: t.key.Namespace}
	if w, known := t.member.source.Wanted(t.cluster, ns); w != nil || !known {
		t.queue.Add(ns)
		return waiting{"namespace " + t.key.Namespace}
	}
	return err
}

// request asks the member for what s says. It blocks for as long as the member takes to answer.
func (t *task) request(ctx context.Context, s step) (obj *unstructured.Unstructured, err error) {
	objects, name := t.objects(), t.key.Name
	if s.verb == get {
		return objects.Get(ctx, name, metav1.GetOptions{})
	}
	if attribute := t.member.options.Attribute; attribute != nil && t.follows(s) {
		ctx = attribute(ctx, t.key)
	}
	verb, began := "patch", t.member.clock.Now()
	switch s.verb {
	case create:
		verb = "create"
		obj, err = objects.Create(ctx, &unstructured.Unstructured{Object: s.body}, metav1.CreateOptions{FieldManager: v1alpha1.FieldManager})
	case replace:
		verb = "update"
		obj, err = objects.Update(ctx, &unstructured.Unstructured{Object: s.body}, metav1.UpdateOptions{FieldManager: v1alpha1.FieldManager})
	case patch, release, lower:
		body, wrong := json.Marshal(s.body)
		if wrong != nil {
			return nil, fmt.Errorf("encode the patch of %s: %w", t.key, wrong)
		}
		obj, err = objects.Patch(ctx, name, types.MergePatchType, body, metav1.PatchOptions{FieldManager: v1alpha1.FieldManager})
	case remove:
		verb = "delete"
		background, uid := metav1.DeletePropagationBackground, s.uid
		err = objects.Delete(ctx, name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}, PropagationPolicy: &background})
	}
	if t.Metrics() != nil {
		t.Metrics().Wrote(ctx, t.cluster, t.key, verb, err, t.member.clock.Since(began))
	}
	return obj, err
}

// follows says whether what s asks for follows from a change of the object at the hub: not from drift, nor from clusters
// that are lost, are drained or fill up.
func (t *task) follows(s step) bool {
	if t.want == nil || t.rec.left == nil {
		return t.want == nil || !t.want.OfItself
	}
	before, now := t.rec.left.Target(), t.want.Target()
	before.Shape = now.Shape // which is a policy's
	return len(s.drift) == 0 && !t.want.OfItself && before != now
}

func (t *task) objects() dynamic.ResourceInterface {
	gvr := t.resource.GVR
	if gvr.Empty() { // it stopped being served at the hub this moment
		gvr = t.key.GR.WithVersion("v1")
	}
	return t.client.Resource(gvr).Namespace(t.key.Namespace)
}

// unserved is for an object of a kind that the member does not know.
func (t *task) unserved(placed bool) error {
	if !placed {
		t.note(t.forget())
		return nil
	}
	gvk := t.want.GVK
	problem := &decide.Problem{Message: fmt.Sprintf("cluster %s does not serve %s of %s. Try: install it there, or upgrade the cluster", t.cluster, gvk.Kind, gvk.GroupVersion())}
	t.note(step{remember: func(r *record) { r.setFault(problem, t.now) }})
	return nil
}

// begins asks, before the member is written to, whether work that stays put may begin there, or how many pods at once it
// is told to run, and notes that it may have. It is false if something else was decided by now.
func (t *task) begins() bool {
	if !t.want.Placed {
		return false
	}
	// The World hears of it before it is asked, so that no earlier look at the member takes it back.
	n, before := t.want.Share.Parallelism, t.rec.sending
	t.member.update(t.key, func(r *record) { r.sending = &n })
	if t.member.source.Begins(t.cluster, t.want) {
		return true
	}
	t.member.update(t.key, func(r *record) { r.sending = before })
	return false
}

// sent notes what came of an attempt to write: the member has answered, unless err may mean that nobody knows what it has done.
func (t *task) sent(err error) {
	var answer apierrors.APIStatus
	switch {
	case err == nil, errors.As(err, &waiting{}), errors.As(err, &conflictError{}):
	case errors.As(err, &answer) && answer.Status().Code >= 400 && answer.Status().Code < 500:
	default:
		return
	}
	t.member.update(t.key, func(r *record) { r.sending = nil })
}

// Metrics may be nil.
func (t *task) Metrics() Metrics { return t.member.options.Metrics }

// tell makes an event about the object, at the hub and in the member.
func (t *task) tell(n news) {
	if t.want == nil || n.restored && !t.member.tellsRestored(t.want) {
		return
	}
	t.member.listener.Tell(t.cluster, t.want, n.eventType, n.reason, t.cluster+": "+n.message)
	gvk := t.resource.GVK
	there := &corev1.ObjectReference{APIVersion: gvk.GroupVersion().String(), Kind: gvk.Kind, Namespace: t.key.Namespace, Name: t.key.Name,
		UID: t.member.get(t.key).seen.uid}
	t.events.Tell(there, n.eventType, n.reason, n.message+" (this object is managed by the federation's hub)")
}

// lateAfter is how long a request of a session may take at most where nothing else bounds it.
const lateAfter = 30 * time.Second
