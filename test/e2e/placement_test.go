package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/test/federation"
)

// TestPodTemplateIsThePolicy places by what workloads say themselves: databases one
// in each region, a shop in one cloud.
func TestPodTemplateIsThePolicy(t *testing.T) {
	f := shared(t)
	t.Parallel()
	ns := f.namespace(t, "policy")
	f.create(t, `
apiVersion: apps/v1
kind: Deployment
metadata: {name: db, namespace: policy}
spec:
  replicas: 3
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      containers: [{name: db, image: db}]
      affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [
        {labelSelector: {matchLabels: {app: db}}, topologyKey: topology.kubernetes.io/region}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop, namespace: policy}
spec:
  replicas: 3
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec: {containers: [{name: shop, image: shop}], nodeSelector: {hanse.dev/provider: azure}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent, namespace: policy}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec: {containers: [{name: agent, image: agent}], nodeSelector: {hanse.dev/provider: azure}}`)

	// One in each region; the third has no region left, and says so.
	eventually(t, soon, func(ctx context.Context) error {
		return f.sharesAre(ctx, ns, "db", map[string]int32{"aws": 1, "azure": 1})
	})
	p, err := f.placement(t.Context(), ns, "deployments.apps.db")
	must(t, err)
	if p.Unplaced != 1 || !strings.Contains(p.Summary.Message, "anti-affinity") || p.Summary.Synced != metav1.ConditionFalse {
		t.Errorf("the placement does not say why the third is missing: %+v", p)
	}
	why := f.hanse(t, "why", "deploy/db", "-n", ns, "--kubeconfig", f.hub.Kubeconfig())
	if !strings.Contains(why.Stdout, "not placed: 1 replica\n") || !strings.Contains(why.Stdout, "topology.kubernetes.io/region") {
		t.Errorf("hanse why does not say it either:\n%s", why)
	}

	// All in one cloud, where they run: the member's scheduler knows no such label.
	eventually(t, soon, func(ctx context.Context) error { return f.sharesAre(ctx, ns, "shop", map[string]int32{"azure": 3}) })
	eventually(t, soon, func(ctx context.Context) error {
		d, err := f.at.AppsV1().Deployments(ns).Get(ctx, "shop", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if d.Status.ReadyReplicas != 3 {
			return fmt.Errorf("%d of 3 are ready", d.Status.ReadyReplicas)
		}
		return nil
	})
	for cluster, want := range map[string]int{"aws": 0, "azure": 2} {
		eventually(t, soon, func(ctx context.Context) error {
			pods, err := f.in[cluster].CoreV1().Pods(ns).List(ctx, metav1.ListOptions{LabelSelector: "app=agent"})
			if err != nil {
				return err
			}
			running := 0
			for _, pod := range pods.Items {
				if pod.Status.Phase == corev1.PodRunning {
					running++
				}
			}
			if running != want {
				return fmt.Errorf("%d agents run in %s, want %d", running, cluster, want)
			}
			return nil
		})
	}
}

// TestReplicaWithoutAPlaceWaitsForOne: a database wants a region for itself; the one that
// has none is placed once another region joins.
func TestReplicaWithoutAPlaceWaitsForOne(t *testing.T) {
	t.Parallel()
	f := own(t, "regions", federation.MemberSpec{Name: "virginia", Provider: "aws", Nodes: 1})
	ns := f.namespace(t, "regions")
	f.create(t, `
apiVersion: apps/v1
kind: Deployment
metadata: {name: db, namespace: regions}
spec:
  replicas: 2
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      containers: [{name: db, image: db}]
      affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [
        {labelSelector: {matchLabels: {app: db}}, topologyKey: topology.kubernetes.io/region}]}}`)
	eventually(t, soon, func(ctx context.Context) error {
		return errors.Join(f.sharesAre(ctx, ns, "db", map[string]int32{"virginia": 1}),
			f.placedCondition(ctx, ns, "db", v1alpha1.ReasonUnplaced, "anti-affinity"), f.warned(ctx, ns, "db", v1alpha1.ReasonUnplaced))
	})

	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	m, err := f.home.NewMember(ctx, federation.MemberSpec{Name: "singapore", Provider: "google", Nodes: 1})
	must(t, err)
	must(t, f.hub.Join(ctx, m))
	f.members = append(f.members, m)
	must(t, f.connect())
	eventually(t, 2*soon, func(ctx context.Context) error {
		return errors.Join(f.sharesAre(ctx, ns, "db", map[string]int32{"virginia": 1, "singapore": 1}), f.placedCondition(ctx, ns, "db", "", ""))
	})
	for _, name := range []string{"virginia", "singapore"} {
		eventually(t, soon, func(ctx context.Context) error {
			d, err := f.in[name].AppsV1().Deployments(ns).Get(ctx, "db", metav1.GetOptions{})
			if err == nil && d.Status.ReadyReplicas != 1 {
				err = fmt.Errorf("%d are ready in %s, want 1", d.Status.ReadyReplicas, name)
			}
			return err
		})
	}
}

// sharesAre says how the division of a Deployment differs; a cluster that is not in
// want has none.
func (f *fed) sharesAre(ctx context.Context, ns, name string, want map[string]int32) error {
	have, err := f.shares(ctx, ns, name)
	if err != nil {
		return err
	}
	for cluster, n := range have {
		if n != want[cluster] {
			return fmt.Errorf("%s has %d of %s, want %v", cluster, n, name, want)
		}
	}
	for cluster, n := range want {
		if have[cluster] != n {
			return fmt.Errorf("%s has %d of %s, want %v", cluster, have[cluster], name, want)
		}
	}
	return nil
}
