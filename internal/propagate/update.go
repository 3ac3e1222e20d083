package propagate

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/fieldmerge"
	"github.com/hanse-dev/hanse/internal/kinds"
)

// bringUpToDate writes what differs, in one PATCH, or nothing.
//
// When the member's object is as the last write left it, what changed at the
// hub since then is all there is to write, and the object need not be looked
// at; but for lists, which may hold items of others, and for fields that were
// taken out, which others may own by now.
func (t *task) bringUpToDate(ctx context.Context) error {
	skip, known := t.skip()
	if !known {
		return waiting{"the member's autoscalers"}
	}
	if t.rec.own != nil && t.sameButShare() {
		t.note(nil)
		return nil // nothing is to be written before the total has followed
	}
	same := t.asLeft() && (!t.released(skip) || t.hasShare()) && !t.dropsAnew()
	t.skipped, skip = skip, append(slices.Clone(skip), t.turn.skip()...)
	if same && t.rec.left.target == t.target() && !t.needsProof() {
		t.note(nil)
		return nil
	}
	desired, err := t.desired(t.lastingMark(), t.rec.seen.adopted)
	if err != nil {
		return err
	}
	if same {
		patch, lists := fieldmerge.Patch(t.rec.left.desired, desired)
		switch {
		case patch == nil, t.sameButShare() && t.hasShare() && !t.needsProof(): // what changed at the hub is about other members, or came from here
			t.leave(desired)
			return nil
		case !lists && !hasNull(patch) && len(skip) == 0:
			return t.patch(ctx, patch, desired, nil)
		}
	}
	live := t.rec.live
	if live == nil {
		if live, err = t.objects().Get(ctx, t.key.Name, metav1.GetOptions{}); err != nil {
			return t.getFailed(err)
		}
	}
	return t.patchLive(ctx, live, desired, skip)
}

// asLeft says whether the object's content is what the last write left.
func (t *task) asLeft() bool {
	return t.rec.left != nil && t.rec.left.hash == t.rec.seen.hash
}

// released says whether something that was left as the member had it is the hub's again:
// its autoscaler is gone.
func (t *task) released(skip []string) bool {
	return slices.ContainsFunc(t.rec.left.skipped(), func(path string) bool { return !slices.Contains(skip, path) })
}

// sameButShare says whether the last write left all that the hub wants now, but
// perhaps for the number of replicas.
func (t *task) sameButShare() bool {
	if t.rec.left == nil {
		return false
	}
	before, now := t.rec.left.target, t.target()
	before.share, now.share = share{}, share{}
	return before == now
}

// hasShare says whether the member has the number of replicas that it is to have.
func (t *task) hasShare() bool {
	return t.template.division == kinds.Replicas && t.rec.seen.replicas != nil && *t.rec.seen.replicas == t.now.replicas
}

// leave remembers that the object as it is, is what the hub wants by now.
func (t *task) leave(desired map[string]any) {
	t.member.update(t.key, func(r *record) {
		r.setFault(nil)
		if r.left != nil {
			r.left = &left{desired: desired, target: t.target(), hash: r.left.hash, kept: r.left.kept}
		}
	})
	t.engine.statusSoon(t.key)
	t.engine.changes.notify(t.key)
}

// patchLive compares with the object itself.
func (t *task) patchLive(ctx context.Context, live *unstructured.Unstructured, desired map[string]any, skip []string) error {
	sent := desired
	settled := t.rec.left != nil && t.rec.left.target == t.target() && !t.dropsAnew()
	if settled { // what the member did not keep is not sent again with each change there
		sent = fieldmerge.Without(desired, t.rec.left.dropped())
	}
	wanted := fieldmerge.Wanted(sent, live.Object, fieldmerge.ReadOwners(live, v1alpha1.FieldManager), skip...)
	patch, lists := fieldmerge.Patch(live.Object, wanted)
	if patch == nil {
		t.settle(live, desired)
		return nil
	}
	if lists {
		setVersion(patch, live) // the list was merged for this version of the object
	}
	var drift []string
	if settled {
		drift = slices.DeleteFunc(fieldmerge.Paths(patch), isMark)
	}
	if len(drift) > 0 {
		if delay := t.fight(); delay > 0 {
			t.queue.AddAfter(t.key, delay)
			return nil
		}
	}
	return t.patch(ctx, patch, desired, drift)
}

// patch writes. drift names the fields that the member had changed, nil if the
// reason is a change at the hub.
func (t *task) patch(ctx context.Context, patch, desired map[string]any, drift []string) error {
	desired = t.renewMark(patch, desired)
	body, err := json.Marshal(patch)
	if err != nil {
		return fmt.Errorf("encode the patch of %s: %w", t.key, err)
	}
	made, err := t.objects().Patch(ctx, t.key.Name, types.MergePatchType, body, metav1.PatchOptions{FieldManager: v1alpha1.FieldManager})
	switch {
	case err == nil:
	case apierrors.IsConflict(err):
		t.member.update(t.key, func(r *record) { r.live = nil })
		return waiting{"a newer version of the object to compare with"}
	case apierrors.IsNotFound(err):
		return t.getFailed(err)
	default:
		return t.refused("update", err)
	}
	first := t.rec.left == nil
	t.outlive()
	t.settleWritten(made, desired)
	switch {
	case len(drift) > 0:
		t.tell(corev1.EventTypeWarning, reasonDrift, t.putBack(drift))
	case first:
		t.tellRestored(changedBack(patch))
	}
	return nil
}

func (t *task) putBack(paths []string) string {
	if n := t.rec.seen.replicas; n != nil && slices.Contains(paths, "spec.replicas") {
		return t.scaledThere(*n)
	}
	return strings.Join(paths, ", ") + " changed in the cluster, put back"
}

// A controller in the member that insists on another value is not fought at
// full speed: after so many corrections in a row, each waits longer.
const (
	freeCorrections = 5
	restAfter       = time.Minute
	longestTruce    = 30 * time.Second
)

// fight counts a correction and says how long to wait before it is made.
func (t *task) fight() (delay time.Duration) {
	now := time.Now()
	t.member.update(t.key, func(r *record) {
		if now.Sub(r.corrected) > restAfter {
			r.corrections = 0
		}
		over := r.corrections - freeCorrections
		if over >= 0 {
			truce := min(time.Second<<min(over, 10), longestTruce)
			if delay = truce - now.Sub(r.corrected); delay > 0 {
				return
			}
			delay = 0
		}
		r.corrections++
		r.corrected = now
	})
	return delay
}

// getFailed is for an object that was there a moment ago.
func (t *task) getFailed(err error) error {
	if apierrors.IsNotFound(err) {
		uid := t.rec.seen.uid
		t.member.update(t.key, func(r *record) {
			if r.seen.uid == uid {
				r.seen, r.live = observation{}, nil
			}
		})
		return waiting{"the object to be made again"}
	}
	return t.refused("read", err)
}

func hasNull(patch map[string]any) bool {
	for _, v := range patch {
		switch v := v.(type) {
		case nil:
			return true
		case map[string]any:
			if hasNull(v) {
				return true
			}
		}
	}
	return false
}

// setVersion makes the member refuse the patch if the object has changed since.
func setVersion(patch map[string]any, live *unstructured.Unstructured) {
	meta, ok := patch["metadata"].(map[string]any)
	if !ok {
		meta = map[string]any{}
		patch["metadata"] = meta
	}
	meta["resourceVersion"] = live.GetResourceVersion()
}
