package e2e

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	yamlutil "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/kinds"
)

// TestEveryKind creates, updates and deletes an object of every kind at the hub
// and waits for the members to follow.
func TestEveryKind(t *testing.T) {
	f := shared(t)
	t.Parallel()
	objects := f.servedAt(t, readObjects(t, "testdata/kinds.yaml"))

	// All in one go, as kubectl apply does: custom resources beside their CRDs.
	for _, o := range objects {
		eventually(t, soon, func(ctx context.Context) error {
			err := f.createAt(ctx, o)
			if apierrors.IsAlreadyExists(err) {
				return nil
			}
			return err
		})
	}
	t.Log("created at the hub")
	eventually(t, 2*soon, func(ctx context.Context) error { return f.everywhere(ctx, objects, nil) })
	t.Log("created in the members")

	updated := map[string]string{"e2e.example.com/updated": "yes"}
	patch := []byte(`{"metadata":{"labels":{"e2e.example.com/updated":"yes"}}}`)
	for _, o := range objects {
		if _, err := f.objects(t, o).Patch(t.Context(), o.GetName(), types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
			t.Errorf("update %s: %v", describe(o), err)
		}
	}
	eventually(t, 2*soon, func(ctx context.Context) error { return f.everywhere(ctx, objects, updated) })
	t.Log("updated in the members")
	f.keptWhole(t)

	slices.Reverse(objects) // the namespace last
	background := metav1.DeletePropagationBackground
	for _, o := range objects {
		err := f.objects(t, o).Delete(t.Context(), o.GetName(), metav1.DeleteOptions{PropagationPolicy: &background})
		if err != nil && !apierrors.IsNotFound(err) { // custom resources go with their CRDs
			t.Errorf("delete %s: %v", describe(o), err)
		}
	}
	eventually(t, 2*soon, func(ctx context.Context) error { return f.nowhere(ctx, objects) })
}

// keptWhole fails where a member of the hub's own version is said to have dropped something.
func (f *fed) keptWhole(t *testing.T) {
	t.Helper()
	list, err := f.at.dynamic.Resource(v1alpha1.Resource("placements")).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range list.Items {
		p, err := as[v1alpha1.Placement](&list.Items[i])
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range p.Clusters {
			if c.State == v1alpha1.StateFieldsDropped {
				t.Errorf("%s in %s: %s", p.Name, c.Name, c.Message)
			}
		}
	}
}

// TestEveryServedResourceIsKnown goes by the discovery of a real hub: what can
// be written there either stays for a reason or is covered by the members' role.
func TestEveryServedResourceIsKnown(t *testing.T) {
	f := shared(t)
	t.Parallel()
	lists, err := f.at.Discovery().ServerPreferredResources()
	if err != nil {
		t.Fatal(err)
	}
	table := kinds.NewTable()
	seen := 0
	for _, list := range lists {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(gv.Group, ".example.com") {
			continue // another test's custom resources
		}
		for _, r := range list.APIResources {
			gr := schema.GroupResource{Group: gv.Group, Resource: r.Name}
			if !slices.Contains(r.Verbs, "create") || !slices.Contains(r.Verbs, "watch") {
				continue // a request, such as SubjectAccessReview, and nothing that is kept
			}
			seen++
			if _, stays := table.ResourceStays(gr); stays || coveredByRole(gr) {
				continue
			}
			t.Errorf("%s is neither in kinds.StaysAtHub nor in kinds.MemberRules", gr)
		}
	}
	if seen < 50 {
		t.Errorf("the hub serves %d resources that can be written, which cannot be all", seen)
	}
}

func coveredByRole(gr schema.GroupResource) bool {
	for _, rule := range kinds.MemberRules() {
		if slices.Contains(rule.APIGroups, gr.Group) && slices.Contains(rule.Resources, gr.Resource) && slices.Contains(rule.Verbs, "patch") {
			return true
		}
	}
	return false
}

func readObjects(t *testing.T, path string) []*unstructured.Unstructured {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return parseObjects(t, content)
}

func parseObjects(t *testing.T, content []byte) []*unstructured.Unstructured {
	t.Helper()
	var out []*unstructured.Unstructured
	reader := yamlutil.NewYAMLReader(bufio.NewReader(bytes.NewReader(content)))
	for {
		doc, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		o := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(doc, &o.Object); err != nil {
			t.Fatalf("%v in %s", err, doc)
		}
		if o.Object != nil {
			out = append(out, o)
		}
	}
}

