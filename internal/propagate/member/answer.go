package member

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/fieldmerge"
	"github.com/hanse-dev/hanse/internal/propagate/report"
	"github.com/hanse-dev/hanse/internal/rights"
	"github.com/hanse-dev/hanse/internal/rollout"
)

// Reasons of events.
const (
	ReasonDrift       = "DriftCorrected"
	ReasonRestored    = "Restored"
	ReasonConflict    = "Conflict"
	ReasonAdopted     = "Adopted"
	ReasonOverwritten = "Overwritten"
	ReasonDropped     = "FieldsDropped"
)

// answered is what follows from the member's answer to a step: obj, or err. It writes nothing, except that a create
// that met an object, or an object that was read, leads to another step. It is a function of its arguments; it notes in v what
// was read.
func (v *view) answered(s step, obj *unstructured.Unstructured, err error) step {
	switch s.verb {
	case get:
		return v.read(obj, err)
	case create:
		return v.created(s, obj, err)
	case patch:
		return v.patched(s, obj, err)
	case replace:
		switch {
		case apierrors.IsConflict(err), apierrors.IsNotFound(err):
			return waits("a newer version of the object to replace")
		case err != nil:
			return v.refused("replace", err)
		}
		out := v.settle(s, obj, true)
		return out.telling(corev1.EventTypeWarning, ReasonOverwritten, "existed before; replaced, as annotation "+v1alpha1.AnnotationConflict+" says")
	case remove:
		return v.removed(s, err)
	case lower:
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) && !anotherUID(err) {
			return v.refused("update", err)
		}
		return v.lingers("its pods to end")
	case release:
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			return v.refused("release", err)
		}
		return v.fine()
	case nothing:
	}
	return s
}

func (s step) telling(eventType, reason, message string) step {
	s.tell = append(s.tell, news{eventType: eventType, reason: reason, message: message})
	return s
}

func (v *view) created(s step, obj *unstructured.Unstructured, err error) step {
	switch {
	case err == nil:
		out := v.settle(s, obj, true)
		if v.rec.left != nil {
			return out.telling(corev1.EventTypeWarning, ReasonDrift, "was deleted in the cluster; created again")
		}
		return out.restored("was missing in the cluster; created again")
	case apierrors.IsAlreadyExists(err): // somebody else made it, or took our label off, or the watch lags
		v.met, v.live, v.rec.live = true, nil, nil
		return step{verb: get}
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return waits("namespace " + v.key.Namespace + " in the member, which is being deleted")
	case apierrors.IsNotFound(err):
		out := v.refused("create", err)
		out.awaits = true
		return out
	}
	return v.refused("create", err)
}

// restored tells what became of an object that the restored hub has as it was before this run.
func (s step) restored(what string) step {
	s.tell = append(s.tell, news{corev1.EventTypeWarning, ReasonRestored, what + ", since the hub was restored from an older copy", true})
	return s
}

func (v *view) patched(s step, obj *unstructured.Unstructured, err error) step {
	switch {
	case apierrors.IsConflict(err), anotherUID(err):
		out := waits("a newer version of the object to compare with")
		out.remember = func(r *record) { r.live = nil }
		return out
	case apierrors.IsNotFound(err):
		return v.vanished()
	case err != nil:
		return v.refused("update", err)
	}
	out := v.settle(s, obj, true)
	if v.overtaken(s, obj) {
		out = v.lookAgain(s, obj)
	}
	if rollout.Rolls(v.key.GR) {
		out.remember = v.outliving(s, out.remember)
	}
	switch {
	case s.adopts:
		message := "existed before; the hub manages it from now on"
		if len(s.spared) > 0 {
			message += ", but for " + strings.Join(s.spared, ", ") + ", which the hub wants weaker than the cluster may have it"
		}
		return out.telling(corev1.EventTypeNormal, ReasonAdopted, message)
	case len(s.drift) > 0:
		remember := out.remember
		out.remember = func(r *record) {
			remember(r)
			t := r.changed()
			t.corrections, t.corrected = s.corrections, v.now
		}
		return out.telling(corev1.EventTypeWarning, ReasonDrift, v.putBack(s.drift))
	case s.first:
		return out.restored(changedBack(s.body))
	}
	return out
}

// anotherUID says whether a patch was refused because the object is another one by now.
func anotherUID(err error) bool {
	var status apierrors.APIStatus
	if !apierrors.IsInvalid(err) || !errors.As(err, &status) || status.Status().Details == nil {
		return false
	}
	return slices.ContainsFunc(status.Status().Details.Causes, func(c metav1.StatusCause) bool { return c.Field == "metadata.uid" })
}

