package member

import (
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/internal/lineage"
	"github.com/hanse-dev/hanse/internal/propagate/report"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// Withheld is an object in a member that came from a hub, and that stays there until somebody approves of its deletion.
type Withheld struct {
	Key template.Key
	UID types.UID
	// Hub is the hub that it came from.
	Hub    types.UID
	Reason lineage.Reason
	Since  time.Time
	// Released: it is not deleted but let go, because others' objects are in it.
	Released bool
	// Approved: somebody has approved of its deletion, which is under way.
	Approved bool
}

// Message is the reason in words.
func (w Withheld) Message() string { return report.WithheldMessage(w.Reason) }

// Withheld lists what is withheld, by resource, namespace and name, at most limit objects. more is how many there are besides.
// It does not ask the member.
func (m *Member) Withheld(limit int) (list []Withheld, more int) {
	m.mu.Lock()
	for key, r := range m.records {
		if reason := r.withheld(); reason != "" && r.seen.exists() {
			list = append(list, Withheld{
				Key: key, UID: r.seen.uid, Hub: r.seen.mark.Origin.Hub, Reason: reason, Since: r.trouble.withheldSince.UTC(),
				Released: lasting(key, &r.seen), Approved: m.approved[key] == r.seen.uid,
			})
		}
	}
	m.mu.Unlock()
	slices.SortFunc(list, func(a, b Withheld) int { return strings.Compare(a.Key.String(), b.Key.String()) })
	if len(list) > limit {
		list, more = list[:limit], len(list)-limit
	}
	return list, more
}

// Approve lets the deletion go on of an object that is withheld now, and has that UID; false: there is none. What came to be
// withheld since it was listed stays withheld. Approvals are not stored: a restart of the hub forgets those that are not
// carried out yet. It is idempotent.
func (m *Member) Approve(key template.Key, uid types.UID) bool {
	m.mu.Lock()
	r := m.records[key]
	ok := r != nil && r.withheld() != "" && uid != "" && r.seen.uid == uid
	if ok {
		m.approved[key] = uid
		m.version++
	}
	m.mu.Unlock()
	if ok {
		m.Enqueue(key)
	}
	return ok
}
