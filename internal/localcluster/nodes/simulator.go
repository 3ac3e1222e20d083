package nodes

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/clock"
	"sigs.k8s.io/kwok/pkg/apis/internalversion"
	kwokv1alpha1 "sigs.k8s.io/kwok/pkg/apis/v1alpha1"
	"sigs.k8s.io/kwok/pkg/kwok/controllers"
	"sigs.k8s.io/kwok/pkg/log"
	"sigs.k8s.io/kwok/pkg/utils/gotpl"
	"sigs.k8s.io/yaml"

	nodefast "sigs.k8s.io/kwok/kustomize/stage/node/fast"
	podfast "sigs.k8s.io/kwok/kustomize/stage/pod/fast"
)

const (
	// leaseSeconds: KWOK renews after a quarter of it, and a node counts as lost after 50 s without a renewal. 120 s makes
	// one write in 30 s for each node, a third of what kubelets do.
	leaseSeconds = 120
	// leaseHolder is always the same, so that the nodes are taken over at once when the cluster starts again. Two
	// simulators cannot meet: the cluster's data directory has one owner.
	leaseHolder = "hanse-local"
	// workers that change pods at the same time. The API server, which is in the same process, is what limits them.
	workers = 4
	// pollInterval is how often a cluster that starts is looked at.
	pollInterval = 20 * time.Millisecond
)

// Simulate creates the nodes that are missing and plays the kubelet of every node in the cluster until ctx ends: pods
// become ready at once, the pods of Jobs end at once, deleted pods go at once. It returns when the nodes are ready, which
// needs the node lifecycle controller to run; what was started goes on.
func Simulate(ctx context.Context, client kubernetes.Interface, nodes []*corev1.Node, clock clock.Clock) error {
	// KWOK would try again only after a second if the namespace of the leases were not there yet.
	if err := waitForNamespace(ctx, client, corev1.NamespaceNodeLease); err != nil {
		return fmt.Errorf("simulate nodes: %w", err)
	}
	if err := create(ctx, client, nodes); err != nil {
		return err
	}
	stages, err := stages()
	if err != nil {
		return err
	}
	addresses := newPodAddresses(client)
	kubelet, err := controllers.NewController(controllers.Config{
		Clock:          clock,
		TypedClient:    client,
		ManageAllNodes: true,
		LocalStages:    stages,
		ID:             leaseHolder,

		NodeLeaseDurationSeconds:  leaseSeconds,
		NodeLeaseParallelism:      1,
		NodePlayStageParallelism:  1,
		PodPlayStageParallelism:   workers,
		PodsOnNodeSyncParallelism: 1,
		FuncMap: gotpl.FuncMap{
			// KWOK's own pool forgets at a restart which addresses are taken.
			"PodIPsWith": func(node string, hostNetwork bool, _, _, _ string) ([]string, error) {
				return addresses.next(ctx, node, hostNetwork)
			},
		},
	})
	if err != nil {
		return fmt.Errorf("simulate nodes: %w", err)
	}
	if err := kubelet.Start(log.NewContext(ctx, log.NewLogger(os.Stderr, log.LevelWarn))); err != nil {
		return fmt.Errorf("simulate nodes: %w", err)
	}
	return waitForNodes(ctx, client, nodes)
}

func waitForNamespace(ctx context.Context, client kubernetes.Interface, name string) error {
	return wait.PollUntilContextCancel(ctx, pollInterval, true, func(ctx context.Context) (bool, error) {
		_, err := client.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return false, nil
		}
		return err == nil, err
	})
}

// create leaves a node that exists alone: it is the same one, from before the restart.
func create(ctx context.Context, client kubernetes.Interface, nodes []*corev1.Node) error {
	for _, node := range nodes {
		_, err := client.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("create node %s: %w", node.Name, err)
		}
	}
	return nil
}

// waitForNodes waits until pods may be scheduled to the nodes: ready, and without the taint that the API server puts on
// every new node and the node lifecycle controller takes away.
func waitForNodes(ctx context.Context, client kubernetes.Interface, nodes []*corev1.Node) error {
	for _, node := range nodes {
		err := wait.PollUntilContextCancel(ctx, pollInterval, true, func(ctx context.Context) (bool, error) {
			live, err := client.CoreV1().Nodes().Get(ctx, node.Name, metav1.GetOptions{})
			if err != nil {
				return false, err
			}
			return usable(live), nil
		})
		if err != nil {
			return fmt.Errorf("wait for node %s: %w", node.Name, err)
		}
	}
	return nil
}

func usable(node *corev1.Node) bool {
	for _, taint := range node.Spec.Taints {
		if taint.Key == corev1.TaintNodeNotReady || taint.Key == corev1.TaintNodeUnreachable {
			return false
		}
	}
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

//go:embed ready-again.yaml
var readyAgain string

// stages are KWOK's own simplest ones, and one that they lack.
func stages() (map[internalversion.StageResourceRef][]*internalversion.Stage, error) {
	result := map[internalversion.StageResourceRef][]*internalversion.Stage{}
	for _, text := range []string{nodefast.DefaultNodeInit, podfast.DefaultPodReady, podfast.DefaultPodComplete, podfast.DefaultPodDelete, readyAgain} {
		var stage kwokv1alpha1.Stage
		if err := yaml.Unmarshal([]byte(text), &stage); err != nil {
			return nil, fmt.Errorf("read a stage of KWOK: %w", err)
		}
		kwokv1alpha1.SetObjectDefaults_Stage(&stage)
		internal, err := internalversion.ConvertToInternalStage(&stage)
		if err != nil {
			return nil, fmt.Errorf("read stage %s of KWOK: %w", stage.Name, err)
		}
		ref := internal.Spec.ResourceRef
		result[ref] = append(result[ref], internal)
	}
	return result, nil
}
