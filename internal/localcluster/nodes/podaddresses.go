package nodes

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/kubernetes"
)

// podAddresses hands out the addresses of pods, each from the range of the pod's node. It keeps no books about pods
// that go: when a node's addresses have been handed out once, it looks which ones are free by then.
type podAddresses struct {
	client kubernetes.Interface
	mu     sync.Mutex
	nodes  map[string]*nodeAddresses
}

type nodeAddresses struct {
	host string       // the node's own address
	pods netip.Prefix // its range
	free []netip.Addr // the next ones to hand out
	last netip.Addr   // the one handed out last
}

func newPodAddresses(client kubernetes.Interface) *podAddresses {
	return &podAddresses{client: client, nodes: map[string]*nodeAddresses{}}
}

// next is the address of a new pod. It asks the API server when it knows too little.
func (a *podAddresses) next(ctx context.Context, name string, hostNetwork bool) ([]string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	node, known := a.nodes[name]
	if !known {
		live, err := a.client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return nil, fmt.Errorf("find the addresses of node %s: %w", name, err)
		}
		if node, err = addressesOf(live); err != nil {
			return nil, err
		}
		a.nodes[name] = node
	}
	if hostNetwork {
		return []string{node.host}, nil
	}
	if len(node.free) == 0 {
		pods, err := a.client.CoreV1().Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{
			FieldSelector: fields.OneTermEqualSelector("spec.nodeName", name).String(),
		})
		if err != nil {
			return nil, fmt.Errorf("find the addresses that pods of node %s have: %w", name, err)
		}
		if node.refill(pods.Items); len(node.free) == 0 {
			return nil, fmt.Errorf("node %s has no address left in %s", name, node.pods)
		}
	}
	node.last, node.free = node.free[0], node.free[1:]
	return []string{node.last.String()}, nil
}

func addressesOf(node *corev1.Node) (*nodeAddresses, error) {
	pods, err := netip.ParsePrefix(node.Spec.PodCIDR)
	if err != nil {
		return nil, fmt.Errorf("node %s has no range of addresses for its pods: %w", node.Name, err)
	}
	result := &nodeAddresses{pods: pods.Masked()}
	for _, address := range node.Status.Addresses {
		if address.Type == corev1.NodeInternalIP {
			result.host = address.Address
		}
	}
	return result, nil
}

// refill finds the free addresses and puts first those that were handed out longest ago: an address that was given to a
// pod a moment ago may not be in that pod's status yet. The network's own address and the router's stay unused.
func (n *nodeAddresses) refill(pods []corev1.Pod) {
	used := map[netip.Addr]bool{}
	for _, pod := range pods {
		if address, err := netip.ParseAddr(pod.Status.PodIP); err == nil {
			used[address] = true
		}
	}
	var before []netip.Addr
	after := []netip.Addr{}
	for address := n.pods.Addr().Next().Next(); n.pods.Contains(address.Next()); address = address.Next() {
		switch {
		case used[address]:
		case n.last.IsValid() && address.Compare(n.last) <= 0:
			before = append(before, address)
		default:
			after = append(after, address)
		}
	}
	n.free = slices.Concat(after, before)
}
