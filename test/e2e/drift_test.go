package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// putRight is how soon drift has to be put right: 2 s on an idle machine, and
// this one runs the other tests too.
const putRight = 5 * time.Second

// drifting is a namespace with a ConfigMap and a Deployment that are in the
// members.
func drifting(t *testing.T, f *fed, ns string) {
	t.Helper()
	f.namespace(t, ns)
	ctx := t.Context()
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "cm", Labels: map[string]string{"team": "blue"}}, Data: map[string]string{"key": "value"}}
	if _, err := f.at.CoreV1().ConfigMaps(ns).Create(ctx, cm, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.at.AppsV1().Deployments(ns).Create(ctx, deployment(metav1.ObjectMeta{Namespace: ns, Name: "d"}, 2), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, soon, func(ctx context.Context) error { return f.converged(ctx, ns) })
}

// marked makes a change at the hub and waits until it is in the member: what
// the hub would have done before that, it has done.
func (f *fed) marked(t *testing.T, ns, value string) {
	t.Helper()
	patch := fmt.Appendf(nil, `{"metadata":{"labels":{"e2e.example.com/mark":%q}}}`, value)
	if _, err := f.at.AppsV1().Deployments(ns).Patch(t.Context(), "d", types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, soon, func(ctx context.Context) error {
		d, err := f.in["aws"].AppsV1().Deployments(ns).Get(ctx, "d", metav1.GetOptions{})
		if err == nil && d.Labels["e2e.example.com/mark"] != value {
			err = errors.New("the mark has not arrived")
		}
		return err
	})
}

func TestDriftIsPutRight(t *testing.T) {
	f := shared(t)
	t.Parallel()
	const ns = "drift"
	drifting(t, f, ns)
	aws := f.in["aws"]
	for _, c := range []struct {
		name, kind, object string
		drift              func(ctx context.Context) error
		right              func(ctx context.Context) error
	}{
		{"spec", "Deployment", "d", func(ctx context.Context) error {
			return aws.patchDeployment(ctx, ns, `{"spec":{"template":{"spec":{"containers":[{"name":"c","image":"evil:1"}]}}}}`)
		}, func(ctx context.Context) error {
			return aws.image(ctx, ns, "nginx:1")
		}},
		{"replicas", "Deployment", "d", func(ctx context.Context) error {
			return aws.patchDeployment(ctx, ns, `{"spec":{"replicas":9}}`)
		}, func(ctx context.Context) error {
			d, err := aws.AppsV1().Deployments(ns).Get(ctx, "d", metav1.GetOptions{})
			if err == nil && *d.Spec.Replicas != 1 {
				err = fmt.Errorf("%d replicas, want 1", *d.Spec.Replicas)
			}
			return err
		}},
		{"data", "ConfigMap", "cm", func(ctx context.Context) error {
			return aws.patchConfigMap(ctx, ns, `{"data":{"key":"other"}}`)
		}, func(ctx context.Context) error { return aws.rightConfigMap(ctx, ns) }},
		{"a label of the user's", "ConfigMap", "cm", func(ctx context.Context) error {
			return aws.patchConfigMap(ctx, ns, `{"metadata":{"labels":{"team":null}}}`)
		}, func(ctx context.Context) error { return aws.rightConfigMap(ctx, ns) }},
		{"the hub's own label", "", "", func(ctx context.Context) error {
			return aws.patchConfigMap(ctx, ns, `{"metadata":{"labels":{"hanse.dev/managed":null}}}`)
		}, func(ctx context.Context) error { return aws.rightConfigMap(ctx, ns) }},
		{"deletion", "ConfigMap", "cm", func(ctx context.Context) error {
			return aws.CoreV1().ConfigMaps(ns).Delete(ctx, "cm", metav1.DeleteOptions{})
		}, func(ctx context.Context) error { return aws.rightConfigMap(ctx, ns) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			began := metav1.Now()
			if err := c.drift(t.Context()); err != nil {
				t.Fatal(err)
			}
			eventually(t, putRight, c.right)
			t.Logf("put right after %s", time.Since(began.Time).Round(time.Millisecond))
			if c.kind == "" {
				return
			}
			for _, where := range []*clients{f.at, aws} {
				eventually(t, soon, func(ctx context.Context) error { return where.hasEvent(ctx, ns, "DriftCorrected", c.kind, c.object) })
			}
		})
	}
}

func (c *clients) patchDeployment(ctx context.Context, ns, patch string) error {
	_, err := c.AppsV1().Deployments(ns).Patch(ctx, "d", types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{})
	return err
}

