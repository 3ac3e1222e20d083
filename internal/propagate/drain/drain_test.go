package drain

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/policy"
	"github.com/hanse-dev/hanse/internal/propagate/assignment"
	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/schedule"
)

func at(millis int) time.Time { return time.UnixMilli(int64(millis)) }

func read(t *testing.T, gr schema.GroupResource, kind, name string, spec map[string]any) *template.Template {
	t.Helper()
	obj := &unstructured.Unstructured{Object: map[string]any{"kind": kind, "spec": spec,
		"metadata": map[string]any{"name": name, "namespace": "shop", "uid": name}}}
	out, err := template.Read(gr, obj, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func budgets(t *testing.T, names ...string) Budgets {
	t.Helper()
	var all []*template.Template
	for _, name := range names {
		all = append(all, read(t, template.Budgets(), "PodDisruptionBudget", name, map[string]any{"selector": map[string]any{"matchLabels": map[string]any{"app": name}}}))
	}
	all = append(all, read(t, template.Budgets(), "PodDisruptionBudget", "a-none", map[string]any{}))
	return ReadBudgets(slices.Values(all))
}

// workload has some replicas in aws, and pods with a label of its name.
func workload(t *testing.T, name string, replicas int32) *assignment.Assignment {
	t.Helper()
	a := &assignment.Assignment{Policy: policy.NoPolicy(), Template: read(t, template.Scalable()[0], "Deployment", name, map[string]any{
		"replicas": int64(replicas), "template": map[string]any{"metadata": map[string]any{"labels": map[string]any{"app": name}}}})}
	a.SetDecision(schedule.Decision{Divided: true, Shares: []schedule.Share{{Cluster: "aws", Replicas: replicas}}})
	return a
}

func drained(t *testing.T) *Drains {
	t.Helper()
	d := &Drains{}
	if !d.Keep(map[string]bool{"aws": true}, at(0)) || d.Keep(map[string]bool{"aws": true}, at(0)) || !d.Some() || !d.Drains("aws") {
		t.Fatal("aws is not drained, or is again")
	}
	return d
}

// TestOneBudgetAfterAnother by name; what none selects does not wait once the budgets are known.
func TestOneBudgetAfterAnother(t *testing.T) {
	d := drained(t)
	web, db, free := workload(t, "web", 2), workload(t, "db", 2), workload(t, "free", 2)
	all := []*assignment.Assignment{web, db, free}
	waiting := func() (names string) {
		for _, a := range all {
			if d.Waits(a) {
				names += a.Key.Name + " "
			}
		}
		return names
	}
	want := func(names string) {
		t.Helper()
		if got := waiting(); got != names {
			t.Errorf("waiting: %q, want %q", got, names)
		}
	}
	want("web db free ")
	if d.Read(nil, false) || d.Known() || !d.Read(budgets(t, "web", "db"), true) || d.Read(budgets(t, "web", "db"), true) {
		t.Error("that budgets are known is said once, and when they are")
	}
	want("web db ")
	moved := true
	next := func() bool {
		return d.NextTurn(slices.Values(all), func(*assignment.Assignment) bool { return moved })
	}
	if !next() || !d.HasTurn(db) || d.HasTurn(web) {
		t.Fatal("db is not the first")
	}
	want("web ")
	moved = false
	if next() {
		t.Error("the next turn begins before the first is over")
	}
	moved = true
	db.SetDecision(schedule.Decision{Divided: true})
	if !next() || !d.HasTurn(web) {
		t.Fatal("web is not the second")
	}
	want("")
	web.SetDecision(schedule.Decision{Divided: true})
	if next() {
		t.Error("nothing is left, and a turn begins")
	}
	again := &Drains{}
	again.Keep(map[string]bool{"aws": true}, at(0))
	again.Restore(d.Remember())
	again.Read(d.budgets, d.known)
	if again.turn != d.turn || !reflect.DeepEqual(again.done, d.done) || !again.next.Equal(d.next) || again.known != d.known {
		t.Errorf("%+v is restored as %+v", d, again)
	}
	if !d.Keep(nil, at(0)) || d.Some() || d.Waits(workload(t, "web", 2)) {
		t.Error("nothing is drained, and something waits")
	}
}

func TestWhenItIsLooked(t *testing.T) {
	d := drained(t)
	if !d.Due(at(0)) || d.Due(at(0)) || !d.Next().IsZero() {
		t.Error("it is to be looked at once, and first at once")
	}
	d.Changed(at(1000))
	d.Changed(at(1100))
	if !d.Next().Equal(at(1200)) || d.Due(at(1199)) || !d.Due(at(1200)) {
		t.Errorf("it is looked at at %s", d.Next())
	}
	if none := (&Drains{}); none.Some() || func() bool { none.Changed(at(0)); return !none.Next().IsZero() }() {
		t.Error("nothing is drained, and it is looked at")
	}
}

func TestWhatIsLeft(t *testing.T) {
	d := drained(t)
	d.Read(budgets(t, "web"), true)
	if c := d.Condition(nil); c.Status != metav1.ConditionTrue || c.Reason != v1alpha1.ReasonEmpty {
		t.Errorf("nothing is left: %+v", c)
	}
	stuck, moving := workload(t, "stuck", 3), workload(t, "moving", 1)
	stuck.Decision.Reason = "no room"
	moving.Undecided = true
	gone := workload(t, "gone", 0)
	var left []Leftover
	for _, a := range []*assignment.Assignment{stuck, workload(t, "web", 2), gone, moving} {
		if l, ok := d.LeftOf(a, "aws", nil); ok {
			l.Name = a.Key.Name
			left = append(left, l)
		}
	}
	c := d.Condition(left)
	want := "3 workloads are left: moving: 1, until others are ready; web: 2 wait for the turn of PodDisruptionBudget web; stuck: 3 cannot be moved: no room"
	if c.Status != metav1.ConditionFalse || c.Reason != v1alpha1.ReasonDraining || c.Message != want {
		t.Errorf("%+v\nwant %s", c, want)
	}
	if c := d.Condition(left[len(left)-1:]); c.Reason != v1alpha1.ReasonBlocked || !strings.HasPrefix(c.Message, "1 workload is left") {
		t.Errorf("%+v", c)
	}
}
