package dns

import (
	"context"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
)

// gatewayPoll is how often a cluster that serves no Gateways is asked again.
const gatewayPoll = 20 * time.Second

// gateways watches Gateways (gateway.networking.k8s.io/v1), whose kind a cluster
// may or may not serve.
type gateways struct{ client dynamic.Interface }

func newGateways(cfg *rest.Config) (*gateways, error) {
	client, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return nil, err
	}
	return &gateways{client: client}, nil
}

// watch follows Gateways until ctx ends, from when the cluster serves them.
func (g *gateways) watch(ctx context.Context, labels string, into sink[*unstructured.Unstructured]) {
	gvr := schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "gateways"}
	err := wait.PollUntilContextCancel(ctx, gatewayPoll, true, func(ctx context.Context) (bool, error) {
		_, err := g.client.Resource(gvr).List(ctx, metav1.ListOptions{LabelSelector: labels, Limit: 1})
		if apierrors.IsNotFound(err) {
			into.replace(nil)
		}
		return err == nil, nil
	})
	if err == nil {
		follow(ctx, dynamicSource(g.client, gvr), labels, into)
	}
}

func dynamicSource(c dynamic.Interface, gvr schema.GroupVersionResource) source {
	return source{gvr.Resource, &unstructured.Unstructured{},
		func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return c.Resource(gvr).List(ctx, o)
		},
		func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return c.Resource(gvr).Watch(ctx, o)
		}}
}
