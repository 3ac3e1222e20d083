package propagate

import (
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/lineage"
)

// shop is a federation that two budgets protect two of three deployments in.
func shop() *hours {
	h := newHours(deployments())
	for _, name := range []string{"cart", "db", "web"} {
		h.budgeted(name, 6)
		if name != "web" {
			h.budgets.sink.apply(&unstructured.Unstructured{Object: map[string]any{
				"apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
				"metadata": map[string]any{"name": name, "namespace": "shop", "uid": "budget-" + name},
				"spec":     map[string]any{"selector": map[string]any{"matchLabels": map[string]any{"app": name}}},
			}})
		}
	}
	h.settle()
	return h
}

// budgeted puts a deployment into the hub whose pods have the label app.
func (h *hours) budgeted(name string, replicas int64) {
	h.sink.apply(&unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment",
		"metadata": map[string]any{"name": name, "namespace": "shop", "uid": "uid-" + name, "creationTimestamp": "2026-01-01T00:00:10Z", "resourceVersion": "7"},
		"spec": map[string]any{"replicas": replicas, "template": map[string]any{
			"metadata": map[string]any{"labels": map[string]any{"app": name}}}},
	}})
}

// settle has the members run what they are to, all of it ready.
func (h *hours) settle(names ...string) {
	h.record()
	for _, t := range h.sink.resource.templates {
		if len(names) > 0 && !slices.Contains(names, t.key.Name) {
			continue
		}
		for name, m := range h.engine.members {
			n := t.shares[name].replicas
			m.session = &session{queue: newQueue()}
			m.update(t.key, func(rec *record) {
				rec.seen = observation{uid: "there", replicas: &n, mark: lineage.Mark{Origin: lineage.Origin{Template: t.uid}},
					status: map[string]any{"replicas": int64(n), "readyReplicas": int64(n)}}
			})
		}
	}
}

func (h *hours) drain(names ...string) {
	h.show(func(all map[string]*cluster) {
		for _, name := range names {
			all[name].drained, all[name].cordoned = true, true
		}
	})
	h.record()
}

// inAWS is the names of the deployments that are to have replicas there.
func (h *hours) inAWS() string {
	var names []string
	for _, t := range h.sink.resource.templates {
		if t.shares["aws"].replicas > 0 {
			names = append(names, t.key.Name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ",")
}

func TestOneBudgetAfterTheOther(t *testing.T) {
	h := shop()
	h.drain("aws")
	if got := h.inAWS(); got != "cart,db" {
		t.Fatalf("what no budget selects goes at once: %q are there", got)
	}
	h.engine.stepDrains()
	if got := h.inAWS(); got != "db" {
		t.Fatalf("the first budget's turn: %q", got)
	}
	h.record()
	for range 3 {
		h.engine.stepDrains()
	}
	if got := h.inAWS(); got != "db" {
		t.Fatalf("the first is in motion still: %q", got)
	}
	c := h.engine.Report("aws").Drained
	if c == nil || c.Reason != v1alpha1.ReasonDraining || !strings.Contains(c.Message, "turn of PodDisruptionBudget db") || !strings.Contains(c.Message, "In motion is PodDisruptionBudget shop/cart") {
		t.Errorf("condition: %+v", c)
	}
	h.settle("cart", "web")
	h.engine.stepDrains()
	if got := h.inAWS(); got != "" {
		t.Fatalf("the second one's turn: %q", got)
	}
	h.settle()
	if c := h.engine.Report("aws").Drained; c == nil || c.Status != metav1.ConditionTrue || c.Reason != v1alpha1.ReasonEmpty {
		t.Errorf("condition: %+v", c)
	}
	h.drain()
	if c := h.engine.Report("aws").Drained; c != nil {
		t.Errorf("condition after the drain has ended: %+v", c)
	}
	if h.engine.stepDrains() {
		t.Error("it goes on although nothing is to be drained")
	}
}

func TestWhatFitsNowhereElseStaysAndHoldsUpNoOther(t *testing.T) {
	h := shop()
	h.drain("aws", "azure", "google")
	for range 5 {
		h.engine.stepDrains()
		h.settle()
	}
	if got := h.inAWS(); got != "cart,db,web" {
		t.Errorf("with nowhere to go, %q are there", got)
	}
	c := h.engine.Report("aws").Drained
	if c == nil || c.Reason != v1alpha1.ReasonBlocked || !strings.Contains(c.Message, "shop/web: 2 cannot be moved: ") {
		t.Errorf("condition: %+v", c)
	}
}

func TestADrainThatIsFoundAtTheStartWaitsForTheBudgets(t *testing.T) {
	h := newHours(deployments())
	h.budgets.sink.resource.synced = false
	h.drain("aws")
	h.sink.resource.synced = false
	h.budgeted("web", 6)
	h.sink.resource.synced = true
	h.settle()
	h.engine.stepDrains()
	if got := h.inAWS(); got != "web" {
		t.Errorf("moved before the budgets were read: %q", got)
	}
	h.budgets.sink.resource.synced = true
	h.engine.stepDrains()
	if got := h.inAWS(); got != "" {
		t.Errorf("not moved when the budgets were read: %q", got)
	}
}
