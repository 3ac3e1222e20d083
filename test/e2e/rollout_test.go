package e2e

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// rolling is a Deployment that a policy rolls out by cluster: cobalt, amber, basalt.
// The members have no controllers: what its pods do there is what the test says.
type rolling struct {
	*fed
	ns string
}

func newRolling(t *testing.T, ns string) rolling {
	f := chaos(t)
	f.lastingNamespace(t, ns)
	f.create(t, `
apiVersion: hanse.dev/v1alpha1
kind: PlacementPolicy
metadata: {name: carefully, namespace: `+ns+`}
spec:
  select: {kinds: [{apiVersion: apps/v1, kind: Deployment}]}
  rollout: {by: Cluster, order: [cobalt, amber, basalt]}`)
	eventually(t, soon, func(ctx context.Context) error {
		_, err := f.at.AppsV1().Deployments(ns).Create(ctx, deployment(metav1.ObjectMeta{Namespace: ns, Name: "web"}, 6), metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) {
			return nil
		}
		return err
	})
	r := rolling{fed: f, ns: ns}
	r.awaits(t, "nginx:1", "nginx:1", "nginx:1")
	for _, cluster := range []string{"amber", "basalt", "cobalt"} {
		r.report(t, cluster, "NewReplicaSetAvailable")
	}
	r.state(t, "Complete", "")
	return r
}

// awaits waits until the members have these images.
func (r rolling) awaits(t *testing.T, amber, basalt, cobalt string) {
	t.Helper()
	want := map[string]string{"amber": amber, "basalt": basalt, "cobalt": cobalt}
	eventually(t, soon, func(ctx context.Context) error {
		got := map[string]string{}
		for name, in := range r.in {
			d, err := in.AppsV1().Deployments(r.ns).Get(ctx, "web", metav1.GetOptions{})
			if err != nil {
				return err
			}
			got[name] = d.Spec.Template.Spec.Containers[0].Image
		}
		if !maps.Equal(got, want) {
			return fmt.Errorf("the members have %v, want %v", got, want)
		}
		return nil
	})
}

