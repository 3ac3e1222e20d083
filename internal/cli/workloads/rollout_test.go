package workloads

import (
	"net/http"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/cli/hubtest"
	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/rollout"
)

const rolling = `
apiVersion: hanse.dev/v1alpha1
kind: Placement
metadata: {name: deployments.apps.web, namespace: default, generation: 1}
object: {kind: Deployment, name: web, uid: deployment-default-web}
rollout:
  state: STATE
  message: MESSAGE
  revision: abc
  clusters:
  - {name: aws, step: first, state: Done, updated: 1, ready: 1, total: 1}
  - {name: azure, state: Held, total: 1}
`

func placementThat(state, message string) string {
	return strings.NewReplacer("STATE", state, "MESSAGE", message).Replace(rolling)
}

// below is a verb below hanse rollout.
func below(verb string) func(genericiooptions.IOStreams) *cobra.Command {
	return func(s genericiooptions.IOStreams) *cobra.Command {
		parent := NewRolloutCommand(s)
		for _, cmd := range parent.Commands() {
			if cmd.Name() == verb {
				parent.RemoveCommand(cmd)
				return cmd
			}
		}
		return parent
	}
}

func TestRolloutStatus(t *testing.T) {
	h := hubtest.New(t)
	h.Put(t, web)
	h.Put(t, `{apiVersion: v1, kind: Service, metadata: {name: web, namespace: default}}`)
	h.Put(t, placementThat("Complete", "all clusters have it"))
	table := `STEP    CLUSTER   STATE   UPDATED   READY   TOTAL
first   aws       Done    1         1       1
-       azure     Held    0         0       1
`
	try(t, h, below("status"),
		example{line: "", error: "hanse status requires exactly one KIND/NAME. Try: hanse rollout status deployment/web"},
		example{line: "web", error: `"web" is not KIND/NAME. Try: hanse rollout status deployment/web`},
		example{line: "svc/web", error: "svc/web does not roll out: a change of services goes everywhere at once. Try: "},
		example{line: "deploy/none", error: "there is no deploy/none in namespace default. Try: -n NAMESPACE"},
		example{line: "deploy/web", out: "deployment.apps/web: Complete, all clusters have it\n" + table, errOut: "Complete: all clusters have it\n"},
		example{line: "deploy/web --watch=false", out: "deployment.apps/web: Complete, all clusters have it\n" + table},
		example{line: "deploy/web --watch=false -o jsonpath={.kind},{.rollout.state},{.rollout.clusters[*].name}", out: "Placement,Complete,aws azure"},
		example{line: "deploy/web --watch=false -o name", out: "placement.hanse.dev/deployments.apps.web\n"},
		example{line: "deploy/web -o xml", error: `suitable for the output format "xml"`})
	h.Put(t, placementThat("Stopped", "azure failed"))
	try(t, h, below("status"), example{line: "deploy/web", out: "deployment.apps/web: Stopped, azure failed\n" + table, errOut: "Stopped: azure failed\n",
		error: "the rollout of deploy/web has stopped: azure failed. Try: hanse rollout undo deploy/web"})
	h.Put(t, placementThat("Failed", "aws failed"))
	try(t, h, below("status"), example{line: "deploy/web -o jsonpath={.rollout.message}", out: "aws failed", errOut: "Failed: ", error: "has failed: aws failed."})
	h.Put(t, placementThat("Progressing", "waits for aws"))
	try(t, h, below("status"),
		example{line: "deploy/web --timeout=400ms -o jsonpath={.rollout.state}", out: "Progressing", errOut: "Progressing: waits for aws\n", error: "the rollout of deploy/web is not done in time: waits for aws"})
	// The Placement of another object of that name is none.
	h.Put(t, strings.Replace(placementThat("Complete", "all have it"), "uid: deployment-default-web", "uid: another", 1))
	try(t, h, below("status"), example{line: "deploy/web --timeout=200ms", error: "nothing is known of deploy/web: the hub did not answer in time"})
}

// A rollout that goes on is told of as it goes, and what is printed is its end.
func TestRolloutStatusFollows(t *testing.T) {
	h := hubtest.New(t)
	h.Put(t, web)
	h.Put(t, placementThat("Progressing", "waits for aws"))
	h.After("GET /apis/hanse.dev/v1alpha1/namespaces/default/placements/deployments.apps.web", func() { h.Put(t, placementThat("Complete", "all have it")) })
	try(t, h, below("status"), example{line: "deploy/web -o jsonpath={.rollout.state}", out: "Complete", errOut: "Progressing: waits for aws\nComplete: all have it\n"})
}

// stored is a ControllerRevision of web with an image.
func stored(number, image, uid string) (manifest, name string) {
	template := map[string]any{"spec": map[string]any{"containers": []any{map[string]any{"name": "c", "image": image}}}}
	name = rollout.RevisionOf(template)
	return `{apiVersion: apps/v1, kind: ControllerRevision, metadata: {name: web-` + number + `, namespace: default, labels: {hanse.dev/revision-of: ` + uid + `},
  annotations: {hanse.dev/revision: "` + name + `", kubernetes.io/change-cause: "because of ` + image + `"}}, revision: ` + number + `,
  data: {spec: {template: {$patch: replace, spec: {containers: [{name: c, image: "` + image + `"}]}}}}}`, name
}

