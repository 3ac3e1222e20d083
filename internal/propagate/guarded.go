package propagate

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/aggregate"
	"github.com/hanse-dev/hanse/internal/guard"
	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// What members say is data of others: whatever is in it, it must not end the process that
// serves all of them. So a panic is a failure of what it happened in, and is tried again
// with back-off as any other: a watch (package reading), a key of a queue, a decision, a
// status, a line of a Placement.

// work runs do for each key of q, as kube's controllers do: an error, or a panic, puts the
// key back with a growing delay. It returns when q is shut down.
func work(ctx context.Context, q workqueue.TypedRateLimitingInterface[Key], do func(context.Context, Key) error) {
	for {
		key, quit := q.Get()
		if quit {
			return
		}
		if ctx.Err() == nil {
			err := guard.Run(func() error { return do(ctx, key) })
			if stack := guard.Stack(err); stack != nil && q.NumRequeues(key) == 0 {
				klog.FromContext(ctx).Error(err, "An object cannot be dealt with", "key", key.String(), "stack", string(stack))
			}
			if err != nil {
				klog.FromContext(ctx).V(2).Info("will be tried again", "key", key.String(), "reason", err.Error())
				q.AddRateLimited(key)
			} else {
				q.Forget(key)
			}
		}
		q.Done(key)
	}
}

// attempt is reconcile, with a panic as the fault of that one object.
func (s *session) attempt(ctx context.Context, key Key) error {
	err := guard.Run(func() error { return s.reconcile(ctx, key) })
	if guard.Stack(err) != nil {
		s.member.update(key, func(r *record) { r.setFault(&fault{message: fmt.Sprintf("in cluster %s: %v", s.member.name, err)}) })
		s.engine.changes.notify(key)
	}
	return err
}

// panicRest is how long a loop rests after a panic.
const panicRest = 5 * time.Second

// keep runs loop until ctx ends, again after a panic.
func keep(ctx context.Context, what string, loop func(context.Context)) {
	for ctx.Err() == nil {
		err := guard.Run(func() error {
			loop(ctx)
			return nil
		})
		if err == nil {
			return
		}
		klog.FromContext(ctx).Error(err, "Begun again after a fault", "what", what, "stack", string(guard.Stack(err)))
		rest := time.NewTimer(panicRest)
		select {
		case <-ctx.Done():
			rest.Stop()
		case <-rest.C:
		}
	}
}

// decide places a template; before is the one that it takes the place of, nil
// if none is known. What cannot be decided for a fault stays as it is. Engine.mu is held at
// least for reading.
func (e *Engine) decide(t, before *template) (d schedule.Decision) {
	err := guard.Run(func() error {
		d = e.decideFreely(t, before)
		return nil
	})
	if err == nil {
		return d
	}
	klog.Background().Error(err, "An object cannot be placed", "key", t.key.String(), "stack", string(guard.Stack(err)))
	d = schedule.Decision{Hold: true, Divided: t.division != kinds.Everywhere, Reason: err.Error()}
	for cluster, n := range t.recorded {
		d.Shares = append(d.Shares, schedule.Share{Cluster: cluster, Replicas: n})
	}
	slices.SortFunc(d.Shares, func(a, b schedule.Share) int { return cmp.Compare(a.Cluster, b.Cluster) })
	return d
}

// merged is the status of t out of what the members say. A member whose words make a
// fault is left out, which its Placement says.
func (e *Engine) merged(t *template, gk schema.GroupKind, all []aggregate.MemberStatus) (out map[string]any, err error) {
	merge := func(some []aggregate.MemberStatus) error {
		return guard.Run(func() error {
			out = aggregate.Status(gk, t.obj.Object, some)
			return nil
		})
	}
	if err = merge(all); err == nil {
		if _, was := e.blamed.LoadAndDelete(t.key); was {
			e.toMembers(t.key) // which takes the blame away
		}
		return out, nil
	}
	for i := range all {
		if alone := merge(all[i : i+1]); alone != nil {
			e.blame(t.key, all[i].Cluster, alone)
			all[i].Status = nil
		}
	}
	return out, merge(all)
}

// blame says in the Placement that what a member says of an object makes a fault.
func (e *Engine) blame(key Key, cluster string, err error) {
	e.blamed.Store(key, true)
	for _, m := range e.sortedMembers() {
		if m.name == cluster {
			m.update(key, func(r *record) {
				r.setFault(&fault{message: fmt.Sprintf("what cluster %s says of its status cannot be dealt with: %v", cluster, err)})
			})
			e.changes.notify(key)
		}
	}
}

// placementIn is the line of t in a member for its Placement, and how much of it is ready
// there. placed is false where there is none.
func (e *Engine) placementIn(t *template, m *member, gk schema.GroupKind) (line v1alpha1.ClusterPlacement, want int32, placed bool) {
	err := guard.Run(func() error {
		rec := m.get(t.key)
		_, placed = t.shares[m.name]
		if !placed && !rec.seen.exists() {
			return nil
		}
		line = e.clusterPlacement(t, m, rec, placed)
		placed = true
		if n, w, ok := aggregate.Ready(gk, e.statusOf(t, m, rec)); ok {
			line.ReadyReplicas, want = &n, w
		}
		return nil
	})
	if err != nil {
		klog.Background().V(1).Info("A Placement has a fault", "key", t.key.String(), "cluster", m.name, "reason", err.Error(), "stack", string(guard.Stack(err)))
		return v1alpha1.ClusterPlacement{Name: m.name, State: v1alpha1.StateError, LastError: err.Error()}, 0, true
	}
	return line, want, placed
}

// toInt32 is a member's number as a count of replicas: it may say anything.
func toInt32(n int64) int32 { return int32(max(0, min(n, math.MaxInt32))) }
