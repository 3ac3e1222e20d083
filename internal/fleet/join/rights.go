package join

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/fleet/access"
	"github.com/hanse-dev/hanse/internal/rights"
)

// decideAccess finds out what the hub's account is to be able to do in the member.
func (j *join) decideAccess() error {
	j.granted = v1alpha1.ClusterAccess{Role: v1alpha1.RoleNamespaced, RBAC: v1alpha1.RBACPropagated}
	if j.existing != nil && j.Role == "" && !j.NoRBAC && len(j.Namespaces) == 0 {
		j.granted = j.existing.Spec.Access
		if j.granted.Role == "" { // joined when there was one role only
			j.granted.Role, j.granted.RBAC = v1alpha1.RoleFull, v1alpha1.RBACPropagated
		}
	}
	if j.Role != "" {
		j.granted.Role = j.Role
	}
	if j.NoRBAC {
		j.granted.RBAC = v1alpha1.RBACNone
	}
	if len(j.Namespaces) > 0 {
		j.granted.Namespaces = slices.Clone(j.Namespaces)
	}
	if j.granted.Guard = v1alpha1.GuardEnforced; j.NoGuard {
		j.granted.Guard = v1alpha1.GuardNone
	}
	if len(j.granted.Namespaces) > 0 && j.granted.Role == v1alpha1.RoleFull {
		return errors.New("the role full is for all namespaces. Try: --role namespaced with --namespaces")
	}
	for _, ns := range j.granted.Namespaces {
		if len(validation.IsDNS1123Label(ns)) > 0 {
			return fmt.Errorf("%q cannot be the name of a namespace. Try: --namespaces shop,web", ns)
		}
	}
	j.Allow = append(slices.Clone(j.Allow), j.granted.Namespaces...) // whoever gives the right to write there allows that
	return nil
}

// inMember is what the join makes in the member.
func (j *join) inMember() []runtime.Object {
	a := rights.Read(j.granted)
	out := []runtime.Object{access.Namespace(j.hubUID), access.Account(), access.Role(rights.RoleName, a.Rules()), access.Binding()}
	if len(a.Namespaces) > 0 {
		out = append(out, access.Role(rights.NamespacedName, a.InNamespaces()))
	}
	for _, ns := range a.Namespaces {
		out = append(out, access.BindingIn(ns))
	}
	if j.granted.Guard == v1alpha1.GuardEnforced {
		policy, binding := rights.Guard()
		out = append(out, policy, binding)
	}
	return out
}

// makeRights makes the roles and their bindings, or brings the roles up to date, and takes away what is too much.
func (j *join) makeRights(ctx context.Context) error {
	opts, a := metav1.CreateOptions{FieldManager: v1alpha1.FieldManager}, rights.Read(j.granted)
	if err := j.makeRole(ctx, rights.RoleName, a.Rules(), nil); err != nil {
		return err
	}
	if j.binding == nil {
		bindings := j.member.RbacV1().ClusterRoleBindings()
		made, err := bindings.Create(ctx, access.Binding(), opts)
		if err != nil {
			return err
		}
		j.binding = made
		j.later(func(ctx context.Context) error {
			return bindings.Delete(ctx, v1alpha1.ServiceAccount, metav1.DeleteOptions{})
		})
	}
	if err := j.takeAway(ctx, a); err != nil || len(a.Namespaces) == 0 {
		return err
	}
	if err := j.makeRole(ctx, rights.NamespacedName, a.InNamespaces(), j.owners()); err != nil {
		return err
	}
	for _, ns := range a.Namespaces {
		if err := j.bindIn(ctx, ns); err != nil {
			return err
		}
	}
	return nil
}

// owners are those of what goes with the binding of the hub's account, when the cluster leaves.
func (j *join) owners() []metav1.OwnerReference {
	return []metav1.OwnerReference{{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "ClusterRoleBinding", Name: j.binding.Name, UID: j.binding.UID}}
}

func (j *join) makeRole(ctx context.Context, name string, rules []rbacv1.PolicyRule, owners []metav1.OwnerReference) error {
	roles, role := j.member.RbacV1().ClusterRoles(), access.Role(name, rules)
	role.OwnerReferences = owners
	_, err := roles.Create(ctx, role, metav1.CreateOptions{FieldManager: v1alpha1.FieldManager})
	if apierrors.IsAlreadyExists(err) {
		return access.EnsureRole(ctx, j.member, name, rules)
	}
	if err == nil {
		j.later(func(ctx context.Context) error { return roles.Delete(ctx, name, metav1.DeleteOptions{}) })
	}
	return err
}

// bindIn lets the account write in a namespace, which is made if it is not there.
func (j *join) bindIn(ctx context.Context, ns string) error {
	opts := metav1.CreateOptions{FieldManager: v1alpha1.FieldManager}
	namespaces, bindings := j.member.CoreV1().Namespaces(), j.member.RbacV1().RoleBindings(ns)
	_, err := namespaces.Get(ctx, ns, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		made := access.Namespace("")
		made.Name, made.Annotations = ns, nil
		if _, err = namespaces.Create(ctx, made, opts); err == nil {
			j.later(func(ctx context.Context) error { return namespaces.Delete(ctx, ns, metav1.DeleteOptions{}) })
		}
	}
	if err != nil {
		return err
	}
	binding := access.BindingIn(ns)
	binding.OwnerReferences = j.owners()
	_, err = bindings.Create(ctx, binding, opts)
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	if err == nil {
		j.later(func(ctx context.Context) error { return bindings.Delete(ctx, binding.Name, metav1.DeleteOptions{}) })
	}
	return err
}

