package placement

import (
	"strconv"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"
)

func keyNumber(i int) types.NamespacedName { return types.NamespacedName{Name: strconv.Itoa(i)} }

// From any version that is still remembered, a reader hears of everything that changed later, once, oldest first.
func TestSinceMissesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		j := newJournal(t.Context(), emptySource{}, time.Now())
		start := j.version()
		changes := rapid.SliceOfN(rapid.IntRange(0, 5), 0, 40).Draw(t, "changes")
		for _, i := range changes {
			j.record(keyNumber(i))
		}
		j.forget(rapid.IntRange(0, len(changes)).Draw(t, "forgotten"))
		from := rapid.IntRange(0, len(changes)+1).Draw(t, "from")
		got, reached, _, err := j.since(start + uint64(from))
		if tooOld := start+uint64(from) < j.floor; tooOld || from > len(changes) {
			if err == nil {
				t.Fatalf("no error from %d with %d forgotten of %d", from, j.floor-start, len(changes))
			}
			return
		}
		if err != nil || reached != start+uint64(len(changes)) {
			t.Fatalf("reached %d, %v", reached-start, err)
		}
		want := map[types.NamespacedName]bool{}
		for _, i := range changes[from:] {
			want[keyNumber(i)] = true
		}
		last := start + uint64(from)
		for _, c := range got {
			if !want[c.key] || c.version <= last || j.versionOf(c.key) != c.version {
				t.Fatalf("unexpected %v after %d", c, last)
			}
			delete(want, c.key)
			last = c.version
		}
		if len(want) > 0 {
			t.Fatalf("missed %v", want)
		}
	})
}

func TestJournalIsBounded(t *testing.T) {
	j := newJournal(t.Context(), emptySource{}, time.Now())
	for i := range 5 * journalSize {
		j.record(keyNumber(i))
	}
	if len(j.log) > 2*journalSize || len(j.last) > 2*journalSize {
		t.Errorf("it holds %d changes of %d objects", len(j.log), len(j.last))
	}
}