func (c *clients) patchConfigMap(ctx context.Context, ns, patch string) error {
	_, err := c.CoreV1().ConfigMaps(ns).Patch(ctx, "cm", types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	return err
}

func (c *clients) image(ctx context.Context, ns, want string) error {
	d, err := c.AppsV1().Deployments(ns).Get(ctx, "d", metav1.GetOptions{})
	if err == nil && d.Spec.Template.Spec.Containers[0].Image != want {
		err = fmt.Errorf("the image is %s, want %s", d.Spec.Template.Spec.Containers[0].Image, want)
	}
	return err
}

func (c *clients) rightConfigMap(ctx context.Context, ns string) error {
	cm, err := c.CoreV1().ConfigMaps(ns).Get(ctx, "cm", metav1.GetOptions{})
	if err == nil && (cm.Data["key"] != "value" || cm.Labels["team"] != "blue" || cm.Labels[v1alpha1.LabelManaged] != "true" || cm.DeletionTimestamp != nil) {
		err = fmt.Errorf("it has data %v and labels %v", cm.Data, cm.Labels)
	}
	return err
}

func (c *clients) hasEvent(ctx context.Context, ns, reason, kind, name string) error {
	events, err := c.CoreV1().Events(ns).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(events.Items, func(e corev1.Event) bool {
		return e.Reason == reason && e.InvolvedObject.Kind == kind && e.InvolvedObject.Name == name
	}) {
		return fmt.Errorf("%s has no event %s about %s %s/%s among its %d", c.name, reason, kind, ns, name, len(events.Items))
	}
	return nil
}

// TestMembersKeepWhatIsTheirs changes, in a member, what the hub does not own,
// and then something else at the hub.
func TestMembersKeepWhatIsTheirs(t *testing.T) {
	f := shared(t)
	t.Parallel()
	const ns = "theirs"
	drifting(t, f, ns)
	aws, ctx := f.in["aws"], t.Context()

	err := aws.patchDeployment(ctx, ns, `{"metadata":{"annotations":{"member.example.com/note":"mine"},"finalizers":["member.example.com/hold"]}}`)
	if err != nil {
		t.Fatal(err)
	}
	f.create(t, `
apiVersion: v1
kind: Service
metadata: {name: np, namespace: theirs}
spec: {type: NodePort, selector: {app: d}, ports: [{name: http, port: 80}]}`)
	var before *corev1.Service
	eventually(t, soon, func(ctx context.Context) (err error) {
		before, err = aws.CoreV1().Services(ns).Get(ctx, "np", metav1.GetOptions{})
		return err
	})
	if _, err := f.at.CoreV1().Services(ns).Patch(ctx, "np", types.MergePatchType, []byte(`{"spec":{"sessionAffinity":"ClientIP"}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, soon, func(ctx context.Context) error {
		after, err := aws.CoreV1().Services(ns).Get(ctx, "np", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if after.Spec.ClusterIP != before.Spec.ClusterIP || after.Spec.Ports[0].NodePort != before.Spec.Ports[0].NodePort {
			t.Fatalf("the Service had %s and %d, and has %s and %d", before.Spec.ClusterIP, before.Spec.Ports[0].NodePort, after.Spec.ClusterIP, after.Spec.Ports[0].NodePort)
		}
		if after.Spec.SessionAffinity != corev1.ServiceAffinityClientIP {
			return errors.New("the change at the hub has not arrived")
		}
		return nil
	})

	f.marked(t, ns, "one")
	d, err := aws.AppsV1().Deployments(ns).Get(ctx, "d", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if d.Annotations["member.example.com/note"] != "mine" || !slices.Contains(d.Finalizers, "member.example.com/hold") {
		t.Errorf("the member's annotation or finalizer is gone: %v, %v", d.Annotations, d.Finalizers)
	}

	// With the finalizer, the object is being deleted until the member lets go.
	if err := f.at.AppsV1().Deployments(ns).Delete(ctx, "d", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, soon, func(ctx context.Context) error {
		d, err := aws.AppsV1().Deployments(ns).Get(ctx, "d", metav1.GetOptions{})
		if err == nil && d.DeletionTimestamp == nil {
			err = errors.New("it is not being deleted")
		}
		return err
	})
	if err := aws.patchDeployment(ctx, ns, `{"metadata":{"$deleteFromPrimitiveList/finalizers":["member.example.com/hold"]}}`); err != nil {
		t.Fatal(err)
	}
	eventually(t, soon, func(ctx context.Context) error {
		_, err := aws.AppsV1().Deployments(ns).Get(ctx, "d", metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("it is still there (%v)", err)
	})
}

// TestAutoscalerInMemberOwnsReplicas has an HPA in a member only.
func TestAutoscalerInMemberOwnsReplicas(t *testing.T) {
	f := shared(t)
	t.Parallel()
	const ns = "autoscaled"
	drifting(t, f, ns)
	aws := f.in["aws"]
	for _, o := range parseObjects(t, []byte(`
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: hpa, namespace: autoscaled}
spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: d}, minReplicas: 4, maxReplicas: 8}`)) {
		m, err := f.resource(o.GroupVersionKind())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := aws.dynamic.Resource(m.Resource).Namespace(ns).Create(t.Context(), o, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	replicas := func(ctx context.Context) error {
		d, err := aws.AppsV1().Deployments(ns).Get(ctx, "d", metav1.GetOptions{})
		if err == nil && *d.Spec.Replicas != 4 {
			err = fmt.Errorf("%d replicas, want the autoscaler's 4", *d.Spec.Replicas)
		}
		return err
	}
	eventually(t, soon, replicas) // the member's own controller does that, every 15 s
	f.scale(t, ns, "d", 6)
	f.marked(t, ns, "scaled")
	if err := replicas(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestInjectedSidecarStays has a mutating policy in a member that adds a
// container to every Deployment of a namespace.
func TestInjectedSidecarStays(t *testing.T) {
	f := shared(t)
	t.Parallel()
	const ns = "injected"
	aws, ctx := f.in["aws"], t.Context()
	for _, o := range parseObjects(t, []byte(`
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: inject-sidecar}
spec:
  reinvocationPolicy: Never
  matchConstraints:
    namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: injected}}
    resourceRules: [{apiGroups: [apps], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [deployments]}]
  mutations:
  - patchType: ApplyConfiguration
    applyConfiguration:
      expression: >-
        Object{spec: Object.spec{template: Object.spec.template{spec: Object.spec.template.spec{
        containers: [Object.spec.template.spec.containers{name: "sidecar", image: "sidecar:1"}]}}}}
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {name: inject-sidecar}
spec: {policyName: inject-sidecar}`)) {
		m, err := f.resource(o.GroupVersionKind())
		if err != nil {
			t.Fatal(err) // this version of Kubernetes serves them
		}
		policies := aws.dynamic.Resource(m.Resource)
		if _, err := policies.Create(ctx, o, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = policies.Delete(context.Background(), o.GetName(), metav1.DeleteOptions{}) })
	}
	f.namespace(t, ns)
	// Policies take effect a moment after they are made.
	eventually(t, soon, func(ctx context.Context) error {
		d, err := aws.AppsV1().Deployments(ns).Create(ctx, deployment(metav1.ObjectMeta{Name: "probe"}, 0), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err == nil && len(d.Spec.Template.Spec.Containers) != 2 {
			err = errors.New("nothing is injected yet")
		}
		return err
	})
	if _, err := f.at.AppsV1().Deployments(ns).Create(ctx, deployment(metav1.ObjectMeta{Name: "d"}, 2), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, soon, func(ctx context.Context) error {
		return f.synced(ctx, ns, "deployments.apps.d")
	})
	containers := func(image string) error {
		d, err := aws.AppsV1().Deployments(ns).Get(ctx, "d", metav1.GetOptions{})
		if err != nil {
			return err
		}
		found := map[string]string{}
		for _, c := range d.Spec.Template.Spec.Containers {
			found[c.Name] = c.Image
		}
		return same("the containers", found, map[string]string{"c": image, "sidecar": "sidecar:1"})
	}
	if err := containers("nginx:1"); err != nil {
		t.Error(err)
	}
	if err := f.at.patchDeployment(ctx, ns, `{"spec":{"template":{"spec":{"containers":[{"name":"c","image":"nginx:2"}]}}}}`); err != nil {
		t.Fatal(err)
	}
	eventually(t, soon, func(ctx context.Context) error { return aws.image(ctx, ns, "nginx:2") })
	f.marked(t, ns, "two")
	if err := containers("nginx:2"); err != nil {
		t.Error(err)
	}
	d, err := aws.AppsV1().Deployments(ns).Get(ctx, "d", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	// Made, a new image, a mark: each mark and image is a write, and only the
	// image a new generation. More would be a fight with the policy.
	if d.Generation > 2 {
		t.Errorf("its spec was written %d times, want 2", d.Generation)
	}
}

// synced says whether an object's Placement is in sync everywhere.
func (f *fed) synced(ctx context.Context, ns, placement string) error {
	p, err := f.placement(ctx, ns, placement)
	if err != nil {
		return err
	}
	if p.Summary.Synced != metav1.ConditionTrue {
		return fmt.Errorf("placement %s is %+v, %+v", placement, p.Summary, p.Clusters)
	}
	return nil
}

// TestFightIsNotFoughtAtFullSpeed has a controller in a member that insists on
// another value: it sets it again as soon as it was put right.
func TestFightIsNotFoughtAtFullSpeed(t *testing.T) {
	f := shared(t)
	t.Parallel()
	const ns = "fight"
	drifting(t, f, ns)
	aws := f.in["aws"]
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
	defer cancel()
	watcher, err := aws.CoreV1().ConfigMaps(ns).Watch(ctx, metav1.ListOptions{FieldSelector: "metadata.name=cm"})
	if err != nil {
		t.Fatal(err)
	}
	defer watcher.Stop()
	corrections := -1 // the first that is seen is none
	for event := range watcher.ResultChan() {
		if cm, ok := event.Object.(*corev1.ConfigMap); ok && cm.Data["key"] == "value" {
			corrections++
			if err := aws.patchConfigMap(ctx, ns, `{"data":{"key":"mine"}}`); err != nil && ctx.Err() == nil {
				t.Fatal(err)
			}
		}
	}
	// Five at once, then after 1, 2, 4 s.
	if corrections < 4 || corrections > 12 {
		t.Errorf("the hub put it right %d times in 8 s, want a few at once and then ever fewer", corrections)
	}
}