// report has a member say that its Deployment is done, or else why not.
func (r rolling) report(t *testing.T, cluster, reason string) {
	t.Helper()
	eventually(t, soon, func(ctx context.Context) error {
		d, err := r.in[cluster].AppsV1().Deployments(r.ns).Get(ctx, "web", metav1.GetOptions{})
		if err != nil {
			return err
		}
		n, status := *d.Spec.Replicas, "True"
		if reason != "NewReplicaSetAvailable" {
			n, status = 0, "False"
		}
		patch := fmt.Appendf(nil, `{"status":{"observedGeneration":%d,"replicas":%d,"updatedReplicas":%d,"readyReplicas":%d,"availableReplicas":%d,
			"conditions":[{"type":"Progressing","status":%q,"reason":%q,"message":"as the test says"}]}}`, d.Generation, n, n, n, n, status, reason)
		_, err = r.in[cluster].AppsV1().Deployments(r.ns).Patch(ctx, "web", types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
		return err
	})
}

// state waits until the Placement says that the rollout is in a state, and in a step.
func (r rolling) state(t *testing.T, state, step string) {
	t.Helper()
	eventually(t, soon, func(ctx context.Context) error {
		p, err := r.placement(ctx, r.ns, "deployments.apps.web")
		if err != nil {
			return err
		}
		if p.Rollout == nil || p.Rollout.State != state || p.Rollout.Step != step {
			return fmt.Errorf("the rollout is %+v, want it %s in step %q", p.Rollout, state, step)
		}
		return nil
	})
}

func (r rolling) image(t *testing.T, image string) {
	t.Helper()
	patch := fmt.Appendf(nil, `{"spec":{"template":{"spec":{"containers":[{"name":"c","image":%q}]}}}}`, image)
	eventually(t, soon, func(ctx context.Context) error {
		_, err := r.at.AppsV1().Deployments(r.ns).Patch(ctx, "web", types.StrategicMergePatchType, patch, metav1.PatchOptions{})
		return err
	})
}

// rollout runs hanse rollout VERB and wants it to end with this code and to say this.
func (r rolling) rollout(t *testing.T, code int, says, verb string, args ...string) {
	t.Helper()
	got := r.hanse(t, append([]string{"rollout", verb, "deployment/web", "-n", r.ns, "--kubeconfig", r.hub.Kubeconfig()}, args...)...)
	if got.Code != code || !strings.Contains(got.Stdout+got.Stderr, says) {
		t.Errorf("hanse rollout %s ends with %d, want %d and %q:\n%s%s", verb, got.Code, code, says, got.Stdout, got.Stderr)
	}
}

// TestRolloutGoesStepByStep is one long story, as steps follow on each other.
func TestRolloutGoesStepByStep(t *testing.T) {
	r := newRolling(t, "rollout")
	ctx := t.Context()

	r.image(t, "nginx:2")
	r.awaits(t, "nginx:1", "nginx:1", "nginx:2")
	r.state(t, "Progressing", "cobalt")
	// A cluster that waits for its turn is scaled all the same, and what is changed
	// there is put back to what it has to have, not to what comes next.
	patch := []byte(`{"spec":{"template":{"spec":{"containers":[{"name":"c","image":"nginx:meddled"}]}}}}`)
	_, err := r.in["basalt"].AppsV1().Deployments(r.ns).Patch(ctx, "web", types.StrategicMergePatchType, patch, metav1.PatchOptions{})
	must(t, err)
	r.scale(t, r.ns, "web", 9)
	r.divided(t, r.ns, "web", 9)
	r.awaits(t, "nginx:1", "nginx:1", "nginx:2")

	r.rollout(t, 0, "paused", "pause")
	r.report(t, "cobalt", "NewReplicaSetAvailable")
	r.state(t, "Paused", "cobalt")
	r.killHub(t)
	r.state(t, "Paused", "cobalt")
	r.awaits(t, "nginx:1", "nginx:1", "nginx:2")
	r.rollout(t, 0, "resumed", "resume")
	r.awaits(t, "nginx:2", "nginx:1", "nginx:2")
	r.state(t, "Progressing", "amber")
	r.killHub(t)

	r.report(t, "amber", "ProgressDeadlineExceeded")
	r.state(t, "Stopped", "amber")
	r.rollout(t, 1, "amber: as the test says", "status")
	r.awaits(t, "nginx:2", "nginx:1", "nginx:2")

	r.rollout(t, 0, "rolled back to revision 1 (nginx:1)", "undo")
	r.awaits(t, "nginx:2", "nginx:1", "nginx:1")
	r.report(t, "basalt", "NewReplicaSetAvailable") // scaled since it last said so
	r.report(t, "cobalt", "NewReplicaSetAvailable")
	r.awaits(t, "nginx:1", "nginx:1", "nginx:1")
	r.report(t, "amber", "NewReplicaSetAvailable")
	r.rollout(t, 0, "Complete", "status")
	r.rollout(t, 0, "3 (current)", "history")
	r.rollout(t, 1, "no revision 7", "undo", "--to-revision", "7")

	// Without the policy nothing holds a change, and nothing of the rollout is left.
	must(t, r.at.dynamic.Resource(v1alpha1.Resource("placementpolicies")).Namespace(r.ns).Delete(ctx, "carefully", metav1.DeleteOptions{}))
	r.image(t, "nginx:3")
	r.awaits(t, "nginx:3", "nginx:3", "nginx:3")
	eventually(t, soon, func(ctx context.Context) error {
		d, err := r.at.AppsV1().Deployments(r.ns).Get(ctx, "web", metav1.GetOptions{})
		if err == nil && d.Annotations["hanse.dev/rollout-state"] != "" {
			err = fmt.Errorf("annotations are left: %v", d.Annotations)
		}
		return err
	})
}

// TestRolloutOfOtherKinds lets a StatefulSet and a DaemonSet out region by region in
// members with controllers, and back by kubectl's own means.
func TestRolloutOfOtherKinds(t *testing.T) {
	f := shared(t)
	t.Parallel()
	ns := f.namespace(t, "rollout-kinds")
	f.create(t, `
apiVersion: hanse.dev/v1alpha1
kind: PlacementPolicy
metadata: {name: by-region, namespace: rollout-kinds}
spec:
  rollout: {by: Region}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: rollout-kinds}
spec:
  replicas: 4
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: c, image: "db:1"}]}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent, namespace: rollout-kinds}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec: {containers: [{name: c, image: "agent:1"}]}`)
	kubectl := func(args ...string) {
		t.Helper()
		got := f.hanse(t, append([]string{"kubectl", "--kubeconfig", f.hub.Kubeconfig(), "--context", "federation", "-n", ns}, args...)...)
		if got.Code != 0 {
			t.Fatalf("kubectl %v: %s", args, got)
		}
	}
	// complete waits until an object is done and its pods have an image everywhere.
	complete := func(object, app, image string) {
		t.Helper()
		got := f.hanse(t, "rollout", "status", object, "-n", ns, "--kubeconfig", f.hub.Kubeconfig(), "--timeout", "2m")
		if got.Code != 0 || !strings.Contains(got.Stdout, "Complete") {
			t.Fatalf("hanse rollout status %s: %s", object, got)
		}
		for cluster, in := range f.in {
			pods, err := in.CoreV1().Pods(ns).List(t.Context(), metav1.ListOptions{LabelSelector: "app=" + app})
			must(t, err)
			for i := range pods.Items {
				if p := &pods.Items[i]; p.DeletionTimestamp == nil && p.Spec.Containers[0].Image != image {
					t.Errorf("pod %s in %s has %s, want %s", p.Name, cluster, p.Spec.Containers[0].Image, image)
				}
			}
		}
	}
	complete("statefulset/db", "db", "db:1")
	complete("daemonset/agent", "agent", "agent:1")
	kubectl("set", "image", "statefulset/db", "c=db:2")
	kubectl("set", "image", "daemonset/agent", "c=agent:2")
	complete("statefulset/db", "db", "db:2")
	complete("daemonset/agent", "agent", "agent:2")
	kubectl("rollout", "undo", "statefulset/db")
	complete("statefulset/db", "db", "db:1")
	kubectl("rollout", "restart", "daemonset/agent")
	kubectl("rollout", "status", "daemonset/agent", "--timeout", "2m")

	// What was kept of a workload goes with it.
	kubectl("delete", "statefulset", "db")
	eventually(t, soon, func(ctx context.Context) error {
		kept, err := f.at.AppsV1().ControllerRevisions(ns).List(ctx, metav1.ListOptions{LabelSelector: "app=db"})
		if err == nil && len(kept.Items) > 0 {
			err = fmt.Errorf("%d revisions are left", len(kept.Items))
		}
		return err
	})
}
