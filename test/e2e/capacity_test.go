package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/test/federation"
)

// TestWhatFits places workloads by what they ask for and clusters have free, in a
// cluster of one node of two CPUs and one of a node of six.
func TestWhatFits(t *testing.T) {
	f := own(t, "fits", federation.MemberSpec{Name: "slate", Nodes: 1, NodeCPU: "2"},
		federation.MemberSpec{Name: "granite", Provider: "azure", Nodes: 1, NodeCPU: "6"})
	for _, part := range []struct {
		name string
		run  func(*testing.T, *fed)
	}{
		{"overflow", testOverflow},
		{"extended resource", testExtendedResource},
		{"affinity to another", testAffinityToAnother},
		{"priority", testPriority},
		{"volume", testVolume},
		{"strategies", testCapacityStrategies},
		{"evacuation", testEvacuation},
		{"a hub that starts", testCapacityAfterRestart},
	} {
		t.Run(part.name, func(t *testing.T) { part.run(t, f) })
	}
}

// asking is a Deployment whose pods ask for 900m each: two fit into slate, six into
// granite. more is further lines of its pods' spec.
func asking(ns, name string, replicas int, more ...string) string {
	return fmt.Sprintf(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: %[2]s, namespace: %[1]s, labels: {app: %[2]s}}
spec:
  replicas: %[3]d
  selector: {matchLabels: {app: %[2]s}}
  template:
    metadata: {labels: {app: %[2]s}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: c, image: c, resources: {requests: {cpu: 900m}}}]
