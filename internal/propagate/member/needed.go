package member

import (
	"time"

	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// What follows those that name it leaves a member after them, and is there before them. What is there counts, not what the hub
// wants: a workload may be on its way out, or between two pod templates.

// needed is what the object has to outlast in the member, in words; empty: nothing, or it may not be there whoever uses it.
func (v *view) needed() string {
	switch {
	case v.want == nil || !v.want.Unnamed || v.leaving:
		return ""
	case v.unread:
		return "all that may name it in the member to be read"
	case v.user != "":
		return v.user + ", to go"
	}
	return ""
}

// longestLack is how long an object waits for what it names and what cannot be written, or not read, in the member.
const longestLack = 5 * time.Second

// lacks is what the object that is about to be written names and is to be in the member, and is not there yet, in words; empty:
// nothing.
func (t *task) lacks(wanted map[string]any) string {
	if !t.want.Runs() {
		return ""
	}
	for _, name := range template.NamesOf(t.key.GR, wanted) {
		w, known := t.member.source.Wanted(t.cluster, name)
		if !known {
			return name.Label()
		}
		if w == nil || !w.Needed || !w.Placed && !w.Unnamed {
			continue
		}
		if rec := t.member.get(name); !rec.seen.exists() && t.awaits(name, &rec) {
			return name.Label()
		}
	}
	return ""
}

// awaits says whether a name that is not there is worth waiting for.
func (t *task) awaits(name template.Key, rec *record) bool {
	f := rec.fault()
	return t.member.Unread(name.GR) == nil && (f == nil || !f.Conflict && t.now.Sub(rec.trouble.since) < longestLack)
}
