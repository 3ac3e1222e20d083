package attack

import (
	"context"
	"fmt"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

func residency(name, spec string) string {
	return fmt.Sprintf("apiVersion: hanse.dev/v1alpha1\nkind: Residency\nmetadata: {name: %s}\nspec: %s", name, spec)
}

// enforced waits until the hub goes by a Residency, and nothing is where it may not be.
func (f *fed) enforced(t *testing.T, name string) {
	t.Helper()
	eventually(t, func(ctx context.Context) error {
		u, err := f.admin.dynamic.Resource(v1alpha1.Resource("residencies")).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		r := &v1alpha1.Residency{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, r); err != nil {
			return err
		}
		if !meta.IsStatusConditionTrue(r.Status.Conditions, v1alpha1.ConditionEnforced) {
			return fmt.Errorf("the Residency says %+v", r.Status.Conditions)
		}
		return nil
	})
}

// isNotIn says whether a member has a namespace.
func (f *fed) isNotIn(t *testing.T, member, ns string) {
	t.Helper()
	if _, err := f.in[member].CoreV1().Namespaces().Get(t.Context(), ns, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("namespace %s is in %s: %v", ns, member, err)
	}
}

// TestNobodyTakesANamespaceOutOfAResidency: by its labels, whatever the request is called, or by those of the Residency's own kind.
func TestNobodyTakesANamespaceOutOfAResidency(t *testing.T) {
	t.Parallel()
	f := suite
	must(t, f.admin.create(t, residency("attack-labelled", "{namespaceSelector: {matchLabels: {attack: resident}}, clusters: {names: [azure]}}")))
	must(t, f.admin.create(t, "apiVersion: v1\nkind: Namespace\nmetadata: {name: attack-resident, labels: {attack: resident}}"))
	t.Cleanup(func() {
		_ = f.admin.CoreV1().Namespaces().Delete(context.Background(), "attack-resident", metav1.DeleteOptions{})
	})
	f.enforced(t, "attack-labelled")
	labeller := f.person(t, "labeller", everywhere(may("get,update,patch", "namespaces"), may("update,patch", "namespaces/status"), may("update", "namespaces/finalize"), may("get,list", "residencies.hanse.dev")))
	out := []byte(`{"metadata":{"labels":{"attack":null}}}`)
	for _, subresource := range [][]string{nil, {"status"}} {
		_, err := labeller.CoreV1().Namespaces().Patch(t.Context(), "attack-resident", types.MergePatchType, out, metav1.PatchOptions{}, subresource...)
		refused(t, err, "take the namespace out of Residency attack-labelled", "may not release residencies.hanse.dev attack-labelled", "Try: ")
	}
	ns, err := labeller.CoreV1().Namespaces().Get(t.Context(), "attack-resident", metav1.GetOptions{})
	must(t, err)
	ns.Labels = nil
	_, err = labeller.CoreV1().Namespaces().Finalize(t.Context(), ns, metav1.UpdateOptions{})
	refused(t, err, "release residencies.hanse.dev attack-labelled")
	residencies := labeller.dynamic.Resource(v1alpha1.Resource("residencies"))
	_, err = residencies.Patch(t.Context(), "attack-labelled", types.MergePatchType, []byte(`{"spec":{"clusters":{"names":["aws","azure"]}}}`), metav1.PatchOptions{})
	refused(t, err, "cannot patch resource")
	refused(t, residencies.Delete(t.Context(), "attack-labelled", metav1.DeleteOptions{}), "cannot delete resource")
	f.isNotIn(t, "aws", "attack-resident")

	releaser := f.person(t, "releaser", everywhere(may("get,patch", "namespaces"), may("release", "residencies.hanse.dev", "attack-labelled")))
	_, err = releaser.CoreV1().Namespaces().Patch(t.Context(), "attack-resident", types.MergePatchType, out, metav1.PatchOptions{})
	must(t, err)
	_, err = releaser.CoreV1().Namespaces().Patch(t.Context(), "attack-resident", types.MergePatchType, []byte(`{"metadata":{"labels":{"attack":"resident"}}}`), metav1.PatchOptions{})
	refused(t, err, "may not restrict residencies.hanse.dev attack-labelled")
}

// TestNothingOfARestrictedNamespaceIsElsewhere: its administrator has policies, annotations, work of every kind and a route say
// otherwise.
func TestNothingOfARestrictedNamespaceIsElsewhere(t *testing.T) {
	t.Parallel()
	f := suite
	const ns = "attack-restricted"
	must(t, f.admin.create(t, residency("attack-restricted", "{namespaces: ["+ns+"], clusters: {names: [azure]}}")))
	f.namespace(t, ns)
	admin := f.person(t, "admin", as("admin", ns))
	for i, spec := range []string{"{clusters: {exclude: [nobody]}}", "{clusters: {names: [aws]}}", "{select: {names: [web]}, clusters: {names: [nowhere]}, fallback: [{names: [aws]}]}", "{division: {limits: {aws: {min: 3}}}}"} {
		must(t, admin.apply(t, policyIn(ns, spec)))
		name := string(rune('a' + i))
		d := deployment("web-" + name)
		d.Annotations = map[string]string{v1alpha1.AnnotationDivision: `{"aws":5}`, "federation.alpha.kubernetes.io/cluster-selector": `[]`}
		_, err := admin.AppsV1().Deployments(ns).Create(t.Context(), d, metav1.CreateOptions{})
		must(t, err)
		job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "job-" + name, Annotations: map[string]string{v1alpha1.AnnotationDivision: `{"aws":1}`}}}
		job.Spec.Template.Spec = corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "c", Image: "pause"}}}
		_, err = admin.BatchV1().Jobs(ns).Create(t.Context(), job, metav1.CreateOptions{})
		must(t, err)
		_, err = admin.CoreV1().Secrets(ns).Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "key-" + name}}, metav1.CreateOptions{})
		must(t, err)
	}
	must(t, admin.apply(t, policyIn(ns, "{clusters: {exclude: [nobody]}}")))
	f.reaches(t, "azure", ns, "key-a")
	f.passes(t, "aws")
	f.isNotIn(t, "aws", ns)
	f.enforced(t, "attack-restricted")
	// What they were told, they may not tell others.
	report := f.hanse(t, admin, "residency", "report")
	if report.Code == 0 || !strings.Contains(report.Stderr, "may not list residencies") {
		t.Errorf("the administrator of one namespace may see where all is: %s", report)
	}
	viewer := f.person(t, "viewer", everywhere(may("list", "residencies.hanse.dev")))
	report = f.hanse(t, viewer, "residency", "report", "attack-restricted", "-o", "json")
	if report.Code != 0 || strings.Contains(report.Stdout, "key-a") {
		t.Errorf("who may list Residencies is told: %s", report)
	}
}

