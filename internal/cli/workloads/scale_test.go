package workloads

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/hanse-dev/hanse/internal/cli/hubtest"
	"github.com/hanse-dev/hanse/internal/propagate"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// a line and what comes of it: parts of what is said, or of the error.
type example struct{ line, out, errOut, error string }

// try runs a verb for each example.
func try(t *testing.T, h *hubtest.Hub, make func(genericiooptions.IOStreams) *cobra.Command, examples ...example) {
	t.Helper()
	for _, c := range examples {
		t.Run(c.line, func(t *testing.T) {
			t.Helper()
			out, errOut, err := h.Run(t, make, "", strings.Fields(c.line)...)
			if out != c.out {
				t.Errorf("printed is\n%s\nwant\n%s", out, c.out)
			}
			if !strings.Contains(errOut, c.errOut) || c.errOut == "" && errOut != "" {
				t.Errorf("said is %q, want %q", errOut, c.errOut)
			}
			if (err == nil) != (c.error == "") || err != nil && !strings.Contains(err.Error(), c.error) {
				t.Errorf("error %v, want %q", err, c.error)
			}
		})
	}
}

const (
	deploymentPath = "/apis/apps/v1/namespaces/default/deployments/web"
	web            = `
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  namespace: default
  generation: 1
  annotations: {hanse.dev/division: '{"aws":1,"azure":1}'}
  managedFields: [{manager: kubectl}]
spec: {replicas: 2, template: {spec: {containers: [{name: c, image: nginx}]}}}
`
)

// room makes a hub decide with so much room in its clusters, of which google is not
// ready. It decides with the scheduler that a hub decides with.
func room(t *testing.T, h *hubtest.Hub, free map[string]int64) *[]propagate.PlanRequest {
	t.Helper()
	var asked []propagate.PlanRequest
	var clusters []schedule.Cluster
	for name, n := range free {
		ready := name != "google"
		status := "True"
		if !ready {
			status = "False"
		}
		h.Put(t, `{apiVersion: hanse.dev/v1alpha1, kind: Cluster, metadata: {name: `+name+`}, status: {conditions: [{type: Ready, status: "`+status+`"}]}}`)
		clusters = append(clusters, schedule.Cluster{Name: name, Ready: ready, Domains: []schedule.Domain{{Free: &schedule.Resources{MilliCPU: n * 1000, Pods: 100}}}})
	}
	template := &corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{
		Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1")}}}}}}
	h.Handle("POST "+propagate.PathPlan, func(w http.ResponseWriter, r *http.Request) {
		var q propagate.PlanRequest
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
			t.Error(err)
		}
		asked = append(asked, q)
		obj := q.Objects[0]
		total, _, _ := unstructured.NestedInt64(obj.Object, "spec", "replicas")
		workload := schedule.Workload{Key: "deployments.apps/default/web", Divided: true, Total: int32(total), Current: q.Current, Template: template, ByRemainder: true}
		workload.ReadFederation(obj.GetAnnotations(), "hanse.dev/preferences")
		_ = json.NewEncoder(w).Encode([]propagate.Planned{{Decision: schedule.Schedule(workload, clusters)}})
	})
	return &asked
}

func TestScale(t *testing.T) {
	h := hubtest.New(t)
	asked := room(t, h, map[string]int64{"aws": 4, "azure": 1})
	h.Put(t, web)
	try(t, h, NewScaleCommand, example{line: "deploy/web aws=2 azure=2", out: `deployment.apps/web scaled: 4 replicas
CLUSTER   BEFORE   AFTER
aws       1        2
azure     1        2
`})
	w := h.Writes()
	last := w[len(w)-1]
	if last.Method != http.MethodPatch || !strings.Contains(last.Query, "fieldManager=hanse-scale") ||
		!strings.Contains(last.Body, `"annotations":{"hanse.dev/division":"{\"aws\":2,\"azure\":2}"}`) || !strings.Contains(last.Body, `"replicas":4`) {
		t.Errorf("written is %+v", last)
	}
	if got := (*asked)[0]; len(*asked) != 2 || got.Objects[0].GetManagedFields() != nil || got.Objects[0].GetName() != "web" {
		t.Errorf("the hub was asked %+v", *asked)
	}
	h.Put(t, web)
	before := len(h.Writes())
	try(t, h, NewScaleCommand,
		example{line: "deploy/web azure=3", error: "cluster azure has room for 2 of 3 replicas of deployment/web. Try: hanse scale deployment/web azure=2"},
		example{line: "deploy/web --replicas=8 --dry-run -o wide", out: `deployment.apps/web scaled: 8 replicas (dry run)
not placed: 1 replica
CLUSTER   BEFORE   AFTER   REASON
aws       1        5       raised from 1: other clusters cannot take more
azure     1        2       raised from 1: had the fewest
`, errOut: "Note: 1 of 8 replicas fit nowhere: 2 clusters: no room for cpu 1.\n"},
		example{line: "deploy/web --replicas=3 --dry-run -o name", out: "deployment.apps/web\n"},
		example{line: "deploy/web --replicas=1 --dry-run -o jsonpath={.after.replicas},{.after.clusters},{.unplaced},{.dryRun},{.object.kind}", out: `1,{"aws":0,"azure":1},0,client,Deployment`},
		example{line: "deploy/web --min aws=2 --max azure=1 --replicas=3 --dry-run", out: `deployment.apps/web scaled: 3 replicas (dry run)
CLUSTER   BEFORE   AFTER   MIN   MAX   WEIGHT
aws       1        2       2     -     1
azure     1        1       0     1     1
`})
	for _, r := range h.Writes()[before:] {
		if r.Path != propagate.PathPlan {
			t.Errorf("a dry run, or one that failed, wrote %+v", r)
		}
	}
	try(t, h, NewScaleCommand, example{line: "deploy/web --replicas=3 --dry-run=server -o name", out: "deployment.apps/web\n"})
	if w := h.Writes(); !strings.Contains(w[len(w)-1].Query, "dryRun=All") {
		t.Errorf("written is %+v", w[len(w)-1])
	}
}

