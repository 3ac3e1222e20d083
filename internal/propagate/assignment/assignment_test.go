package assignment

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"pgregory.net/rapid"

	"github.com/hanse-dev/hanse/internal/policy"
	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/schedule"
)

func read(t *testing.T, labels map[string]string) *template.Template {
	t.Helper()
	obj := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "apps/v1", "kind": "Deployment",
		"metadata": map[string]any{"name": "web", "namespace": "shop", "uid": "web"}, "spec": map[string]any{"replicas": int64(5)}}}
	obj.SetLabels(labels)
	out, err := template.Read(template.Scalable()[0], obj, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func divided(t *testing.T, shares ...schedule.Share) *Assignment {
	t.Helper()
	a := &Assignment{Template: read(t, nil), Policy: policy.NoPolicy()}
	a.SetDecision(schedule.Decision{Divided: true, Shares: shares})
	return a
}

// TestThePiecesOfAJobAddUp, whoever has left since it was divided.
func TestThePiecesOfAJobAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		division := rapid.MapOfN(rapid.SampledFrom([]string{"aws", "azure", "google"}), rapid.Int32Range(0, 9), 1, 3).Draw(t, "division")
		all := rapid.Int64Range(0, 50).Draw(t, "completions")
		var sum int64
		for name := range division {
			sum += CutOf(division, name).OfKind().Cut(all)
		}
		if sum != all {
			t.Fatalf("the pieces of %d by %v are %d", all, division, sum)
		}
	})
}

// TestWhatConcernsWhom: members a share, the Placement a reason, and policies a label.
func TestWhatConcernsWhom(t *testing.T) {
	aws, azure := schedule.Share{Cluster: "aws", Replicas: 3}, schedule.Share{Cluster: "azure", Replicas: 2}
	before := divided(t, aws, azure)
	change := func(change func(a *Assignment)) *Assignment {
		after := *before
		change(&after)
		return &after
	}
	undecided := change(func(a *Assignment) { a.Undecided = true })
	for name, c := range map[string]struct {
		b, a                         *Assignment
		members, placement, policies bool
	}{
		"nothing":       {before, before, false, false, false},
		"it is new":     {nil, before, true, true, true},
		"it is gone":    {before, nil, true, true, true},
		"new, waits":    {nil, undecided, false, true, true},
		"is recorded":   {undecided, before, true, true, false},
		"another share": {before, change(func(a *Assignment) { a.SetDecision(schedule.Decision{Divided: true, Shares: []schedule.Share{aws}}) }), true, true, false},
		"for now":       {before, change(func(a *Assignment) { a.Now = map[string]int32{"aws": 4} }), true, false, false},
		"a reason":      {before, change(func(a *Assignment) { a.Decision.Reason = "no room" }), false, true, false},
		"a label":       {before, change(func(a *Assignment) { a.Template = read(t, map[string]string{"a": "b"}); a.Content = before.Content }), false, true, true},
		"a policy":      {before, change(func(a *Assignment) { a.Policy = policy.NoPolicy() }), false, true, true},
	} {
		if m, p, q := ConcernsMembers(c.b, c.a), ConcernsPlacement(c.b, c.a), ConcernsPolicies(c.b, c.a); m != c.members || p != c.placement || q != c.policies {
			t.Errorf("%s: concerns members %t, the Placement %t, policies %t", name, m, p, q)
		}
	}
}

// TestAReasonLasts where a share is as it was, unless it was that of a state that is over.
func TestAReasonLasts(t *testing.T) {
	before := []schedule.Share{
		{Cluster: "aws", Replicas: 3, Reason: "most free"}, {Cluster: "azure", Replicas: 2, Reason: "cordoned", Passing: true}, {Cluster: "google", Replicas: 1, Reason: "least"},
	}
	var after []schedule.Share
	for _, s := range before {
		after = append(after, schedule.Share{Cluster: s.Cluster, Replicas: s.Replicas, Reason: schedule.AsBefore})
	}
	after[2].Replicas = 2
	for i, want := range []string{"most free", schedule.AsBefore, schedule.AsBefore} {
		if got := LastingReasons(before, after)[i].Reason; got != want {
			t.Errorf("%s: %s, want %s", after[i].Cluster, got, want)
		}
	}
}

// TestWhatIsRecordedIsTheSame with and without clusters that have none.
func TestWhatIsRecordedIsTheSame(t *testing.T) {
	a := divided(t, schedule.Share{Cluster: "aws", Replicas: 3}, schedule.Share{Cluster: "azure"})
	for _, c := range []struct {
		recorded map[string]int32
		same     bool
	}{{map[string]int32{"aws": 3}, true}, {map[string]int32{"aws": 3, "google": 0}, true}, {map[string]int32{"aws": 3, "google": 1}, false}, {map[string]int32{"aws": 2}, false}, {nil, false}} {
		if got := SameAsRecorded(&a.Decision, c.recorded); got != c.same {
			t.Errorf("%s is the same as %v: %t", a.Decision, c.recorded, got)
		}
	}
}
