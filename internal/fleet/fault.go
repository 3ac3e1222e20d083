package fleet

import (
	"context"
	"fmt"
	"time"

	"k8s.io/klog/v2"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/fleet/survey"
	"github.com/hanse-dev/hanse/internal/guard"
)

// A member whose data makes the hub's code panic is begun again, with nothing of
// what was known of it, first soon and then ever more slowly. Faults that are
// further apart than forgiven have nothing to do with each other.
const (
	firstBackOff = time.Second
	lastBackOff  = time.Minute
	forgiven     = 5 * time.Minute
)

// faults counts the panics of one member.
type faults struct {
	row  int // with less than forgiven between them
	last time.Time
}

// add counts one more.
func (f *faults) add(now time.Time) {
	if now.Sub(f.last) > forgiven {
		f.row = 0
	}
	f.row++
	f.last = now
}

// backOff is how long not to look at the member because of them.
func (f *faults) backOff(now time.Time) time.Duration {
	if f.row == 0 {
		return 0
	}
	wait := lastBackOff
	if doublings := f.row - 1; doublings < 6 {
		wait = firstBackOff << doublings
	}
	return max(f.last.Add(wait).Sub(now), 0)
}

// guardedLook is look; a panic is a verdict, so that the member is let go of,
// that it is said, and that it can leave.
func (m *member) guardedLook(ctx context.Context, c *v1alpha1.Cluster) (v verdict) {
	err := guard.Run(func() error { v = m.look(ctx, c); return nil })
	if err != nil {
		v = m.fault(ctx, err)
	}
	return v
}

// guardedStep is step; after a panic it says so at the Cluster.
func (m *member) guardedStep(ctx context.Context) (wait time.Duration) {
	err := guard.Run(func() error { wait = m.step(ctx); return nil })
	if err == nil {
		return wait
	}
	m.health = m.health.next(m.fault(ctx, err))
	err = guard.Run(func() error {
		if cluster, ok := m.fleet.cluster(m.name); ok {
			m.publish(ctx, cluster)
		}
		return nil
	})
	if err != nil {
		klog.FromContext(ctx).Error(err, "A panic could not be reported in the Cluster's status", "stack", string(guard.Stack(err)))
	}
	return m.faults.backOff(m.fleet.clock.Now())
}

// logFault logs the first panic of a row, with its stack. The Cluster's condition has how many there are, and a metric.
func (m *member) logFault(ctx context.Context, err error) {
	if m.faults.row == 1 {
		klog.FromContext(ctx).Error(err, "A panic over what a cluster said was recovered", "stack", string(guard.Stack(err)))
		return
	}
	klog.FromContext(ctx).V(2).Info("A panic over what a cluster said was recovered again", "err", err, "faults", m.faults.row)
}

// fault counts a panic, lets go of the member and forgets what it said.
func (m *member) fault(ctx context.Context, err error) verdict {
	m.faults.add(m.fleet.clock.Now())
	guard.Count(ctx, "fleet")
	m.logFault(ctx, err)
	m.drop()
	m.facts, m.surveyAt = survey.Facts{}, time.Time{}
	m.surveys++
	return verdict{reason: v1alpha1.ReasonInternalFault, sure: true, message: fmt.Sprintf(
		"an answer of %s led to %s (%d in a row); the hub connects again. Try: report it, with the stack in the hub's log", m.spec.Endpoint, err, m.faults.row)}
}
