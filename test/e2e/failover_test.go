package e2e

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/test/federation"
)

// failing is a federation whose members get lost, with three deployments of 6
// replicas each in the namespace shop.
type failing struct {
	*fed
	ns string
}

func TestFailover(t *testing.T) {
	f := use(t, func() (*fed, error) {
		return startWith(suite.home, "failover", []string{"--failover-after=5s"},
			federation.MemberSpec{Name: "fjord", Nodes: 1}, federation.MemberSpec{Name: "glade", Nodes: 1}, federation.MemberSpec{Name: "heath", Nodes: 1})
	})
	t.Cleanup(f.end)
	l := &failing{fed: f, ns: f.namespace(t, "failover")}
	for _, name := range []string{"cart", "db", "web"} {
		l.create(t, name)
	}
	for _, step := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"cordoned", l.cordoned}, {"tainted", l.tainted}, {"drained", l.drained},
		{"lost", l.lost}, {"cut off", l.cutOff},
	} {
		if !t.Run(step.name, step.run) {
			return // what follows needs it as it was left
		}
	}
}

func (l *failing) create(t *testing.T, name string) {
	t.Helper()
	_, err := l.at.AppsV1().Deployments(l.ns).Create(t.Context(), deployment(metav1.ObjectMeta{Namespace: l.ns, Name: name}, 6), metav1.CreateOptions{})
	must(t, err)
	l.divided(t, l.ns, name, 6)
	l.ready(t, name, 6)
}

// ready waits until so many replicas are ready in all.
func (l *failing) ready(t *testing.T, name string, want int32) {
	t.Helper()
	eventually(t, soon, func(ctx context.Context) error {
		if n, err := l.countReady(ctx, name, ""); err != nil || n != want {
			return fmt.Errorf("%d replicas of %s are ready, want %d: %w", n, name, want, err)
		}
		return nil
	})
}

// countReady is how many replicas are ready in all members that run. The one that is
// being left is asked first: what is made for it elsewhere meanwhile counts, too, so
// that the sum is never too small.
func (l *failing) countReady(ctx context.Context, name, leaving string) (n int32, err error) {
	for _, first := range []bool{true, false} {
		for _, m := range l.members {
			if (m.Name == leaving) != first || m.PID() == 0 {
				continue
			}
			d, err := l.in[m.Name].AppsV1().Deployments(l.ns).Get(ctx, name, metav1.GetOptions{})
			if err != nil {
				return 0, err
			}
			n += min(d.Status.ReadyReplicas, *d.Spec.Replicas)
		}
	}
	return n, nil
}

// has waits until a member is to run so many replicas of a deployment, and all others
// together the rest of total.
func (l *failing) has(t *testing.T, name, member string, want, total int32) {
	t.Helper()
	eventually(t, soon, func(ctx context.Context) error {
		shares, err := l.shares(ctx, l.ns, name)
		if err != nil {
			return err
		}
		var sum int32
		for _, n := range shares {
			sum += n
		}
		if shares[member] != want || sum != total {
			return fmt.Errorf("%s: %v, want %d in %s and %d in all", name, shares, want, member, total)
		}
		return nil
	})
}

func (l *failing) spec(t *testing.T, cluster, patch string) {
	t.Helper()
	_, err := l.at.dynamic.Resource(v1alpha1.Resource("clusters")).Patch(t.Context(), cluster, types.MergePatchType, []byte(`{"spec":`+patch+`}`), metav1.PatchOptions{})
	must(t, err)
}

func (l *failing) cordoned(t *testing.T) {
	l.command(t, "cluster/heath cordoned\n", "cordon", "heath")
	l.command(t, "cluster/heath already cordoned\n", "cordon", "heath")
	l.scale(t, l.ns, "web", 9)
	l.has(t, "web", "heath", 2, 9)
	l.command(t, "cluster/heath uncordoned\n", "uncordon", "heath")
	l.scale(t, l.ns, "web", 6)
	l.divided(t, l.ns, "web", 6)
}

// command runs hanse against the hub and compares what it prints.
func (l *failing) command(t *testing.T, want string, args ...string) federation.Result {
	t.Helper()
	result := l.hanse(t, append(args, "--kubeconfig", l.hub.Kubeconfig())...)
	if result.Code != 0 || result.Stdout != want {
		t.Fatalf("hanse %v: %s", args, result)
	}
	return result
}

