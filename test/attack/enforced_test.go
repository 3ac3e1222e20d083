package attack

import (
	"context"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// TestATenantNarrowsAndNeverWidens: the platform says that a namespace is in azure only. Its editor has policies, divisions,
// preferences and Jobs say otherwise.
func TestATenantNarrowsAndNeverWidens(t *testing.T) {
	t.Parallel()
	f := suite
	ns := f.namespace(t, "azure-only")
	editor := f.person(t, "editor", as("edit", ns))
	must(t, f.admin.create(t, clusterPolicy("attack-azure-only", "{mode: Enforced, namespaces: {names: ["+ns+"]}, clusters: {names: [azure]}, division: {limits: {'*': {max: 2}}}}")))
	eventually(t, func(ctx context.Context) error { // it is in effect
		_, err := f.in["azure"].CoreV1().Namespaces().Get(ctx, ns, metav1.GetOptions{})
		return err
	})
	for i, spec := range []string{"{}", "{clusters: {names: [aws]}}", "{clusters: {names: [nowhere]}}", "{select: {names: [web]}, clusters: {names: [aws]}, fallback: [{names: [azure]}]}"} {
		must(t, editor.apply(t, policyIn(ns, spec)))
		name := string(rune('a' + i))
		divided := deployment("web-" + name)
		divided.Annotations = map[string]string{
			v1alpha1.AnnotationDivision:                       `{"aws":5}`,
			v1alpha1.AnnotationPreferences:                    `{"clusters":{"aws":{"minReplicas":5},"azure":{"minReplicas":5}}}`,
			"federation.alpha.kubernetes.io/cluster-selector": `[]`,
		}
		five := int32(5)
		divided.Spec.Replicas = &five
		_, err := editor.AppsV1().Deployments(ns).Create(t.Context(), divided, metav1.CreateOptions{})
		must(t, err)
		job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "job-" + name, Annotations: map[string]string{v1alpha1.AnnotationDivision: `{"aws":1,"gone":1}`}}}
		job.Spec.Template.Spec = corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "c", Image: "pause"}}}
		_, err = editor.BatchV1().Jobs(ns).Create(t.Context(), job, metav1.CreateOptions{})
		must(t, err)
		_, err = editor.CoreV1().Secrets(ns).Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "key-" + name}}, metav1.CreateOptions{})
		must(t, err)
	}
	// What the platform does allow still works.
	must(t, editor.apply(t, policyIn(ns, "{select: {kinds: [{apiVersion: v1, kind: Secret}]}, clusters: {names: [azure]}}")))
	f.reaches(t, "azure", ns, "key-a")
	eventually(t, func(ctx context.Context) error {
		d, err := f.in["azure"].AppsV1().Deployments(ns).Get(ctx, "web-a", metav1.GetOptions{})
		if err == nil && *d.Spec.Replicas > 2 {
			t.Fatalf("azure has %d replicas", *d.Spec.Replicas)
		}
		return err
	})
	f.passes(t, "aws")
	none := func(what string, n int, err error) {
		t.Helper()
		if err != nil && !apierrors.IsNotFound(err) {
			t.Error(err)
		}
		if n > 0 {
			t.Errorf("aws has %d %s of the namespace", n, what)
		}
	}
	aws := f.in["aws"]
	deployments, err := aws.AppsV1().Deployments(ns).List(t.Context(), metav1.ListOptions{})
	none("Deployments", len(deployments.Items), err)
	jobs, err := aws.BatchV1().Jobs(ns).List(t.Context(), metav1.ListOptions{})
	none("Jobs", len(jobs.Items), err)
	secrets, err := aws.CoreV1().Secrets(ns).List(t.Context(), metav1.ListOptions{})
	none("Secrets", len(secrets.Items), err)

	refused(t, f.admin.create(t, clusterPolicy("attack-by-label", "{mode: Enforced, select: {labels: {matchLabels: {pci: 'yes'}}}, clusters: {names: [azure]}}")), "kinds and namespaces only")
}

// TestEditorsWriteNoPoliciesForAll: they are the platform's.
func TestEditorsWriteNoPoliciesForAll(t *testing.T) {
	t.Parallel()
	f := suite
	editor := f.person(t, "editor", as("admin", ""))
	refused(t, editor.create(t, clusterPolicy("attack-for-all", "{clusters: {names: [aws]}}")), "cannot create resource")
}