func history(t *testing.T) *hubtest.Hub {
	h := hubtest.New(t)
	h.Put(t, web)
	for number, image := range map[string]string{"1": "nginx:1", "2": "nginx:2"} {
		manifest, _ := stored(number, image, "deployment-default-web")
		h.Put(t, manifest)
	}
	manifest, _ := stored("9", "another:9", "another")
	h.Put(t, manifest)
	return h
}

func TestRolloutHistory(t *testing.T) {
	h := history(t)
	obj := h.Object(deploymentPath)
	current := rollout.RevisionOf(kinds.Template(schema.GroupResource{Group: "apps", Resource: "deployments"}, obj)["spec"].(map[string]any)["template"].(map[string]any))
	try(t, h, below("history"),
		example{line: "", error: "requires exactly one KIND/NAME. Try: hanse rollout history deployment/web"},
		example{line: "deploy/web", out: `REVISION      IMAGES    CHANGE-CAUSE
1             nginx:1   because of nginx:1
2             nginx:2   because of nginx:2
3 (current)   nginx     -
`},
		example{line: "deploy/web -o jsonpath={.object.name},{.revisions[*].number},{.revisions[?(@.current==true)].revision},{.revisions[0].images[0]},{.revisions[1].changeCause}",
			out: "web,1 2 3," + current + ",nginx:1,because of nginx:2"},
		example{line: "deploy/web -o name", error: `suitable for the output format "name"`})
	h.Handle("GET /apis/apps/v1/namespaces/default/controllerrevisions", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","message":"no","code":403}`))
	})
	try(t, h, below("history"), example{line: "deploy/web", error: "cannot read the revisions of deploy/web: no"})
}

func TestRolloutUndo(t *testing.T) {
	h := history(t)
	try(t, h, below("undo"),
		example{line: "deploy/web --to-revision=7", error: "deploy/web has no revision 7. Try: hanse rollout history deploy/web"},
		example{line: "deploy/web --to-revision=3", error: "deploy/web has revision 3 already. Try: "},
		example{line: "deploy/web --dry-run=maybe", error: "unknown --dry-run=maybe"},
		example{line: "deploy/web --dry-run", out: "deployment.apps/web rolled back to revision 2 (nginx:2) (dry run)\n"})
	if w := h.Writes(); len(w) != 0 {
		t.Fatalf("written is %v", w)
	}
	try(t, h, below("undo"),
		example{line: "deploy/web --dry-run=server", out: "deployment.apps/web rolled back to revision 2 (nginx:2) (server dry run)\n"},
		example{line: "deploy/web --to-revision=1", out: "deployment.apps/web rolled back to revision 1 (nginx:1)\n"})
	w := h.Writes()
	if len(w) != 2 || !strings.Contains(w[0].Query, "dryRun=All") || !strings.Contains(w[1].Query, "fieldManager=hanse-rollout") || !strings.Contains(w[1].Body, `"op":"test","path":"/metadata/resourceVersion"`) {
		t.Errorf("written is %v", w)
	}
	obj := h.Object(deploymentPath)
	if got := imagesOf(obj.Object["spec"].(map[string]any)["template"].(map[string]any)); len(got) != 1 || got[0] != "nginx:1" {
		t.Errorf("the images are %q", got)
	}
	alone := hubtest.New(t)
	alone.Put(t, web)
	try(t, alone, below("undo"), example{line: "deploy/web", error: "deploy/web has no earlier revision to go back to. Try: "})
}

func TestRolloutPauseAndResume(t *testing.T) {
	h := hubtest.New(t)
	h.Put(t, web)
	annotate := func(name, value string) {
		obj := h.Object(deploymentPath)
		obj.SetAnnotations(map[string]string{name: value})
		h.PutObject(t, obj)
	}
	try(t, h, below("resume"), example{line: "deploy/web", error: "deploy/web is neither paused nor stopped"})
	try(t, h, below("pause"),
		example{line: "deploy/web", out: "deployment.apps/web paused: no policy lets its changes go step by step yet, and until one does they go everywhere at once\n"},
		example{line: "deploy/web", error: "deploy/web is paused already. Try: hanse rollout resume deploy/web"})
	if got := h.Object(deploymentPath).GetAnnotations()[v1alpha1.AnnotationRollout]; got != v1alpha1.RolloutPaused {
		t.Errorf("the annotation is %q", got)
	}
	try(t, h, below("resume"), example{line: "deploy/web", out: "deployment.apps/web resumed\n"})
	annotate(v1alpha1.AnnotationRollout, v1alpha1.RolloutStopped)
	try(t, h, below("pause"), example{line: "deploy/web", error: "deploy/web has stopped already. Try: hanse rollout undo deploy/web, or hanse rollout resume deploy/web"})
	obj := h.Object(deploymentPath)
	obj.SetAnnotations(map[string]string{v1alpha1.AnnotationRollout: v1alpha1.RolloutStopped,
		v1alpha1.AnnotationRolloutState: (&rollout.State{Revision: "abc", Failed: []string{"aws"}}).String()})
	h.PutObject(t, obj)
	try(t, h, below("resume"), example{line: "deploy/web", out: "deployment.apps/web resumed, without waiting for aws\n"})
	annotate(v1alpha1.AnnotationRolloutState, (&rollout.State{Revision: "abc"}).String())
	try(t, h, below("pause"), example{line: "deploy/web", out: "deployment.apps/web paused\n"})
}
