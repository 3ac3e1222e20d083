package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// TestWhatWasThereBefore has a namespace and ConfigMaps in a member before the
// hub gets objects of the same names.
func TestWhatWasThereBefore(t *testing.T) {
	f := shared(t)
	t.Parallel()
	const ns = "before"
	aws, ctx := f.in["aws"], t.Context()
	before := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns, Labels: map[string]string{"owner": "member"}}}
	if _, err := aws.CoreV1().Namespaces().Create(ctx, before, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = aws.CoreV1().Namespaces().Delete(context.Background(), ns, metav1.DeleteOptions{}) })
	made := map[string]*corev1.ConfigMap{}
	for name, data := range map[string]map[string]string{
		"own":       {"key": "of the member alone"},
		"identical": {"key": "value"},
		"different": {"key": "other", "more": "member"},
		"adopt":     {"key": "other", "more": "member"},
		"overwrite": {"key": "other", "more": "member"},
	} {
		cm, err := aws.CoreV1().ConfigMaps(ns).Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: data}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		made[name] = cm
	}
	get := func(ctx context.Context, name string) *corev1.ConfigMap {
		cm, err := aws.CoreV1().ConfigMaps(ns).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return cm
	}

	allow := fmt.Appendf(nil, `[{"op":"add","path":"/spec/namespaces/allow/-","value":%q}]`, ns)
	if _, err := f.at.dynamic.Resource(v1alpha1.Resource("clusters")).Patch(ctx, "aws", types.JSONPatchType, allow, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	f.namespace(t, ns)
	for _, name := range []string{"identical", "different", "adopt", "overwrite"} {
		cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: map[string]string{"key": "value"}}
		if _, err := f.at.CoreV1().ConfigMaps(ns).Create(ctx, cm, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, soon, func(ctx context.Context) error {
		got, err := aws.CoreV1().Namespaces().Get(ctx, ns, metav1.GetOptions{})
		if err == nil && (got.Labels[v1alpha1.LabelManaged] != "true" || got.Labels["owner"] != "member") {
			err = fmt.Errorf("the namespace has labels %v", got.Labels)
		}
		return err
	})
	eventually(t, soon, func(ctx context.Context) error { return f.synced(ctx, ns, "configmaps.identical") })
	if cm := get(ctx, "identical"); cm.UID != made["identical"].UID || cm.Labels[v1alpha1.LabelManaged] != "true" {
		t.Errorf("the identical one was not adopted: %+v", cm.ObjectMeta)
	}

	for _, name := range []string{"different", "adopt", "overwrite"} {
		eventually(t, soon, func(ctx context.Context) error { return f.conflicts(ctx, ns, "configmaps."+name) })
		if cm := get(ctx, name); cm.ResourceVersion != made[name].ResourceVersion {
			t.Errorf("%s was written", name)
		}
		// The other member has no such object, and nothing to wait for.
		eventually(t, soon, func(ctx context.Context) error {
			_, err := f.in["azure"].CoreV1().ConfigMaps(ns).Get(ctx, name, metav1.GetOptions{})
			return err
		})
	}
	for name, want := range map[string]map[string]string{
		"adopt":     {"key": "value", "more": "member"},
		"overwrite": {"key": "value"},
	} {
		patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, v1alpha1.AnnotationConflict, name)
		if _, err := f.at.CoreV1().ConfigMaps(ns).Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
		eventually(t, soon, func(ctx context.Context) error { return f.synced(ctx, ns, "configmaps."+name) })
		if err := same(name, get(ctx, name).Data, want); err != nil {
			t.Error(err)
		}
	}

	// The namespace goes at the hub: the member keeps its own, with what is its.
	if err := f.at.CoreV1().Namespaces().Delete(ctx, ns, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, soon, func(ctx context.Context) error {
		got, err := aws.CoreV1().Namespaces().Get(ctx, ns, metav1.GetOptions{})
		if err == nil && (got.DeletionTimestamp != nil || got.Labels["owner"] != "member") {
			t.Fatalf("the namespace that was there before is being deleted: %+v", got.ObjectMeta)
		}
		if err == nil && got.Labels[v1alpha1.LabelManaged] != "" {
			err = errors.New("the namespace is not released yet")
		}
		return err
	})
	if cm := get(ctx, "own"); cm.ResourceVersion != made["own"].ResourceVersion {
		t.Error("the member's own ConfigMap was written")
	}
}

// conflicts says whether a Placement reports a conflict in aws, and what to do.
func (f *fed) conflicts(ctx context.Context, ns, placement string) error {
	p, err := f.placement(ctx, ns, placement)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(p.Clusters, func(c v1alpha1.ClusterPlacement) bool {
		return c.Name == "aws" && c.State == v1alpha1.StateConflict && strings.Contains(c.LastError, "Try: ")
	}) {
		return fmt.Errorf("placement %s has no conflict: %+v", placement, p.Clusters)
	}
	return nil
}
