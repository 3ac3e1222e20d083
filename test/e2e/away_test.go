package e2e

import (
	"context"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// TestNamespaceDeleted deletes a namespace with most of what a member holds:
// an ordinary deletion, which is not held back, also when a member, and the
// hub, are away meanwhile. It comes before the tests that run in parallel.
func TestNamespaceDeleted(t *testing.T) {
	f := shared(t)
	ctx := t.Context()
	for _, ns := range []string{"goes-present", "goes-away"} {
		o := fleetOf{fed: f, ns: f.namespace(t, ns)}
		// ConfigMaps only: nothing is to start while this is measured.
		for i := range 40 {
			_, err := f.at.CoreV1().ConfigMaps(ns).Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: o.name(i)}}, metav1.CreateOptions{})
			must(t, err)
		}
		eventually(t, soon, func(ctx context.Context) error { return f.converged(ctx, ns) })
	}

	must(t, f.at.CoreV1().Namespaces().Delete(ctx, "goes-present", metav1.DeleteOptions{}))
	eventually(t, soon, func(ctx context.Context) error {
		return f.withoutNamespace(ctx, "goes-present", f.at, f.in["aws"], f.in["azure"])
	})

	azure := f.member("azure")
	must(t, azure.Kill(ctx))
	t.Cleanup(func() { // the others want it whole, whatever happened
		if azure.PID() == 0 {
			_ = azure.Start(context.Background())
		}
	})
	f.clusterIs(t, "azure", v1alpha1.ReasonNetworkUnreachable)
	must(t, f.at.CoreV1().Namespaces().Delete(ctx, "goes-away", metav1.DeleteOptions{}))
	eventually(t, soon, func(ctx context.Context) error { return f.withoutNamespace(ctx, "goes-away", f.at, f.in["aws"]) })
	f.killHub(t) // it has to remember
	must(t, azure.Start(ctx))
	f.clusterIs(t, "azure", v1alpha1.ReasonReachable)
	eventually(t, soon, func(ctx context.Context) error { return f.withoutNamespace(ctx, "goes-away", f.in["azure"]) })
	f.quiet(t)
	must(t, f.condition(ctx, "azure", v1alpha1.ConditionDeletionsHeld, metav1.ConditionFalse))
}

func (f *fed) withoutNamespace(ctx context.Context, name string, where ...*clients) error {
	for _, c := range where {
		ns, err := c.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
		if err == nil {
			return fmt.Errorf("namespace %s is at %s still: %s, %v", name, c.name, ns.Status.Phase, ns.Status.Conditions)
		}
		if !apierrors.IsNotFound(err) {
			return err
		}
	}
	return nil
}
