package lineage

import (
	"time"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// clockTolerance is how much older than its object an owner's entry in managedFields
// may be. An API server takes the time for the entry before mutating admission, and
// the object's after it; both in whole seconds.
const clockTolerance = time.Minute

// longestMark bounds a mark, in bytes: no name in it has more than 253 characters.
const longestMark = 2 << 10

// Mark is what an object in a member says of where it comes from, once it is known to
// be about that very object.
type Mark struct {
	Origin Origin
	Raw    string // as it is written
	// Proven: the member's API server says that a hub wrote the mark on this object.
	Proven bool
	// Tracked: the API server keeps owners of this object's fields, so that a mark that
	// is written now will be proven.
	Tracked bool
	since   string // the time of the proof
}

// ReadMark reads the mark of the object on, whose metadata is given. ok is false if it has
// none that is about it: it is nobody's then, as far as a hub is concerned. A mark of
// the form that names no object counts only where it is proven.
func ReadMark(on Object, metadata map[string]any) (m Mark, ok bool) {
	annotations, _ := metadata["annotations"].(map[string]any)
	raw, _ := annotations[v1alpha1.AnnotationOrigin].(string)
	if raw == "" || len(raw) > longestMark {
		return Mark{}, false
	}
	origin, err := ParseOrigin(raw)
	if err != nil || origin.On != (Object{}) && origin.On != on {
		return Mark{}, false
	}
	owners, _ := metadata["managedFields"].([]any)
	m = Mark{Origin: origin, Raw: raw, Tracked: len(owners) > 0}
	m.since, m.Proven = proof(owners, metadata["creationTimestamp"])
	return m, m.Proven || origin.On != (Object{})
}

// Evidence is managedFields from which ReadMark reads the same, without what is of no account for it.
func (m Mark) Evidence() []any {
	switch {
	case !m.Tracked:
		return nil
	case !m.Proven:
		return []any{map[string]any{}}
	}
	return []any{map[string]any{"manager": v1alpha1.FieldManager, "time": m.since, "fieldsV1": map[string]any{
		"f:metadata": map[string]any{"f:annotations": map[string]any{"f:" + v1alpha1.AnnotationOrigin: map[string]any{}}},
	}}}
}

// proof says whether a hub wrote the mark on an object that was created then, and when. An API server
// gives each field to the client that wrote it, so a copy that any other client made
// has its mark from that one. What was copied together with its owners, as some backups are,
// has an entry that is older than the object itself.
func proof(owners []any, created any) (since string, proven bool) {
	for _, o := range owners {
		entry, _ := o.(map[string]any)
		if entry["manager"] != v1alpha1.FieldManager || entry["subresource"] != nil {
			continue
		}
		fields, _ := entry["fieldsV1"].(map[string]any)
		metadata, _ := fields["f:metadata"].(map[string]any)
		annotations, _ := metadata["f:annotations"].(map[string]any)
		if _, owns := annotations["f:"+v1alpha1.AnnotationOrigin]; owns && !before(entry["time"], created) {
			since, _ = entry["time"].(string)
			return since, true
		}
	}
	return "", false
}

// before says whether one time is earlier than another by more than clocks explain. What
// is no time proves nothing, so it is.
func before(written, created any) bool {
	w, errW := parse(written)
	c, errC := parse(created)
	return errW != nil || errC != nil || w.Before(c.Add(-clockTolerance))
}

func parse(v any) (time.Time, error) {
	s, _ := v.(string)
	return time.Parse(time.RFC3339, s)
}

// Marks are those of an object's annotations that are the hub's.
func Marks(metadata map[string]any) map[string]any {
	annotations, _ := metadata["annotations"].(map[string]any)
	kept := map[string]any{}
	for _, name := range []string{v1alpha1.AnnotationOrigin, v1alpha1.AnnotationAdopted} {
		if v, has := annotations[name]; has {
			kept[name] = v
		}
	}
	return kept
}