%[4]s`, ns, name, replicas, strings.Join(more, "\n"))
}

func (f *fed) scaleTo(t *testing.T, ns, name string, replicas int) {
	t.Helper()
	patch := fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas)
	_, err := f.at.AppsV1().Deployments(ns).Patch(t.Context(), name, types.MergePatchType, patch, metav1.PatchOptions{})
	must(t, err)
}

// run waits until a Deployment is divided so, and all of it is ready.
func (f *fed) run(t *testing.T, ns, name string, want map[string]int32) {
	t.Helper()
	var total int32
	for _, n := range want {
		total += n
	}
	eventually(t, soon, func(ctx context.Context) error {
		if err := f.sharesAre(ctx, ns, name, want); err != nil {
			return err
		}
		d, err := f.at.AppsV1().Deployments(ns).Get(ctx, name, metav1.GetOptions{})
		if err == nil && d.Status.ReadyReplicas != total {
			err = fmt.Errorf("%d of %d of %s are ready", d.Status.ReadyReplicas, total, name)
		}
		return err
	})
}

// unplaced waits until that many replicas of a Deployment are not placed, and the
// Placement says why.
func (f *fed) unplaced(t *testing.T, ns, name string, want int32, why string) {
	t.Helper()
	eventually(t, soon, func(ctx context.Context) error {
		p, err := f.placement(ctx, ns, "deployments.apps."+name)
		if err != nil {
			return err
		}
		if p.Unplaced != want || !strings.Contains(p.Summary.Message, why) {
			return fmt.Errorf("%d of %s are not placed, because %q, want %d because of %q", p.Unplaced, name, p.Summary.Message, want, why)
		}
		return nil
	})
}

// vacate deletes a namespace, and waits until the hub knows both clusters to be empty: a
// Deployment that is paused, and so has no pods, fits into them.
func (f *fed) vacate(t *testing.T, ns string) {
	t.Helper()
	must(t, f.at.CoreV1().Namespaces().Delete(t.Context(), ns, metav1.DeleteOptions{}))
	probe := "after-" + ns
	f.create(t, strings.Replace(asking("default", probe, 8), "replicas: 8", "replicas: 8\n  paused: true", 1))
	eventually(t, soon, func(ctx context.Context) error {
		return f.sharesAre(ctx, "default", probe, map[string]int32{"slate": 2, "granite": 6})
	})
	must(t, f.at.AppsV1().Deployments("default").Delete(t.Context(), probe, metav1.DeleteOptions{}))
	eventually(t, soon, func(ctx context.Context) error {
		if _, err := f.placement(ctx, "default", "deployments.apps."+probe); !apierrors.IsNotFound(err) {
			return fmt.Errorf("the probe is still placed: %v", err)
		}
		return nil
	})
}

// testOverflow fills both clusters, and makes room again.
func testOverflow(t *testing.T, f *fed) {
	ns := f.namespace(t, "overflow")
	f.create(t, asking(ns, "web", 8))
	f.run(t, ns, "web", map[string]int32{"slate": 2, "granite": 6})
	f.create(t, asking(ns, "late", 2))
	f.unplaced(t, ns, "late", 2, "no room for cpu 900m")
	why := f.hanse(t, "why", "deploy/late", "-n", ns, "--kubeconfig", f.hub.Kubeconfig())
	if !strings.Contains(why.Stdout, "a node has at most cpu") {
		t.Errorf("hanse why has no numbers:\n%s", why)
	}
	f.scaleTo(t, ns, "web", 6)
	f.run(t, ns, "web", map[string]int32{"slate": 2, "granite": 4})
	f.run(t, ns, "late", map[string]int32{"granite": 2})
	f.vacate(t, ns)
}

// testEvacuation leaves a cluster while the other is full, and makes room there.
func testEvacuation(t *testing.T, f *fed) {
	ns := f.namespace(t, "evacuation")
	f.create(t, asking(ns, "ballast", 6, "      nodeSelector: {hanse.dev/cluster: granite}"))
	f.run(t, ns, "ballast", map[string]int32{"granite": 6})
	f.create(t, asking(ns, "ledger", 2))
	f.run(t, ns, "ledger", map[string]int32{"slate": 2})
	taints := func(patch string) {
		t.Helper()
		_, err := f.at.dynamic.Resource(v1alpha1.Resource("clusters")).Patch(t.Context(), "slate", types.MergePatchType, []byte(`{"spec":{"taints":`+patch+`}}`), metav1.PatchOptions{})
		must(t, err)
	}
	taints(`[{"key":"maintenance","effect":"NoExecute"}]`)
	eventually(t, soon, func(ctx context.Context) error {
		p, err := f.placement(ctx, ns, "deployments.apps.ledger")
		if err != nil {
			return err
		}
		if len(p.Clusters) != 1 || !strings.Contains(p.Clusters[0].Reason, "2 of 2 stay, because no other cluster can take them") {
			return fmt.Errorf("the ledger is in %+v", p.Clusters)
		}
		return nil
	})
	f.scaleTo(t, ns, "ballast", 4)
	f.run(t, ns, "ledger", map[string]int32{"granite": 2})
	taints("null")
	f.vacate(t, ns)
}

// testExtendedResource asks for a device that one cluster's node has.
func testExtendedResource(t *testing.T, f *fed) {
	ctx := t.Context()
	nodes, err := f.in["granite"].CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	must(t, err)
	patch := []byte(`{"status":{"capacity":{"example.com/fpga":"2"},"allocatable":{"example.com/fpga":"2"}}}`)
	_, err = f.in["granite"].CoreV1().Nodes().Patch(ctx, nodes.Items[0].Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	must(t, err)
	ns := f.namespace(t, "devices")
	device := strings.Replace(asking(ns, "device", 3), "requests: {cpu: 900m}", `limits: {example.com/fpga: 1}`, 1)
	f.create(t, device)
	f.unplaced(t, ns, "device", 1, "no room for example.com/fpga 1")
	f.scaleTo(t, ns, "device", 2)
	f.run(t, ns, "device", map[string]int32{"granite": 2})
	f.vacate(t, ns)
}

// testAffinityToAnother waits for another workload's pods, and follows them.
func testAffinityToAnother(t *testing.T, f *fed) {
	ns := f.namespace(t, "neighbours")
	f.create(t, asking(ns, "front", 1, `      affinity: {podAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [
        {topologyKey: hanse.dev/cluster, labelSelector: {matchLabels: {app: cache}}}]}}`))
	f.unplaced(t, ns, "front", 1, "app=cache")
	f.create(t, asking(ns, "cache", 1, "      nodeSelector: {hanse.dev/cluster: slate}"))
	f.run(t, ns, "front", map[string]int32{"slate": 1})
	f.vacate(t, ns)
}

// testPriority places what is urgent where something else has to make room.
func testPriority(t *testing.T, f *fed) {
	ns := f.namespace(t, "urgency")
	f.create(t, `
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: fits-urgent}
value: 1000`)
	f.create(t, asking(ns, "filler", 8))
	f.run(t, ns, "filler", map[string]int32{"slate": 2, "granite": 6})
	f.create(t, asking(ns, "patient", 1))
	f.unplaced(t, ns, "patient", 1, "no room")
	f.create(t, asking(ns, "urgent", 1, "      priorityClassName: fits-urgent"))
	eventually(t, soon, func(ctx context.Context) error {
		d, err := f.at.AppsV1().Deployments(ns).Get(ctx, "urgent", metav1.GetOptions{})
		if err == nil && d.Status.ReadyReplicas != 1 {
			err = fmt.Errorf("what is urgent does not run")
		}
		return err
	})
	f.vacate(t, ns)
}

// testVolume runs what uses a claim where the claim is bound.
func testVolume(t *testing.T, f *fed) {
	ctx := t.Context()
	ns := f.namespace(t, "data")
	f.create(t, fmt.Sprintf(`
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data, namespace: %s}
spec: {accessModes: [ReadWriteMany], storageClassName: "", resources: {requests: {storage: 1Gi}}}`, ns))
	nodes, err := f.in["slate"].CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	must(t, err)
	zone := nodes.Items[0].Labels[corev1.LabelTopologyZone]
	volume := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "data"}, Spec: corev1.PersistentVolumeSpec{
		AccessModes:            []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany},
		Capacity:               corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")},
		ClaimRef:               &corev1.ObjectReference{Namespace: ns, Name: "data"},
		PersistentVolumeSource: corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/data"}},
		NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
			MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelTopologyZone, Operator: corev1.NodeSelectorOpIn, Values: []string{zone}}}}}}},
	}}
	_, err = f.in["slate"].CoreV1().PersistentVolumes().Create(ctx, volume, metav1.CreateOptions{})
	must(t, err)
	eventually(t, soon, func(ctx context.Context) error {
		v, err := f.in["slate"].CoreV1().PersistentVolumes().Get(ctx, "data", metav1.GetOptions{})
		if err == nil && v.Status.Phase != corev1.VolumeBound {
			err = fmt.Errorf("the volume is %s", v.Status.Phase)
		}
		return err
	})
	f.create(t, asking(ns, "reader", 3, "      volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]"))
	f.run(t, ns, "reader", map[string]int32{"slate": 2})
	f.unplaced(t, ns, "reader", 1, "its volumes are in zone "+zone)
	f.vacate(t, ns)
}

// testCapacityStrategies divides by what is free, packs, and goes where it is cheapest.
func testCapacityStrategies(t *testing.T, f *fed) {
	ns := f.namespace(t, "strategies")
	for cluster, price := range map[string]string{"slate": "0.01", "granite": "0.05"} {
		patch := fmt.Appendf(nil, `{"spec":{"price":{"cpu":%q}}}`, price)
		_, err := f.at.dynamic.Resource(v1alpha1.Resource("clusters")).Patch(t.Context(), cluster, types.MergePatchType, patch, metav1.PatchOptions{})
		must(t, err)
	}
	for i, want := range []struct { // each finds what those before it have left
		strategy string
		replicas int
		shares   map[string]int32
	}{
		{"FreeCapacity", 4, map[string]int32{"slate": 1, "granite": 3}},
		{"Pack", 2, map[string]int32{"granite": 2}},
		{"Cheapest", 2, map[string]int32{"slate": 1, "granite": 1}},
	} {
		name := fmt.Sprint("by", i)
		f.create(t, fmt.Sprintf(`
