package join

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/fleet/access"
)

// requestTimeout bounds each request of a join.
const requestTimeout = 15 * time.Second

// settleInterval is how often join looks whether a deletion has finished.
const settleInterval = 100 * time.Millisecond

// hubContextName is taken: it is the hub's own context in kubeconfigs.
const hubContextName = "federation"

// memberState is what a member has of an earlier join; nil is nothing.
type memberState struct {
	namespace *corev1.Namespace
	account   *corev1.ServiceAccount
	role      *rbacv1.ClusterRole
	binding   *rbacv1.ClusterRoleBinding
	foreign   bool // they belong to another hub, which is to lose the member
}

func checkName(name string) error {
	if name == hubContextName {
		return fmt.Errorf("a cluster cannot be called %s: that is the hub. Try: another name", name)
	}
	if problems := validation.IsDNS1123Label(name); len(problems) > 0 {
		return fmt.Errorf("%q cannot be the name of a cluster: it takes up to 63 lower-case letters, digits and dashes, not beginning or ending with a dash. Try: another name", name)
	}
	return nil
}

// identify finds out which clusters the two are, and that both answer.
func (j *join) identify(ctx context.Context) error {
	j.Progress("asking the hub")
	uid, err := access.Identity(ctx, j.hub)
	if err != nil {
		return access.HubError(j.Hub.Host, err)
	}
	j.hubUID = uid
	j.Progress("asking " + j.Member.Host)
	if j.memberUID, err = access.Identity(ctx, j.member); err != nil {
		return j.memberError(err)
	}
	if j.memberUID == j.hubUID {
		return fmt.Errorf("%s is the hub itself, which cannot join itself. Try: the kubeconfig of another cluster with --kubeconfig", j.Member.Host)
	}
	return nil
}

// checkTaken looks for the name and for the cluster among the members.
func (j *join) checkTaken(ctx context.Context) error {
	list, err := j.clusters.List(ctx, metav1.ListOptions{})
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("%s is a Kubernetes API server, but no hub: it does not know Clusters. Try: --hub-kubeconfig FILE or --hub-context NAME", j.Hub.Host)
	}
	if err != nil {
		return access.HubError(j.Hub.Host, err)
	}
	for i := range list.Items {
		c := &list.Items[i]
		same := c.Spec.UID == j.memberUID
		switch {
		case c.Name == j.Name && c.DeletionTimestamp != nil:
			return fmt.Errorf("cluster %s is still leaving. Try: hanse unjoin %s, which waits until it has left, then join again", c.Name, c.Name)
		case c.Name == j.Name && same:
			j.existing = c
		case c.Name == j.Name:
			return fmt.Errorf("the name %s is taken by another cluster, at %s. Try: another name, or hanse unjoin %s first", c.Name, c.Spec.Endpoint, c.Name)
		case same:
			return fmt.Errorf("this cluster is a member already, as %s. Try: hanse join %s to renew its credential, or hanse unjoin %s first", c.Name, c.Name, c.Name)
		}
	}
	return nil
}

// inspectMember sees what is in the member from an earlier join and whether the
// user may do there what a join does.
func (j *join) inspectMember(ctx context.Context) error {
	lacking, err := j.lackingRights(ctx)
	if err != nil {
		return j.memberError(err)
	}
	if len(lacking) > 0 {
		return fmt.Errorf("the kubeconfig's user may not %s in %s. Try: a kubeconfig of an administrator of that cluster", strings.Join(lacking, ", nor "), j.Member.Host)
	}
	if err := j.settledState(ctx); err != nil {
		return err
	}
	if j.namespace == nil {
		return nil
	}
	if hub := j.namespace.Annotations[access.AnnotationHub]; hub != "" && hub != j.hubUID {
		if !j.TakeOver {
			return fmt.Errorf("the cluster at %s belongs to another hub (%s). Try: hanse unjoin there, or --take-over if that hub no longer exists; it then loses access", j.Member.Host, access.OneLine(hub))
		}
		j.foreign = true
	}
	return nil
}

// settledState reads what is there, after what is being deleted is gone: a
// member that has left a moment ago, or a failed join, takes a few seconds.
func (j *join) settledState(ctx context.Context) error {
	said := false
	waitCtx, cancel := context.WithTimeout(ctx, j.Timeout)
	defer cancel()
	err := wait.PollUntilContextCancel(waitCtx, settleInterval, true, func(ctx context.Context) (bool, error) {
		if err := j.readState(ctx); err != nil {
			return false, err
		}
		if j.leaving() && !said {
			said = true
			j.Progress("waiting until what was there before is deleted")
		}
		return !j.leaving(), nil
	})
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return j.interrupted(ctx, err)
	case waitCtx.Err() != nil:
		return fmt.Errorf("what an earlier join made in %s is still being deleted there. Try: see what keeps Namespace %s and ClusterRole %s in that cluster, then again",
			j.Member.Host, v1alpha1.SystemNamespace, v1alpha1.ServiceAccount)
	}
	return j.memberError(err)
}

