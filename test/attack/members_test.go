package attack

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/rights"
)

const enforce = "pod-security.kubernetes.io/enforce"

// placedIn is how an object is in a member, by the name of its Placement.
func (f *fed) placedIn(ctx context.Context, cluster, ns, placement string) (state, message string, err error) {
	u, err := f.admin.dynamic.Resource(v1alpha1.Resource("placements")).Namespace(ns).Get(ctx, placement, metav1.GetOptions{})
	if err != nil {
		return "", "", err
	}
	clusters, _ := u.Object["clusters"].([]any)
	for _, c := range clusters {
		if c := c.(map[string]any); c["name"] == cluster {
			return fmt.Sprint(c["state"]), fmt.Sprint(c["lastError"]), nil
		}
	}
	return "", "", fmt.Errorf("placement %s says nothing of %s", placement, cluster)
}

// isHeld says whether an object is held in a member, with what to try.
func (f *fed) isHeld(ctx context.Context, cluster, ns, placement string) error {
	state, message, err := f.placedIn(ctx, cluster, ns, placement)
	if err == nil && (state != v1alpha1.StateConflict || !strings.Contains(message, "Try: ")) {
		err = fmt.Errorf("%s is %s in %s: %s", placement, state, cluster, message)
	}
	return err
}

// TestANamespaceOfTheSameNameIsNotTheSame: somebody who may create Namespaces at the hub, and do what they like in their own, names one like a
// member's own flux-system, to weaken it there and to run a privileged pod under its service account, which is cluster-admin in the member.
func TestANamespaceOfTheSameNameIsNotTheSame(t *testing.T) {
	t.Parallel()
	f, ctx := suite, t.Context()
	const ns = "flux-system"
	aws := f.in["aws"]
	_, err := aws.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns, Labels: map[string]string{enforce: "restricted", "owner": "platform"}}}, metav1.CreateOptions{})
	must(t, err)
	_, err = aws.CoreV1().ServiceAccounts(ns).Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "kustomize-controller"}}, metav1.CreateOptions{})
	must(t, err)
	_, err = aws.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "flux"},
		RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: ns, Name: "kustomize-controller"}}}, metav1.CreateOptions{})
	must(t, err)
	before, err := aws.CoreV1().Namespaces().Get(ctx, ns, metav1.GetOptions{})
	must(t, err)

	somebody := f.person(t, "somebody", everywhere(may("create,get,update,patch", "namespaces")))
	must(t, somebody.create(t, `apiVersion: v1
kind: Namespace
metadata:
  name: flux-system
  labels: {pod-security.kubernetes.io/enforce: privileged, owner: me}`))
	f.give(t, "flux-editor", somebody, as("edit", ns))
	must(t, somebody.create(t, `apiVersion: v1
kind: ServiceAccount
metadata: {name: kustomize-controller, namespace: flux-system}
---
apiVersion: v1
kind: Pod
metadata: {name: root, namespace: flux-system}
spec:
  hostPID: true
  serviceAccountName: kustomize-controller
  containers: [{name: root, image: busybox, securityContext: {privileged: true}}]`))
	untouched := func(ctx context.Context) error {
		now, err := aws.CoreV1().Namespaces().Get(ctx, ns, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if now.ResourceVersion != before.ResourceVersion {
			return fmt.Errorf("the member's namespace was written: %v", now.Labels)
		}
		if _, err := aws.CoreV1().Pods(ns).Get(ctx, "root", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			return fmt.Errorf("the pod is in the member: %v", err)
		}
		return nil
	}
	eventually(t, func(ctx context.Context) error {
		return f.isHeld(ctx, "aws", v1alpha1.SystemNamespace, "namespaces."+ns)
	})
	eventually(t, func(ctx context.Context) error {
		return f.isHeld(ctx, "aws", ns, "serviceaccounts.kustomize-controller")
	})
	must(t, untouched(ctx))

	// Nor do they get further by asking for it to be taken over, or by allowing it themselves.
	_, err = somebody.CoreV1().Namespaces().Patch(ctx, ns, types.MergePatchType, []byte(`{"metadata":{"annotations":{"hanse.dev/conflict":"overwrite"},"labels":{"more":"me"}}}`), metav1.PatchOptions{})
	if err != nil && !apierrors.IsForbidden(err) {
		t.Fatal(err)
	}
	_, err = somebody.dynamic.Resource(v1alpha1.Resource("clusters")).Patch(ctx, "aws", types.JSONPatchType, []byte(`[{"op":"add","path":"/spec/namespaces/allow/-","value":"flux-system"}]`), metav1.PatchOptions{})
	refused(t, err, "cannot patch resource")
	must(t, somebody.create(t, `apiVersion: v1
kind: ConfigMap
metadata: {name: later, namespace: flux-system}`))
	eventually(t, func(ctx context.Context) error { return f.isHeld(ctx, "aws", ns, "configmaps.later") })
	must(t, untouched(ctx))

	// Where nobody had a namespace of that name, it is the hub's.
	eventually(t, func(ctx context.Context) error {
		state, message, err := f.placedIn(ctx, "azure", ns, "configmaps.later")
		if err == nil && state != v1alpha1.StateSynced {
			err = errors.New(state + " " + message)
		}
		return err
	})

	// Whoever may change the Cluster grants it. Even then nothing is weakened, and nobody's labels change.
	_, err = f.admin.dynamic.Resource(v1alpha1.Resource("clusters")).Patch(ctx, "aws", types.JSONPatchType, []byte(`[{"op":"add","path":"/spec/namespaces/allow/-","value":"flux-system"}]`), metav1.PatchOptions{})
	must(t, err)
	eventually(t, func(ctx context.Context) error {
		_, err := aws.CoreV1().ConfigMaps(ns).Get(ctx, "later", metav1.GetOptions{})
		return err
	})
	now, err := aws.CoreV1().Namespaces().Get(ctx, ns, metav1.GetOptions{})
	must(t, err)
	if now.Labels[enforce] != "restricted" || now.Labels[v1alpha1.LabelManaged] != "true" {
		t.Errorf("the namespace was taken over with the labels %v", now.Labels)
	}
}