// --even forgets how it was divided: the hub is told of nothing, which is not the same
// as nothing being said.
func TestScaleEven(t *testing.T) {
	h := hubtest.New(t)
	asked := room(t, h, map[string]int64{"aws": 9, "azure": 9, "google": 9})
	h.Put(t, strings.Replace(web, `{"aws":1,"azure":1}`, `{"aws":4,"azure":1,"google":1}`, 1)+"\n")
	obj := h.Object(deploymentPath)
	setNested(obj.Object, int64(6), "spec", "replicas")
	h.PutObject(t, obj)
	try(t, h, NewScaleCommand, example{line: "deploy/web --even -o name", out: "deployment.apps/web\n"})
	if q := (*asked)[0]; q.Current == nil || len(q.Current) != 1 || q.Current["google"] != 1 {
		t.Errorf("said of what runs is %v, want only what is in the cluster that is away", q.Current)
	}
	h.Remove("/apis/hanse.dev/v1alpha1/clusters/google")
	obj = h.Object(deploymentPath)
	obj.SetAnnotations(map[string]string{"hanse.dev/division": `{"aws":5,"azure":1}`})
	h.PutObject(t, obj)
	try(t, h, NewScaleCommand, example{line: "deploy/web --even -o name", out: "deployment.apps/web\n"})
	if q := (*asked)[1]; q.Current == nil || len(q.Current) != 0 {
		t.Errorf("said of what runs is %v, want nothing, and not null", q.Current)
	}
}

// A write that meets another's is done again with what there is then.
func TestScaleMeetsAnotherWrite(t *testing.T) {
	h := hubtest.New(t)
	room(t, h, map[string]int64{"aws": 9, "azure": 9})
	h.Put(t, web)
	h.After("GET "+deploymentPath, func() {
		h.Put(t, strings.NewReplacer("replicas: 2", "replicas: 3", `"azure":1`, `"azure":2`).Replace(web))
	})
	try(t, h, NewScaleCommand, example{line: "deploy/web aws=4 -o jsonpath={.before.replicas},{.after.replicas}", out: "3,6"})
	h.Handle("PATCH "+deploymentPath, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusConflict)
		_, _ = w.Write([]byte(`{"kind":"Status","apiVersion":"v1","reason":"Conflict","code":409}`))
	})
	try(t, h, NewScaleCommand, example{line: "deploy/web aws=5", error: "deploy/web keeps being changed by others. Try: again"})
}

// What the Placement says is the division where none is recorded, and an autoscaler at
// the hub is mentioned.
func TestScaleByThePlacement(t *testing.T) {
	h := hubtest.New(t)
	room(t, h, map[string]int64{"aws": 9, "azure": 9})
	h.Put(t, strings.Replace(web, "annotations", "labels", 1))
	obj := h.Object(deploymentPath)
	obj.SetLabels(nil)
	h.PutObject(t, obj)
	h.Put(t, `{apiVersion: hanse.dev/v1alpha1, kind: Placement, metadata: {name: deployments.apps.web, namespace: default, generation: 1},
  object: {uid: deployment-default-web}, clusters: [{name: aws, replicas: 2}, {name: azure, replicas: 0}]}`)
	h.Put(t, `{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: web, namespace: default}, spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}}}`)
	try(t, h, NewScaleCommand, example{line: "deploy/web azure=1 -o jsonpath={.before.clusters}", out: `{"aws":2,"azure":0}`,
		errOut: "Note: HorizontalPodAutoscaler web sets the replicas of deployment/web by their load, whatever is asked for here.\n"})
}

