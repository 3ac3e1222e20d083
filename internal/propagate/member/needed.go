package member

import "github.com/hanse-dev/hanse/internal/propagate/template"

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

// lacks is what the object that is about to be written names and is to be in the member, and is not there yet, in words; empty:
// nothing. What cannot be written or read there holds up nobody.
func (t *task) lacks(wanted map[string]any) string {
	if !t.want.Runs() {
		return ""
	}
	for _, name := range template.NamesOf(t.key.GR, wanted) {
		w, _ := t.member.source.Wanted(t.cluster, name)
		if w == nil || !w.Needed || !w.Placed && !w.Unnamed {
			continue
		}
		if rec := t.member.get(name); !rec.seen.exists() && rec.fault() == nil && t.member.Unread(name.GR) == nil {
			return name.Label()
		}
	}
	return ""
}
