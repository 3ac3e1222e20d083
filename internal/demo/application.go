package demo

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/examples/finsolutions"
)

const (
	// namespace is where the application lives, as in the tutorial.
	namespace = "default"
	// applicationTimeout is many times what twenty simulated pods need.
	applicationTimeout = 2 * time.Minute
)

// runApplication applies the example to the federation, just as its README does
// with kubectl, and returns when all of it is ready and the hub has seen so: what a
// newcomer asks first is hanse status.
func (d *Demo) runApplication(ctx context.Context, hub *rest.Config) error {
	manifests, err := d.manifests()
	if err != nil {
		return err
	}
	apply := exec.CommandContext(ctx, d.options.Executable, "kubectl", "--kubeconfig", d.at.hubConfig(), "--namespace", namespace,
		"apply", "--validate=false", "-f", "-")
	apply.Stdin = bytes.NewReader(manifests)
	if out, err := apply.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot apply the application: %w\n%s", err, bytes.TrimSpace(out))
	}
	client, err := kubernetes.NewForConfig(hub)
	if err != nil {
		return fmt.Errorf("cannot talk to the hub: %w", err)
	}
	ours, err := dynamic.NewForConfig(hub)
	if err != nil {
		return fmt.Errorf("cannot talk to the hub: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, applicationTimeout)
	defer cancel()
	for {
		waiting, err := unready(ctx, client)
		if err == nil && len(waiting) == 0 {
			waiting, err = unanswered(ctx, ours)
		}
		if err == nil && len(waiting) == 0 {
			waiting, err = unsynced(ctx, ours)
		}
		if err == nil && len(waiting) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not ready after %s: %s. Try: hanse kubectl --kubeconfig %s describe placements", applicationTimeout, strings.Join(waiting, ", "), d.at.kubeconfig())
		case <-time.After(readyPoll):
		}
	}
}

// manifests are the example's and the Secret with the certificate.
func (d *Demo) manifests() ([]byte, error) {
	application, err := finsolutions.Manifests(len(d.options.Clusters))
	if err != nil {
		return nil, err
	}
	secret := corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{Name: "traefik-cert"},
		Data:       map[string][]byte{},
	}
	cert, key := d.certificateFiles()
	for _, file := range []string{cert, key} {
		if secret.Data[filepath.Base(file)], err = os.ReadFile(file); err != nil {
			return nil, fmt.Errorf("cannot read the application's certificate: %w", err)
		}
	}
	encoded, err := yaml.Marshal(secret)
	if err != nil {
		return nil, fmt.Errorf("cannot write the application's certificate: %w", err)
	}
	return bytes.Join([][]byte{encoded, application}, []byte("---\n")), nil
}

// unready names the Deployments that the hub does not say are all there, as
// current as their specification.
func unready(ctx context.Context, client kubernetes.Interface) ([]string, error) {
	list, err := client.AppsV1().Deployments(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	var names []string
	for _, d := range list.Items {
		if !rolledOut(&d) {
			names = append(names, fmt.Sprintf("%s %d/%d", d.Name, d.Status.ReadyReplicas, *d.Spec.Replicas))
		}
	}
	return names, nil
}

// unanswered names the GlobalRoutes that are not answered with all of their
// clusters yet.
func unanswered(ctx context.Context, client dynamic.Interface) ([]string, error) {
	list, err := client.Resource(v1alpha1.Resource("globalroutes")).Namespace(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	var names []string
	for i := range list.Items {
		var r v1alpha1.GlobalRoute
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(list.Items[i].Object, &r); err != nil {
			return nil, err
		}
		down := slices.ContainsFunc(r.Status.Clusters, func(c v1alpha1.RouteCluster) bool { return !c.Healthy })
		if down || !meta.IsStatusConditionTrue(r.Status.Conditions, v1alpha1.ConditionReady) {
			names = append(names, "GlobalRoute "+r.Name)
		}
	}
	return names, nil
}

// unsynced names the Clusters that are not as the hub wants them, as far as their
// status says so already.
func unsynced(ctx context.Context, client dynamic.Interface) ([]string, error) {
	list, err := client.Resource(v1alpha1.Resource("clusters")).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	var names []string
	for i := range list.Items {
		var c v1alpha1.Cluster
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(list.Items[i].Object, &c); err != nil {
			return nil, err
		}
		if !meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.ConditionSynced) {
			names = append(names, "Cluster "+c.Name)
		}
	}
	return names, nil
}

func rolledOut(d *appsv1.Deployment) bool {
	want := *d.Spec.Replicas
	s := d.Status
	return s.ObservedGeneration >= d.Generation && s.Replicas == want && s.UpdatedReplicas == want && s.ReadyReplicas == want
}
