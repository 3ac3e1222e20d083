package decide

import (
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"pgregory.net/rapid"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/schedule"
)

func TestAJobThatRunsStaysWhateverRulesSay(t *testing.T) {
	weights := func(aws, azure int64) map[string]any {
		return map[string]any{"division": map[string]any{"strategy": "Weighted", "limits": map[string]any{
			"aws": map[string]any{"weight": aws}, "azure": map[string]any{"weight": azure}, "google": map[string]any{"weight": int64(2)}}}}
	}
	for name, change := range map[string]func(w *works){
		"a label goes":        func(w *works) { w.label("azure", nil) },
		"a policy is deleted": func(w *works) { w.noPolicy("web") },
		"a policy is edited":  func(w *works) { w.policy("web", map[string]any{"clusters": map[string]any{"names": []any{"aws"}}}) },
		"weights are edited":  func(w *works) { w.policy("web", weights(9, 1)) },
		"another policy":      func(w *works) { w.policy("a", map[string]any{"clusters": map[string]any{"names": []any{"google"}}}) },
		"a rebalancing policy": func(w *works) {
			w.policy("web", map[string]any{"division": map[string]any{"rebalance": true, "limits": map[string]any{"aws": map[string]any{"max": int64(1)}}}})
		},
		"a cluster selector": func(w *works) {
			w.change(annotate(schedule.AnnotationClusterSelector, `[{"key":"tier","operator":"In","values":["test"]}]`))
		},
		"preferences": func(w *works) {
			w.change(annotate(v1alpha1.AnnotationPreferences, `{"clusters":{"aws":{"weight":1}}}`))
		},
		"the division is dropped": func(w *works) { w.change(func(obj *unstructured.Unstructured) { obj.SetAnnotations(nil) }) },
		"a drain":                 func(w *works) { drained(w, "azure") },
	} {
		t.Run(name, func(t *testing.T) {
			w := newJob(t, 7, 7)
			w.policy("web", prodOnly())
			w.stepAll()
			before := w.numbers("completions")
			change(w)
			w.stepAll()
			w.start(template.Jobs())
			w.stepAll()
			if now := w.numbers("completions"); now != before || w.numbers("parallelism") != before {
				t.Errorf("%s became %s, %s at once; %s", before, now, w.numbers("parallelism"), w.get("web").Decision)
			}
		})
	}
}

// TestWorkOfAClusterThatLeavesIsNotDoneAgain: it has been taken out of there already, half done as it may have been, and the
// Cluster is still to be seen.
func TestWorkOfAClusterThatLeavesIsNotDoneAgain(t *testing.T) {
	r := newRig(template.Jobs())
	job := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "batch/v1", "kind": "Job",
		"metadata": map[string]any{"name": "once", "namespace": "shop", "uid": "uid-once", "resourceVersion": "7", "creationTimestamp": at(10).Format(time.RFC3339),
			"annotations": map[string]any{"hanse.dev/division": `{"aws":1}`}},
		"spec": map[string]any{"parallelism": int64(1), "completions": int64(9)}}}
	leaves := ready("aws", 0)
	leaves.Ready, leaves.Leaving = false, true
	r.clusters(leaves, ready("azure", 0))
	r.engage("aws")
	r.engage("azure")
	r.write(template.Jobs(), job.DeepCopy())
	_ = unstructured.SetNestedField(job.Object, int64(5), "spec", "parallelism")
	job.SetResourceVersion("8")
	if a := r.write(template.Jobs(), job); !a.Decision.Kept || a.Shares["azure"].Replicas > 0 {
		t.Errorf("it is divided again as %s", a.Decision)
	}
}

