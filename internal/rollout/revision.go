package rollout

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// RevisionOf names a pod template by its content: the same content has the same
// name in every run of the hub.
func RevisionOf(template map[string]any) string {
	body, err := json.Marshal(template) // sorts keys
	if err != nil {
		return "" // came from JSON
	}
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:5])
}

// Entry is a pod template that a workload had.
type Entry struct {
	// Name of what it is kept in.
	Name     string
	Revision string
	// Number counts from 1; the higher, the later was it put in force.
	Number   int64
	Cause    string // the user's kubernetes.io/change-cause
	Template map[string]any
}

// History is the pod templates that a workload had, the earliest first. That in
// force need not be among them.
type History []Entry

// Sort puts the earliest first.
func (h History) Sort() {
	slices.SortFunc(h, func(a, b Entry) int { return int(a.Number - b.Number) })
}

// Find is the entry of a revision, nil if there is none.
func (h History) Find(revision string) *Entry {
	for i := range h {
		if h[i].Revision == revision {
			return &h[i]
		}
	}
	return nil
}

// Next is the number for a revision that is put in force now: that which it has
// if it is the last already.
func (h History) Next(revision string) int64 {
	var last Entry
	for _, e := range h {
		if e.Number >= last.Number {
			last = e
		}
	}
	if last.Revision == revision && last.Number > 0 {
		return last.Number
	}
	return last.Number + 1
}

// Previous is what was in force before current, nil if that is not known.
func (h History) Previous(current string) *Entry {
	var out *Entry
	for i := range h {
		if h[i].Revision != current && (out == nil || h[i].Number > out.Number) {
			out = &h[i]
		}
	}
	return out
}

// Surplus is the entries beyond limit, the earliest first, without those in use.
func (h History) Surplus(limit int, inUse map[string]bool) []Entry {
	var old []Entry
	for _, e := range h {
		if !inUse[e.Revision] {
			old = append(old, e)
		}
	}
	History(old).Sort()
	return old[:max(0, len(old)-limit)]
}

// ChangeCause is the annotation in which kubectl's users say why they changed
// something.
const ChangeCause = "kubernetes.io/change-cause"

// ReadEntry reads a ControllerRevision; it is not ok if Hanse did not write it.
func ReadEntry(obj *unstructured.Unstructured) (entry Entry, ok bool) {
	template, found, err := unstructured.NestedMap(obj.Object, "data", "spec", "template")
	if !found || err != nil {
		return entry, false
	}
	delete(template, "$patch")
	entry = Entry{
		Name: obj.GetName(), Revision: obj.GetAnnotations()[v1alpha1.AnnotationRevision],
		Cause: obj.GetAnnotations()[ChangeCause], Template: template,
	}
	entry.Number, _, _ = unstructured.NestedInt64(obj.Object, "revision")
	return entry, entry.Revision != ""
}
