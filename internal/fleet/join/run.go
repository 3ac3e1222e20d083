package join

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/retry"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/fleet/access"
)

// undoTimeout bounds how long a failed join takes to clean up.
const undoTimeout = 10 * time.Second

// run does the steps of a join in their order: what is in the member first, so
// that the hub never has a Cluster that cannot work.
func (j *join) run(ctx context.Context) (*v1alpha1.Cluster, error) {
	j.Progress("making a service account in the cluster")
	for _, step := range []func(context.Context) error{j.evict, j.makeAccount, j.makeRights, j.makeGuard} {
		if err := step(ctx); err != nil {
			return nil, j.interrupted(ctx, j.memberError(err))
		}
	}
	j.Progress("getting a credential")
	cred, err := access.RequestToken(ctx, j.member, j.clock.Now())
	if err != nil {
		return nil, j.interrupted(ctx, j.memberError(err))
	}
	cred.For = access.WayOf(&j.cluster().Spec)
	if err := j.tryCredential(ctx, cred); err != nil {
		return nil, j.interrupted(ctx, err)
	}
	j.Progress("telling the hub")
	if err := j.storeCredential(ctx, cred); err != nil {
		return nil, j.interrupted(ctx, access.HubError(j.Hub.Host, err))
	}
	cluster, err := j.storeCluster(ctx)
	if err != nil {
		return nil, j.interrupted(ctx, access.HubError(j.Hub.Host, err))
	}
	j.Progress("waiting until the hub has reached it")
	return j.awaitReady(ctx, cluster)
}

// interrupted is err, or that the user interrupted.
func (j *join) interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("interrupted; cluster %s has not joined", j.Name)
	}
	return err
}

// undo removes what was made, the last first. It is what makes a failed or
// interrupted join leave nothing, so it has a time of its own.
func (j *join) undo() {
	ctx, cancel := context.WithTimeout(context.Background(), undoTimeout)
	defer cancel()
	for _, undo := range slices.Backward(j.undos) {
		if err := undo(ctx); err != nil && !apierrors.IsNotFound(err) {
			j.Progress("could not clean up: " + access.OneLine(err.Error()))
		}
	}
}

func (j *join) later(undo func(context.Context) error) { j.undos = append(j.undos, undo) }

// evict takes the service account from another hub: its tokens die with it.
func (j *join) evict(ctx context.Context) error {
	if !j.foreign || j.account == nil {
		return nil
	}
	err := j.member.CoreV1().ServiceAccounts(v1alpha1.SystemNamespace).Delete(ctx, v1alpha1.ServiceAccount, metav1.DeleteOptions{})
	j.account = nil
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// makeAccount makes the Namespace, marked as this hub's, and the service
// account in it.
func (j *join) makeAccount(ctx context.Context) error {
	opts := metav1.CreateOptions{FieldManager: v1alpha1.FieldManager}
	namespaces := j.member.CoreV1().Namespaces()
	switch {
	case j.namespace == nil:
		if _, err := namespaces.Create(ctx, access.Namespace(j.hubUID), opts); err != nil {
			return err
		}
		j.later(func(ctx context.Context) error {
			return namespaces.Delete(ctx, v1alpha1.SystemNamespace, metav1.DeleteOptions{})
		})
	case j.namespace.Annotations[access.AnnotationHub] != j.hubUID:
		mark := []byte(`{"metadata":{"annotations":{"` + access.AnnotationHub + `":"` + j.hubUID + `"}}}`)
		if _, err := namespaces.Patch(ctx, v1alpha1.SystemNamespace, types.MergePatchType, mark, metav1.PatchOptions{FieldManager: v1alpha1.FieldManager}); err != nil {
			return err
		}
		if !j.foreign {
			j.later(func(ctx context.Context) error {
				_, err := namespaces.Patch(ctx, v1alpha1.SystemNamespace, types.MergePatchType, access.UnmarkPatch(), metav1.PatchOptions{})
				return err
			})
		}
	}
	if j.account != nil {
		return nil
	}
	accounts := j.member.CoreV1().ServiceAccounts(v1alpha1.SystemNamespace)
	if _, err := accounts.Create(ctx, access.Account(), opts); err != nil {
		return err
	}
	j.later(func(ctx context.Context) error {
		return accounts.Delete(ctx, v1alpha1.ServiceAccount, metav1.DeleteOptions{})
	})
	return nil
}

// tryCredential uses it until the member accepts it: authorizers learn of new
// bindings a moment later.
func (j *join) tryCredential(ctx context.Context, cred access.Credential) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	client, err := kubernetes.NewForConfig(&rest.Config{
		Host: j.cluster().Spec.Endpoint, BearerToken: cred.Token, UserAgent: v1alpha1.FieldManager, QPS: -1,
		TLSClientConfig: rest.TLSClientConfig{CAData: j.ca, ServerName: j.Member.ServerName},
	})
	if err != nil {
		return fmt.Errorf("the endpoint or the CA of the Cluster cannot be used: %w", err)
	}
	var last error
	err = wait.PollUntilContextCancel(ctx, 25*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		_, last = access.Identity(ctx, client)
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("%s does not accept the credential that it has issued for the hub: %s. Try: see whether something in that cluster restricts service accounts", j.Member.Host, access.Classify(last).Detail)
	}
	return j.awaitGuard(ctx, client)
}

