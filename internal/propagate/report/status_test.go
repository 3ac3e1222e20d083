package report

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"pgregory.net/rapid"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/aggregate"
	"github.com/hanse-dev/hanse/internal/propagate/apitest"
	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

func three(t *testing.T) *rig {
	r := newRig("aws", "azure", "google")
	r.assign(t, deployments(), deployment(6))
	r.running()
	return r
}

// TestALostClusterIsNotReady, and before that nobody knows; the workload says so.
func TestALostClusterIsNotReady(t *testing.T) {
	r := three(t)
	if got := r.status(t); strings.Contains(said(got), v1alpha1.ConditionReached) || got["readyReplicas"] != int64(6) {
		t.Fatalf("all answer: %v", got)
	}
	r.lose("azure", false)
	got := r.status(t)
	for _, want := range []string{
		"Available=Unknown ClusterAway: azure: the cluster is out of reach",
		"hanse.dev/Reached=Unknown ClusterAway: azure is out of reach: 2 replicas there are counted as last seen",
	} {
		if !strings.Contains(said(got), want) {
			t.Errorf("away: %s, want %s", said(got), want)
		}
	}
	if got["readyReplicas"] != int64(6) {
		t.Errorf("away: %v", got)
	}

	r.lose("azure", true)
	got = r.status(t)
	if got["replicas"] != int64(6) || got["readyReplicas"] != int64(4) || got["unavailableReplicas"] != int64(2) {
		t.Errorf("lost, and nothing else takes them: %v", got)
	}
	for _, want := range []string{"Available=False ClusterLost", "hanse.dev/Reached=False ClusterLost: azure is lost: 2 replicas there are not ready"} {
		if !strings.Contains(said(got), want) {
			t.Errorf("lost: %s, want %s", said(got), want)
		}
	}

	r.a.Object.Object["status"] = map[string]any{"conditions": []any{map[string]any{"type": "Available", "status": "True", "lastTransitionTime": at(5).Format(time.RFC3339)}}}
	for _, m := range r.members {
		m.objects[r.a.Key].Status["conditions"].([]any)[0].(map[string]any)["lastTransitionTime"] = at(4).Format(time.RFC3339)
	}
	turned, _ := r.status(t)["conditions"].([]any)
	if len(turned) == 0 || turned[0].(map[string]any)["lastTransitionTime"] != at(100).Format(time.RFC3339) {
		t.Errorf("it is not available from now on: %v", turned)
	}
	delete(r.a.Object.Object, "status")
	r.member("azure").away = false
	if got := r.status(t); got["readyReplicas"] != int64(6) {
		t.Errorf("it answers, whatever was taken for granted: %v", got)
	}
	r.member("azure").away = true

	r.a.Shares = map[string]template.Share{"aws": {Replicas: 3, Total: 6}, "azure": {Total: 6}, "google": {Replicas: 3, Total: 6}}
	if got := r.status(t); got["readyReplicas"] != int64(4) || strings.Contains(said(got), "azure") {
		t.Errorf("failed over, and yet it says %v", got)
	}
}

// TestConditionsTurnWhenTheyAreToldTo, not when members saw them last.
func TestConditionsTurnWhenTheyAreToldTo(t *testing.T) {
	condition := func(status, since string) map[string]any {
		return map[string]any{"conditions": []any{map[string]any{"type": "Available", "status": status, "lastTransitionTime": since}}}
	}
	now := time.Unix(2000, 0)
	for _, tt := range []struct{ status, since, want string }{
		{"False", "1970-01-01T00:10:00Z", now.UTC().Format(time.RFC3339)},
		{"False", "1970-01-01T00:20:00Z", "1970-01-01T00:20:00Z"},
		{"True", "1970-01-01T00:10:00Z", "1970-01-01T00:10:00Z"},
	} {
		merged := condition(tt.status, tt.since)
		turnNow(condition("True", "1970-01-01T00:15:00Z"), merged, now)
		if got := merged["conditions"].([]any)[0].(map[string]any)["lastTransitionTime"]; got != tt.want {
			t.Errorf("%s since %s: %v, want %s", tt.status, tt.since, got, tt.want)
		}
	}
}

// TestStatusesWaitForWhatIsRead after the start of a hub, but not for ever, and not for a cluster that was away before.
func TestStatusesWaitForWhatIsRead(t *testing.T) {
	r := three(t)
	waits := func(now time.Time) time.Duration {
		out, err := Status(r.a, r.facts, r.all(), at(100), now)
		if err != nil || out.RetryAfter > 0 && out.Patch != nil {
			t.Errorf("%v, %v", out, err)
		}
		return out.RetryAfter
	}
	if rest := waits(at(101)); rest != 0 {
		t.Errorf("all have been read, and it waits for %s", rest)
	}
	r.member("azure").unheard = true
	if rest := waits(at(101)); rest != membersPatience-time.Second {
		t.Errorf("one has not been read, and it waits for %s", rest)
	}
	if rest := waits(at(100).Add(membersPatience)); rest != 0 {
		t.Errorf("after a while it waits for %s", rest)
	}
	if got := r.status(t); got["readyReplicas"] != int64(6) || !strings.Contains(said(got), "azure is out of reach") {
		t.Errorf("as long as it has not been read it counts as seen last: %v", got)
	}
	r.facts.Clusters["azure"].Ready = false
	if rest := waits(at(101)); rest != 0 {
		t.Errorf("it was away before, and it waits for %s", rest)
	}
	r.facts.Clusters["azure"].Ready = true
	delete(r.a.Shares, "azure")
	if rest := waits(at(101)); rest != 0 {
		t.Errorf("it is not placed there, and it waits for %s", rest)
	}
}