func TestThatAChangeIsForLaterJobsIsTold(t *testing.T) {
	w := newJob(t, 7, 7)
	w.policy("web", prodOnly())
	w.stepAll()
	w.told = nil
	w.label("azure", nil)
	w.label("azure", nil)
	if len(w.told) != 1 {
		t.Fatalf("%d events, want 1", len(w.told))
	}
	for _, said := range []string{w.tolds(), w.get("web").Decision.Reason} {
		if !strings.Contains(said, "azure") || !strings.Contains(said, "to a Job that is created later") {
			t.Errorf("it is said: %q", said)
		}
	}
	for _, s := range w.get("web").Decision.Shares {
		if s.Cluster == "azure" && !strings.Contains(s.Reason, "tier") {
			t.Errorf("why it is in azure: %q", s.Reason)
		}
	}
}

func annotate(key, value string) func(*unstructured.Unstructured) {
	return func(obj *unstructured.Unstructured) {
		all := obj.GetAnnotations()
		if all == nil {
			all = map[string]string{}
		}
		all[key] = value
		obj.SetAnnotations(all)
	}
}

func drained(w *works, name string) {
	c := *w.sites[name].cluster
	c.Drained, c.Cordoned = true, true
	w.sites[name].cluster = &c
	w.show()
	w.record()
}

func TestAPodThatRunsStaysWhateverRulesSay(t *testing.T) {
	for _, kind := range []struct {
		gr   schema.GroupResource
		kind string
		spec map[string]any
	}{
		{schema.GroupResource{Resource: "pods"}, "Pod", map[string]any{}},
		{template.Jobs(), "Job", map[string]any{"completionMode": "Indexed", "parallelism": int64(2), "completions": int64(5)}},
	} {
		w := newWorks(t, kind.gr, kind.kind, kind.spec)
		w.stepAll()
		before := w.numbers("completions")
		w.policy("web", map[string]any{"clusters": map[string]any{"exclude": []any{before[:strings.Index(before, "=")]}}})
		w.start(kind.gr)
		w.stepAll()
		if now := w.numbers("completions"); now != before {
			t.Errorf("a %s that was %s is %s", kind.kind, before, now)
		}
		if why := w.get("web").Decision.Reason; !strings.Contains(why, "created later") {
			t.Errorf("it does not say that the policy is for later ones: %q", why)
		}
	}
}

func TestWhatHasBegunNowhereGoesWhereRulesSay(t *testing.T) {
	w := newJob(t, 7, 7)
	for name := range w.sites {
		w.look(name) // nobody has it
	}
	w.policy("web", map[string]any{"clusters": map[string]any{"names": []any{"aws"}}})
	if got := w.get("web").Decision.Division(); got["aws"] != 7 {
		t.Errorf("it has begun nowhere, and is %v", got)
	}
	// One write that was sent, and not answered, is enough.
	w = newJob(t, 7, 7)
	for name := range w.sites {
		w.look(name)
	}
	n := int32(2)
	w.apply(Seen{"azure", w.key("web"), &Observed{Sending: &n}})
	before := w.get("web").Decision.String()
	w.policy("web", map[string]any{"clusters": map[string]any{"names": []any{"aws"}}})
	if got := w.get("web").Decision.String(); got != before {
		t.Errorf("%s became %s, although azure may have begun", before, got)
	}
}

func TestAWorkerThatIsOvertakenDoesNotBegin(t *testing.T) {
	w := newJob(t, 7, 7)
	for name := range w.sites {
		w.look(name)
	}
	old := w.get("web")
	w.policy("web", map[string]any{"clusters": map[string]any{"names": []any{"aws"}}})
	if w.begins("azure", old) {
		t.Error("it is made in azure, too")
	}
	if now := w.get("web"); !w.begins("aws", now) {
		t.Errorf("it may not begin where it is to be: %s", now.Decision)
	}
	// What was let begin may have begun, until the member shows what came of it.
	w.policy("web", map[string]any{"clusters": map[string]any{"names": []any{"google"}}})
	if got := w.get("web").Decision.Division(); got["aws"] != 7 {
		t.Errorf("it may have begun in aws, and is %v", got)
	}
	w.look("aws")
	w.policy("web", map[string]any{"clusters": map[string]any{"names": []any{"azure"}}})
	if got := w.get("web").Decision.Division(); got["azure"] != 7 {
		t.Errorf("it has begun nowhere, and is %v", got)
	}
}

