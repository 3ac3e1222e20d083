package fleet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"k8s.io/klog/v2"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/fleet/access"
	"github.com/hanse-dev/hanse/internal/guard"
)

// AnnotationOnUnjoinForce, with the value "true" on a Cluster that is being
// deleted, lets it go although its workloads cannot be deleted.
const AnnotationOnUnjoinForce = "hanse.dev/on-unjoin-force"

// leaveTimeout is how long a member that is leaving gets to answer before it is
// let go with the hub's service account still in it.
const leaveTimeout = 10 * time.Second

// leaving is how far a member has come in leaving.
type leaving struct {
	since     time.Time  // when this process first saw that it leaves
	withdraw  chan error // result of Propagator.Withdraw; nil: not running
	settled   bool       // its workloads are dealt with, or given up
	withdrawn bool       // … and deleted
	revoked   bool       // what join made in it is removed, or given up
	gone      bool       // the Cluster has been let go
	reason    string     // for the condition, one of the Leave… constants
	waitsFor  string     // for the condition
}

// Reasons of ConditionLeaving.
const (
	// LeaveWaiting is on the way; the message says what it waits for.
	LeaveWaiting = "Waiting"
	// LeaveDone is the last thing that is said of a Cluster: what join made in
	// the member is removed.
	LeaveDone = "Left"
	// LeaveBehind is LeaveDone, but what join made in the member is still there.
	LeaveBehind = "LeftBehind"
)

// deletesWorkloads is true if the member must not leave with workloads in it.
func deletesWorkloads(c *v1alpha1.Cluster) bool {
	return c.Annotations[v1alpha1.AnnotationOnUnjoin] == v1alpha1.OnUnjoinDelete
}

// leave takes a member whose Cluster is being deleted one step further: its
// workloads, if asked to; what join made in it; what join made at the hub. Each
// step may be repeated, so it does not matter when the hub stops in between.
func (m *member) leave(ctx context.Context, c *v1alpha1.Cluster) {
	if c.DeletionTimestamp == nil || !slices.Contains(c.Finalizers, v1alpha1.FinalizerUnjoin) {
		return
	}
	if m.leaving.since.IsZero() {
		m.leaving.since, m.leaving.reason = m.fleet.clock.Now(), LeaveWaiting
	}
	forced := c.Annotations[AnnotationOnUnjoinForce] == "true"
	// What runs there is the other's, or is to be.
	shared := m.fleet.first(c) != "" || !deletesWorkloads(c) && m.fleet.keeper(c) != ""
	if !m.leaving.settled && !shared && !forced && !m.withdraw(c) {
		return
	}
	m.leaving.settled = true
	m.release()
	if !m.leaving.revoked && !m.revoke(ctx, c) {
		return
	}
	m.leaving.revoked = true
	m.publish(ctx, c)                                            // the last words; whoever waits for the end reads them
	if err := m.forget(ctx, c); err != nil && ctx.Err() == nil { // ctx ends when the Cluster is gone
		m.troubles.Failed(klog.FromContext(ctx), "forget", err, "What join made at the hub could not be removed")
		m.leaving.waitsFor = access.OneLine(err.Error())
		return
	}
	m.leaving.gone = true
	klog.FromContext(ctx).Info("Cluster left", "reason", m.leaving.reason, "message", m.leaving.waitsFor)
}

// releaseTimeout is how long a member that leaves with its workloads may take until the
// hub's marks are off them. What has some left is not harmed by them.
const releaseTimeout = 30 * time.Second

// withdraw has propagation delete its workloads, or take the hub's marks off them, beside
// the probing; it is true once that is done. While the member cannot be reached it
// waits, if they are to be deleted.
func (m *member) withdraw(c *v1alpha1.Cluster) bool {
	stay := !deletesWorkloads(c)
	switch {
	case m.disengage == nil && stay: // revoke says that it is not reached
		return m.health.down() || m.fleet.clock.Since(m.leaving.since) >= leaveTimeout
	case m.disengage == nil:
		m.leaving.waitsFor = fmt.Sprintf("its workloads are to be deleted, but %s. Try: bring it back, or hanse unjoin %s --delete-workloads --force", m.health.cause(), m.name)
		return false
	case m.leaving.withdraw == nil:
		m.startWithdraw(stay)
		return false
	}
	select {
	case err := <-m.leaving.withdraw:
		m.leaving.withdraw = nil
		m.leaving.withdrawn = err == nil && !stay
		if err != nil && m.engagement.Err() == nil {
			m.fleet.events.withdrawFailed(c, stay, err)
		}
		return err == nil || stay
	default:
	}
	return false
}

