package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// TestResidency: a namespace that was everywhere is moved to where it may be, before anything is taken away, with a claim that
// nobody may lose without knowing; then nothing of it is anywhere else, whatever is asked for.
func TestResidency(t *testing.T) {
	f := shared(t)
	t.Parallel()
	const ns = "resides"
	f.namespace(t, ns)
	f.create(t, web(ns, "web", "", 6)+`
---
apiVersion: v1
kind: Secret
metadata: {name: key, namespace: resides}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: resides}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data, namespace: resides}
spec: {accessModes: [ReadWriteOnce], storageClassName: none, resources: {requests: {storage: 1Gi}}}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly, namespace: resides}
spec: {schedule: "0 3 * * *", jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: a, image: a}]}}}}}`)
	eventually(t, soon, func(ctx context.Context) error {
		return errors.Join(f.readyIn(ctx, "aws", ns, 3), f.readyIn(ctx, "azure", ns, 3), f.has(ctx, "aws", ns, true), f.has(ctx, "azure", ns, true))
	})

	// azure's own nodes say where it is, which lets it in nowhere, until its people declare it.
	azure, err := f.cluster(t.Context(), "azure")
	must(t, err)
	kubeconfig := f.hub.Kubeconfig()
	declare := fmt.Sprintf(`{"spec":{"provider":"azure","region":%q}}`, azure.Status.Region)
	_, err = f.at.dynamic.Resource(v1alpha1.Resource("clusters")).Patch(t.Context(), "azure", types.MergePatchType, []byte(declare), metav1.PatchOptions{})
	must(t, err)
	f.create(t, `
apiVersion: hanse.dev/v1alpha1
kind: Residency
metadata: {name: e2e-azure}
spec:
  namespaces: [resides]
  clusters: {fields: [{key: region, operator: In, values: [`+azure.Status.Region+`]}]}`)
	t.Cleanup(func() { f.residencies().Delete(context.Background(), "e2e-azure", metav1.DeleteOptions{}) })

	eventually(t, soon, func(ctx context.Context) error {
		total := errors.Join(f.readyIn(ctx, "aws", ns, 0), f.readyIn(ctx, "azure", ns, 6))
		if ready := f.ready(ctx, "aws", ns) + f.ready(ctx, "azure", ns); ready < 6 {
			t.Errorf("only %d replicas are ready while they are moved", ready)
		}
		return total
	})
	eventually(t, soon, func(ctx context.Context) error { return f.has(ctx, "aws", ns, false) })
	// What is left is the claim, whose data may be nowhere else, and so its Namespace.
	eventually(t, soon, func(ctx context.Context) error { return f.enforced(ctx, metav1.ConditionFalse, 2) })
	report := f.hanse(t, "residency", "report", "e2e-azure", "--kubeconfig", kubeconfig)
	if report.Code != 1 || !strings.Contains(report.Stdout, "persistentvolumeclaims/data") || !strings.Contains(report.Stderr, "in aws may not be there") {
		t.Errorf("with a claim outside: %s", report)
	}
	held := f.hanse(t, "prune", "aws", "--dry-run", "-o", "name", "--kubeconfig", kubeconfig)
	if !strings.Contains(held.Stdout, "data") {
		t.Errorf("the claim is not held: %s", held)
	}
	eventually(t, soon, func(ctx context.Context) error { // no other test of this federation has anything held
		if pruned := f.hanse(t, "prune", "aws", "--yes", "--kubeconfig", kubeconfig); pruned.Code != 0 {
			return fmt.Errorf("prune: %s", pruned)
		}
		_, err := f.in["aws"].CoreV1().Namespaces().Get(ctx, ns, metav1.GetOptions{})
		if !apierrors.IsNotFound(err) {
			return fmt.Errorf("the Namespace is still in aws: %v", err)
		}
		return f.enforced(ctx, metav1.ConditionTrue, 0)
	})
	report = f.hanse(t, "residency", "report", "e2e-azure", "-o", "json", "--kubeconfig", kubeconfig)
	if report.Code != 0 {
		t.Errorf("once it is clean: %s", report)
	}
	var said struct{ Clean, Complete bool }
	if err := json.Unmarshal([]byte(report.Stdout), &said); err != nil || !said.Clean || !said.Complete {
		t.Errorf("%+v, %v: %s", said, err, report)
	}

	// Whatever is asked for later, nothing goes to aws.
	f.create(t, web(ns, "late", `, annotations: {hanse.dev/division: '{"aws":4}'}`, 4)+`
---
apiVersion: hanse.dev/v1alpha1
kind: PlacementPolicy
metadata: {name: elsewhere, namespace: resides}
spec: {select: {names: [late]}, division: {limits: {aws: {min: 4}}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: late, namespace: resides}`)
	eventually(t, soon, func(ctx context.Context) error {
		_, err := f.in["azure"].CoreV1().ConfigMaps(ns).Get(ctx, "late", metav1.GetOptions{})
		return errors.Join(err, f.sharesAre(ctx, ns, "late", map[string]int32{"azure": 4}))
	})
	if _, err := f.in["aws"].CoreV1().Namespaces().Get(t.Context(), ns, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("the Namespace is in aws again: %v", err)
	}
	why := f.hanse(t, "why", "deploy/late", "-n", ns, "--kubeconfig", kubeconfig)
	if !strings.Contains(why.Stdout, "Residency e2e-azure keeps it out") {
		t.Errorf("hanse why does not say which Residency rejects aws:\n%s", why)
	}

	must(t, f.residencies().Delete(t.Context(), "e2e-azure", metav1.DeleteOptions{}))
	eventually(t, soon, func(ctx context.Context) error { // what runs stays where it is, all else is everywhere again
		_, err := f.in["aws"].CoreV1().Secrets(ns).Get(ctx, "key", metav1.GetOptions{})
		return err
	})
}