apiVersion: hanse.dev/v1alpha1
kind: PlacementPolicy
metadata: {name: %s, namespace: %s}
spec: {select: {names: [%s]}, division: {strategy: %s}}`, name, ns, name, want.strategy)+"\n---"+asking(ns, name, want.replicas))
		f.run(t, ns, name, want.shares)
	}
	f.vacate(t, ns)
}

// testCapacityAfterRestart kills the hub: what fills the clusters stays where it is, and
// what comes then finds them full.
func testCapacityAfterRestart(t *testing.T, f *fed) {
	ns := f.namespace(t, "again")
	f.create(t, asking(ns, "even", 4)) // as the formula says: nothing records it
	f.run(t, ns, "even", map[string]int32{"slate": 2, "granite": 2})
	pods := map[types.UID]bool{}
	each := func(do func(*corev1.Pod)) {
		for _, m := range f.in {
			list, err := m.CoreV1().Pods(ns).List(t.Context(), metav1.ListOptions{LabelSelector: "app=even"})
			must(t, err)
			for i := range list.Items {
				do(&list.Items[i])
			}
		}
	}
	each(func(p *corev1.Pod) { pods[p.UID] = true })
	must(t, f.hub.Kill(t.Context()))
	must(t, f.hub.Start(t.Context()))
	f.create(t, asking(ns, "more", 6))
	f.unplaced(t, ns, "more", 2, "no room")
	f.run(t, ns, "even", map[string]int32{"slate": 2, "granite": 2})
	each(func(p *corev1.Pod) {
		if !pods[p.UID] {
			t.Errorf("pod %s was made again", p.Name)
		}
	})
}