func (l *failing) tainted(t *testing.T) {
	l.spec(t, "heath", `{"taints":[{"key":"maintenance","effect":"NoExecute"}]}`)
	l.has(t, "web", "heath", 0, 6)
	l.ready(t, "web", 6)
	l.spec(t, "heath", `{"taints":null}`)
}

func (l *failing) drained(t *testing.T) {
	for _, name := range []string{"cart", "db"} {
		none := metav1.LabelSelector{MatchLabels: map[string]string{"app": name}}
		_, err := l.at.PolicyV1().PodDisruptionBudgets(l.ns).Create(t.Context(), &policyv1.PodDisruptionBudget{
			ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: policyv1.PodDisruptionBudgetSpec{Selector: &none},
		}, metav1.CreateOptions{})
		must(t, err)
		l.spread(t, name)
	}
	ctx, stop := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	watching.Go(func() {
		for ctx.Err() == nil { // a request takes as long as it takes: that is pause enough
			if n, err := l.countReady(ctx, "db", "glade"); err == nil && n < 6 {
				t.Errorf("%d replicas of db were ready while it was moved, want 6", n)
				return
			}
		}
	})
	result := l.command(t, "cluster/glade drained\n", "drain", "glade", "--timeout=2m")
	stop()
	watching.Wait()
	for _, name := range []string{"cart", "db", "web"} {
		l.has(t, name, "glade", 0, 6)
		if name != "web" && !strings.Contains(result.Stderr, "deployment failover/"+name+" moved: ") {
			t.Errorf("it is not said that %s has moved: %s", name, result.Stderr)
		}
	}
	must(t, l.condition(t.Context(), "glade", v1alpha1.ConditionDrained, metav1.ConditionTrue))
	l.command(t, "cluster/glade uncordoned\n", "uncordon", "glade")
	for _, name := range []string{"cart", "db", "web"} {
		l.spread(t, name)
	}
}

// spread divides a deployment evenly again.
func (l *failing) spread(t *testing.T, name string) {
	t.Helper()
	result := l.hanse(t, "scale", "deploy/"+name, "fjord=2", "glade=2", "heath=2", "-n", l.ns, "--kubeconfig", l.hub.Kubeconfig())
	if result.Code != 0 {
		t.Fatal(result)
	}
	l.divided(t, l.ns, name, 6)
	l.ready(t, name, 6)
}

// lost kills a member. One deployment has a policy that is more patient than the hub.
func (l *failing) lost(t *testing.T) {
	patient := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": v1alpha1.GroupVersion().String(), "kind": "PlacementPolicy", "metadata": map[string]any{"name": "patient", "namespace": l.ns},
		"spec": map[string]any{"select": map[string]any{"names": []any{"db"}}, "failover": map[string]any{"after": "1h"}},
	}}
	_, err := l.at.dynamic.Resource(v1alpha1.Resource("placementpolicies")).Namespace(l.ns).Create(t.Context(), patient, metav1.CreateOptions{})
	must(t, err)
	ctx := t.Context()
	fjord := l.member("fjord")
	t.Cleanup(func() {
		if fjord.PID() == 0 {
			_ = fjord.Start(context.Background())
		}
	})
	must(t, fjord.Kill(ctx))
	began := time.Now()
	eventually(t, soon, func(ctx context.Context) error { return l.madeUpFor(ctx, "web") })
	t.Logf("failed over after %s", time.Since(began).Round(10*time.Millisecond))
	eventually(t, soon, func(ctx context.Context) error { return l.madeUpFor(ctx, "cart") })
	eventually(t, soon, func(ctx context.Context) error {
		return l.condition(ctx, "fjord", v1alpha1.ConditionFailedOver, metav1.ConditionTrue)
	})
	if err := l.madeUpFor(ctx, "db"); err == nil {
		t.Error("db has been moved, although its policy waits for an hour")
	}
	l.told(t)
	division := l.division(t, "web")
	l.ready(t, "web", 6)

	// A hub that starts while it is away knows what it has decided.
	l.killHub(t)
	must(t, fjord.Start(ctx))
	l.clusterIs(t, "fjord", v1alpha1.ReasonReachable)
	l.has(t, "web", "fjord", 0, 6)
	l.has(t, "db", "fjord", 2, 6)
	l.ready(t, "web", 6)
	if after := l.division(t, "web"); after != division {
		t.Errorf("web was divided as %s, and is as %s now that the cluster is back", division, after)
	}
	eventually(t, soon, func(ctx context.Context) error {
		c, err := l.cluster(ctx, "fjord")
		if err == nil && meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionFailedOver) != nil {
			err = fmt.Errorf("fjord is back, and still has the condition FailedOver")
		}
		return err
	})
}

