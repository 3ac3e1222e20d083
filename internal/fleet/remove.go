package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/fleet/access"
	"github.com/hanse-dev/hanse/internal/rights"
)

// removeFromMember removes what join made, by the very credential that it
// removes: role and service account, and the Namespace if join made it and
// nothing else is in it, are given to the ClusterRoleBinding, whose deletion is
// the last request that is needed; the member's garbage collector does the
// rest. A member that has been taken over by another hub is left alone.
func removeFromMember(ctx context.Context, client kubernetes.Interface, hubUID string) error {
	ns, err := client.CoreV1().Namespaces().Get(ctx, v1alpha1.SystemNamespace, metav1.GetOptions{})
	if apierrors.IsNotFound(err) || err == nil && ns.Annotations[access.AnnotationHub] != hubUID {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot read Namespace %s: %w", v1alpha1.SystemNamespace, err)
	}
	binding, err := client.RbacV1().ClusterRoleBindings().Get(ctx, v1alpha1.ServiceAccount, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("cannot read ClusterRoleBinding %s: %w", v1alpha1.ServiceAccount, err)
	}
	empty := false
	if ns.Annotations[access.AnnotationMade] == "true" {
		if empty, err = onlyOurs(ctx, client); err != nil {
			return err
		}
	}
	if err := giveTo(ctx, client, binding, empty); err != nil {
		return err
	}
	background := metav1.DeletePropagationBackground
	err = client.RbacV1().ClusterRoleBindings().Delete(ctx, binding.Name, metav1.DeleteOptions{
		PropagationPolicy: &background, Preconditions: &metav1.Preconditions{UID: &binding.UID}})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("cannot delete ClusterRoleBinding %s: %w", binding.Name, err)
	}
	return nil
}

// giveTo makes the binding the owner of the rest. A Namespace that stays loses
// the mark of this hub.
func giveTo(ctx context.Context, client kubernetes.Interface, binding *rbacv1.ClusterRoleBinding, withNamespace bool) error {
	owned, err := json.Marshal(map[string]any{"metadata": map[string]any{"ownerReferences": []metav1.OwnerReference{{
		APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "ClusterRoleBinding", Name: binding.Name, UID: binding.UID}}}})
	if err != nil {
		return fmt.Errorf("cannot encode an owner reference: %w", err)
	}
	opts := metav1.PatchOptions{FieldManager: v1alpha1.FieldManager}
	_, err = client.CoreV1().ServiceAccounts(v1alpha1.SystemNamespace).Patch(ctx, v1alpha1.ServiceAccount, types.MergePatchType, owned, opts)
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("cannot remove ServiceAccount %s/%s: %w", v1alpha1.SystemNamespace, v1alpha1.ServiceAccount, err)
	}
	if err := giveRoles(ctx, client, owned); err != nil {
		return err
	}
	patch := owned
	if !withNamespace {
		patch = access.UnmarkPatch()
	}
	if _, err = client.CoreV1().Namespaces().Patch(ctx, v1alpha1.SystemNamespace, types.MergePatchType, patch, opts); err != nil {
		return fmt.Errorf("cannot change Namespace %s: %w", v1alpha1.SystemNamespace, err)
	}
	return nil
}

// giveRoles gives away the hub's ClusterRole, and those for custom resources
// with their bindings: they are called like it, with a colon and the API group.
func giveRoles(ctx context.Context, client kubernetes.Interface, owned []byte) error {
	const base = "/apis/rbac.authorization.k8s.io/v1/"
	for _, resource := range []string{"clusterroles", "clusterrolebindings"} {
		names, err := listNames(ctx, client, base+resource, 0)
		if apierrors.IsForbidden(err) && resource == "clusterroles" { // the account has a small role, and none for custom resources
			names, err = []string{rights.RoleName, rights.NamespacedName}, nil
		}
		if apierrors.IsForbidden(err) {
			continue
		}
		if err != nil {
			return fmt.Errorf("cannot list %s: %w", resource, err)
		}
		for _, name := range names {
			ours := strings.HasPrefix(name, v1alpha1.ServiceAccount+":") || resource == "clusterroles" && name == v1alpha1.ServiceAccount
			if !ours {
				continue
			}
			err := client.RbacV1().RESTClient().Patch(types.MergePatchType).AbsPath(base + resource + "/" + name).Body(owned).Do(ctx).Error()
			if err != nil && !apierrors.IsNotFound(err) {
				return fmt.Errorf("cannot remove %s %s: %w", resource, name, err)
			}
		}
	}
	return nil
}

// onlyOurs is true if SystemNamespace holds nothing that somebody would miss.
func onlyOurs(ctx context.Context, client kubernetes.Interface) (bool, error) {
	ns := v1alpha1.SystemNamespace
	ours := map[string]bool{
		"serviceaccounts/default": true, "serviceaccounts/" + v1alpha1.ServiceAccount: true,
		"configmaps/kube-root-ca.crt": true,
	}
	for path, resources := range map[string][]string{
		"/api/v1":        {"pods", "services", "configmaps", "secrets", "serviceaccounts", "persistentvolumeclaims"},
		"/apis/apps/v1":  {"deployments", "statefulsets", "daemonsets"},
		"/apis/batch/v1": {"jobs", "cronjobs"},
		"/apis/" + rbacv1.SchemeGroupVersion.String(): {"roles", "rolebindings"},
	} {
		for _, resource := range resources {
			names, err := listNames(ctx, client, path+"/namespaces/"+ns+"/"+resource, 5)
			if apierrors.IsForbidden(err) { // the account does not see whether there are any
				return false, nil
			}
			if err != nil {
				return false, fmt.Errorf("cannot see whether Namespace %s is empty: %w", ns, err)
			}
			for _, name := range names {
				if !ours[resource+"/"+name] {
					return false, nil
				}
			}
		}
	}
	return true, nil
}

// listNames lists names at a path of the API, at most limit; 0 is all.
func listNames(ctx context.Context, client kubernetes.Interface, path string, limit int) ([]string, error) {
	body, err := client.Discovery().RESTClient().Get().AbsPath(path).Param("limit", fmt.Sprint(limit)).
		SetHeader("Accept", "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1").DoRaw(ctx)
	if err != nil {
		return nil, err
	}
	var list metav1.PartialObjectMetadataList
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, fmt.Errorf("%s answers something else: %w", path, err)
	}
	names := make([]string, 0, len(list.Items))
	for i := range list.Items {
		names = append(names, list.Items[i].Name)
	}
	return names, nil
}
