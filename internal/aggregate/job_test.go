package aggregate_test

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/kubernetes/pkg/apis/batch"
	batchconversion "k8s.io/kubernetes/pkg/apis/batch/v1"
	"k8s.io/kubernetes/pkg/apis/batch/validation"
	"pgregory.net/rapid"

	"github.com/hanse-dev/hanse/internal/aggregate"
)

// everyRule is the API server's validation of a Job's status with nothing
// left out.
func everyRule() validation.JobStatusValidationOptions {
	var opts validation.JobStatusValidationOptions
	v := reflect.ValueOf(&opts).Elem()
	for i := range v.NumField() {
		v.Field(i).SetBool(true)
	}
	return opts
}

func internalJob(t *rapid.T, o map[string]any) *batch.Job {
	var job batchv1.Job
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(o, &job, true); err != nil {
		t.Fatal(err)
	}
	var out batch.Job
	if err := batchconversion.Convert_v1_Job_To_batch_Job(&job, &out, nil); err != nil {
		t.Fatal(err)
	}
	return &out
}

// memberJob is a Job in a cluster as it goes on.
type memberJob struct {
	aggregate.MemberStatus
	ended string // Complete, Failed, or "" while it runs
}

func condition(conditionType, at string) map[string]any {
	return map[string]any{"type": conditionType, "status": "True", "reason": "Because", "lastProbeTime": at, "lastTransitionTime": at}
}

// step lets the cluster's Job go on by one event, as its controller would.
func (m *memberJob) step(t *rapid.T, at string) {
	completions := m.Spec["completions"].(int64)
	if m.Status == nil {
		m.Status = map[string]any{"startTime": at, "active": completions, "ready": int64(0), "terminating": int64(0), "succeeded": int64(0), "failed": int64(0)}
		return
	}
	active, succeeded := m.Status["active"].(int64), m.Status["succeeded"].(int64)
	conditions, _ := m.Status["conditions"].([]any)
	switch event := rapid.SampledFrom([]string{"succeed", "succeed", "retry", "fail", "end"}).Draw(t, m.Cluster); {
	case m.ended != "":
	case event == "succeed" && active > 0 && len(conditions) == 0:
		m.Status["active"], m.Status["succeeded"] = active-1, succeeded+1
	case event == "retry" && active > 0:
		m.Status["failed"] = m.Status["failed"].(int64) + 1
	case event == "fail" && active > 0 && len(conditions) == 0:
		m.Status["conditions"] = []any{condition("FailureTarget", at)}
	case event == "end" && len(conditions) > 0:
		m.Status["active"] = int64(0)
		m.Status["conditions"] = append(conditions, condition("Failed", at))
		m.ended = "Failed"
	case event == "end" && succeeded == completions:
		m.Status["completionTime"] = at
		m.Status["conditions"] = []any{condition("SuccessCriteriaMet", at), condition("Complete", at)}
		m.ended = "Complete"
	}
}

// TestJobPassesTheAPIServersValidation lets Jobs in several clusters go their
// ways, lets clusters leave, and writes the status at the hub after each event.
func TestJobPassesTheAPIServersValidation(t *testing.T) {
	gk := schema.GroupKind{Group: "batch", Kind: "Job"}
	opts := everyRule()
	ends := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		var jobs []*memberJob
		var total int64
		for i := range rapid.IntRange(1, 3).Draw(t, "clusters") {
			share := rapid.Int32Range(0, 2).Draw(t, "share")
			total += int64(share)
			jobs = append(jobs, &memberJob{MemberStatus: aggregate.MemberStatus{
				Cluster: fmt.Sprintf("c%d", i), Replicas: &share, Synced: true, Reachable: true,
				Spec: map[string]any{"completions": int64(share)},
			}})
		}
		hub := map[string]any{
			"apiVersion": "batch/v1", "kind": "Job",
			"metadata": map[string]any{"name": "pi", "generation": int64(1), "resourceVersion": "1", "creationTimestamp": "2026-01-01T09:00:00Z"},
			"spec":     map[string]any{"completions": total, "template": map[string]any{"spec": map[string]any{"containers": []any{}}}},
		}
		clock := time.Date(2026, 1, 1, 10, 0, 0, 0, time.UTC)
		for range 40 {
			// The clusters' clocks differ.
			clock = clock.Add(time.Duration(rapid.IntRange(-2, 4).Draw(t, "seconds")) * time.Second)
			jobs[rapid.IntRange(0, len(jobs)-1).Draw(t, "whose")].step(t, clock.Format(time.RFC3339))
			if len(jobs) > 1 && rapid.IntRange(0, 60).Draw(t, "leaves") == 0 {
				jobs = jobs[1:]
			}
			var members []aggregate.MemberStatus
			for _, j := range jobs {
				members = append(members, j.MemberStatus)
			}
			before := internalJob(t, hub)
			hub["status"] = aggregate.Status(gk, hub, members)
			after := internalJob(t, hub)
			if errs := validation.ValidateJobUpdateStatus(after, before, opts); len(errs) > 0 {
				t.Fatalf("refused: %v\n%v", errs, hub["status"])
			}
			checkJobEnd(t, after, jobs)
		}
		for _, c := range internalJob(t, hub).Status.Conditions {
			ends[string(c.Type)]++
		}
	})
	if ends["Complete"] == 0 || ends["Failed"] == 0 {
		t.Errorf("no Job ended one of the ways, nothing was tested: %v", ends)
	}
}

// checkJobEnd holds the end at the hub against the clusters': it never comes
// before theirs, and is a success only if all succeeded.
func checkJobEnd(t *rapid.T, hub *batch.Job, jobs []*memberJob) {
	all := map[string]bool{"Complete": true, "ended": true}
	for _, j := range jobs {
		all["Complete"] = all["Complete"] && j.ended == "Complete"
		all["ended"] = all["ended"] && j.ended != ""
	}
	complete, failed := validation.IsJobComplete(hub), validation.IsJobFailed(hub)
	if complete && !all["Complete"] || failed && !all["ended"] {
		t.Fatalf("complete: %t, failed: %t at the hub, too early", complete, failed)
	}
}
