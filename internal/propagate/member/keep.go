package member

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/adoption"
	"github.com/hanse-dev/hanse/internal/fieldmerge"
	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/lineage"
	"github.com/hanse-dev/hanse/internal/propagate/desired"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// keep writes what differs, in one patch, or nothing.
//
// When the member's object is as the last write left it, what changed at the hub since then is all there is to write, and
// the object need not be looked at; but for lists, which may hold items of others, and for fields that were taken out, which
// others may own by now.
func (v *view) keep() step {
	own := v.rec.own
	skip, known := v.skip()
	if !known {
		return waits("the member's autoscalers")
	}
	s := v.bringUpToDate(skip)
	if !sameNumber(own, v.rec.own) {
		noted, before := v.rec.own, s.remember
		s.remember = func(r *record) {
			r.own = noted
			if before != nil {
				before(r)
			}
		}
	}
	return s
}

func sameNumber(a, b *int32) bool { return a == b || a != nil && b != nil && *a == *b }

func (v *view) bringUpToDate(skipped []string) step {
	target := v.want.Target()
	if v.rec.own != nil && v.sameButShare(target) {
		return v.fine() // nothing is to be written before the total has followed
	}
	released := len(without(v.rec.left.skipped(), skipped)) > 0 // what was the member's is the hub's again
	same := v.rec.asLeft() && (!released || v.hasShare()) && !v.dropsAgain()
	if same && v.rec.left.Target() == target && !v.needsProof() {
		return v.fine()
	}
	m := desired.Of(v.want)
	wanted, err := m.Object(v.cluster, v.lastingMark(), v.rec.seen.adopted)
	if err != nil {
		return step{err: err}
	}
	if v.key.GR == template.Namespaces() && v.rec.seen.adopted { // what others say in it may be another than it was
		read, missing := v.getting()
		if missing {
			return read
		}
		wanted, _ = adoption.Namespace(wanted, v.live, v.want.Object.GetAnnotations()[v1alpha1.AnnotationConflict] != "")
		same = false
	}
	s := step{verb: patch, wanted: wanted, made: m, skipped: skipped, first: v.rec.left == nil}
	skip := skipped
	if m.AsIs {
		skip = append(slices.Clone(skip), "spec.template")
	}
	if same {
		before, err := v.rec.left.Object(v.cluster, v.rec.seen.mark.Raw, v.rec.seen.adopted)
		if err != nil {
			before = nil // it was made once, so that this is none
		}
		patch, lists := fieldmerge.Patch(before, wanted)
		switch {
		case patch == nil, v.sameButShare(target) && v.hasShare() && !v.needsProof():
			return v.leave(m) // what changed at the hub is about other members, or came from here
		case !lists && !hasNull(patch) && len(skip) == 0:
			s.body = patch
			return v.sealed(s)
		}
	}
	if read, missing := v.getting(); missing {
		return read
	}
	return v.compare(s, skip)
}

// compare compares with the object itself.
func (v *view) compare(s step, skip []string) step {
	sent := s.wanted
	settled := v.rec.left != nil && v.rec.left.Target() == s.made.Target() && !v.dropsAgain()
	if settled { // what the member did not keep is not sent again with each change there
		sent = fieldmerge.Without(s.wanted, v.rec.left.dropped())
	}
	wanted := fieldmerge.Wanted(sent, v.live.Object, fieldmerge.ReadOwners(v.live, v1alpha1.FieldManager), skip...)
	patch, lists := fieldmerge.Patch(v.live.Object, wanted)
	if patch == nil {
		return v.settle(s, v.live, false)
	}
	if lists {
		setVersion(patch, v.live) // the list was merged for this version of the object
	}
	s.body = patch
	if settled {
		s.drift = slices.DeleteFunc(fieldmerge.Paths(patch), isMark)
	}
	if len(s.drift) > 0 {
		return v.fight(v.sealed(s))
	}
	return v.sealed(s)
}

// A controller in the member that insists on another value is not fought at full speed: after so many corrections in a
// row, each waits longer.
const (
	freeCorrections = 5
	restAfter       = time.Minute
	longestTruce    = 30 * time.Second
)

// fight says which correction s is, or has it wait. It counts once the member has taken it.
func (v *view) fight(s step) step {
	now, count := v.now, 0
	if t := v.rec.trouble; t != nil && now.Sub(t.corrected) <= restAfter {
		count = t.corrections
		if over := count - freeCorrections; over >= 0 {
			if delay := min(time.Second<<min(over, 10), longestTruce) - now.Sub(t.corrected); delay > 0 {
				return step{again: delay, quietly: true}
			}
		}
	}
	s.corrections = count + 1
	return s
}

// sameButShare says whether the last write left all that the hub wants now, but perhaps for the number of replicas.
func (v *view) sameButShare(now template.Target) bool {
	if v.rec.left == nil {
		return false
	}
	before := v.rec.left.Target()
	before.Share, now.Share = template.Share{}, template.Share{}
	return before == now
}

// hasShare says whether the member has the number of replicas that it is to have.
func (v *view) hasShare() bool {
	return v.want.Division == kinds.Replicas && v.rec.seen.replicas != nil && *v.rec.seen.replicas == v.want.Share.Replicas
}

// leave remembers that the object as it is, is what the hub wants by now.
func (v *view) leave(m desired.Made) step {
	now := v.now
	return step{synced: true, remember: func(r *record) {
		r.setFault(nil, now)
		if r.left != nil {
			r.left = &left{Made: m, hash: r.left.hash, kept: r.left.kept}
		}
	}}
}

// lastingMark is what an object of the hub's is marked with: as it is, so that nothing is written on account of the mark
// alone, unless it lacks the proof that it will need one day to be deleted.
func (v *view) lastingMark() string {
	if v.needsProof() {
		return v.origin()
	}
	return v.rec.seen.mark.Raw
}

// needsProof says whether the object is to be marked again because somebody else put it there, a restored backup. That is done
// once: where it does not help, nothing does.
func (v *view) needsProof() bool {
	mark := v.rec.seen.mark
	return mark.Tracked && !mark.Proven && v.rec.wrote != v.rec.seen.uid
}

// sealed has the member refuse a patch that would hit a namesake of the object, which may have taken its place while no watch
// has shown that.
func (v *view) sealed(s step) step {
	meta, _ := s.body["metadata"].(map[string]any)
	s.body = template.With(s.body, "metadata", template.With(meta, "uid", string(v.rec.seen.uid)))
	return v.renewMark(s)
}

// renewMark has a mark that does not name its object replaced by one that does, with a patch that is written anyway.
func (v *view) renewMark(s step) step {
	origin := v.rec.seen.mark.Origin
	if !v.rec.seen.ours(v.hub) || origin.On != (lineage.Object{}) {
		return s
	}
	origin.On = v.key.Object()
	marked := func(m map[string]any) map[string]any {
		meta, _ := m["metadata"].(map[string]any)
		annotations, _ := meta["annotations"].(map[string]any)
		return template.With(meta, "annotations", template.With(annotations, v1alpha1.AnnotationOrigin, origin.String()))
	}
	s.body = template.With(s.body, "metadata", marked(s.body))
	s.wanted = template.With(s.wanted, "metadata", marked(s.wanted))
	return s
}

// isMark says whether the field at a path, as fieldmerge.Paths gives it, is the mark.
func isMark(path string) bool { return path == "metadata.annotations."+v1alpha1.AnnotationOrigin }

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