// storeCredential puts it into the Secret at the hub.
func (j *join) storeCredential(ctx context.Context, cred access.Credential) error {
	secrets := j.hub.CoreV1().Secrets(v1alpha1.SystemNamespace)
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: access.SecretName(j.Name), Labels: map[string]string{v1alpha1.LabelClusterName: j.Name}},
		Data:       cred.Data(),
	}
	_, err := secrets.Create(ctx, secret, metav1.CreateOptions{FieldManager: v1alpha1.FieldManager})
	if apierrors.IsAlreadyExists(err) {
		_, err = secrets.Update(ctx, secret, metav1.UpdateOptions{FieldManager: v1alpha1.FieldManager})
	}
	if err != nil {
		return err
	}
	if j.existing == nil {
		j.later(func(ctx context.Context) error { return secrets.Delete(ctx, secret.Name, metav1.DeleteOptions{}) })
	}
	return nil
}

// storeCluster makes the Cluster at the hub, or updates its spec.
func (j *join) storeCluster(ctx context.Context) (*v1alpha1.Cluster, error) {
	if j.existing != nil {
		return j.updateCluster(ctx)
	}
	c := j.cluster()
	made, err := j.clusters.Create(ctx, c, metav1.CreateOptions{FieldManager: v1alpha1.FieldManager})
	if err != nil {
		return nil, err
	}
	j.later(func(ctx context.Context) error {
		// The finalizer first: nothing is left for it to do.
		_, err := j.clusters.Patch(ctx, c.Name, types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
		if err != nil {
			return err
		}
		return j.clusters.Delete(ctx, c.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &made.UID}})
	})
	return made, nil
}

// updateCluster updates the spec of a Cluster that the hub may be writing to at
// the same time: it does as soon as it has started and looked.
func (j *join) updateCluster(ctx context.Context) (updated *v1alpha1.Cluster, err error) {
	err = retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		updated, err = j.clusters.Update(ctx, j.cluster(), metav1.UpdateOptions{FieldManager: v1alpha1.FieldManager})
		if !apierrors.IsConflict(err) {
			return err
		}
		now, getErr := j.clusters.Get(ctx, j.Name, metav1.GetOptions{})
		if getErr != nil {
			return getErr
		}
		j.existing = now
		return err
	})
	return updated, err
}

// awaitReady waits until the hub says that it has reached the member.
func (j *join) awaitReady(ctx context.Context, c *v1alpha1.Cluster) (*v1alpha1.Cluster, error) {
	waitCtx, cancel := context.WithTimeout(ctx, j.Timeout)
	defer cancel()
	said := ""
	err := access.WatchCluster(waitCtx, j.clusters, c.Name, func(now *v1alpha1.Cluster) bool {
		if now == nil {
			return false
		}
		c = now
		ready := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionReady)
		if ready == nil || ready.ObservedGeneration < c.Generation {
			return false
		}
		if ready.Status != metav1.ConditionTrue && ready.Message != said && ready.Reason != v1alpha1.ReasonConnecting {
			said = ready.Message
			j.Progress("the hub says: " + said)
		}
		return ready.Status == metav1.ConditionTrue
	})
	switch {
	case err == nil:
		return c, nil
	case ctx.Err() != nil:
		return nil, j.interrupted(ctx, err)
	case waitCtx.Err() == nil:
		return nil, access.HubError(j.Hub.Host, err)
	case said == "":
		return nil, fmt.Errorf("the hub has not looked at cluster %s within %s; nothing was joined. Try: see whether the hub is healthy (hanse status), or --timeout", j.Name, j.Timeout)
	}
	return nil, fmt.Errorf("the hub does not reach cluster %s, so nothing was joined: %s", j.Name, said)
}
