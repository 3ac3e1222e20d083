package expel

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/propagate/assignment"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

func wanted(gr schema.GroupResource, d kinds.Division, share int32, placed bool, status map[string]any) *assignment.Wanted {
	obj := &unstructured.Unstructured{Object: map[string]any{"status": status}}
	namespace := "shop"
	if gr == template.Namespaces() {
		namespace = ""
	}
	t := &template.Template{Key: template.Key{GR: gr, Namespace: namespace, Name: "shop"}, Object: obj}
	t.Division = d
	return &assignment.Wanted{Template: t, Share: template.Share{Replicas: share}, Placed: placed}
}

func TestNext(t *testing.T) {
	n := func(n int32) *int32 { return &n }
	core := func(resource string) schema.GroupResource { return schema.GroupResource{Resource: resource} }
	deployments, claims := schema.GroupResource{Group: "apps", Resource: "deployments"}, core("persistentvolumeclaims")
	running := map[string]any{"replicas": int64(3)}
	for name, c := range map[string]struct {
		of   Object
		want Action
		says string
	}{
		"a workload that others replace":     {Object{Want: wanted(deployments, kinds.Replicas, 1, false, nil), Replicas: n(3), Status: running, Current: true}, Lower, ""},
		"one that others do not replace yet": {Object{Want: wanted(deployments, kinds.Replicas, 3, false, nil), Replicas: n(3), Status: running, Current: true}, Wait, "others to be ready in its place"},
		"one that somebody made smaller":     {Object{Want: wanted(deployments, kinds.Replicas, 3, false, nil), Replicas: n(2), Status: running, Current: true}, Wait, "others to be ready in its place"},
		"one whose pods end":                 {Object{Want: wanted(deployments, kinds.Replicas, 0, false, nil), Replicas: n(0), Status: running, Current: true}, Wait, "its pods to end"},
		"one whose status is of before":      {Object{Want: wanted(deployments, kinds.Replicas, 0, false, nil), Replicas: n(0)}, Wait, "its pods to end"},
		"one that runs nothing":              {Object{Want: wanted(deployments, kinds.Replicas, 0, false, nil), Replicas: n(0), Current: true}, Delete, ""},
		"a Secret of a workload":             {Object{Want: wanted(core("secrets"), kinds.Everywhere, 0, false, nil), Runs: true, Left: 2}, Wait, "the workloads of its namespace to leave"},
		"a Secret of nobody":                 {Object{Want: wanted(core("secrets"), kinds.Everywhere, 0, false, nil), Left: 1}, Delete, ""},
		"an autoscaler goes first":           {Object{Want: wanted(template.Autoscalers().GroupResource(), kinds.Everywhere, 0, false, nil), Runs: true}, Delete, ""},
		"a DaemonSet":                        {Object{Want: wanted(schema.GroupResource{Group: "apps", Resource: "daemonsets"}, kinds.Everywhere, 0, false, nil), Runs: true}, Delete, ""},
		"a CronJob":                          {Object{Want: wanted(schema.GroupResource{Group: "batch", Resource: "cronjobs"}, kinds.OneActive, 0, true, nil), Runs: true}, Delete, ""},
		"a Job that has begun":               {Object{Want: wanted(template.Jobs(), kinds.Completions, 2, true, nil), Runs: true}, Wait, "its work, which has begun there, to end"},
		"a Job that is done": {Object{Want: wanted(template.Jobs(), kinds.Completions, 2, true,
			map[string]any{"conditions": []any{map[string]any{"type": "Complete", "status": "True"}}}), Runs: true}, Delete, ""},
		"a claim":                                  {Object{Want: wanted(claims, kinds.Everywhere, 0, false, nil)}, Ask, ""},
		"a claim in use":                           {Object{Want: wanted(claims, kinds.Everywhere, 0, false, nil), Runs: true}, Wait, "the workloads of its namespace to leave"},
		"a claim that somebody approved of":        {Object{Want: wanted(claims, kinds.Everywhere, 0, false, nil), Approved: true}, Delete, ""},
		"a Namespace with something in it":         {Object{Want: wanted(template.Namespaces(), kinds.Everywhere, 0, false, nil), Left: 1, Approved: true}, Wait, "what is in it to leave"},
		"a Namespace with pods of others":          {Object{Want: wanted(template.Namespaces(), kinds.Everywhere, 0, false, nil), Holds: "pods"}, Wait, "pods in it to end"},
		"a Namespace with claims of others":        {Object{Want: wanted(template.Namespaces(), kinds.Everywhere, 0, false, nil), Holds: Claims}, Ask, ""},
		"an empty Namespace":                       {Object{Want: wanted(template.Namespaces(), kinds.Everywhere, 0, false, nil)}, Delete, ""},
		"one with claims, which somebody approved": {Object{Want: wanted(template.Namespaces(), kinds.Everywhere, 0, false, nil), Holds: Claims, Approved: true}, Delete, ""},
	} {
		if got, says := Next(c.of); got != c.want || says != c.says {
			t.Errorf("%s: %d %q, want %d %q", name, got, says, c.want, c.says)
		}
	}
}

func TestRuns(t *testing.T) {
	n := func(n int32) *int32 { return &n }
	deployments, pods := schema.GroupResource{Group: "apps", Resource: "deployments"}, schema.GroupResource{Resource: "pods"}
	for name, c := range map[string]struct{ got, want bool }{
		"replicas":        {Runs(deployments, n(1), nil), true},
		"pods that end":   {Runs(deployments, n(0), map[string]any{"replicas": int64(1)}), true},
		"nothing":         {Runs(deployments, n(0), nil), false},
		"a pod":           {Runs(pods, nil, map[string]any{"phase": "Running"}), true},
		"a pod that ends": {Runs(pods, nil, map[string]any{"phase": "Succeeded"}), false},
		"a Job":           {Runs(template.Jobs(), nil, nil), true},
	} {
		if c.got != c.want {
			t.Errorf("%s: %t", name, c.got)
		}
	}
}
