package nodes

import (
	"context"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes/fake"
)

func pod(name, node, ip string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
		Spec:       corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Name: "c", Image: "i"}}},
		Status:     corev1.PodStatus{Phase: corev1.PodPending, PodIP: ip},
	}
}

func TestSimulateMakesPodsReady(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	nodes, err := complete(t, Pool{Cluster: "c", Provider: "aws", Count: 2}).Nodes()
	if err != nil {
		t.Fatal(err)
	}
	client := fake.NewClientset(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: corev1.NamespaceNodeLease}})
	if err := Simulate(ctx, client, nodes); err != nil {
		t.Fatal(err)
	}
	if _, err := client.CoreV1().Pods("default").Create(ctx, pod("p", nodes[1].Name, ""), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	err = wait.PollUntilContextCancel(ctx, time.Millisecond, true, func(ctx context.Context) (bool, error) {
		p, err := client.CoreV1().Pods("default").Get(ctx, "p", metav1.GetOptions{})
		return err == nil && p.Status.Phase == corev1.PodRunning && p.Status.PodIP == "10.1.1.2" && p.Status.HostIP == "10.0.2.23", err
	})
	if err != nil {
		t.Errorf("the pod did not become ready: %v", err)
	}
}

func TestPodAddressesAreDistinct(t *testing.T) {
	ctx := context.Background()
	nodes, err := complete(t, Pool{Cluster: "c", Provider: "azure", Count: 1}).Nodes()
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
