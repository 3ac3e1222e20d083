package propagate

import (
	"context"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/lineage"
)

// object is key in the terms of package lineage.
func (k Key) object() lineage.Object {
	return lineage.Object{Resource: k.GR, Namespace: k.Namespace, Name: k.Name}
}

// readMark is the mark of obj, if it is about obj. It costs a few look-ups in maps.
func readMark(key Key, obj *unstructured.Unstructured) (lineage.Mark, bool) {
	metadata, _ := obj.Object["metadata"].(map[string]any)
	return lineage.ReadMark(key.object(), metadata)
}

// act does with an object that is in the member what follows from whose it is.
func (t *task) act(ctx context.Context, placed bool) error {
	action, reason := t.judge(placed)
	switch action {
	case lineage.Keep:
		t.wantedAgain()
		return t.bringUpToDate(ctx)
	case lineage.Adopt:
		t.wantedAgain()
		return t.adopt(ctx)
	case lineage.Hold:
		t.hold(reason)
	case lineage.Release:
		return t.release(ctx)
	case lineage.Delete:
		switch {
		case placed:
			return t.replaceNamesake(ctx)
		case !t.insideDeletedNamespace():
			return t.delete(ctx, t.rec.seen.uid)
		}
		t.note(nil)
	case lineage.Ignore:
	}
	return nil
}

func (t *task) judge(placed bool) (lineage.Action, lineage.Reason) {
	seen := t.rec.seen
	found := lineage.Found{
		Mark: seen.mark, Marked: seen.marked(), Written: t.rec.wrote == seen.uid,
		Lasting: lasting(t.key, seen),
	}
	wanted := lineage.Wanted{
		Hub: t.engine.hubUID, History: t.engine.history, Placed: placed,
		Leaving: t.member.leaving(), Stays: t.member.releasing(), Approved: t.member.mayPrune(t.key, seen.uid),
	}
	if t.template != nil {
		wanted.Template = t.template.uid
	}
	return lineage.Decide(found, wanted)
}

// lasting says whether an object is let go of where others are deleted.
func lasting(key Key, seen observation) bool {
	return seen.adopted && holdsOthers(key.GR) || isNamespace(key.GR) && key.Name == metav1.NamespaceDefault
}

// hold notes that the object is left alone, and why, until somebody approves of its deletion.
func (t *task) hold(reason lineage.Reason) {
	if t.rec.held == reason {
		return
	}
	t.member.update(t.key, func(r *record) {
		if r.held == "" {
			r.heldSince = time.Now()
		}
		r.held = reason
		r.live, r.seen.status, r.seen.size = nil, nil, len(r.seen.mark.Raw) // of no use meanwhile
	})
	t.engine.changes.notify(t.key)
}

// wantedAgain notes that the object is not held any more, because the hub has a use for it. An
// approval of its deletion is over, too.
func (t *task) wantedAgain() {
	if t.rec.held == "" {
		return
	}
	t.member.update(t.key, func(r *record) {
		r.held = ""
		delete(t.member.approved, t.key) // guarded by the same lock as r
	})
	t.engine.changes.notify(t.key)
}

// lastingMark is what an object of the hub's is marked with: as it is, so that nothing is
// written on account of the mark alone, unless it lacks the proof that it will need one
// day to be deleted.
func (t *task) lastingMark() string {
	if t.needsProof() {
		return t.origin()
	}
	return t.rec.seen.mark.Raw
}

// needsProof says whether the object is to be marked again because somebody else put it there,
// a restored backup. That is done once: where it does not help, nothing does.
func (t *task) needsProof() bool {
	mark := t.rec.seen.mark
	return mark.Tracked && !mark.Proven && t.rec.wrote != t.rec.seen.uid
}

// renewMark has a mark that does not name its object replaced by one that does, with a
// patch that is written anyway. It returns what the object is to be like then.
func (t *task) renewMark(patch, desired map[string]any) map[string]any {
	origin := t.rec.seen.mark.Origin
	if !t.rec.seen.ours(t.engine.hubUID) || origin.On != (lineage.Object{}) {
		return desired
	}
	origin.On = t.key.object()
	marked := func(m map[string]any) map[string]any {
		meta, _ := m["metadata"].(map[string]any)
		return withField(meta, "annotations", with(meta["annotations"], v1alpha1.AnnotationOrigin, origin.String()))
	}
	patch["metadata"] = marked(patch)
	return withField(desired, "metadata", marked(desired))
}

// isMark says whether the field at a path, as fieldmerge.Paths gives it, is the mark.
func isMark(path string) bool {
	return path == "metadata.annotations."+v1alpha1.AnnotationOrigin
}
