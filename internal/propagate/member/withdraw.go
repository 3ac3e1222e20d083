package member

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/hanse-dev/hanse/internal/propagate/work"
)

// lookAtWithdrawal is how often it is looked whether all that is to go from a member is gone.
const lookAtWithdrawal = 100 * time.Millisecond

// Withdraw takes everything out of the member that this hub put there; with stay, it only takes the hub's marks off it. It
// blocks until that is done or ctx ends, and is idempotent. What a session that has just begun has not read yet is waited
// for, and so is the hub: ready says whether all that is propagated has been read there.
func (m *Member) Withdraw(ctx context.Context, stay bool, ready func() bool) error {
	m.mu.Lock()
	m.withdrawing, m.staying = true, stay
	m.mu.Unlock()
	m.Enqueue(m.Known()...)
	for {
		left := m.managed()
		if left == 0 && ready() && m.heardAll() {
			return nil
		}
		work.Rest(ctx, m.clock, lookAtWithdrawal, nil)
		switch err := ctx.Err(); {
		case err == nil:
		case left == 0:
			return fmt.Errorf("not everything in cluster %s has been read (%s): %w", m.name, cmp.Or(m.Unreadable(nil), "the cluster has not answered yet"), err)
		default:
			return fmt.Errorf("%d objects are left in cluster %s: %w", left, m.name, err)
		}
	}
}

// Leaving says whether the member is being withdrawn.
func (m *Member) Leaving() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.withdrawing
}

// heardAll says whether it is known what the member has of everything that is propagated.
func (m *Member) heardAll() bool {
	for _, r := range m.source.Resources() {
		if !m.Heard(r.GVR.GroupResource()) {
			return false
		}
	}
	return true
}

// managed counts what this hub has put into the member and is still there. What somebody else put back there, a restored
// backup, is theirs.
func (m *Member) managed() (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.records {
		if r.seen.exists() && r.seen.ours(m.options.Hub) && (m.staying || r.seen.mark.Proven || r.wrote == r.seen.uid) {
			n++
		}
	}
	return n
}
