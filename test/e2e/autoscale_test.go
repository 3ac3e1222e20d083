package e2e

import (
	"context"
	"fmt"
	"testing"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func autoscalerFor(ns, name, target string, least, most int32) *autoscalingv2.HorizontalPodAutoscaler {
	return &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name},
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: target},
			MinReplicas:    &least, MaxReplicas: most,
		},
	}
}

// bounds are those of an autoscaler in the members that have it, as 1-4.
func (f *fed) bounds(ctx context.Context, ns, name string) (map[string]string, int32, error) {
	out, sum := map[string]string{}, int32(0)
	for _, m := range f.members {
		a, err := f.in[m.Name].AutoscalingV2().HorizontalPodAutoscalers(ns).Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, 0, err
		}
		out[m.Name] = fmt.Sprintf("%d-%d", *a.Spec.MinReplicas, a.Spec.MaxReplicas)
		sum += a.Spec.MaxReplicas
	}
	return out, sum, nil
}

// boundsAre waits until the autoscalers have bounds that ok accepts, and fails if
// their maxima ever add up to more than most.
func (f *fed) boundsAre(t *testing.T, ns, name string, most int32, ok func(map[string]string) bool) {
	t.Helper()
	var exceeded error
	eventually(t, soon, func(ctx context.Context) error {
		got, sum, err := f.bounds(ctx, ns, name)
		if err != nil {
			return err
		}
		if sum > most {
			exceeded = fmt.Errorf("%v: more than %d in all", got, most)
		}
		if !ok(got) {
			return fmt.Errorf("the bounds are %v", got)
		}
		return nil
	})
	must(t, exceeded)
}

func these(want map[string]string) func(map[string]string) bool {
	return func(got map[string]string) bool { return fmt.Sprint(got) == fmt.Sprint(want) }
}

// busy lets a member's autoscaler say that it has and wants so many replicas, and
// gives the target as many: what its controller does, which needs metrics to. These
// members are API servers alone, so that nobody else writes the status.
func (f *fed) busy(t *testing.T, member, ns, name, target string, replicas int32) {
	t.Helper()
	f.scaleAs(t, "kube-controller-manager", member, ns, target, replicas)
	eventually(t, soon, func(ctx context.Context) error {
		patch := fmt.Appendf(nil, `{"status":{"currentReplicas":%d,"desiredReplicas":%d,"currentMetrics":null,"conditions":[]}}`, replicas, replicas)
		_, err := f.in[member].AutoscalingV2().HorizontalPodAutoscalers(ns).Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{}, "status")
		return err
	})
}

// loaded lets a member's autoscaler follow a load, as far as its maximum lets it each time.
func (f *fed) loaded(t *testing.T, member, ns, name string, load int32) {
	t.Helper()
	runs := int32(0)
	eventually(t, soon, func(ctx context.Context) error {
		a, err := f.in[member].AutoscalingV2().HorizontalPodAutoscalers(ns).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if n := min(load, a.Spec.MaxReplicas); n > runs {
			f.busy(t, member, ns, name, a.Spec.ScaleTargetRef.Name, n)
			runs = n
		}
		if runs < load {
			return fmt.Errorf("%s runs %d, its maximum, and is to run %d", member, runs, load)
		}
		return nil
	})
}

// given wants maxima that add up to a sum: at least so much for one member, and for each of the others a little more than the one
// replica that it uses.
func given(member string, least, sum int) func(map[string]string) bool {
	return func(got map[string]string) bool {
		rest := sum
		for name, bounds := range got {
			var low, high int
			if _, err := fmt.Sscanf(bounds, "%d-%d", &low, &high); err != nil || low != 1 || high < 2 || name == member && high < least {
				return false
			}
			rest -= high
		}
		return rest == 0
	}
}

