package app

import (
	"context"
	"fmt"
	"io/fs"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/authentication/user"
	rbacv1ac "k8s.io/client-go/applyconfigurations/rbac/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/audit"
	"github.com/hanse-dev/hanse/internal/controlplane/datadir"
	"github.com/hanse-dev/hanse/internal/propagate"
	"github.com/hanse-dev/hanse/internal/tenancy"
)

// establishPoll is how often a new kind is asked about; it takes some 100 ms.
const establishPoll = 20 * time.Millisecond

// installKinds applies the CustomResourceDefinitions of this binary and blocks
// until all of them are served.
func installKinds(ctx context.Context, config *rest.Config) error {
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return err
	}
	definitions := client.Resource(apiextensionsv1.SchemeGroupVersion.WithResource("customresourcedefinitions"))
	wanted, err := kinds()
	if err != nil {
		return err
	}
	for _, kind := range wanted {
		options := metav1.ApplyOptions{FieldManager: v1alpha1.FieldManager, Force: true}
		if _, err := definitions.Apply(ctx, kind.GetName(), kind, options); err != nil {
			return err
		}
	}
	for _, kind := range wanted {
		err := wait.PollUntilContextCancel(ctx, establishPoll, true, func(ctx context.Context) (bool, error) {
			live, err := definitions.Get(ctx, kind.GetName(), metav1.GetOptions{})
			if err != nil {
				return false, err
			}
			return established(live), nil
		})
		if err != nil {
			return fmt.Errorf("waiting for %s: %w", kind.GetName(), err)
		}
	}
	return waitServed(ctx, client)
}

// waitServed blocks until Clusters can be listed: after a restart their kind was
// established before, but is not served from the first moment, and a watch that
// finds that out waits longer than this until it tries again.
func waitServed(ctx context.Context, client dynamic.Interface) error {
	err := wait.PollUntilContextCancel(ctx, establishPoll, true, func(ctx context.Context) (bool, error) {
		_, err := client.Resource(v1alpha1.Resource("clusters")).List(ctx, metav1.ListOptions{Limit: 1})
		if apierrors.IsNotFound(err) {
			return false, nil
		}
		return err == nil, err
	})
	if err != nil {
		return fmt.Errorf("waiting until clusters are served: %w", err)
	}
	return nil
}

// kinds reads the embedded CustomResourceDefinitions.
func kinds() ([]*unstructured.Unstructured, error) {
	files, err := fs.Glob(v1alpha1.CRDs, "crds/*.yaml")
	if err != nil {
		return nil, err
	}
	var all []*unstructured.Unstructured
	for _, file := range files {
		data, err := fs.ReadFile(v1alpha1.CRDs, file)
		if err != nil {
			return nil, err
		}
		kind := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(data, &kind.Object); err != nil {
			return nil, fmt.Errorf("reading %s: %w", file, err)
		}
		all = append(all, kind)
	}
	return all, nil
}

func established(live *unstructured.Unstructured) bool {
	var definition apiextensionsv1.CustomResourceDefinition
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(live.Object, &definition); err != nil {
		return false
	}
	for _, condition := range definition.Status.Conditions {
		if condition.Type == apiextensionsv1.Established {
			return condition.Status == apiextensionsv1.ConditionTrue
		}
	}
	return false
}