// told looks at what the hub says of workloads while fjord is lost: of what was made up
// for it is as if there were no fjord, also when it is changed; of what waits, that.
func (l *failing) told(t *testing.T) {
	t.Helper()
	counts := func(n int32) func(context.Context) error {
		return func(ctx context.Context) error {
			d, err := l.at.AppsV1().Deployments(l.ns).Get(ctx, "web", metav1.GetOptions{})
			if s := d.Status; err == nil && (s.ObservedGeneration != d.Generation || s.Replicas != n || s.UpdatedReplicas != n || s.ReadyReplicas != n || s.AvailableReplicas != n) {
				err = fmt.Errorf("generation %d of web is said to be %+v, want %d of all", d.Generation, s, n)
			}
			return err
		}
	}
	eventually(t, soon, counts(6))
	l.scale(t, l.ns, "web", 8)
	eventually(t, soon, counts(8))
	l.scale(t, l.ns, "web", 6)
	eventually(t, soon, counts(6))
	eventually(t, soon, func(ctx context.Context) error {
		d, err := l.at.AppsV1().Deployments(l.ns).Get(ctx, "db", metav1.GetOptions{})
		if err != nil {
			return err
		}
		for _, c := range d.Status.Conditions {
			if c.Type == v1alpha1.ConditionReached && c.Status == corev1.ConditionUnknown && strings.Contains(c.Message, "fjord is out of reach: 2 replicas") {
				return nil
			}
		}
		return fmt.Errorf("db says nothing of fjord: %+v", d.Status.Conditions)
	})
	eventually(t, soon, func(ctx context.Context) error {
		events, err := l.at.CoreV1().Events(l.ns).List(ctx, metav1.ListOptions{FieldSelector: "involvedObject.name=web,reason=" + v1alpha1.ReasonFailedOver})
		if err == nil && (len(events.Items) == 0 || !strings.Contains(events.Items[0].Message, "fjord is lost: 2 of 2 replicas failed over")) {
			err = fmt.Errorf("no event says that web has failed over: %v", events.Items)
		}
		return err
	})
}

// madeUpFor says whether the members but fjord are to run all replicas.
func (l *failing) madeUpFor(ctx context.Context, name string) error {
	var sum int32
	for _, m := range l.members {
		if m.Name == "fjord" {
			continue
		}
		d, err := l.in[m.Name].AppsV1().Deployments(l.ns).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		sum += *d.Spec.Replicas
	}
	if sum != 6 {
		return fmt.Errorf("%d of 6 replicas of %s are asked for elsewhere", sum, name)
	}
	return nil
}

func (l *failing) division(t *testing.T, name string) string {
	t.Helper()
	d, err := l.at.AppsV1().Deployments(l.ns).Get(t.Context(), name, metav1.GetOptions{})
	must(t, err)
	return d.Annotations[v1alpha1.AnnotationDivision]
}

// cutOff kills two of the three at once.
func (l *failing) cutOff(t *testing.T) {
	l.spread(t, "web")
	division := l.division(t, "web")
	ctx := t.Context()
	var killing sync.WaitGroup
	for _, name := range []string{"fjord", "glade"} {
		killing.Go(func() {
			if err := l.member(name).Kill(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	killing.Wait()
	for _, name := range []string{"fjord", "glade"} {
		eventually(t, soon, func(ctx context.Context) error {
			c, err := l.cluster(ctx, name)
			if err != nil {
				return err
			}
			if failed := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionFailedOver); failed == nil || failed.Reason != v1alpha1.ReasonCutOff {
				return fmt.Errorf("%s: %+v", name, failed)
			}
			return nil
		})
	}
	if after := l.division(t, "web"); after != division {
		t.Errorf("web was divided as %s, and is as %s with most clusters away", division, after)
	}
}