// outliving notes beside what remember does that what the member said of its pods is about those of the pod template that
// was just replaced. A Deployment whose deadline was exceeded goes on saying so until the new pods get on.
func (v *view) outliving(s step, remember func(*record)) func(*record) {
	now := s.made.Target()
	return func(r *record) {
		if r.left == nil || r.left.Target().Pods() != now.Pods() {
			if said := rollout.SaidAt(r.seen.status); said != "" || r.trouble != nil && r.trouble.outlived != "" {
				r.changed().outlived = said
			}
		}
		remember(r)
	}
}

// removed takes in the answer to a deletion. With the UID as a precondition it cannot have hit a namesake.
func (v *view) removed(s step, err error) step {
	switch {
	case apierrors.IsConflict(err):
		return waits("a newer version of the object to delete")
	case err != nil && !apierrors.IsNotFound(err):
		return v.refused("delete", err)
	}
	var out step
	if s.replaces {
		out = waits("the object's predecessor to be deleted")
	}
	now, gone := v.now, err != nil
	out.remember = func(r *record) {
		r.setFault(nil, now)
		switch {
		case r.seen.uid != s.uid:
		case gone:
			r.seen, r.live, r.left = seen{}, nil, nil
		default: // the watch says when it is gone; until then it does not count
			r.seen.deleting = true
		}
	}
	return out
}

// read takes in an object that was read.
func (v *view) read(obj *unstructured.Unstructured, err error) step {
	switch {
	case apierrors.IsNotFound(err):
		return v.vanished()
	case err != nil:
		return v.refused("read", err)
	}
	v.live = obj
	if v.met {
		v.rec.seen, v.rec.live = observe(v.hasher, v.key, obj), obj
		if v.want.Turn.Revision != "" && v.rec.seen.ours(v.hub) && v.rec.seen.revision != v.want.Turn.Revision {
			// Which pod template is its turn depends on the one it has, of which nobody knew.
			out, now := waits("the object's turn in its rollout"), v.rec
			out.remember = func(r *record) { r.seen, r.live = now.seen, now.live }
			return out
		}
	}
	return next(v)
}

// vanished is for an object that was there a moment ago.
func (v *view) vanished() step {
	uid := v.rec.seen.uid
	out := waits("the object to be created again")
	out.remember = func(r *record) {
		if r.seen.uid == uid {
			r.seen, r.live = seen{}, nil
		}
	}
	return out
}

// settle remembers obj, which the member has answered with, as what the hub wants. Whatever admission in the member made of it
// is thereby accepted: writing it again would not change it.
func (v *view) settle(s step, obj *unstructured.Unstructured, wrote bool) step {
	now, at := observe(v.hasher, v.key, obj), v.now
	// The hub's own API server leaves out zeros that mean nothing; an override's are as somebody wrote them.
	dropped := fieldmerge.Missing(s.wanted, obj.Object, len(v.want.Shape.Overrides) == 0)
	next := &left{Made: s.made, hash: now.hash}
	if len(s.skipped)+len(dropped) > 0 {
		next.kept = &kept{skipped: s.skipped, dropped: dropped, schema: v.schema}
	}
	out := step{synced: true, remember: func(r *record) {
		r.setFault(nil, at)
		if r.withheld() != "" {
			r.changed().withheld = ""
		}
		r.left = next
		if wrote {
			r.wrote = now.uid
		}
		if r.seen.uid == now.uid && r.seen.rv > now.rv {
			return // a later version was seen meanwhile; it is compared by its hash
		}
		if now.status == nil {
			now.status = r.seen.status
		}
		r.seen, r.live = now, nil
	}}
	if len(dropped) > 0 && fmt.Sprint(v.rec.left.dropped()) != fmt.Sprint(dropped) {
		out.tell = append(out.tell, news{eventType: corev1.EventTypeWarning, reason: ReasonDropped, message: report.DroppedMessage(v.cluster, v.version, dropped)})
	}
	return out
}

// refused words an error of the member for whoever looks at the Placement. It names the object's fields, never what is in
// them: an API server repeats values that it finds invalid.
func (v *view) refused(doing string, err error) step {
	advice, denied := rights.Refused(v.cluster, err)
	secret := v.key.GR == (schema.GroupResource{Resource: "secrets"})
	if secret && (apierrors.IsForbidden(err) || apierrors.IsInvalid(err) || apierrors.IsBadRequest(err)) {
		err = fmt.Errorf("%s in cluster %s: %s (details are left out, the object is a Secret)", doing, v.cluster, apierrors.ReasonForError(err))
	} else {
		err = fmt.Errorf("%s in cluster %s: %w", doing, v.cluster, err)
	}
	if denied {
		return step{err: deniedError{fmt.Errorf("%w. %s", err, advice)}}
	}
	return step{err: err}
}

// dropsAgain says whether fields that the member dropped are to be sent again: its schema is another than then, or nobody
// knows.
func (v *view) dropsAgain() bool {
	return len(v.rec.left.dropped()) > 0 && v.rec.left.kept.schema != v.schema
}
