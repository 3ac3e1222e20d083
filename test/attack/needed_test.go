package attack

import (
	"context"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// never fails if a Secret is in a member.
func (f *fed) never(t *testing.T, member, ns, name string) {
	t.Helper()
	if _, err := f.in[member].CoreV1().Secrets(ns).Get(t.Context(), name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("Secret %s/%s is in %s: %v", ns, name, member, err)
	}
}

// TestWhatStaysAtTheHubStays: an administrator has a namespace's Secrets stay at the hub. Its editor has policies and workloads say
// otherwise, and somebody who may write Namespaces takes it back.
func TestWhatStaysAtTheHubStays(t *testing.T) {
	t.Parallel()
	f := suite
	ns := f.namespace(t, "stays")
	must(t, f.admin.create(t, clusterPolicy("attack-stays", "{mode: Enforced, propagation: None, namespaces: {names: ["+ns+"]}, select: {kinds: [{apiVersion: v1, kind: Secret}]}}")))
	editor := f.person(t, "editor", as("edit", ns))
	must(t, editor.apply(t, policyIn(ns, "{propagation: Everywhere}")))
	must(t, editor.apply(t, policyIn(ns, "{select: {names: [key]}, propagation: Needed}")))
	_, err := editor.CoreV1().Secrets(ns).Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "key"}}, metav1.CreateOptions{})
	must(t, err)
	d := deployment("web")
	d.Spec.Template.Spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "key"}}
	_, err = editor.AppsV1().Deployments(ns).Create(t.Context(), d, metav1.CreateOptions{})
	must(t, err)
	eventually(t, func(ctx context.Context) error {
		_, err := f.in["aws"].AppsV1().Deployments(ns).Get(ctx, "web", metav1.GetOptions{})
		return err
	})
	f.passes(t, "aws")
	f.never(t, "aws", ns, "key")
	f.never(t, "azure", ns, "key")
}

// TestANamespaceSaysWhereItsSecretsGoByRightOnly: the label is worth a policy for all namespaces, and takes the same right.
func TestANamespaceSaysWhereItsSecretsGoByRightOnly(t *testing.T) {
	t.Parallel()
	f := suite
	ns := f.namespace(t, "labelled")
	label := func(how string) []byte {
		return fmt.Appendf(nil, `{"metadata":{"labels":{%q:%s}}}`, v1alpha1.LabelPropagation, how)
	}
	_, err := f.admin.CoreV1().Namespaces().Patch(t.Context(), ns, types.MergePatchType, label(`"None"`), metav1.PatchOptions{})
	must(t, err)
	writer := f.person(t, "writer", as("edit", ns), everywhere(may("get,create,update,patch", "namespaces.")))
	for _, how := range []string{`"Everywhere"`, `"Needed"`, `null`} {
		_, err = writer.CoreV1().Namespaces().Patch(t.Context(), ns, types.MergePatchType, label(how), metav1.PatchOptions{})
		refused(t, err, "create clusterplacementpolicies.hanse.dev", v1alpha1.LabelPropagation)
		_, err = writer.CoreV1().Namespaces().Patch(t.Context(), ns, types.MergePatchType, label(how), metav1.PatchOptions{}, "status")
		if err == nil {
			t.Errorf("the label became %s by way of the status", how)
		}
	}
	_, err = f.admin.CoreV1().Namespaces().Patch(t.Context(), ns, types.MergePatchType, label(`"none"`), metav1.PatchOptions{})
	refused(t, err, `"none" is not known`)
	_, err = writer.CoreV1().Secrets(ns).Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "key"}}, metav1.CreateOptions{})
	must(t, err)
	f.passes(t, "aws")
	f.never(t, "aws", ns, "key")
}

// TestNobodyHasASecretGoSomewhereByNamingIt who is not in its namespace; nor does a member.
func TestNobodyHasASecretGoSomewhereByNamingIt(t *testing.T) {
	t.Parallel()
	f := suite
	bank, thief := f.namespace(t, "bank"), f.namespace(t, "thief")
	_, err := f.admin.CoreV1().Namespaces().Patch(t.Context(), bank, types.MergePatchType, fmt.Appendf(nil, `{"metadata":{"labels":{%q:"Needed"}}}`, v1alpha1.LabelPropagation), metav1.PatchOptions{})
	must(t, err)
	_, err = f.admin.CoreV1().Secrets(bank).Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "key"}}, metav1.CreateOptions{})
	must(t, err)
	editor := f.person(t, "editor", as("edit", thief))
	backend := &networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{Name: "x", Port: networkingv1.ServiceBackendPort{Number: 80}}}
	_, err = editor.NetworkingV1().Ingresses(thief).Create(t.Context(), &networkingv1.Ingress{
		ObjectMeta: metav1.ObjectMeta{Name: "x", Annotations: map[string]string{"nginx.ingress.kubernetes.io/auth-secret": bank + "/key"}},
		Spec:       networkingv1.IngressSpec{DefaultBackend: backend, TLS: []networkingv1.IngressTLS{{SecretName: "key"}}},
	}, metav1.CreateOptions{})
	must(t, err)
	eventually(t, func(ctx context.Context) error {
		_, err := f.in["aws"].NetworkingV1().Ingresses(thief).Get(ctx, "x", metav1.GetOptions{})
		return err
	})
	// The member's administrator has something of the namespace name it, with the hub's marks.
	eventually(t, func(ctx context.Context) error {
		_, err := f.in["aws"].CoreV1().Namespaces().Get(ctx, bank, metav1.GetOptions{})
		return err
	})
	d := deployment("x")
	d.Labels = map[string]string{v1alpha1.LabelManaged: "true"}
	d.Spec.Template.Spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "key"}}
	_, err = f.in["aws"].AppsV1().Deployments(bank).Create(t.Context(), d, metav1.CreateOptions{})
	must(t, err)
	f.passes(t, "aws")
	f.never(t, "aws", bank, "key")
}
