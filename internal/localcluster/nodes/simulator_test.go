package nodes

import (
	"context"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	"sigs.k8s.io/kwok/pkg/apis/internalversion"
	"sigs.k8s.io/kwok/pkg/utils/lifecycle"
)

func pod(name, node, ip string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
		Spec:       corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Name: "c", Image: "i"}}},
		Status:     corev1.PodStatus{Phase: corev1.PodPending, PodIP: ip},
	}
}

// The rest of Simulate needs an API server whose watches lose nothing, which the fake client is not.
func TestCreateLeavesExistingNodesAlone(t *testing.T) {
	ctx := context.Background()
	nodes, err := complete(t, Pool{Cluster: "c", Provider: "aws", Count: 2}).Nodes(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	old := nodes[0].DeepCopy()
	old.Labels = map[string]string{"set-by": "the user"}
	client := fake.NewClientset(old)
	if err := create(ctx, client, nodes); err != nil {
		t.Fatal(err)
	}
	got, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil || len(got.Items) != 2 {
		t.Fatalf("%d nodes, %v", len(got.Items), err)
	}
	if got.Items[0].Labels["set-by"] != "the user" {
		t.Error("a node that was there was changed")
	}
}

func TestStages(t *testing.T) {
	got, err := stages()
	if err != nil {
		t.Fatal(err)
	}
	pod, node := internalversion.StageResourceRef{APIGroup: "v1", Kind: "Pod"}, internalversion.StageResourceRef{APIGroup: "v1", Kind: "Node"}
	if len(got[pod]) != 4 || len(got[node]) != 1 {
		t.Errorf("%d stages of pods and %d of nodes, want 4 and 1", len(got[pod]), len(got[node]))
	}
}

func TestStageOfAPod(t *testing.T) {
	all, err := stages()
	if err != nil {
		t.Fatal(err)
	}
	kubelet, err := lifecycle.NewLifecycle(all[internalversion.StageResourceRef{APIGroup: "v1", Kind: "Pod"}])
	if err != nil {
		t.Fatal(err)
	}
	status := func(phase corev1.PodPhase, ready, containers corev1.ConditionStatus) corev1.PodStatus {
		return corev1.PodStatus{Phase: phase, Conditions: []corev1.PodCondition{
			{Type: corev1.PodReady, Status: ready}, {Type: corev1.ContainersReady, Status: containers}}}
	}
	now := metav1.Now()
	for _, test := range []struct {
		name    string
		status  corev1.PodStatus
		deleted *metav1.Time
		want    string
	}{
		{"new", corev1.PodStatus{Phase: corev1.PodPending}, nil, "pod-ready"},
		{"ready", status(corev1.PodRunning, "True", "True"), nil, ""},
		{"its node was lost", status(corev1.PodRunning, "False", "True"), nil, "pod-ready-again"},
		{"somebody plays a failing container", status(corev1.PodRunning, "False", "False"), nil, ""},
		{"deleted", status(corev1.PodRunning, "False", "True"), &now, "pod-delete"},
	} {
		p := pod("p", "n", "")
		p.Status, p.DeletionTimestamp = test.status, test.deleted
		stage, err := kubelet.Match(context.Background(), &lifecycle.Event{Data: p})
		got := ""
		if stage != nil {
			got = stage.Name()
		}
		if err != nil || got != test.want {
			t.Errorf("%s: stage %q, %v, want %q", test.name, got, err, test.want)
		}
	}
}

func TestPodAddressesAreDistinct(t *testing.T) {
	ctx := context.Background()
	nodes, err := complete(t, Pool{Cluster: "c", Provider: "azure", Count: 1}).Nodes(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	name := nodes[0].Name
	client := fake.NewClientset(nodes[0], pod("before-the-restart", name, "10.244.0.3"))
	addresses := newPodAddresses(client)
	want := []string{"10.244.0.2", "10.244.0.4", "10.244.0.5"}
	for _, want := range want {
		if got, err := addresses.next(ctx, name, false); err != nil || got[0] != want {
			t.Fatalf("next = %v, %v, want %s", got, err, want)
		}
	}
	if got, err := addresses.next(ctx, name, true); err != nil || got[0] != "10.224.0.4" {
		t.Errorf("host network: %v, %v, want the node's address", got, err)
	}

	// All the rest, until the range is through: then the pods' addresses are free again, but not the one in use.
	for i := range 249 {
		if got, err := addresses.next(ctx, name, false); err != nil || got[0] != fmt.Sprintf("10.244.0.%d", i+6) {
			t.Fatalf("next = %v, %v", got, err)
		}
	}
	if got, err := addresses.next(ctx, name, false); err != nil || got[0] != "10.244.0.2" {
		t.Errorf("next = %v, %v, want the address that was handed out longest ago", got, err)
	}
	if got, err := addresses.next(ctx, name, false); err != nil || got[0] != "10.244.0.4" {
		t.Errorf("next = %v, %v, want the next one that is free", got, err)
	}
	if _, err := addresses.next(ctx, "gone", false); err == nil {
		t.Error("an unknown node has addresses")
	}
}

func TestNoAddressLeft(t *testing.T) {
	ctx := context.Background()
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "tiny"}, Spec: corev1.NodeSpec{PodCIDR: "10.9.9.0/30"}}
	addresses := newPodAddresses(fake.NewClientset(node, pod("p", "tiny", "10.9.9.2")))
	if got, err := addresses.next(ctx, "tiny", false); err == nil {
		t.Errorf("next = %v, want an error", got)
	}
}