// startWithdraw does not block; it wakes the member when there is a result.
func (m *member) startWithdraw(stay bool) {
	m.leaving.waitsFor = "its workloads are being deleted"
	ctx, cancel := m.engagement, context.CancelFunc(func() {})
	if stay {
		m.leaving.waitsFor = "the hub's marks are being removed from its workloads"
		ctx, cancel = context.WithTimeout(m.engagement, releaseTimeout)
	}
	result := make(chan error, 1)
	m.leaving.withdraw = result
	m.fleet.wg.Go(func() {
		defer cancel()
		result <- guard.Run(func() error { return m.fleet.prop.Withdraw(ctx, m.name, stay) })
		m.wake()
	})
}

// revoke removes what join made in the member, or says by an event that it
// could not; false means that it should be tried again.
func (m *member) revoke(ctx context.Context, c *v1alpha1.Cluster) bool {
	if keeper := m.fleet.keeper(c); keeper != "" {
		m.leaving.reason, m.leaving.waitsFor = LeaveDone, "it is still a member, as "+keeper+", so nothing was removed from it"
		m.fleet.events.left(c, m.leaving.withdrawn, m.leaving.waitsFor)
		return true
	}
	err := errors.New(m.health.cause())
	if m.health.ok() {
		ctx, cancel := context.WithTimeout(ctx, leaveTimeout)
		defer cancel()
		err = removeFromMember(ctx, m.link.client(), m.fleet.hubUID)
	}
	switch {
	case m.health.foreign:
		m.leaving.reason, m.leaving.waitsFor = LeaveDone, "another hub has taken the cluster over, so nothing was removed from it"
		m.fleet.events.left(c, false, m.leaving.waitsFor)
	case err == nil:
		m.leaving.reason, m.leaving.waitsFor = LeaveDone, "the hub's service account is removed from the cluster"
		m.fleet.events.left(c, m.leaving.withdrawn, m.leaving.waitsFor)
	case m.health.down(), m.fleet.clock.Since(m.leaving.since) >= leaveTimeout:
		m.leaving.reason, m.leaving.waitsFor = LeaveBehind, leftBehind(access.OneLine(err.Error()))
		m.fleet.events.leftBehind(c, m.leaving.waitsFor)
	default:
		m.leaving.waitsFor = "the hub's service account is still in the cluster: " + access.OneLine(err.Error())
		return false
	}
	return true
}

// forgetTimeout bounds what has to be done at the hub at the end.
const forgetTimeout = 5 * time.Second

// forget removes the credential and lets the Cluster go. The end of the Cluster,
// and with it of ctx, must not break off the very request that brings it about: the
// hub's API server would complain.
func (m *member) forget(ctx context.Context, c *v1alpha1.Cluster) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), forgetTimeout)
	defer cancel()
	err := m.fleet.kube.CoreV1().Secrets(v1alpha1.SystemNamespace).Delete(ctx, c.Spec.CredentialSecret, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("cannot delete Secret %s/%s: %w", v1alpha1.SystemNamespace, c.Spec.CredentialSecret, err)
	}
	err = retry.RetryOnConflict(retry.DefaultRetry, func() error {
		now, err := m.fleet.clusterClient.Get(ctx, c.Name, metav1.GetOptions{})
		if err != nil || now.UID != c.UID {
			return err
		}
		now.Finalizers = slices.DeleteFunc(now.Finalizers, func(f string) bool { return f == v1alpha1.FinalizerUnjoin })
		_, err = m.fleet.clusterClient.Update(ctx, now, metav1.UpdateOptions{FieldManager: v1alpha1.FieldManager})
		return err
	})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("cannot let Cluster %s go: %w", c.Name, err)
	}
	return nil
}

// leftBehind says what a member that could not be reached still has.
func leftBehind(why string) string {
	return fmt.Sprintf("what join made in the cluster could not be removed: %s. Try: if it comes back, kubectl delete namespace/%s clusterrole/%s clusterrolebinding/%s there",
		why, v1alpha1.SystemNamespace, v1alpha1.ServiceAccount, v1alpha1.ServiceAccount)
}