// takeAway removes rights that the account had by an earlier join and is not to have any more: in namespaces, and to custom resources.
func (j *join) takeAway(ctx context.Context, a rights.Access) error {
	if j.account == nil && j.role == nil {
		return nil // nobody has joined this cluster
	}
	bound, err := j.member.RbacV1().RoleBindings("").List(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + v1alpha1.ServiceAccount})
	if err != nil {
		return err
	}
	for i := range bound.Items {
		b := &bound.Items[i]
		if b.Name != v1alpha1.ServiceAccount || b.RoleRef.Name != rights.NamespacedName || slices.Contains(a.Namespaces, b.Namespace) {
			continue
		}
		if err := ignoreMissing(j.member.RbacV1().RoleBindings(b.Namespace).Delete(ctx, b.Name, metav1.DeleteOptions{})); err != nil {
			return err
		}
	}
	if a.Custom() {
		return nil
	}
	bindings := j.member.RbacV1().ClusterRoleBindings()
	all, err := bindings.List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for i := range all.Items {
		name := all.Items[i].Name
		if !strings.HasPrefix(name, v1alpha1.ServiceAccount+":") {
			continue
		}
		if err := ignoreMissing(bindings.Delete(ctx, name, metav1.DeleteOptions{})); err != nil {
			return err
		}
		if err := ignoreMissing(j.member.RbacV1().ClusterRoles().Delete(ctx, name, metav1.DeleteOptions{})); err != nil {
			return err
		}
	}
	return nil
}

func ignoreMissing(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// makeGuard makes the policy that bounds the account, or brings it up to date; where the cluster does not serve such policies, or
// the one who joins may not make them, it says so, and there is none.
func (j *join) makeGuard(ctx context.Context) error {
	policies, bindings := j.member.AdmissionregistrationV1().ValidatingAdmissionPolicies(), j.member.AdmissionregistrationV1().ValidatingAdmissionPolicyBindings()
	if j.granted.Guard == v1alpha1.GuardNone {
		return errors.Join(noneIsFine(bindings.Delete(ctx, rights.GuardName, metav1.DeleteOptions{})), noneIsFine(policies.Delete(ctx, rights.GuardName, metav1.DeleteOptions{})))
	}
	policy, binding := rights.Guard()
	policy.OwnerReferences, binding.OwnerReferences = j.owners(), j.owners()
	opts := metav1.CreateOptions{FieldManager: v1alpha1.FieldManager}
	_, err := policies.Create(ctx, policy, opts)
	if apierrors.IsAlreadyExists(err) {
		now, getErr := policies.Get(ctx, rights.GuardName, metav1.GetOptions{})
		if getErr != nil {
			return getErr
		}
		now.Spec, now.OwnerReferences = policy.Spec, policy.OwnerReferences
		_, err = policies.Update(ctx, now, metav1.UpdateOptions{FieldManager: v1alpha1.FieldManager})
	} else if err == nil {
		j.later(func(ctx context.Context) error { return policies.Delete(ctx, rights.GuardName, metav1.DeleteOptions{}) })
	}
	if err == nil {
		if _, err = bindings.Create(ctx, binding, opts); err == nil {
			j.later(func(ctx context.Context) error { return bindings.Delete(ctx, rights.GuardName, metav1.DeleteOptions{}) })
		} else if apierrors.IsAlreadyExists(err) {
			err = nil
		}
	}
	if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
		j.granted.Guard = v1alpha1.GuardNone
		j.Progress("no policy bounds the hub's account in the cluster: " + access.Classify(err).Detail)
		return nil
	}
	return err
}

// noneIsFine is for a policy that is to go, where there may be none, or no right to any.
func noneIsFine(err error) error {
	if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
		return nil
	}
	return err
}

// guardTimeout is how long the policy may take to be in effect: API servers read policies about once a second.
const guardTimeout = 10 * time.Second

// awaitGuard waits until the member refuses, by the policy, what the account has the right to do, so that the hub is never there without it.
// Where the role is full, the hub could take the policy away anyway, so it is not waited for. client is the account's.
func (j *join) awaitGuard(ctx context.Context, client kubernetes.Interface) error {
	if j.granted.Guard != v1alpha1.GuardEnforced || j.granted.Role == v1alpha1.RoleFull {
		return nil
	}
	ns := metav1.NamespaceDefault
	if len(j.granted.Namespaces) > 0 {
		ns = j.granted.Namespaces[0]
	}
	waitCtx, cancel := context.WithTimeout(ctx, guardTimeout)
	defer cancel()
	unmarked := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "hanse-join-tries-the-guard"}}
	err := wait.PollUntilContextCancel(waitCtx, settleInterval, true, func(ctx context.Context) (bool, error) {
		_, err := client.CoreV1().ConfigMaps(ns).Create(ctx, unmarked, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return err != nil && strings.Contains(err.Error(), rights.GuardName), nil
	})
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return j.interrupted(ctx, err)
	default:
		j.granted.Guard = v1alpha1.GuardNone
		j.Progress("the policy " + rights.GuardName + " is in the cluster, but not in effect: see whether admission policies are switched off there")
	}
	return nil
}
