package e2e

import (
	"context"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// TestAQuotaIsTheTotal over all clusters: the members' bounds never add up to more, follow what runs where, and what is used adds up
// at the hub.
func TestAQuotaIsTheTotal(t *testing.T) {
	f := shared(t)
	t.Parallel()
	ns := f.namespace(t, "total")
	f.create(t, `
apiVersion: v1
kind: ResourceQuota
metadata: {name: team, namespace: total}
spec: {hard: {pods: "8", requests.cpu: "4", count/deployments.apps: "3"}}
---
apiVersion: v1
kind: ResourceQuota
metadata: {name: each, namespace: total, annotations: {hanse.dev/quota: each}}
spec: {hard: {pods: "50"}}
---
apiVersion: v1
kind: LimitRange
metadata: {name: team, namespace: total}
spec: {limits: [{type: Container, defaultRequest: {cpu: 10m}}]}
`)
	bounds := func(ctx context.Context, name string) (all map[string]corev1.ResourceList, pods int64, err error) {
		all = map[string]corev1.ResourceList{}
		for member, in := range f.in {
			q, err := in.CoreV1().ResourceQuotas(ns).Get(ctx, name, metav1.GetOptions{})
			if err != nil {
				return nil, 0, err
			}
			all[member] = q.Spec.Hard
			n := q.Status.Hard[corev1.ResourcePods]
			pods += n.Value()
		}
		return all, pods, nil
	}
	total := int64(8)
	within := func(ctx context.Context) error { // at any moment
		_, pods, err := bounds(ctx, "team")
		if err == nil && pods > total {
			t.Fatalf("%d pods are allowed in the members, of %d", pods, total)
		}
		return err
	}
	eventually(t, soon, func(ctx context.Context) error {
		if err := within(ctx); err != nil {
			return err
		}
		all, pods, err := bounds(ctx, "team")
		deployments := all["aws"]["count/deployments.apps"]
		if err == nil && (pods != 8 || deployments.Value() != 3) {
			err = fmt.Errorf("%d pods are allowed: %v", pods, all)
		}
		return err
	})
	eventually(t, soon, func(ctx context.Context) error {
		all, pods, err := bounds(ctx, "each")
		if err == nil && pods != 100 {
			err = fmt.Errorf("%v", all)
		}
		if err == nil {
			_, err = f.in["aws"].CoreV1().LimitRanges(ns).Get(ctx, "team", metav1.GetOptions{})
		}
		return err
	})

	// More in one cluster than its part was.
	f.create(t, `
apiVersion: hanse.dev/v1alpha1
kind: PlacementPolicy
metadata: {name: app, namespace: total}
spec: {select: {names: [app]}, clusters: {names: [aws]}}
`+web(ns, "app", "", 7))
	eventually(t, soon, func(ctx context.Context) error {
		if err := within(ctx); err != nil {
			return err
		}
		d, err := f.in["aws"].AppsV1().Deployments(ns).Get(ctx, "app", metav1.GetOptions{})
		if err == nil && d.Status.ReadyReplicas != 7 {
			all, _, _ := bounds(ctx, "team")
			err = fmt.Errorf("%d of 7 are ready; %v", d.Status.ReadyReplicas, all)
		}
		return err
	})
	eventually(t, soon, func(ctx context.Context) error {
		q, err := f.at.CoreV1().ResourceQuotas(ns).Get(ctx, "team", metav1.GetOptions{})
		if err != nil {
			return err
		}
		pods, cpu, deployments := q.Status.Used[corev1.ResourcePods], q.Status.Used[corev1.ResourceRequestsCPU], q.Status.Used["count/deployments.apps"]
		if hard := q.Status.Hard[corev1.ResourcePods]; pods.Value() != 7 || cpu.Cmp(resource.MustParse("70m")) != 0 || deployments.Value() != 1 || hard.Value() != 8 {
			return fmt.Errorf("used at the hub: %v of %v", q.Status.Used, q.Status.Hard)
		}
		return nil
	})
	// Less than is used: nothing is taken away that runs, and nothing more starts.
	_, err := f.at.CoreV1().ResourceQuotas(ns).Patch(t.Context(), "team", types.MergePatchType, []byte(`{"spec":{"hard":{"pods":"4"}}}`), metav1.PatchOptions{})
	must(t, err)
	eventually(t, soon, func(ctx context.Context) error {
		_, pods, err := bounds(ctx, "team")
		if err == nil && pods != 4 {
			err = fmt.Errorf("%d pods are allowed", pods)
		}
		return err
	})
	if d, err := f.in["aws"].AppsV1().Deployments(ns).Get(t.Context(), "app", metav1.GetOptions{}); err != nil || d.Status.ReadyReplicas != 7 {
		t.Errorf("%d are ready, %v", d.Status.ReadyReplicas, err)
	}
}
