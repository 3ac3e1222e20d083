package e2e

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/test/federation"
)

// kubectl runs the built-in kubectl against the federation.
func (f *fed) kubectl(t *testing.T, args ...string) federation.Result {
	t.Helper()
	return f.hanse(t, append([]string{"kubectl", "--kubeconfig", f.hub.Kubeconfig(), "--context", "federation"}, args...)...)
}

// schedulable lets the nodes of a member take pods, or not.
func (c *clients) schedulable(ctx context.Context, yes bool) error {
	nodes, err := c.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for _, n := range nodes.Items {
		patch := fmt.Appendf(nil, `{"spec":{"unschedulable":%t}}`, !yes)
		if _, err := c.CoreV1().Nodes().Patch(ctx, n.Name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
			return err
		}
	}
	return nil
}

// TestRolloutEndsWhenAllAreDone rolls out while one member has no node that
// takes pods, and then has.
func TestRolloutEndsWhenAllAreDone(t *testing.T) {
	f := shared(t)
	ctx := t.Context()
	ns := f.namespace(t, "rollout")
	azure := f.in["azure"]
	must(t, azure.schedulable(ctx, false))
	t.Cleanup(func() { _ = azure.schedulable(context.Background(), true) })
	_, err := f.at.AppsV1().Deployments(ns).Create(ctx, deployment(metav1.ObjectMeta{Name: "d"}, 4), metav1.CreateOptions{})
	must(t, err)
	eventually(t, soon, func(ctx context.Context) error {
		d, err := f.at.AppsV1().Deployments(ns).Get(ctx, "d", metav1.GetOptions{})
		if err == nil && (d.Status.ReadyReplicas != 2 || d.Status.Replicas != 4) {
			err = fmt.Errorf("the hub's status is %+v, want 2 of 4 ready", d.Status)
		}
		return err
	})
	if r := f.kubectl(t, "-n", ns, "rollout", "status", "deployment/d", "--timeout=2s"); r.Code == 0 {
		t.Errorf("the rollout ends although half of it is not ready: %s", r)
	}
	if r := f.kubectl(t, "-n", ns, "wait", "--for=condition=Available", "deployment/d", "--timeout=2s"); r.Code == 0 {
		t.Errorf("the Deployment is available although half of it is not ready: %s", r)
	}
	must(t, azure.schedulable(ctx, true))
	if r := f.kubectl(t, "-n", ns, "rollout", "status", "deployment/d", "--timeout=60s"); r.Code != 0 {
		t.Errorf("the rollout does not end: %s", r)
	}
	if r := f.kubectl(t, "-n", ns, "wait", "--for=condition=Available", "deployment/d", "--timeout=60s"); r.Code != 0 {
		t.Errorf("the Deployment does not become available: %s", r)
	}
	d, err := f.at.AppsV1().Deployments(ns).Get(ctx, "d", metav1.GetOptions{})
	must(t, err)
	s := d.Status
	if s.Replicas != 4 || s.ReadyReplicas != 4 || s.UpdatedReplicas != 4 || s.AvailableReplicas != 4 || s.ObservedGeneration != d.Generation {
		t.Errorf("the hub's status is %+v of generation %d, want 4 of everything", s, d.Generation)
	}

	// A change is not done before the members have seen it.
	must(t, f.at.patchDeployment(ctx, ns, `{"spec":{"template":{"spec":{"containers":[{"name":"c","image":"nginx:2"}]}}}}`))
	if r := f.kubectl(t, "-n", ns, "rollout", "status", "deployment/d", "--timeout=60s"); r.Code != 0 {
		t.Errorf("the second rollout does not end: %s", r)
	}
	for name, in := range f.in {
		got, err := in.AppsV1().Deployments(ns).Get(ctx, "d", metav1.GetOptions{})
		must(t, err)
		if got.Spec.Template.Spec.Containers[0].Image != "nginx:2" || got.Status.UpdatedReplicas != 2 || got.Status.ReadyReplicas != 2 {
			t.Errorf("the rollout is said to be done, but %s has %+v", name, got.Status)
		}
	}
}

func TestJobCompletesWhenAllPartsHave(t *testing.T) {
	f := shared(t)
	t.Parallel()
	ns := f.namespace(t, "jobs")
	f.create(t, `
apiVersion: batch/v1
kind: Job
metadata: {name: j, namespace: jobs}
spec:
  parallelism: 2
  completions: 5
  template: {spec: {restartPolicy: Never, containers: [{name: c, image: busybox}]}}`)
	if r := f.kubectl(t, "-n", ns, "wait", "--for=condition=Complete", "job/j", "--timeout=60s"); r.Code != 0 {
		t.Fatalf("the Job does not complete: %s", r)
	}
	j, err := f.at.BatchV1().Jobs(ns).Get(t.Context(), "j", metav1.GetOptions{})
	must(t, err)
	if j.Status.Succeeded != 5 || j.Status.Active != 0 {
		t.Errorf("the hub's status is %+v, want 5 succeeded", j.Status)
	}
}