func TestScaleErrors(t *testing.T) {
	h := hubtest.New(t)
	room(t, h, map[string]int64{"aws": 4, "azure": 1})
	h.Put(t, web)
	h.Put(t, `{apiVersion: v1, kind: Service, metadata: {name: web, namespace: default}}`)
	h.Put(t, `{apiVersion: batch/v1, kind: Job, metadata: {name: web, namespace: default}}`)
	try(t, h, NewScaleCommand,
		example{line: "", error: "no workload is named. Try: hanse scale deployment/web aws=2"},
		example{line: "deploy/web", error: "no replicas are given for deployment/web. Try: hanse scale deployment/web aws=2 azure=1, or --replicas=3"},
		example{line: "web aws=1", error: `"web" is not KIND/NAME. Try: hanse scale deployment/web aws=2`},
		example{line: "planet/web aws=1", error: "the hub has no kind planet"},
		example{line: "deploy/none aws=1", error: "there is no deploy/none in namespace default. Try: kubectl get deployments -A, or -n NAMESPACE"},
		example{line: "deploy/web aws=1 -n shop", error: "there is no deploy/web in namespace shop"},
		example{line: "svc/web aws=1", error: "services have no replicas to divide. Try: a deployment"},
		example{line: "job/web aws=1", error: "the division of a Job is fixed when it is made"},
		example{line: "deploy/web mars=1", error: "there is no cluster mars. Try: one of aws, azure"},
		example{line: "deploy/web aws=-1", error: "aws=-1 is below zero. Try: "},
		example{line: "deploy/web aws=lots", error: "aws=lots is not a number of replicas. Try: "},
		example{line: "deploy/web aws=1 aws=2", error: "cluster aws is named twice. Try: "},
		example{line: "deploy/web --replicas=-3", error: "--replicas=-3 is below zero. Try: --replicas=3"},
		example{line: "deploy/web --replicas=x", error: `invalid argument "x" for "--replicas" flag`},
		example{line: "deploy/web --replicas=3 aws=1", error: "the total is the sum of the clusters' counts. Try: "},
		example{line: "deploy/web --even --min aws=1", error: "--even removes counts, minima, maxima and weights. Try: "},
		example{line: "deploy/web --min aws=3 --max aws=2", error: "cluster aws would have the minimum 3 and the maximum 2. Try: "},
		example{line: "deploy/web --min aws", error: `"aws" is not CLUSTER=N. Try: --min aws=2,azure=1`},
		example{line: "deploy/web --max aws=many", error: "aws=many is not a number of replicas. Try: --max aws=5,azure=none"},
		example{line: "deploy/web --weight aws=-1", error: "aws=-1 is below zero. Try: --weight"},
		example{line: "deploy/web aws=1 --dry-run=maybe", error: "unknown --dry-run=maybe. Try: "},
		example{line: "deploy/web aws=1 -o table", error: `suitable for the output format "table"`})
	for _, r := range h.Writes() {
		if r.Path != propagate.PathPlan {
			t.Errorf("written is %+v", r)
		}
	}
}

// What the hub refuses is not written.
func TestScaleWithoutTheHubsConsent(t *testing.T) {
	h := hubtest.New(t)
	h.Put(t, `{apiVersion: hanse.dev/v1alpha1, kind: Cluster, metadata: {name: aws}, status: {conditions: [{type: Ready, status: "True"}]}}`)
	h.Put(t, web)
	answer := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }
	h.Handle("POST "+propagate.PathPlan, func(w http.ResponseWriter, r *http.Request) { answer(w, r) })
	try(t, h, NewScaleCommand, example{line: "deploy/web aws=2", error: "does not let you read /hanse/plan"})
	answer = func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`[{"stays":"it is the hub's own"}]`))
	}
	try(t, h, NewScaleCommand, example{line: "deploy/web aws=2", error: "deploy/web stays at the hub: it is the hub's own. Try: hanse kinds"})
	answer = func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`[]`)) }
	try(t, h, NewScaleCommand, example{line: "deploy/web aws=2", error: "the hub was asked about 1 object and answers about 0"})
	if obj := h.Object(deploymentPath); obj.GetAnnotations()["hanse.dev/division"] != `{"aws":1,"azure":1}` {
		t.Errorf("written is %v", obj.GetAnnotations())
	}
}
