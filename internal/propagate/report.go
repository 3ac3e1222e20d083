package propagate

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/klog/v2"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/guard"
)

// Report is how propagation to a member is doing, in numbers of objects.
type Report struct {
	Held    int // managed there, and left alone until somebody approves of the deletion
	Pending int // to be written or deleted, without a fault so far
	Failing int // refused by the member, or in conflict
	Message string
	// Unread is what cannot be read there, so that nobody knows how it is; empty: nothing.
	Unread string
	// Waiting is what the first of the pending deletions waits for; empty: nothing is known.
	Waiting string
	// FailedOver, Drained and Disengaged are the conditions of these types, nil: none.
	FailedOver, Drained, Disengaged *metav1.Condition
}

// cachedReport spares counting while nothing changes.
type cachedReport struct {
	report            Report
	version, revision uint64
	valid             bool
}

// Report counts. It is cheap while nothing changes.
func (e *Engine) Report(name string) Report {
	e.mu.RLock()
	m := e.members[name]
	e.mu.RUnlock()
	if m == nil {
		return Report{}
	}
	revision := e.changes.revision.Load()
	m.mu.Lock()
	version, cached := m.version, m.report
	m.mu.Unlock()
	report := cached.report
	if !cached.valid || cached.version != version || cached.revision != revision {
		err := guard.Run(func() error {
			report = e.count(m)
			return nil
		})
		if err != nil {
			klog.Background().Error(err, "A cluster's objects cannot be counted", "cluster", name, "stack", string(guard.Stack(err)))
			report = Report{Failing: 1, Message: err.Error()}
		}
		m.mu.Lock()
		m.report = cachedReport{report: report, version: version, revision: revision, valid: true}
		m.mu.Unlock()
	}
	report.Unread = e.unreadable(m)
	report.FailedOver, report.Drained, report.Disengaged = e.failedOver(name), e.drained(name), e.disengaged(m)
	return report
}

func (e *Engine) count(m *member) Report {
	var out Report
	waiting := Key{}
	waits := func(key Key, seen *observation) {
		if seen.deleting && (out.Waiting == "" || key.String() < waiting.String()) {
			waiting, out.Waiting = key, fmt.Sprintf("%s is %s", key.label(), deletingMessage(seen))
		}
	}
	fails := func(key Key, message string) {
		out.Failing++
		if out.Message == "" || key.String() < out.Message {
			out.Message = fmt.Sprintf("%s: %s", key, message)
		}
	}
	for _, key := range e.keys() {
		t, _ := e.template(key)
		if t == nil {
			continue
		}
		rec := m.get(key)
		_, placed := t.shares[m.name]
		switch {
		case !placed && !rec.seen.exists():
			continue
		case rec.held != "":
			out.Held++
			continue
		}
		switch e.state(t, m, rec, placed) {
		case v1alpha1.StateError, v1alpha1.StateConflict:
			fails(key, rec.fault.message)
		case v1alpha1.StateFieldsDropped:
			fails(key, e.droppedMessage(m.name, rec.left.dropped()))
		case v1alpha1.StatePending, v1alpha1.StateDeleting:
			out.Pending++
			waits(key, &rec.seen)
		}
	}
	for _, key := range m.present() {
		if t, known := e.template(key); t != nil || !known {
			continue
		}
		rec := m.get(key)
		if rec.held != "" {
			out.Held++
		} else {
			out.Pending++ // to be deleted
			waits(key, &rec.seen)
		}
	}
	return out
}

// present are the objects that are in the member; those without a template
// among them are on their way out, or held.
func (m *member) present() []Key {
	m.mu.Lock()
	defer m.mu.Unlock()
	keys := make([]Key, 0, len(m.records))
	for k, r := range m.records {
		if r.seen.exists() {
			keys = append(keys, k)
		}
	}
	return keys
}

// Withdraw takes everything out of the member that this hub put there; with stay, it only
// takes the hub's marks off it. It blocks until that is done or ctx ends, and is
// idempotent. What a session that has just begun has not read yet is waited for.
func (e *Engine) Withdraw(ctx context.Context, name string, stay bool) error {
	e.mu.RLock()
	m := e.members[name]
	e.mu.RUnlock()
	if m == nil {
		return nil
	}
	m.mu.Lock()
	m.withdrawing, m.staying = true, stay
	keys := make([]Key, 0, len(m.records))
	for k := range m.records {
		keys = append(keys, k)
	}
	m.mu.Unlock()
	m.enqueue(keys...)
	left := 0
	err := wait.PollUntilContextCancel(ctx, 100*time.Millisecond, true, func(context.Context) (bool, error) {
		left = m.managed(e)
		return left == 0 && e.hasReadAll(m), nil
	})
	switch {
	case err == nil:
		return nil
	case left == 0:
		return fmt.Errorf("not everything in cluster %s has been read (%s): %w", name, cmp.Or(e.unreadable(m), "it takes its time"), err)
	}
	return fmt.Errorf("%d objects are left in cluster %s: %w", left, name, err)
}

// hasReadAll says whether it is known what the member has of everything that is propagated.
func (e *Engine) hasReadAll(m *member) bool {
	if e.Synced() != nil {
		return false // the hub has just started
	}
	e.mu.RLock()
	resources := slices.Collect(maps.Keys(e.resources))
	e.mu.RUnlock()
	return !slices.ContainsFunc(resources, func(gr schema.GroupResource) bool { return !m.heard(gr) })
}

// managed counts what this hub has put into the member and is still there. What somebody else
// put back there, a restored backup, is theirs.
func (m *member) managed(e *Engine) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, r := range m.records {
		if r.seen.exists() && r.seen.ours(e.hubUID) && (m.staying || r.seen.mark.Proven || r.wrote == r.seen.uid) {
			n++
		}
	}
	return n
}