// TestAutoscalerIsDivided follows an autoscaler at the hub through load that comes and
// moves, a hub that is killed, and its deletion.
func TestAutoscalerIsDivided(t *testing.T) {
	f := chaos(t)
	ns := f.lastingNamespace(t, "hubscaled")
	ctx := t.Context()
	scalers := f.at.AutoscalingV2().HorizontalPodAutoscalers(ns)
	_, err := scalers.Create(ctx, autoscalerFor(ns, "web", "web", 3, 12), metav1.CreateOptions{})
	must(t, err)
	_, err = f.at.AppsV1().Deployments(ns).Create(ctx, deployment(metav1.ObjectMeta{Namespace: ns, Name: "web"}, 1), metav1.CreateOptions{})
	must(t, err)

	// The minimum is the hub's to see to: it is divided before any autoscaler acts.
	f.have(t, ns, "web", 3, map[string]int32{"amber": 1, "basalt": 1, "cobalt": 1})
	f.boundsAre(t, ns, "web", 36, these(map[string]string{"amber": "1-4", "basalt": "1-4", "cobalt": "1-4"}))

	// Load comes to amber, which goes to its maximum and is given what others have
	// to spare; the total follows. How much at once depends on which of the others
	// has lowered its maximum first.
	f.loaded(t, "amber", ns, "web", 4)
	f.boundsAre(t, ns, "web", 12, given("amber", 5, 12))
	f.have(t, ns, "web", 6, map[string]int32{"amber": 4, "basalt": 1, "cobalt": 1})
	f.killHub(t)
	f.loaded(t, "amber", ns, "web", 6)
	f.have(t, ns, "web", 8, map[string]int32{"amber": 6, "basalt": 1, "cobalt": 1})
	f.boundsAre(t, ns, "web", 12, given("amber", 6, 12))
	eventually(t, soon, func(ctx context.Context) error {
		a, err := scalers.Get(ctx, "web", metav1.GetOptions{})
		if err == nil && (a.Status.CurrentReplicas != 6 || a.Status.DesiredReplicas != 6) {
			err = fmt.Errorf("the hub's autoscaler says %d and %d, want amber's 6", a.Status.CurrentReplicas, a.Status.DesiredReplicas)
		}
		return err
	})

	// The maximum is lowered and the autoscalers are, too.
	_, err = scalers.Patch(ctx, "web", types.MergePatchType, []byte(`{"spec":{"maxReplicas":9}}`), metav1.PatchOptions{})
	must(t, err)
	f.boundsAre(t, ns, "web", 12, func(map[string]string) bool {
		_, sum, err := f.bounds(ctx, ns, "web")
		return err == nil && sum == 9
	})

	must(t, scalers.Delete(ctx, "web", metav1.DeleteOptions{}))
	f.boundsAre(t, ns, "web", 9, these(map[string]string{}))
	f.have(t, ns, "web", 8, map[string]int32{"amber": 6, "basalt": 1, "cobalt": 1})
}

// TestAutoscalersOwnControllers has real autoscalers in the members: without metrics
// they keep to their bounds, and say what they have.
func TestAutoscalersOwnControllers(t *testing.T) {
	f := shared(t)
	t.Parallel()
	ns := f.namespace(t, "realscaled")
	_, err := f.at.AppsV1().Deployments(ns).Create(t.Context(), deployment(metav1.ObjectMeta{Namespace: ns, Name: "web"}, 2), metav1.CreateOptions{})
	must(t, err)
	f.have(t, ns, "web", 2, map[string]int32{"aws": 1, "azure": 1})
	scalers := f.at.AutoscalingV2().HorizontalPodAutoscalers(ns)
	_, err = scalers.Create(t.Context(), autoscalerFor(ns, "web", "web", 2, 8), metav1.CreateOptions{})
	must(t, err)
	f.boundsAre(t, ns, "web", 8, these(map[string]string{"aws": "1-4", "azure": "1-4"}))
	_, err = scalers.Patch(t.Context(), "web", types.MergePatchType, []byte(`{"spec":{"minReplicas":6}}`), metav1.PatchOptions{})
	must(t, err)
	f.boundsAre(t, ns, "web", 8, these(map[string]string{"aws": "3-4", "azure": "3-4"}))
	f.have(t, ns, "web", 6, map[string]int32{"aws": 3, "azure": 3})
	eventually(t, soon, func(ctx context.Context) error {
		a, err := scalers.Get(ctx, "web", metav1.GetOptions{})
		if err == nil && a.Status.CurrentReplicas != 6 {
			err = fmt.Errorf("the hub's autoscaler counts %d replicas, want the sum, 6", a.Status.CurrentReplicas)
		}
		return err
	})

	// More than the bounds allow is taken back, by the hub or by the autoscaler.
	f.scaleThere(t, "aws", ns, "web", 9)
	eventually(t, soon, func(ctx context.Context) error {
		there, err := f.shares(ctx, ns, "web")
		if err == nil && there["aws"] > 4 {
			err = fmt.Errorf("%v, although aws may have 4 at most", there)
		}
		return err
	})
}