// A Job that runs stays where it is when its policy is edited, and is done in the end
// although fewer pods run at once than there are clusters.
func TestAJobThatRunsIsDoneOnce(t *testing.T) {
	f := shared(t)
	t.Parallel()
	ns := f.namespace(t, "once")
	f.create(t, `
apiVersion: batch/v1
kind: Job
metadata: {name: j, namespace: once}
spec:
  parallelism: 4
  completions: 4
  template: {spec: {restartPolicy: Never, nodeSelector: {example.com/gate: open}, containers: [{name: c, image: busybox}]}}`)
	homes := map[string]types.UID{}
	eventually(t, soon, func(ctx context.Context) error {
		for name, in := range f.in {
			j, err := in.BatchV1().Jobs(ns).Get(ctx, "j", metav1.GetOptions{})
			if err != nil {
				return fmt.Errorf("in %s: %w", name, err)
			}
			homes[name] = j.UID
		}
		return nil
	})
	stays := slices.Min(slices.Collect(maps.Keys(homes)))
	f.create(t, fmt.Sprintf(`
apiVersion: hanse.dev/v1alpha1
kind: PlacementPolicy
metadata: {name: j, namespace: once}
spec: {select: {names: [j]}, clusters: {names: [%s]}}`, stays))
	_, err := f.at.BatchV1().Jobs(ns).Patch(t.Context(), "j", types.MergePatchType, []byte(`{"spec":{"parallelism":1}}`), metav1.PatchOptions{})
	must(t, err)
	eventually(t, soon, func(ctx context.Context) error {
		p, err := f.placement(ctx, ns, "jobs.batch.j")
		if err != nil {
			return err
		}
		if !strings.Contains(p.Summary.Message, "to a Job that is created later") {
			return fmt.Errorf("the Placement says %q", p.Summary.Message)
		}
		var atOnce int32
		for _, in := range f.in {
			j, err := in.BatchV1().Jobs(ns).Get(ctx, "j", metav1.GetOptions{})
			if err != nil {
				return err
			}
			atOnce += *j.Spec.Parallelism
		}
		if atOnce != 1 {
			return fmt.Errorf("%d run at once, want 1", atOnce)
		}
		return nil
	})
	for _, in := range f.in {
		nodes, err := in.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
		must(t, err)
		for _, n := range nodes.Items {
			_, err := in.CoreV1().Nodes().Patch(t.Context(), n.Name, types.MergePatchType, []byte(`{"metadata":{"labels":{"example.com/gate":"open"}}}`), metav1.PatchOptions{})
			must(t, err)
		}
	}
	if r := f.kubectl(t, "-n", ns, "wait", "--for=condition=Complete", "job/j", "--timeout=60s"); r.Code != 0 {
		t.Fatalf("the Job does not complete: %s", r)
	}
	var succeeded int32
	for name, in := range f.in {
		j, err := in.BatchV1().Jobs(ns).Get(t.Context(), "j", metav1.GetOptions{})
		must(t, err)
		if succeeded += j.Status.Succeeded; j.UID != homes[name] {
			t.Errorf("it was made again in %s", name)
		}
	}
	if succeeded != 4 {
		t.Errorf("%d pods succeeded in all, want 4", succeeded)
	}
}

func TestLoadBalancerHasTheAddressesOfAll(t *testing.T) {
	f := shared(t)
	t.Parallel()
	ns := f.namespace(t, "balanced")
	f.create(t, `
apiVersion: v1
kind: Service
metadata: {name: lb, namespace: balanced}
spec: {type: LoadBalancer, selector: {app: d}, ports: [{name: http, port: 8080}]}`)
	eventually(t, soon, func(ctx context.Context) error {
		want := map[string]string{}
		for name, in := range f.in {
			s, err := in.CoreV1().Services(ns).Get(ctx, "lb", metav1.GetOptions{})
			if err != nil {
				return err
			}
			if len(s.Status.LoadBalancer.Ingress) == 0 {
				return fmt.Errorf("%s has no address yet", name)
			}
			for _, i := range s.Status.LoadBalancer.Ingress {
				want[address(i)] = ""
			}
		}
		s, err := f.at.CoreV1().Services(ns).Get(ctx, "lb", metav1.GetOptions{})
		if err != nil {
			return err
		}
		have := map[string]string{}
		for _, i := range s.Status.LoadBalancer.Ingress {
			have[address(i)] = ""
		}
		return same("the hub's addresses", have, want)
	})
}

func address(i corev1.LoadBalancerIngress) string { return i.IP + i.Hostname }
