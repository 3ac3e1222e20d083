package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/test/federation"
)

// TestCopies has everything in a member copied that the hub put there, in all the ways in which
// controllers and people copy, and wants every copy left alone: neither deleted, nor held, nor
// counted.
func TestCopies(t *testing.T) {
	f := own(t, "copies", federation.MemberSpec{Name: "opal", Nodes: 1})
	c := &copies{fed: f, t: t, ns: f.lastingNamespace(t, "copies"), opal: f.in["opal"]}
	c.apply(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: copies, labels: {app: web}}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: "web:1"}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: copies, labels: {app: web}}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: parent, namespace: copies, labels: {app: web}}
data: {key: value}
`)
	eventually(t, soon, c.right)

	t.Run("upstream's controllers", c.endpoints)
	t.Run("a controller that copies its parent's metadata", c.children)
	t.Run("an export under another name", c.exports)
	t.Run("a mark of an earlier version", c.legacy)
	t.Run("a restored backup", c.restored)
}

type copies struct {
	*fed
	t    *testing.T
	ns   string
	opal *clients
}

func (c *copies) apply(manifests string) {
	c.t.Helper()
	file := c.t.TempDir() + "/objects.yaml"
	must(c.t, os.WriteFile(file, []byte(manifests), 0o600))
	if r := c.kubectl(c.t, "apply", "-f", file); r.Code != 0 {
		c.t.Fatalf("apply: %s", r)
	}
}

// in runs kubectl in the member.
func (c *copies) in(t *testing.T, args ...string) string {
	t.Helper()
	r := c.hanse(t, append([]string{"kubectl", "--kubeconfig", c.member("opal").AdminKubeconfig(), "-n", c.ns}, args...)...)
	if r.Code != 0 {
		t.Fatalf("kubectl %v: %s", args, r)
	}
	return r.Stdout
}

// right says whether all that the hub has is in the member as it is to be.
func (c *copies) right(ctx context.Context) error {
	list, err := c.at.dynamic.Resource(v1alpha1.Resource("placements")).Namespace(c.ns).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for i := range list.Items {
		if err := c.synced(ctx, c.ns, list.Items[i].GetName()); err != nil {
			return err
		}
	}
	return nil
}

// settled waits until the hub has seen what was done until now: a canary that it puts into the member and
// takes out again has passed all queues and watches. Then nothing may be held.
func (c *copies) settled(t *testing.T, held int) {
	t.Helper()
	canaries := c.at.CoreV1().ConfigMaps(c.ns)
	for _, want := range []bool{true, false} {
		if want {
			_, err := canaries.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "canary"}}, metav1.CreateOptions{})
			must(t, err)
		} else {
			must(t, canaries.Delete(t.Context(), "canary", metav1.DeleteOptions{}))
		}
		eventually(t, soon, func(ctx context.Context) error {
			_, err := c.opal.CoreV1().ConfigMaps(c.ns).Get(ctx, "canary", metav1.GetOptions{})
			if want || err != nil && !apierrors.IsNotFound(err) {
				return err
			}
			if err == nil {
				return fmt.Errorf("the canary is there still")
			}
			return nil
		})
	}
	r := c.hanse(t, "prune", "opal", "--dry-run", "-o", "name", "--kubeconfig", c.hub.Kubeconfig())
	if n := strings.Count(r.Stdout, "\n"); r.Code != 0 || n != held {
		t.Errorf("%d are held, want %d: %s", n, held, r)
	}
}

func (c *copies) endpoints(t *testing.T) {
	slices := func(ctx context.Context) ([]discoveryv1.EndpointSlice, error) {
		list, err := c.opal.DiscoveryV1().EndpointSlices(c.ns).List(ctx, metav1.ListOptions{LabelSelector: v1alpha1.LabelManaged + "=true"})
		return list.Items, err
	}
	eventually(t, soon, func(ctx context.Context) error {
		all, err := slices(ctx)
		if err == nil && (len(all) != 1 || len(all[0].Endpoints) != 1) {
			err = fmt.Errorf("EndpointSlices with the hub's label: %v", all)
		}
		return err
	})
	before, err := slices(t.Context())
	must(t, err)
	c.settled(t, 0)
	after, err := slices(t.Context())
	if err != nil || len(after) != 1 || after[0].UID != before[0].UID {
		t.Errorf("the EndpointSlice did not stay: %v, %v", after, err)
	}
	endpoints, err := c.opal.CoreV1().Endpoints(c.ns).Get(t.Context(), "web", metav1.GetOptions{}) //nolint:staticcheck // it is there, deprecated or not
	if err != nil || endpoints.Labels[v1alpha1.LabelManaged] != "true" {
		t.Errorf("Endpoints: %v, %v; want them with the hub's label", endpoints, err)
	}
}

// children has a controller in the member that makes children of a ConfigMap, with its labels and
// annotations, in its namespace and in another.
func (c *copies) children(t *testing.T) {
	ctx := t.Context()
	_, err := c.opal.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "elsewhere"}}, metav1.CreateOptions{})
	must(t, err)
	copyOf := func(name string) metav1.ObjectMeta {
		parent, err := c.opal.CoreV1().ConfigMaps(c.ns).Get(ctx, "parent", metav1.GetOptions{})
		must(t, err)
		return metav1.ObjectMeta{Name: name, Labels: parent.Labels, Annotations: parent.Annotations}
	}
	reconcile := func() {
		_, err := c.opal.CoreV1().ConfigMaps("elsewhere").Create(ctx, &corev1.ConfigMap{ObjectMeta: copyOf("parent")}, metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) {
			_, err = c.opal.CoreV1().ConfigMaps("elsewhere").Update(ctx, &corev1.ConfigMap{ObjectMeta: copyOf("parent"), Data: map[string]string{"more": "data"}}, metav1.UpdateOptions{})
		}
		must(t, err)
		_, err = c.opal.CoreV1().Secrets(c.ns).Create(ctx, &corev1.Secret{ObjectMeta: copyOf("child")}, metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) {
			_, err = c.opal.CoreV1().Secrets(c.ns).Update(ctx, &corev1.Secret{ObjectMeta: copyOf("child"), StringData: map[string]string{"more": "data"}}, metav1.UpdateOptions{})
		}
		must(t, err)
	}
	reconcile()
	c.settled(t, 0)
	if r := c.kubectl(t, "-n", c.ns, "label", "configmap", "parent", "tier=gold"); r.Code != 0 {
		t.Fatal(r)
	}
	eventually(t, soon, func(ctx context.Context) error {
		if parent, err := c.opal.CoreV1().ConfigMaps(c.ns).Get(ctx, "parent", metav1.GetOptions{}); err != nil || parent.Labels["tier"] != "gold" {
			return fmt.Errorf("the parent is %v, %w", parent.Labels, err)
		}
		return nil
	})
	reconcile()
	c.settled(t, 0)
	child, err := c.opal.CoreV1().Secrets(c.ns).Get(ctx, "child", metav1.GetOptions{})
	if err != nil || child.Annotations[v1alpha1.AnnotationOrigin] == "" || child.Labels[v1alpha1.LabelManaged] != "true" {
		t.Errorf("the child: %v, %v", child, err)
	}
	if _, err = c.opal.CoreV1().ConfigMaps("elsewhere").Get(ctx, "parent", metav1.GetOptions{}); err != nil {
		t.Error(err)
	}
}

func (c *copies) exports(t *testing.T) {
	for name, args := range map[string][]string{
		"plain":  {"apply"},
		"owners": {"create"},
		"ssa":    {"apply", "--server-side"},
	} {
		export := c.in(t, "get", "configmap", "parent", "-o", "yaml", "--show-managed-fields="+fmt.Sprint(name == "owners"))
		export = strings.ReplaceAll(export, "name: parent", "name: copy-"+name)
		export = lines(export, func(line string) bool {
			return strings.HasPrefix(line, "  resourceVersion:") || strings.HasPrefix(line, "  uid:") || strings.Contains(line, "last-applied")
		})
		file := t.TempDir() + "/copy.yaml"
		must(t, os.WriteFile(file, []byte(export), 0o600))
		c.in(t, append(args, "-f", file)...)
	}
	c.settled(t, 0)
	c.in(t, "get", "configmap", "copy-plain", "copy-owners", "copy-ssa")
}

// legacy gives an object the form of mark that names no object, as the hub wrote it before, and
// copies it in that form.
func (c *copies) legacy(t *testing.T) {
	ctx, maps := t.Context(), c.opal.CoreV1().ConfigMaps(c.ns)
	_, err := c.at.CoreV1().ConfigMaps(c.ns).Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "old"}}, metav1.CreateOptions{})
	must(t, err)
	eventually(t, soon, func(ctx context.Context) error { return c.synced(ctx, c.ns, "configmaps.old") })
	old, err := maps.Get(ctx, "old", metav1.GetOptions{})
	must(t, err)
	mark, _, named := strings.Cut(old.Annotations[v1alpha1.AnnotationOrigin], "/configmaps/")
	if !named {
		t.Fatalf("the mark %q does not name its object", old.Annotations[v1alpha1.AnnotationOrigin])
	}
	must(t, c.hub.Stop(ctx)) // the hub that wrote such marks is another version
	old, err = maps.Patch(ctx, "old", types.MergePatchType, fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, v1alpha1.AnnotationOrigin, mark), metav1.PatchOptions{FieldManager: v1alpha1.FieldManager})
	must(t, err)
	_, err = maps.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "old-copy", Labels: old.Labels, Annotations: old.Annotations}}, metav1.CreateOptions{})
	must(t, err)
	before := c.memberVersions(t, c.ns)
	must(t, c.hub.Start(ctx))
	eventually(t, soon, c.right)
	c.settled(t, 0)
	c.unwritten(t, c.ns, before)

	must(t, c.at.CoreV1().ConfigMaps(c.ns).Delete(ctx, "old", metav1.DeleteOptions{}))
	eventually(t, soon, func(ctx context.Context) error {
		if _, err := maps.Get(ctx, "old", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			return fmt.Errorf("the object with a mark of an earlier version is there still: %v", err)
		}
		return nil
	})
	c.settled(t, 0)
	if _, err := maps.Get(ctx, "old-copy", metav1.GetOptions{}); err != nil {
		t.Error(err)
	}
}

// restored brings objects back under their own names after they were deleted at the hub.
func (c *copies) restored(t *testing.T) {
	ctx, maps := t.Context(), c.opal.CoreV1().ConfigMaps(c.ns)
	backup := map[string]*corev1.ConfigMap{}
	for _, name := range []string{"bare", "with-owners"} {
		_, err := c.at.CoreV1().ConfigMaps(c.ns).Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
		must(t, err)
		eventually(t, soon, func(ctx context.Context) error { return c.synced(ctx, c.ns, "configmaps."+name) })
		cm, err := maps.Get(ctx, name, metav1.GetOptions{})
		must(t, err)
		backup[name] = cm
		must(t, c.at.CoreV1().ConfigMaps(c.ns).Delete(ctx, name, metav1.DeleteOptions{}))
		eventually(t, soon, func(ctx context.Context) error {
			if _, err := maps.Get(ctx, name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
				return fmt.Errorf("%s is there still: %v", name, err)
			}
			return nil
		})
	}
	for name, cm := range backup {
		owners := cm.ManagedFields
		cm.UID, cm.ResourceVersion, cm.ManagedFields = "", "", nil
		if name == "with-owners" { // as tools do that keep them: in the same request, or after it
			for i := range owners {
				owners[i].Time = &metav1.Time{Time: owners[i].Time.Add(-time.Hour)} // the backup is older than this test
			}
			cm.ManagedFields = owners
		}
		_, err := maps.Create(ctx, cm, metav1.CreateOptions{})
		must(t, err)
		if name == "with-owners" {
			patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"managedFields": owners}})
			must(t, err)
			live, err := maps.Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{})
			must(t, err)
			if len(live.ManagedFields) == 0 || live.ManagedFields[0].Manager != v1alpha1.FieldManager {
				t.Fatalf("the owners were not restored: %+v", live.ManagedFields)
			}
		}
	}
	c.settled(t, 2)
	c.in(t, "get", "configmap", "bare", "with-owners")

	// A template of the same name takes them over, and they go with it.
	for name := range backup {
		_, err := c.at.CoreV1().ConfigMaps(c.ns).Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
		must(t, err)
	}
	eventually(t, soon, c.right)
	for name := range backup {
		must(t, c.at.CoreV1().ConfigMaps(c.ns).Delete(ctx, name, metav1.DeleteOptions{}))
		eventually(t, soon, func(ctx context.Context) error {
			if _, err := maps.Get(ctx, name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
				return fmt.Errorf("%s is there still: %v", name, err)
			}
			return nil
		})
	}
	c.settled(t, 0)
}

// lines is s without those that drop selects.
func lines(s string, drop func(string) bool) string {
	var kept []string
	for line := range strings.Lines(s) {
		if !drop(line) {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}