func TestWhatIsLostWithAClusterIsSaid(t *testing.T) {
	w := newJob(t, 7, 7)
	w.stepAll()
	parts := w.numbers("completions")
	w.sites["google"].gone = true
	w.show()
	w.record()
	got := w.get("web")
	for _, want := range []string{"google is no longer a member and took", "of 7 completions", "Try: delete the Job and create it again"} {
		if !strings.Contains(got.Decision.Reason, want) {
			t.Errorf("%q does not say %q", got.Decision.Reason, want)
		}
	}
	if got.Concern().Reason != v1alpha1.ReasonUnplaced {
		t.Errorf("its condition is %+v", got.Concern())
	}
	w.stepAll()
	w.start(template.Jobs())
	w.stepAll()
	if now := w.numbers("completions"); now != parts || w.numbers("parallelism") != parts {
		t.Errorf("%s became %s, %s at once", parts, now, w.numbers("parallelism"))
	}
}

func TestParallelismGoesWhereWorkIsLeft(t *testing.T) {
	w := newJob(t, 7, 7)
	w.stepAll()
	w.change(func(obj *unstructured.Unstructured) {
		_ = unstructured.SetNestedField(obj.Object, int64(2), "spec", "parallelism")
	})
	var done int64
	for range 20 {
		w.stepAll()
		for _, s := range w.sites {
			if s.work() {
				done++
			}
		}
	}
	if done != 7 {
		t.Errorf("%d of 7 are done; %s at once of %s", done, w.numbers("parallelism"), w.numbers("completions"))
	}
}

// TestWorkIsDoneOnce plays Jobs in a federation where everything is changed at any time
// and the hub is killed now and then: all completions get done, each once.
func TestWorkIsDoneOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		completions := rapid.Int64Range(1, 12).Draw(t, "completions")
		w := newJob(t, rapid.Int64Range(0, 9).Draw(t, "parallelism"), completions)
		names := []string{"aws", "azure", "google"}
		one := func() string { return rapid.SampledFrom(names).Draw(t, "cluster") }
		for range rapid.IntRange(0, 40).Draw(t, "steps") {
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			case 0:
				w.change(func(obj *unstructured.Unstructured) {
					_ = unstructured.SetNestedField(obj.Object, rapid.Int64Range(0, 9).Draw(t, "parallelism"), "spec", "parallelism")
				})
			case 1, 2, 3:
				w.step(one())
			case 4:
				w.sites[one()].work()
			case 5:
				spec := map[string]any{"clusters": map[string]any{"names": []any{one(), one()}}}
				w.policy(rapid.SampledFrom([]string{"web", "a"}).Draw(t, "policy"), spec)
			case 6:
				w.noPolicy(rapid.SampledFrom([]string{"web", "a"}).Draw(t, "policy"))
			case 7:
				w.start(template.Jobs())
			case 8:
				s := w.sites[one()]
				s.away = !s.away
				w.show()
				w.record()
			case 9:
				drained(w, one())
			}
		}
		for _, s := range w.sites {
			s.away = false
		}
		w.noPolicy("web")
		w.noPolicy("a")
		for _, s := range w.sites {
			c := *s.cluster
			c.Drained, c.Cordoned = false, false
			s.cluster = &c
		}
		w.show()
		w.change(func(obj *unstructured.Unstructured) {
			n, _, _ := unstructured.NestedInt64(obj.Object, "spec", "parallelism")
			_ = unstructured.SetNestedField(obj.Object, max(1, n), "spec", "parallelism")
		})
		var given, done int64
		for range 40 {
			w.stepAll()
			for _, s := range w.sites {
				s.work()
			}
		}
		for _, s := range w.sites {
			given, done = given+s.number("completions"), done+s.done
		}
		if given != completions || done != completions {
			t.Fatalf("of %d completions %d were given, %d are done: %s; %s at once", completions, given, done, w.numbers("completions"), w.numbers("parallelism"))
		}
	})
}