// servedAt leaves out kinds that this version of Kubernetes does not serve.
// Custom resources are kept: their CRD is among the objects.
func (f *fed) servedAt(t *testing.T, objects []*unstructured.Unstructured) []*unstructured.Unstructured {
	var out []*unstructured.Unstructured
	for _, o := range objects {
		_, err := f.resource(o.GroupVersionKind())
		if meta.IsNoMatchError(err) && strings.HasSuffix(o.GroupVersionKind().Group, ".k8s.io") {
			t.Logf("%s is not served", describe(o))
			continue
		}
		out = append(out, o)
	}
	return out
}

func describe(o *unstructured.Unstructured) string {
	return strings.TrimPrefix(fmt.Sprintf("%s %s/%s", o.GetKind(), o.GetNamespace(), o.GetName()), "/")
}

func (f *fed) createAt(ctx context.Context, o *unstructured.Unstructured) error {
	m, err := f.resource(o.GroupVersionKind())
	if err != nil {
		return err
	}
	_, err = f.at.dynamic.Resource(m.Resource).Namespace(o.GetNamespace()).Create(ctx, o, metav1.CreateOptions{})
	return err
}

// create makes objects of YAML at the hub.
func (f *fed) create(t *testing.T, manifests string) {
	t.Helper()
	for _, o := range parseObjects(t, []byte(manifests)) {
		eventually(t, soon, func(ctx context.Context) error { return f.createAt(ctx, o) })
	}
}

// everywhere says what is not in the members as it should be: in all of them,
// or, for what must not run twice, in one.
func (f *fed) everywhere(ctx context.Context, objects []*unstructured.Unstructured, labels map[string]string) error {
	var missing []string
	for _, o := range objects {
		m, err := f.resource(o.GroupVersionKind())
		if err != nil {
			return err
		}
		gr := m.Resource.GroupResource()
		want := len(f.in)
		division := kinds.DivisionOf(gr, o.Object)
		if division == kinds.One {
			want = 1
		}
		here, active := 0, 0
		for _, c := range f.in {
			got, err := c.dynamic.Resource(m.Resource).Namespace(o.GetNamespace()).Get(ctx, o.GetName(), metav1.GetOptions{})
			if err != nil && !apierrors.IsNotFound(err) {
				return err
			}
			if err != nil || got.GetLabels()[v1alpha1.LabelManaged] != "true" || !hasAll(got.GetLabels(), labels) {
				continue
			}
			here++
			if suspended, _, _ := unstructured.NestedBool(got.Object, "spec", "suspend"); !suspended {
				active++
			}
		}
		if here != want {
			missing = append(missing, fmt.Sprintf("%s is in %d clusters, want %d", describe(o), here, want))
		}
		if division == kinds.OneActive && active != 1 {
			missing = append(missing, fmt.Sprintf("%s is active in %d clusters, want 1", describe(o), active))
		}
	}
	if len(missing) > 0 {
		return errors.New(strings.Join(missing, "\n"))
	}
	return nil
}

func hasAll(have, want map[string]string) bool {
	for k, v := range want {
		if have[k] != v {
			return false
		}
	}
	return true
}

func (f *fed) nowhere(ctx context.Context, objects []*unstructured.Unstructured) error {
	var left []string
	all := []*clients{f.at}
	for _, c := range f.in {
		all = append(all, c)
	}
	for _, o := range objects {
		m, err := f.mapper.RESTMapping(o.GroupVersionKind().GroupKind(), o.GroupVersionKind().Version)
		if meta.IsNoMatchError(err) {
			continue // its CRD went before
		}
		if err != nil {
			return err
		}
		for _, c := range all {
			got, err := c.dynamic.Resource(m.Resource).Namespace(o.GetNamespace()).Get(ctx, o.GetName(), metav1.GetOptions{})
			if err == nil {
				left = append(left, fmt.Sprintf("%s at %s (deleted at %v, finalizers %v)", describe(o), c.name, got.GetDeletionTimestamp(), got.GetFinalizers()))
			} else if !apierrors.IsNotFound(err) {
				return err
			}
		}
	}
	if len(left) > 0 {
		return fmt.Errorf("still there: %s", strings.Join(left, "\n"))
	}
	return nil
}

// versions are the resourceVersions of the objects of a resource, by
// NAMESPACE/NAME.
func (c *clients) versions(ctx context.Context, gvr schema.GroupVersionResource, ns string) (map[string]string, error) {
	list, err := c.dynamic.Resource(gvr).Namespace(ns).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	out := make(map[string]string, len(list.Items))
	for i := range list.Items {
		out[list.Items[i].GetNamespace()+"/"+list.Items[i].GetName()] = list.Items[i].GetResourceVersion()
	}
	return out, nil
}
