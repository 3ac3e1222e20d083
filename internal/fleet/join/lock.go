package join

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/fleet/access"
)

// Two joins at once, of one cluster or under one name, would both find that
// neither is there yet, and share a service account, or a Secret, that the one
// that fails takes away from the other. So a join holds two Leases at the hub
// from before it checks until it is done or has cleaned up: one for the name and
// one for the cluster, in this order. Whoever may write Leases in SystemNamespace
// can delay joins, and no more.
const (
	lockRenewal  = 10 * time.Second
	lockDuration = 3 * lockRenewal // a join that was killed holds others up for so long
	lockPoll     = 100 * time.Millisecond
)

var errLockLost = errors.New("another join took over, because this one did nothing for too long. Try: again")

// joinLock is one Lease that is held.
type joinLock struct {
	join  *join
	lease *coordinationv1.Lease
	lost  atomic.Bool
	stop  func()
}

// lock waits for its turn and holds it until unlock; the context that it returns
// ends when the turn is lost, with errLockLost as its cause.
func (j *join) lock(ctx context.Context) (context.Context, error) {
	_, err := j.hub.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.SystemNamespace}}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return ctx, access.HubError(j.Hub.Host, err)
	}
	held, lose := context.WithCancelCause(ctx)
	j.lose = lose
	for _, name := range []string{"join-name-" + j.Name, "join-uid-" + digest(j.memberUID)} {
		l := &joinLock{join: j}
		if err := l.acquire(ctx, name); err != nil {
			j.unlock()
			return ctx, j.lockError(ctx, err)
		}
		l.keep(func() { lose(errLockLost) })
		j.locks = append(j.locks, l)
	}
	return held, nil
}

func (j *join) lockError(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return j.interrupted(ctx, err)
	case wait.Interrupted(err):
		return fmt.Errorf("another join of this cluster, or as %s, has not ended within %s. Try: again when it has", j.Name, j.Timeout)
	}
	return access.HubError(j.Hub.Host, err)
}

// lockLost says whether somebody else may be joining by now.
func (j *join) lockLost() bool {
	for _, l := range j.locks {
		if l.lost.Load() {
			return true
		}
	}
	return false
}

// unlock gives the turn to the next.
func (j *join) unlock() {
	for _, l := range j.locks {
		l.release()
	}
	j.locks = nil
	j.lose(nil)
}

// acquire makes the Lease. One that is there and has not been renewed for its
// duration, by this process's clock, belongs to a join that was killed.
func (l *joinLock) acquire(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, l.join.Timeout)
	defer cancel()
	leases := l.join.hub.CoordinationV1().Leases(v1alpha1.SystemNamespace)
	holder, seconds, seen, since := string(uuid.NewUUID()), int32(lockDuration/time.Second), "", l.join.clock.Now()
	return wait.PollUntilContextCancel(ctx, lockPoll, true, func(ctx context.Context) (done bool, err error) {
		now := metav1.NewMicroTime(l.join.clock.Now())
		l.lease, err = leases.Create(ctx, &coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec:       coordinationv1.LeaseSpec{HolderIdentity: &holder, LeaseDurationSeconds: &seconds, AcquireTime: &now, RenewTime: &now},
		}, metav1.CreateOptions{FieldManager: v1alpha1.FieldManager})
		if !apierrors.IsAlreadyExists(err) {
			return err == nil, err
		}
		other, err := access.Found(leases.Get(ctx, name, metav1.GetOptions{}))
		if err != nil || other == nil {
			return false, err
		}
		if seen == "" {
			l.join.Progress("waiting until another join of this cluster, or under this name, has ended")
		}
		if version := string(other.UID) + other.ResourceVersion; version != seen {
			seen, since = version, l.join.clock.Now()
		}
		patience := lockDuration
		if s := other.Spec.LeaseDurationSeconds; s != nil {
			patience = min(patience, max(time.Duration(*s)*time.Second, lockPoll))
		}
		if l.join.clock.Since(since) < patience {
			return false, nil
		}
		err = leases.Delete(ctx, name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &other.UID, ResourceVersion: &other.ResourceVersion}})
		if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
			err = nil
		}
		return false, err
	})
}

// keep renews the Lease until release; lost is called when it is another's.
func (l *joinLock) keep(lost func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	l.stop = func() { cancel(); <-done }
	leases := l.join.hub.CoordinationV1().Leases(v1alpha1.SystemNamespace)
	go func() {
		defer close(done)
		renewed := l.join.clock.Now()
		wait.UntilWithContext(ctx, func(ctx context.Context) {
			now := metav1.NewMicroTime(l.join.clock.Now())
			l.lease.Spec.RenewTime = &now
			lease, err := leases.Update(ctx, l.lease, metav1.UpdateOptions{FieldManager: v1alpha1.FieldManager})
			switch {
			case err == nil:
				l.lease, renewed = lease, l.join.clock.Now()
			case ctx.Err() != nil:
			case apierrors.IsConflict(err), apierrors.IsNotFound(err), l.join.clock.Since(renewed) >= lockDuration-lockRenewal:
				l.lost.Store(true)
				lost()
			}
		}, lockRenewal)
	}()
}

// release removes the Lease, if it is still this join's.
func (l *joinLock) release() {
	l.stop()
	if l.lost.Load() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), undoTimeout)
	defer cancel()
	err := l.join.hub.CoordinationV1().Leases(v1alpha1.SystemNamespace).Delete(ctx, l.lease.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &l.lease.UID}})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		l.join.Progress("could not clean up: " + access.OneLine(err.Error()))
	}
}

// digest makes a name of what a cluster says is its UID.
func digest(uid string) string {
	sum := sha256.Sum256([]byte(uid))
	return hex.EncodeToString(sum[:16])
}