// leaving is true if some of it is being deleted, or will be by the garbage
// collector (see removeFromMember).
func (s memberState) leaving() bool {
	going := func(o metav1.Object) bool {
		return o.GetDeletionTimestamp() != nil || slices.ContainsFunc(o.GetOwnerReferences(), func(r metav1.OwnerReference) bool {
			return r.Kind == "ClusterRoleBinding" && r.Name == v1alpha1.ServiceAccount
		})
	}
	return s.namespace != nil && going(s.namespace) || s.account != nil && going(s.account) ||
		s.role != nil && going(s.role) || s.binding != nil && going(s.binding)
}

func (j *join) readState(ctx context.Context) error {
	var err error
	opts := metav1.GetOptions{}
	j.namespace, err = access.Found(j.member.CoreV1().Namespaces().Get(ctx, v1alpha1.SystemNamespace, opts))
	if err != nil {
		return err
	}
	j.account, err = access.Found(j.member.CoreV1().ServiceAccounts(v1alpha1.SystemNamespace).Get(ctx, v1alpha1.ServiceAccount, opts))
	if err != nil {
		return err
	}
	j.role, err = access.Found(j.member.RbacV1().ClusterRoles().Get(ctx, v1alpha1.ServiceAccount, opts))
	if err != nil {
		return err
	}
	j.binding, err = access.Found(j.member.RbacV1().ClusterRoleBindings().Get(ctx, v1alpha1.ServiceAccount, opts))
	return err
}

// lackingRights lists what a join does in the member and the user may not.
func (j *join) lackingRights(ctx context.Context) ([]string, error) {
	var lacking []string
	ns := v1alpha1.SystemNamespace
	for _, a := range []authorizationv1.ResourceAttributes{
		{Verb: "create", Resource: "namespaces"},
		{Verb: "create", Resource: "serviceaccounts", Namespace: ns},
		{Verb: "create", Resource: "serviceaccounts", Subresource: "token", Namespace: ns},
		{Verb: "create", Group: rbacv1.GroupName, Resource: "clusterroles"},
		{Verb: "create", Group: rbacv1.GroupName, Resource: "clusterrolebindings"},
	} {
		review, err := j.member.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, &authorizationv1.SelfSubjectAccessReview{
			Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &a}}, metav1.CreateOptions{})
		if err != nil {
			return nil, err
		}
		if !review.Status.Allowed {
			what := a.Resource
			if a.Subresource != "" {
				what += "/" + a.Subresource
			}
			lacking = append(lacking, a.Verb+" "+what)
		}
	}
	return lacking, nil
}

// memberError explains what the cluster to join answered to the kubeconfig's
// user.
func (j *join) memberError(err error) error {
	p := access.Classify(err)
	at := j.Member.Host
	switch p.Reason {
	case v1alpha1.ReasonAuthenticationFailed:
		return fmt.Errorf("%s refuses the kubeconfig's credential (401): it has expired, or is another cluster's. Try: log in again, or another --kubeconfig or --context", at)
	case v1alpha1.ReasonPermissionDenied:
		return fmt.Errorf("%s does not let the kubeconfig's user do this: %s. Try: a kubeconfig of an administrator of that cluster", at, p.Detail)
	case v1alpha1.ReasonCertificateInvalid:
		return fmt.Errorf("%s cannot be trusted: %s. Try: see whether the kubeconfig has that cluster's CA and address", at, p.Detail)
	case v1alpha1.ReasonNotReady:
		return fmt.Errorf("%s is not ready: %s. Try: again in a while", at, p.Detail)
	}
	if strings.Contains(p.Detail, "getting credentials: ") {
		return fmt.Errorf("the kubeconfig's credential plugin fails: %s. Try: run it by itself, or log in again", p.Detail)
	}
	return fmt.Errorf("%s cannot be reached: %s. Try: see whether the cluster runs and the address in the kubeconfig is right", at, p.Detail)
}

func withFinalizer(finalizers []string) []string {
	if slices.Contains(finalizers, v1alpha1.FinalizerUnjoin) {
		return finalizers
	}
	return append(slices.Clone(finalizers), v1alpha1.FinalizerUnjoin)
}