func (f *fed) residencies() interface {
	Delete(ctx context.Context, name string, options metav1.DeleteOptions, subresources ...string) error
} {
	return f.at.dynamic.Resource(v1alpha1.Resource("residencies"))
}

func (f *fed) ready(ctx context.Context, cluster, ns string) int32 {
	d, err := f.in[cluster].AppsV1().Deployments(ns).Get(ctx, "web", metav1.GetOptions{})
	if err != nil {
		return 0
	}
	return d.Status.ReadyReplicas
}

func (f *fed) readyIn(ctx context.Context, cluster, ns string, want int32) error {
	if got := f.ready(ctx, cluster, ns); got != want {
		return fmt.Errorf("%d are ready in %s, want %d", got, cluster, want)
	}
	return nil
}

// has says whether a cluster has all of the test's objects, or none, but for the claim.
func (f *fed) has(ctx context.Context, cluster, ns string, want bool) error {
	c := f.in[cluster]
	_, secret := c.CoreV1().Secrets(ns).Get(ctx, "key", metav1.GetOptions{})
	_, service := c.CoreV1().Services(ns).Get(ctx, "web", metav1.GetOptions{})
	_, deployment := c.AppsV1().Deployments(ns).Get(ctx, "web", metav1.GetOptions{})
	_, cron := c.BatchV1().CronJobs(ns).Get(ctx, "nightly", metav1.GetOptions{})
	for _, err := range []error{secret, service, deployment, cron} {
		if want && err != nil || !want && !apierrors.IsNotFound(err) {
			return fmt.Errorf("in %s, want %t: %v", cluster, want, err)
		}
	}
	return nil
}

// enforced says whether the Residency's condition has a status, with so many objects outside.
func (f *fed) enforced(ctx context.Context, status metav1.ConditionStatus, outside int32) error {
	u, err := f.at.dynamic.Resource(v1alpha1.Resource("residencies")).Get(ctx, "e2e-azure", metav1.GetOptions{})
	if err != nil {
		return err
	}
	r, err := as[v1alpha1.Residency](u)
	if err != nil {
		return err
	}
	accepted := meta.IsStatusConditionTrue(r.Status.Conditions, v1alpha1.ConditionAccepted)
	in := slices.ContainsFunc(r.Status.Violations, func(v v1alpha1.ResidencyViolation) bool { return v.Cluster == "aws" })
	if !meta.IsStatusConditionPresentAndEqual(r.Status.Conditions, v1alpha1.ConditionEnforced, status) || r.Status.Outside != outside || in != (outside > 0) || !accepted {
		return fmt.Errorf("the status is %+v", r.Status)
	}
	return nil
}