// TestWhatAMemberSaysIsOnlyItsOwn: one that makes a fault is left out and blamed, the others count.
func TestWhatAMemberSaysIsOnlyItsOwn(t *testing.T) {
	r := three(t)
	all := statusesOf(r.a, r.facts, r.all())
	good, blamed, err := merged(r.a, all)
	if err != nil || blamed != nil || good["readyReplicas"] != int64(6) {
		t.Fatalf("%v, %v, %v", good, blamed, err)
	}
	merges := 0
	blamed, err = leaveOut(all, func(some []aggregate.MemberStatus) {
		merges = 0
		for _, s := range some {
			if s.Cluster == "azure" && s.Status != nil {
				panic("rubbish")
			}
			merges++
		}
	})
	if err != nil || merges != 3 || len(blamed) != 1 || blamed["azure"] != "the status that cluster azure reports cannot be processed: a fault in Hanse: rubbish" {
		t.Errorf("%d are merged, %v, %v", merges, blamed, err)
	}
	r.a.Object = nil // nothing can be made of it, whoever says what
	if _, blamed, err := merged(r.a, all); err == nil || !strings.HasPrefix(blamed["aws"], "the status that cluster aws reports cannot be processed: a fault in Hanse") {
		t.Errorf("%v, %v", blamed, err)
	}
}

// TestObjectsThatOthersMadeDoNotCount: only what is placed, or was made from this template.
func TestObjectsThatOthersMadeDoNotCount(t *testing.T) {
	r := three(t)
	delete(r.a.Shares, "azure")
	if got := r.status(t)["replicas"]; got != int64(6) {
		t.Errorf("what is not moved away yet does not count: %v replicas", got)
	}
	r.member("azure").objects[r.a.Key].Template = "another"
	if got := r.status(t)["replicas"]; got != int64(4) {
		t.Errorf("a namesake's pods count: %v replicas", got)
	}
}

// TestReplicasOfAnAutoscalerAreTheMembers, whatever the hub wanted; and what cannot be read is not in sync.
func TestReplicasOfAnAutoscalerAreTheMembers(t *testing.T) {
	r := three(t)
	m := r.member("aws")
	o := *m.objects[r.a.Key]
	o.Spec = map[string]any{"replicas": int64(2), "paused": true}
	scaled := int32(7)
	o.Replicas = &scaled
	s := statusOf(r.a, r.facts, m, &o)
	if s.Spec["replicas"] != int64(7) || s.Spec["paused"] != true || o.Spec["replicas"] != int64(2) || *s.Replicas != 2 || !s.Synced {
		t.Errorf("%+v", s)
	}
	m.unread = errRefused
	if statusOf(r.a, r.facts, m, &o).Synced {
		t.Error("what is as last seen is taken for in sync")
	}
	if s := statusOf(r.a, r.facts, m, nil); s.Synced || s.Spec != nil || s.Status != nil {
		t.Errorf("of nothing: %+v", s)
	}
}

// TestOneStatusIsWrittenOnce: with the patch applied there is nothing more to write, and nothing that was given is changed.
func TestOneStatusIsWrittenOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := three(t)
		for _, m := range r.members {
			o := r.member(m.name).objects[r.a.Key]
			n := rapid.Int64Range(0, 3).Draw(rt, "ready")
			o.Status = available(n)
			if rapid.Bool().Draw(rt, "unavailable") {
				o.Status["conditions"].([]any)[0].(map[string]any)["status"] = "False"
			}
			switch rapid.IntRange(0, 4).Draw(rt, "fate") {
			case 0:
				r.lose(m.name, false)
			case 1:
				r.lose(m.name, true)
			case 2:
				o.InSync = false
			}
		}
		if rapid.Bool().Draw(rt, "unplaced") {
			r.a.Decision.Unplaced, r.a.Decision.Reason = 1, "no room"
		}
		before := runtime.DeepCopyJSON(r.a.Object.Object)
		first, err := Status(r.a, r.facts, r.all(), at(0), at(100))
		if err != nil || first.Patch == nil {
			rt.Fatalf("%v, %v", first, err)
		}
		if !reflect.DeepEqual(before, r.a.Object.Object) {
			rt.Fatal("the hub's object was changed")
		}
		written := *r.a.Template
		written.Object = r.a.Object.DeepCopy()
		status, _ := written.Object.Object["status"].(map[string]any)
		if status == nil {
			status = map[string]any{}
			written.Object.Object["status"] = status
		}
		apitest.Merge(status, first.Patch)
		next := *r.a
		next.Template = &written
		again, err := Status(&next, r.facts, r.all(), at(0), at(200))
		if err != nil || again.Patch != nil {
			rt.Fatalf("it is written again: %v (%v), first %v", again.Patch, err, first.Patch)
		}
	})
}

