package decide

import (
	"strings"

	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// A hub that was restored from an older copy may have work whose division is not in the copy. It may have begun all the
// same, and must not be done twice: what members have of it says how it was divided, and until all of them have been read
// nothing begins.

// mayHaveLapsed says whether the division of work is not known although the work may have begun.
func (w *World) mayHaveLapsed(t *template.Template) bool {
	return w.Restored && t.StaysPut() && t.Recorded == nil && t.Created.Before(w.Began) && !t.Going && !t.Finished()
}

// recovered is t with the division that members show, to be recorded; t itself where there is nothing to recover.
func (w *World) recovered(t *template.Template) *template.Template {
	o := w.stored(t.Key)
	if o == nil || !w.mayHaveLapsed(t) || w.unreadWork(t) != "" {
		return t
	}
	var division map[string]int32
	for name, seen := range o.seen {
		if w.clusters[name] == nil || !seen.From(t.UID) || !seen.Ours {
			continue
		}
		n := int32(1)
		switch {
		case t.Division == kinds.One:
		case t.Completions() != nil && seen.Completions != nil:
			n = *seen.Completions // so that each has the piece that it has
		case seen.Parallelism != nil:
			n = *seen.Parallelism
		}
		division = with(division, name, n)
	}
	if division == nil {
		return t
	}
	next := *t
	next.Recorded, next.Lapsed = division, true
	return &next
}

// awaitsAway says whether one of the members that have to be read is away.
func (w *World) awaitsAway(t *template.Template) bool {
	for name, c := range w.clusters {
		if !c.Ready && !w.hasRead(name, t.Key.GR) {
			return true
		}
	}
	return false
}

// unreadWork is why work may not begin yet: members that nobody has read may have begun it. Empty: it may.
func (w *World) unreadWork(t *template.Template) string {
	if !w.mayHaveLapsed(t) {
		return ""
	}
	var names []string
	for _, name := range w.roll().Names {
		if !w.hasRead(name, t.Key.GR) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return "the hub was restored from an older copy, and its work may have begun in " + strings.Join(names, ", ") +
		", which the hub has not read since. Try: bring back what is away, or unjoin it"
}
