package decide

import (
	"maps"

	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/propagate/assignment"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// ofItself are the clusters whose part of an object was changed by the hub of its own accord since somebody last changed what is
// asked of the object: another took the place of one that was lost, or has room by now. b is what was decided before. Of what is not divided it is none: whoever
// wrote it last wrote what a cluster is given that joins.
func ofItself(b, a *Assignment) map[string]bool {
	switch {
	case a.Division == kinds.Everywhere && a.Scaler == nil, b == nil, b.UID != a.UID, asked(b, a):
		return nil
	case assignment.SameMap(b.Shares, a.Shares):
		return b.OfItself
	}
	out := maps.Clone(b.OfItself)
	if out == nil {
		out = map[string]bool{}
	}
	for _, all := range []map[string]template.Share{b.Shares, a.Shares} {
		for cluster := range all {
			if b.Shares[cluster] != a.Shares[cluster] {
				out[cluster] = true
			}
		}
	}
	return out
}

// asked says whether somebody has asked for something else of the object in the meantime. What the hub wrote on it is not that:
// neither what it recorded, nor a total that follows members.
func asked(b, a *Assignment) bool {
	if template.SameAsked(b.Template, a.Template) {
		return false
	}
	r := b.Recording
	return r == nil || r.Replicas == nil || *r.Replicas != a.Total || b.Content.Revision != a.Content.Revision
}