// TestReachedSaysWhatIsNotKnown of each kind of work.
func TestReachedSaysWhatIsNotKnown(t *testing.T) {
	one, two := int32(1), int32(2)
	deploy, job := newRig("aws"), newRig("aws")
	deploy.assign(t, deployments(), deployment(2))
	job.assign(t, schema.GroupResource{Group: "batch", Resource: "jobs"}, map[string]any{"apiVersion": "batch/v1", "kind": "Job",
		"metadata": map[string]any{"name": "j", "namespace": "shop", "uid": "j"}, "spec": map[string]any{"parallelism": int64(2), "completions": int64(4)}})
	for _, tt := range []struct {
		a    *decide.Assignment
		s    aggregate.MemberStatus
		want string
	}{
		{deploy.a, aggregate.MemberStatus{Replicas: &one}, "aws is out of reach: 1 replica there is counted as last seen"},
		{deploy.a, aggregate.MemberStatus{Replicas: &two}, "aws is out of reach: 2 replicas there are counted as last seen"},
		{deploy.a, aggregate.MemberStatus{}, "aws is out of reach: what it runs is counted as last seen"},
		{deploy.a, aggregate.MemberStatus{Replicas: &two, Lost: true}, "aws is lost: 2 replicas there are not ready"},
		{deploy.a, aggregate.MemberStatus{Lost: true}, "aws is lost: what it runs is not counted"},
		{job.a, aggregate.MemberStatus{Replicas: &two, Lost: true}, "aws is lost: the state of its pods is unknown, and their work is not repeated elsewhere"},
	} {
		tt.s.Cluster = "aws"
		if got := unreached(tt.a, tt.s); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

// TestProblemsAreACondition while there is one, since when there was; other kinds have none.
func TestProblemsAreACondition(t *testing.T) {
	r := newRig("aws")
	a := r.assign(t, deployments(), deployment(3))
	with := func(status map[string]any, change func(*decide.Assignment)) string {
		next := *a
		change(&next)
		got := withPlaced(&next, status, at(100))
		if got == nil {
			return "nothing"
		}
		return said(got)
	}
	for _, tt := range []struct {
		name, want string
		change     func(*decide.Assignment)
	}{
		{"none", "", func(*decide.Assignment) {}},
		{"nonsense", "hanse.dev/Placed=False PlacementProblem: nonsense", func(a *decide.Assignment) { a.Decision.Problem = "nonsense" }},
		{"nobody knows yet", "", func(a *decide.Assignment) { a.Decision.Hold, a.Decision.Unplaced = true, 3 }},
		{"unplaced", "hanse.dev/Placed=False " + v1alpha1.ReasonUnplaced + ": no room", func(a *decide.Assignment) { a.Decision.Unplaced, a.Decision.Reason = 1, "no room" }},
		{"spread", "hanse.dev/Placed=False " + v1alpha1.ReasonSpreadUnmet + ": has 2", func(a *decide.Assignment) { a.Decision.Unmet = "has 2" }},
	} {
		if got := with(map[string]any{"replicas": int64(8)}, tt.change); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	if got := with(nil, func(a *decide.Assignment) {}); got != "nothing" {
		t.Errorf("a status that is left alone becomes %q", got)
	}
	if got := with(nil, func(a *decide.Assignment) { a.Decision.Problem = "nonsense" }); got == "nothing" {
		t.Error("of what is left alone the problem is not told")
	}

	told := map[string]any{"type": v1alpha1.ConditionPlaced, "status": "False", "reason": "x", "message": "y", "lastTransitionTime": "2026-01-01T00:00:05Z"}
	a.Object.Object["status"] = map[string]any{"conditions": []any{told}}
	still := *a
	still.Decision.Problem = "nonsense"
	got := fmt.Sprint(withPlaced(&still, map[string]any{}, at(100)))
	if !strings.Contains(got, "2026-01-01T00:00:05Z") || !strings.Contains(got, "nonsense") {
		t.Errorf("it began when it was told first: %s", got)
	}
	if got := with(map[string]any{"conditions": []any{told}}, func(*decide.Assignment) {}); got != "" {
		t.Errorf("it is over, and %q", got)
	}

	settings := *newRig("aws").assign(t, configMaps(), configMap())
	settings.Decision.Problem = "nonsense"
	if got := withPlaced(&settings, nil, at(100)); got != nil {
		t.Errorf("a ConfigMap gets a status: %v", got)
	}
}
