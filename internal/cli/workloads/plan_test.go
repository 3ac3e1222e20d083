package workloads

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	clocktesting "k8s.io/utils/clock/testing"
	"pgregory.net/rapid"

	"github.com/hanse-dev/hanse/internal/cli/hubtest"
	"github.com/hanse-dev/hanse/internal/propagate"
)

const twoClusters = `
apiVersion: v1
kind: List
items:
- {apiVersion: hanse.dev/v1alpha1, kind: Cluster, metadata: {name: aws, labels: {hanse.dev/continent: NA}}}
- {apiVersion: hanse.dev/v1alpha1, kind: Cluster, metadata: {name: azure, labels: {hanse.dev/continent: EU}}}
`

// inFiles writes files, by name, into a directory that becomes the working directory.
func inFiles(t *testing.T, files map[string]string) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
}

func TestPlanByAFile(t *testing.T) {
	h := hubtest.New(t)
	h.Close() // no hub is asked
	inFiles(t, map[string]string{
		"web.yaml": web, "clusters.yaml": twoClusters,
		"eu.yaml":     strings.Replace(web, "spec: {containers", "spec: {nodeSelector: {hanse.dev/continent: EU}, containers", 1),
		"lease.yaml":  "{apiVersion: coordination.k8s.io/v1, kind: Lease, metadata: {name: l}}",
		"policy.yaml": "{apiVersion: hanse.dev/v1alpha1, kind: PlacementPolicy, metadata: {name: few, namespace: default}, spec: {division: {limits: {aws: {max: 0}}}}}",
		"bad.yaml":    "a: [", "nameless.yaml": "{apiVersion: v1, kind: Service, metadata: {}}", "kindless.yaml": "{metadata: {name: a}}",
		"list.yaml": "{apiVersion: v1, kind: List, items: [{metadata: {name: a}}]}",
	})
	even := "deployment/web\nCLUSTER   REPLICAS   REASON\naws       1          even share\nazure     1          even share\n\n"
	with := " --clusters clusters.yaml"
	try(t, h, plan,
		example{line: "-f web.yaml" + with, out: even},
		example{line: "-f eu.yaml" + with + " -o jsonpath={.decisions[0].clusters[*].name},{.decisions[0].rejected[*].name},{.decisions[0].object.kind}", out: "azure,aws,Deployment"},
		example{line: "-f web.yaml" + with + " --without azure -o jsonpath={.decisions[*].clusters[*].replicas}", out: "2"},
		example{line: "-f web.yaml" + with + " --current aws=2,azure=0 -o jsonpath={.decisions[*].clusters[*].replicas}", out: "2 0"},
		example{line: "-f web.yaml -f policy.yaml" + with + " -o jsonpath={.decisions[0].clusters[?(@.name=='azure')].replicas}", out: "2"},
		example{line: "-f lease.yaml" + with, out: "lease/l\nstays at the hub: leases elect leaders and prove life within one cluster\n\nNothing here goes to a cluster. Try: the workloads that a policy selects beside it, such as hanse plan -f web.yaml -f policy.yaml\n"},
		example{line: "" + with, error: "there is nothing to plan. Try: hanse plan -f FILE"},
		example{line: "-f none.yaml" + with, error: "cannot read none.yaml: "},
		example{line: "-f bad.yaml" + with, error: "cannot read bad.yaml: "},
		example{line: "-f nameless.yaml" + with, error: "nameless.yaml has a Service without a name. Try: "},
		example{line: "-f kindless.yaml" + with, error: "kindless.yaml has an object without apiVersion or kind. Try: "},
		example{line: "-f list.yaml" + with, error: "cannot read the list in list.yaml: "},
		example{line: "-f web.yaml --clusters web.yaml", error: "web.yaml has a Deployment, where Clusters, policies and Namespaces are wanted. Try: "},
		example{line: "-f web.yaml" + with + " --without mars", error: "there is no cluster mars to leave out. Try: hanse clusters"},
		example{line: "-f web.yaml" + with + " --current aws", error: `"aws" is not CLUSTER=N. Try: --current aws=3,azure=0`},
		example{line: "-f web.yaml" + with + " --current aws=-1", error: `"aws=-1" is not CLUSTER=N`},
		example{line: "-f web.yaml" + with + " -o wide", error: `suitable for the output format "wide"`})
	if out, _, err := h.Run(t, plan, web, "-f", "-", "--clusters", "clusters.yaml"); err != nil || out != even {
		t.Errorf("by standard input: %s, %v", out, err)
	}
}

// plan is hanse plan on the second day of 2026.
func plan(s genericiooptions.IOStreams) *cobra.Command {
	return NewPlanCommand(s, clocktesting.NewFakePassiveClock(time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)))
}

func TestPlanAtTheHub(t *testing.T) {
	h := hubtest.New(t)
	inFiles(t, map[string]string{"web.yaml": web})
	h.Handle("POST "+propagate.PathPlan, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`[{"decision":{"Divided":true,"Shares":[{"Cluster":"aws","Replicas":1,"Reason":"even share"}],"Unplaced":1,"Reason":"1 of 2 replicas fit nowhere"},"wouldNotSurvive":["the loss of aws: 1 of 2 replicas without a place: no cluster would be left"]}]`))
	})
	try(t, h, plan,
		example{line: "-f web.yaml --without azure", out: "deployment/web\nCLUSTER   REPLICAS   REASON\naws       1          even share\n(none)    1          unplaced\n\n1 of 2 replicas fit nowhere.\n\nwould not survive the loss of aws: 1 of 2 replicas without a place: no cluster would be left\n\n"},
		example{line: "-f web.yaml --current aws=2 -o jsonpath={.decisions[0].unplaced},{.decisions[0].wouldNotSurvive[0]}", out: "1,the loss of aws: 1 of 2 replicas without a place: no cluster would be left"})
	w := h.Writes()
	if len(w) != 2 || !strings.Contains(w[0].Body, `"without":["azure"],"losses":true,"current":null}`) || !strings.Contains(w[1].Body, `"current":{"aws":2}}`) {
		t.Errorf("asked is %v", w)
	}
	refusing := hubtest.New(t)
	refusing.Refuse(propagate.PathPlan, http.StatusUnprocessableEntity, "there is no cluster mars to leave out")
	try(t, refusing, plan, example{line: "-f web.yaml --without mars", error: "there is no cluster mars to leave out"})
}

// parseCurrent takes what it would print, and nothing that would be negative.
func TestParseCurrent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.MapOfN(rapid.StringMatching(`[a-z][a-z0-9-]{0,8}`), rapid.Int32Range(0, 1<<30), 1, 4).Draw(t, "current")
		var words []string
		for name, n := range want {
			words = append(words, name+"="+fmt.Sprint(n))
		}
		got, err := parseCurrent(strings.Join(words, ","))
		if err != nil || len(got) != len(want) {
			t.Fatalf("%v, %v", got, err)
		}
		for name, n := range want {
			if got[name] != n {
				t.Fatalf("%s has %d, want %d", name, got[name], n)
			}
		}
	})
}

func FuzzReadObjects(f *testing.F) {
	for _, s := range []string{web, twoClusters, "---\n---\n", "a: [", "[]", "{apiVersion: v1, kind: List, items: [1]}", "null", "{kind: 5, apiVersion: v1}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, manifest string) {
		objects, err := readObjects("-", strings.NewReader(manifest))
		if err != nil {
			return
		}
		for _, u := range objects {
			if u.GetKind() == "" || u.GetAPIVersion() == "" {
				t.Errorf("an object without kind: %v", u)
			}
		}
	})
}