// TestDeniedNamespaces: kube-system is nobody's at the hub.
func TestDeniedNamespaces(t *testing.T) {
	t.Parallel()
	f := suite
	somebody := f.person(t, "somebody", as("edit", "kube-system"))
	must(t, somebody.create(t, `apiVersion: v1
kind: ConfigMap
metadata: {name: of-somebody, namespace: kube-system}`))
	t.Cleanup(func() {
		_ = f.admin.CoreV1().ConfigMaps("kube-system").Delete(context.Background(), "of-somebody", metav1.DeleteOptions{})
	})
	eventually(t, func(ctx context.Context) error {
		return f.isHeld(ctx, "azure", "kube-system", "configmaps.of-somebody")
	})
	if _, err := f.in["azure"].CoreV1().ConfigMaps("kube-system").Get(t.Context(), "of-somebody", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("it is in the member: %v", err)
	}
}

// hubIn is the hub's account in a member: what somebody can do there who has taken the hub over.
func (f *fed) hubIn(t *testing.T, cluster string) *person {
	t.Helper()
	secret, err := f.admin.CoreV1().Secrets(v1alpha1.SystemNamespace).Get(t.Context(), "cluster-"+cluster, metav1.GetOptions{})
	must(t, err)
	cfg := rest.AnonymousClientConfig(f.in[cluster].config)
	cfg.BearerToken = string(secret.Data["token"])
	p, err := newPerson("the hub in "+cluster, cfg)
	must(t, err)
	p.mapper = f.admin.mapper
	return p
}

// TestTheHubsAccountIsBounded is about somebody who has the hub's token for a member: the policy there holds them.
func TestTheHubsAccountIsBounded(t *testing.T) {
	t.Parallel()
	f, ctx := suite, t.Context()
	hub, aws := f.hubIn(t, "aws"), f.in["aws"]
	_, err := aws.AdmissionregistrationV1().ValidatingAdmissionPolicies().Get(ctx, rights.GuardName, metav1.GetOptions{})
	must(t, err)
	_, err = aws.CoreV1().ConfigMaps("default").Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "theirs"}}, metav1.CreateOptions{})
	must(t, err)
	eventually(t, func(ctx context.Context) error { // API servers read policies about once a second
		_, err := hub.CoreV1().ConfigMaps("default").Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "unmarked"}}, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if apierrors.IsForbidden(err) {
			return nil
		}
		return fmt.Errorf("the policy is not in effect: %w", err)
	})
	marked := metav1.ObjectMeta{Name: "attack", Labels: map[string]string{v1alpha1.LabelManaged: "true"}}
	admin := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"}
	self := []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: v1alpha1.SystemNamespace, Name: v1alpha1.ServiceAccount}}
	for what, attempt := range map[string]func() error{
		"something in kube-system": func() error {
			_, err := hub.CoreV1().ServiceAccounts("kube-system").Create(ctx, &corev1.ServiceAccount{ObjectMeta: marked}, metav1.CreateOptions{})
			return err
		},
		"cluster-admin for itself": func() error {
			_, err := hub.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{ObjectMeta: marked, RoleRef: admin, Subjects: self}, metav1.CreateOptions{})
			return err
		},
		"cluster-admin in a namespace": func() error {
			_, err := hub.RbacV1().RoleBindings("default").Create(ctx, &rbacv1.RoleBinding{ObjectMeta: marked, RoleRef: admin, Subjects: self}, metav1.CreateOptions{})
			return err
		},
		"a role that may do everything": func() error {
			_, err := hub.RbacV1().ClusterRoles().Create(ctx, &rbacv1.ClusterRole{ObjectMeta: marked, Rules: []rbacv1.PolicyRule{{Verbs: []string{"*"}, APIGroups: []string{"*"}, Resources: []string{"*"}}}}, metav1.CreateOptions{})
			return err
		},
		"another's token": func() error {
			_, err := hub.CoreV1().Secrets("default").Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "token", Labels: marked.Labels, Annotations: map[string]string{"kubernetes.io/service-account.name": "default"}},
				Type: corev1.SecretTypeServiceAccountToken}, metav1.CreateOptions{})
			return err
		},
		"what is not the hub's, deleted": func() error {
			return hub.CoreV1().ConfigMaps("default").Delete(ctx, "theirs", metav1.DeleteOptions{})
		},
		"what is not the hub's, changed": func() error {
			_, err := hub.CoreV1().ConfigMaps("default").Patch(ctx, "theirs", types.MergePatchType, []byte(`{"data":{"a":"b"}}`), metav1.PatchOptions{})
			return err
		},
		"its own role": func() error {
			_, err := hub.RbacV1().ClusterRoles().Patch(ctx, rights.RoleName, types.JSONPatchType, []byte(`[{"op":"add","path":"/rules/-","value":{"verbs":["*"],"apiGroups":["*"],"resources":["*"]}}]`), metav1.PatchOptions{})
			return err
		},
	} {
		t.Run(what, func(t *testing.T) { refused(t, attempt(), rights.GuardName) })
	}
}
