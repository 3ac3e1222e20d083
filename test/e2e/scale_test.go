package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// total says how the total of a Deployment at the hub differs from want.
func (f *fed) total(ctx context.Context, ns, name string, want int32) error {
	d, err := f.at.AppsV1().Deployments(ns).Get(ctx, name, metav1.GetOptions{})
	if err == nil && *d.Spec.Replicas != want {
		err = fmt.Errorf("the total of %s is %d, want %d", name, *d.Spec.Replicas, want)
	}
	return err
}

// scaleThere scales in a member, as a person with its kubeconfig does.
func (f *fed) scaleThere(t *testing.T, member, ns, name string, replicas int32) {
	t.Helper()
	f.scaleAs(t, "kubectl", member, ns, name, replicas)
}

func (f *fed) scaleAs(t *testing.T, manager, member, ns, name string, replicas int32) {
	t.Helper()
	patch := fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas)
	eventually(t, soon, func(ctx context.Context) error {
		_, err := f.in[member].AppsV1().Deployments(ns).Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: manager}, "scale")
		return err
	})
}

func (f *fed) annotate(t *testing.T, ns, name, patch string) {
	t.Helper()
	_, err := f.at.AppsV1().Deployments(ns).Patch(t.Context(), name, types.MergePatchType, fmt.Appendf(nil, `{"metadata":{"annotations":%s}}`, patch), metav1.PatchOptions{})
	must(t, err)
}

func (f *fed) have(t *testing.T, ns, name string, total int32, want map[string]int32) {
	t.Helper()
	eventually(t, soon, func(ctx context.Context) error {
		if err := f.sharesAre(ctx, ns, name, want); err != nil {
			return err
		}
		return f.total(ctx, ns, name, total)
	})
}

// TestScale sets counts and limits by command, and scales by kubectl afterwards.
func TestScale(t *testing.T) {
	f := shared(t)
	t.Parallel()
	ns := f.namespace(t, "scale")
	_, err := f.at.AppsV1().Deployments(ns).Create(t.Context(), deployment(metav1.ObjectMeta{Namespace: ns, Name: "d"}, 4), metav1.CreateOptions{})
	must(t, err)
	f.have(t, ns, "d", 4, map[string]int32{"aws": 2, "azure": 2})
	run := func(args ...string) string {
		t.Helper()
		r := f.hanse(t, append([]string{"scale", "deploy/d", "-n", ns, "--kubeconfig", f.hub.Kubeconfig()}, args...)...)
		if r.Code != 0 {
			t.Fatalf("hanse scale %v: %s", args, r)
		}
		return r.Stdout
	}
	if out := run("aws=5", "--dry-run"); !strings.Contains(out, "7 replicas (dry run)") {
		t.Errorf("the dry run says %s", out)
	}
	run("aws=5", "--dry-run=server")
	must(t, f.total(t.Context(), ns, "d", 4))
	run("aws=3", "azure=1")
	f.have(t, ns, "d", 4, map[string]int32{"aws": 3, "azure": 1})
	run("azure=4")
	f.have(t, ns, "d", 7, map[string]int32{"aws": 3, "azure": 4})
	run("--max", "azure=2")
	f.have(t, ns, "d", 7, map[string]int32{"aws": 5, "azure": 2})
	f.scale(t, ns, "d", 9) // the maximum holds for kubectl scale too
	f.have(t, ns, "d", 9, map[string]int32{"aws": 7, "azure": 2})
	if r := f.hanse(t, "scale", "deploy/d", "azure=3", "-n", ns, "--kubeconfig", f.hub.Kubeconfig()); r.Code == 0 || !strings.Contains(r.Stderr, "Try: --max azure=3") {
		t.Errorf("a count above the maximum: %s", r)
	}
	run("--even", "--replicas=6")
	f.have(t, ns, "d", 6, map[string]int32{"aws": 3, "azure": 3})

	// Scaling in a member is put back, and the event names the command.
	f.scaleThere(t, "azure", ns, "d", 9)
	for _, where := range []*clients{f.at, f.in["azure"]} {
		eventually(t, soon, func(ctx context.Context) error {
			return where.says(ctx, ns, "d", "Try: hanse scale deployment/d azure=9 -n "+ns)
		})
	}
	f.have(t, ns, "d", 6, map[string]int32{"aws": 3, "azure": 3})
}

// says looks for an event about an object that contains text.
func (c *clients) says(ctx context.Context, ns, name, text string) error {
	events, err := c.CoreV1().Events(ns).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for _, e := range events.Items {
		if e.InvolvedObject.Name == name && strings.Contains(e.Message, text) {
			return nil
		}
	}
	return fmt.Errorf("%s has no event about %s that says %q", c.name, name, text)
}

// TestTotalFollowsMembers keeps what members set themselves, over kills of the hub,
// and lets kubectl scale at the hub divide the difference.
func TestTotalFollowsMembers(t *testing.T) {
	f := chaos(t)
	ns := f.lastingNamespace(t, "following")
	d := deployment(metav1.ObjectMeta{Namespace: ns, Name: "d", Annotations: map[string]string{v1alpha1.AnnotationReplicas: v1alpha1.ReplicasMember}}, 6)
	_, err := f.at.AppsV1().Deployments(ns).Create(t.Context(), d, metav1.CreateOptions{})
	must(t, err)
	f.have(t, ns, "d", 6, map[string]int32{"amber": 2, "basalt": 2, "cobalt": 2})
	f.scaleThere(t, "amber", ns, "d", 5)
	f.have(t, ns, "d", 9, map[string]int32{"amber": 5, "basalt": 2, "cobalt": 2})
	f.scale(t, ns, "d", 11)
	f.have(t, ns, "d", 11, map[string]int32{"amber": 5, "basalt": 3, "cobalt": 3})

	// While the hub is not there, one member scales up and another down.
	must(t, f.hub.Kill(t.Context()))
	f.scaleThere(t, "basalt", ns, "d", 7)
	f.scaleThere(t, "amber", ns, "d", 1)
	must(t, f.hub.Start(t.Context()))
	f.have(t, ns, "d", 11, map[string]int32{"amber": 1, "basalt": 7, "cobalt": 3})
	eventually(t, soon, func(ctx context.Context) error { // the total is what it was, so that does not show that the hub has followed
		d, err := f.at.AppsV1().Deployments(ns).Get(ctx, "d", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if got, want := d.Annotations[v1alpha1.AnnotationDivision], `{"amber":1,"basalt":7,"cobalt":3}`; got != want {
			return fmt.Errorf("recorded is %s, want %s", got, want)
		}
		return nil
	})

	// The hub decides, and is killed at once: what the members had is not taken
	// for a new number.
	f.scale(t, ns, "d", 8)
	f.killHub(t)
	f.have(t, ns, "d", 8, map[string]int32{"amber": 1, "basalt": 4, "cobalt": 3})

	// Without the annotation it is as ever, and nothing has moved.
	f.annotate(t, ns, "d", `{"hanse.dev/replicas":null}`)
	f.scaleThere(t, "cobalt", ns, "d", 6)
	eventually(t, soon, func(ctx context.Context) error { return f.at.hasEvent(ctx, ns, "DriftCorrected", "Deployment", "d") })
	f.have(t, ns, "d", 8, map[string]int32{"amber": 1, "basalt": 4, "cobalt": 3})
}