// ensureRoles lets whoever may view, edit or administer at the hub also see its
// own kinds, and whoever may edit write routes and policies, as the default roles of a cluster
// do for its own kinds. Zones, and policies for all namespaces, are an administrator's.
func ensureRoles(ctx context.Context, config *rest.Config) error {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	editor := rbacv1ac.ClusterRole("hanse:edit").
		WithLabels(map[string]string{"rbac.authorization.k8s.io/aggregate-to-edit": "true"}).
		WithRules(rbacv1ac.PolicyRule().WithAPIGroups(v1alpha1.GroupVersion().Group).
			WithResources("globalroutes", "placementpolicies").WithVerbs("create", "update", "patch", "delete", "deletecollection"))
	viewer := rbacv1ac.ClusterRole("hanse:view").
		WithLabels(map[string]string{"rbac.authorization.k8s.io/aggregate-to-view": "true"}).
		WithRules(rbacv1ac.PolicyRule().WithAPIGroups(v1alpha1.GroupVersion().Group).
			WithResources("clusters", "placements", "globalroutes", "dnszones", "placementpolicies", "clusterplacementpolicies", "residencies", "organizations", "workspaces").WithVerbs("get", "list", "watch"),
			rbacv1ac.PolicyRule().WithNonResourceURLs("/hanse/dns/*", datadir.PathCertificates, datadir.PathEncryption).WithVerbs("get"),
			rbacv1ac.PolicyRule().WithNonResourceURLs("/hanse/plan").WithVerbs("post"))
	// Who may patch a Cluster may see and approve of what is held there; who may get an object may see its history; who may
	// list Clusters may see what would survive their loss; who may list Residencies may have the members asked; who has an invitation may take it; who is given view, edit or admin
	// may see what that is. That is checked where it is served; without this rule nobody but cluster-admin would get there.
	held := rbacv1ac.ClusterRole("hanse:held").
		WithRules(rbacv1ac.PolicyRule().WithNonResourceURLs(propagate.PathHeld+"*").WithVerbs("get", "post"),
			rbacv1ac.PolicyRule().WithNonResourceURLs(propagate.PathHistory, propagate.PathSurvive, propagate.PathResidency).WithVerbs("get"),
			rbacv1ac.PolicyRule().WithNonResourceURLs(tenancy.PathJoin).WithVerbs("post"),
			rbacv1ac.PolicyRule().WithAPIGroups(rbacv1.GroupName).WithResources("clusterroles").WithResourceNames("view", "edit", "admin").WithVerbs("get"))
	everybody := rbacv1ac.ClusterRoleBinding(*held.Name).
		WithRoleRef(rbacv1ac.RoleRef().WithAPIGroup(rbacv1.GroupName).WithKind("ClusterRole").WithName(*held.Name)).
		WithSubjects(rbacv1ac.Subject().WithAPIGroup(rbacv1.GroupName).WithKind(rbacv1.GroupKind).WithName(user.AllAuthenticated))
	if _, err := client.RbacV1().ClusterRoleBindings().Apply(ctx, everybody, metav1.ApplyOptions{FieldManager: v1alpha1.FieldManager, Force: true}); err != nil {
		return err
	}
	// What somebody needs to know who has no credential yet.
	login := rbacv1ac.ClusterRole(loginRole).WithRules(rbacv1ac.PolicyRule().WithNonResourceURLs(datadir.PathLogin).WithVerbs("get"))
	// What a hub needs to know that has no key yet. Who gets the keys is checked where they are served, and is no right.
	keys := rbacv1ac.ClusterRole(keysRole).WithRules(rbacv1ac.PolicyRule().WithNonResourceURLs(datadir.PathKeys).WithVerbs("get", "post"))
	// Nobody has it unless somebody gives it.
	auditor := rbacv1ac.ClusterRole("hanse:audit").WithRules(rbacv1ac.PolicyRule().WithNonResourceURLs(audit.Path).WithVerbs("get"))
	for _, role := range []*rbacv1ac.ClusterRoleApplyConfiguration{viewer, editor, held, login, keys, auditor} {
		if _, err := client.RbacV1().ClusterRoles().Apply(ctx, role, metav1.ApplyOptions{FieldManager: v1alpha1.FieldManager, Force: true}); err != nil {
			return err
		}
	}
	return nil
}

// ensureNamespace creates the Namespace of what belongs to Hanse itself.
func ensureNamespace(ctx context.Context, config *rest.Config) error {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.SystemNamespace}}
	_, err = client.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{FieldManager: v1alpha1.FieldManager})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}
