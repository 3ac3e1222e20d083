package member

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/fieldmerge"
)

// A patch is made for the object as it was last seen. What somebody in the member has changed since is in the answer, too,
// and would be taken for what admission there makes of the object, and be accepted for ever.

// overtaken says whether the answer to a patch shows that somebody else has changed what is the hub's since the object was
// seen. It costs little where that is not so.
func (v *view) overtaken(s step, obj *unstructured.Unstructured) bool {
	before, now := v.rec.seen.generation, obj.GetGeneration()
	if len(s.body) > 1 {
		before++
	}
	counted := now > 0 && v.rec.seen.generation > 0 && now <= before // so nobody else has changed more than its metadata
	if counted && fieldmerge.HasMeta(s.wanted, obj.Object, "labels") && fieldmerge.HasMeta(s.wanted, obj.Object, "annotations") {
		return false
	}
	skip := s.skipped
	if s.made.AsIs {
		skip = append(slices.Clone(skip), "spec.template")
	}
	sent := fieldmerge.Without(s.wanted, fieldmerge.Missing(s.wanted, obj.Object, true))
	wanted := fieldmerge.Wanted(sent, obj.Object, fieldmerge.ReadOwners(obj, v1alpha1.FieldManager), skip...)
	differs, _ := fieldmerge.Patch(obj.Object, wanted)
	written := fieldmerge.Paths(s.body)
	return slices.ContainsFunc(fieldmerge.Paths(differs), func(path string) bool {
		// What was just written and is another nevertheless was made so by admission.
		return !slices.ContainsFunc(written, func(w string) bool {
			return path == w || strings.HasPrefix(path, w+".") || strings.HasPrefix(w, path+".")
		})
	})
}

// lookAgain has the answer to a patch compared: it is in the member what was written, and something else.
func (v *view) lookAgain(s step, obj *unstructured.Unstructured) step {
	now, at := observe(v.hasher, v.key, obj), v.now
	next := &left{Made: s.made}
	next.hash = ^now.hash // of no object that anybody has seen
	if len(s.skipped) > 0 {
		next.kept = &kept{skipped: s.skipped, schema: v.schema}
	}
	return step{atOnce: true, remember: func(r *record) {
		r.setFault(nil, at)
		r.left, r.wrote = next, now.uid
		if r.seen.uid == now.uid && r.seen.rv > now.rv {
			return
		}
		r.seen, r.live = now, obj
	}}
}
