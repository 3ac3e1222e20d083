package decide

import (
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// shop is a federation that two budgets protect two of three deployments in.
func shop() *hours {
	h := newHours(deployments())
	for _, name := range []string{"cart", "db", "web"} {
		h.budgeted(name, 6)
		if name != "web" {
			h.write(template.Budgets(), &unstructured.Unstructured{Object: map[string]any{
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
	h.write(h.gr, &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment",
		"metadata": map[string]any{"name": name, "namespace": "shop", "uid": "uid-" + name, "creationTimestamp": "2026-01-01T00:00:10Z", "resourceVersion": "7"},
		"spec": map[string]any{"replicas": replicas, "template": map[string]any{
			"metadata": map[string]any{"labels": map[string]any{"app": name}}}},
	}})
}

// settle has the members run what they are to, all of it ready.
func (h *hours) settle(names ...string) {
	h.record()
	for _, t := range h.all() {
		if len(names) > 0 && !slices.Contains(names, t.Key.Name) {
			continue
		}
		for _, name := range h.w.names {
			n := t.Shares[name].Replicas
			if !h.w.reached(name) {
				h.engage(name)
			}
			h.apply(Seen{name, t.Key, there(t.UID, n, map[string]any{"replicas": int64(n), "readyReplicas": int64(n)})})
		}
	}
}

func (h *hours) drain(names ...string) {
	h.show(func(all map[string]*Cluster) {
		for _, name := range names {
			all[name].Drained, all[name].Cordoned = true, true
		}
	})
	h.record()
}

// inAWS is the names of the deployments that are to have replicas there.
func (h *hours) inAWS() string {
	var names []string
	for _, t := range h.all() {
		if t.Shares["aws"].Replicas > 0 {
			names = append(names, t.Key.Name)
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
	h.stepDrains()
	if got := h.inAWS(); got != "db" {
		t.Fatalf("the first budget's turn: %q", got)
	}
	h.record()
	for range 3 {
		h.stepDrains()
	}
	if got := h.inAWS(); got != "db" {
		t.Fatalf("the first is in motion still: %q", got)
	}
	c := h.w.Standing(h.now, "aws").Drained
	if c == nil || c.Reason != v1alpha1.ReasonDraining || !strings.Contains(c.Message, "turn of PodDisruptionBudget db") || !strings.Contains(c.Message, "Moving now: PodDisruptionBudget shop/cart") {
		t.Errorf("condition: %+v", c)
	}
	h.settle("cart", "web")
	h.stepDrains()
	if got := h.inAWS(); got != "" {
		t.Fatalf("the second one's turn: %q", got)
	}
	h.settle()
	if c := h.w.Standing(h.now, "aws").Drained; c == nil || c.Status != metav1.ConditionTrue || c.Reason != v1alpha1.ReasonEmpty {
		t.Errorf("condition: %+v", c)
	}
	h.drain()
	if c := h.w.Standing(h.now, "aws").Drained; c != nil {
		t.Errorf("condition after the drain has ended: %+v", c)
	}
	if !h.w.next().IsZero() {
		t.Error("it goes on although nothing is to be drained")
	}
}

func TestWhatFitsNowhereElseStaysAndHoldsUpNoOther(t *testing.T) {
	h := shop()
	h.drain("aws", "azure", "google")
	for range 5 {
		h.stepDrains()
		h.settle()
	}
	if got := h.inAWS(); got != "cart,db,web" {
		t.Errorf("with nowhere to go, %q are there", got)
	}
	c := h.w.Standing(h.now, "aws").Drained
	if c == nil || c.Reason != v1alpha1.ReasonBlocked || !strings.Contains(c.Message, "shop/web: 2 cannot be moved: ") {
		t.Errorf("condition: %+v", c)
	}
}

func TestADrainThatIsFoundAtTheStartWaitsForTheBudgets(t *testing.T) {
	h := newHours(deployments())
	h.w.resources[template.Budgets()].synced = false
	h.drain("aws")
	h.w.resources[h.gr].synced = false
	h.budgeted("web", 6)
	h.w.resources[h.gr].synced = true
	h.settle()
	h.stepDrains()
	if got := h.inAWS(); got != "web" {
		t.Errorf("moved before the budgets were read: %q", got)
	}
	h.apply(Listed{GR: template.Budgets()})
	h.stepDrains()
	if got := h.inAWS(); got != "" {
		t.Errorf("not moved when the budgets were read: %q", got)
	}
}

// stepDrains lets the time go by after which it is looked whose turn it is.
func (h *hours) stepDrains() { h.rig.pass(200 * time.Millisecond) }