// TestAMemberTalksItselfIntoNoResidency: its nodes say that it is where the objects may be. So does somebody who may update Clusters.
func TestAMemberTalksItselfIntoNoResidency(t *testing.T) {
	f := suite // not beside others: what aws is said to be changes meanwhile
	const ns = "attack-utopia"
	must(t, f.admin.create(t, residency("attack-utopia", "{namespaces: ["+ns+"], clusters: {fields: [{key: region, operator: In, values: [utopia-1]}]}}")))
	liar := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "liar", Labels: map[string]string{corev1.LabelTopologyRegion: "utopia-1"}}}
	_, err := f.in["aws"].CoreV1().Nodes().Create(t.Context(), liar, metav1.CreateOptions{})
	must(t, err)
	t.Cleanup(func() {
		if err := f.in["aws"].CoreV1().Nodes().Delete(context.Background(), "liar", metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	eventually(t, func(ctx context.Context) error {
		c, err := f.cluster(ctx, "aws")
		if err == nil && c.Status.Region != "utopia-1" {
			err = fmt.Errorf("aws is said to be in %q", c.Status.Region)
		}
		return err
	})
	f.namespace(t, ns)
	_, err = f.admin.CoreV1().Secrets(ns).Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "key"}}, metav1.CreateOptions{})
	must(t, err)
	operator := f.person(t, "operator", everywhere(may("get,update,patch", "clusters.hanse.dev")))
	clusters := operator.dynamic.Resource(v1alpha1.Resource("clusters"))
	_, err = clusters.Patch(t.Context(), "aws", types.MergePatchType, []byte(`{"spec":{"region":"utopia-1"}}`), metav1.PatchOptions{})
	refused(t, err, "lets in what Residency attack-utopia kept out", "may not release residencies.hanse.dev attack-utopia")
	f.passes(t, "aws")
	f.isNotIn(t, "aws", ns)
	report := f.hanse(t, f.admin, "residency", "report", "attack-utopia")
	if !strings.Contains(report.Stdout, "its region is utopia-1 as its own nodes say, and was not declared at the hub") {
		t.Errorf("nobody is told that it only says so: %s", report)
	}
}

// TestAResidencyThatIsNotUnderstoodIsRefused, and nobody forges what was in effect before.
func TestAResidencyThatIsNotUnderstoodIsRefused(t *testing.T) {
	t.Parallel()
	f := suite
	keeper := f.person(t, "keeper", everywhere(may("create,get,update,patch", "residencies.hanse.dev"), may("update,patch", "residencies/status.hanse.dev")))
	for spec, word := range map[string]string{
		"{clusters: {names: [azure]}}":                                                                      "which namespaces are meant",
		"{namespaces: [attack-nothing]}":                                                                    "clusters",
		"{namespaces: [attack-nothing], clusters: {}}":                                                      "must have names, labels, fields or exclude",
		"{namespaces: [attack-nothing], clusters: {labels: {matchLabels: {'a b': c}}}}":                     "label key",
		"{namespaces: [attack-nothing], clusters: {names: [azure]}, serving: [{countries: [Germany]}]}":     "serving",
		"{namespaceSelector: {matchExpressions: [{key: a, operator: In}]}, clusters: {names: [azure]}}":     "need values",
		"{namespaces: [attack-nothing], clusters: {fields: [{key: planet, operator: In, values: [mars]}]}}": "Unsupported value",
	} {
		err := keeper.create(t, residency("attack-bad", spec))
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%s: %v, expected %q", spec, err, word)
		}
	}
	must(t, keeper.create(t, residency("attack-good", "{namespaces: [attack-nothing], clusters: {names: [azure]}}")))
	t.Cleanup(func() {
		_ = f.admin.dynamic.Resource(v1alpha1.Resource("residencies")).Delete(context.Background(), "attack-good", metav1.DeleteOptions{})
	})
	forged := []byte(`{"status":{"inEffect":{"generation":1,"spec":{"namespaces":["attack-nothing"],"clusters":{"names":["aws"]}}}}}`)
	_, err := keeper.dynamic.Resource(v1alpha1.Resource("residencies")).Patch(t.Context(), "attack-good", types.MergePatchType, forged, metav1.PatchOptions{}, "status")
	refused(t, err, "nobody else may write it")
}
