package members

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/hanse-dev/hanse/internal/cli/hubtest"
	"github.com/hanse-dev/hanse/internal/controlplane/datadir"
)

const (
	aws = `
apiVersion: hanse.dev/v1alpha1
kind: Cluster
metadata: {name: aws, creationTimestamp: "2026-01-01T00:00:00Z", generation: 2}
spec: {endpoint: "https://aws.example", unschedulable: true}
status:
  phase: Ready
  provider: aws
  region: us-east-1
  zones: [us-east-1a, us-east-1b]
  version: v1.37.1
  nodes: 3
  conditions:
  - {type: Ready, status: "True", reason: Ready}
  - {type: Synced, status: "True", reason: Synced}
`
	azure = `
apiVersion: hanse.dev/v1alpha1
kind: Cluster
metadata: {name: azure, creationTimestamp: "2026-01-01T02:00:00Z"}
spec: {endpoint: "https://azure.example", drain: true}
status: {phase: NotReady}
`
	webPlacement = `
apiVersion: hanse.dev/v1alpha1
kind: Placement
metadata: {name: deployments.apps.web, namespace: shop}
object: {kind: Deployment, namespace: shop, name: web, uid: u}
summary: {clusters: "aws=2", synced: "True"}
clusters: [{name: aws, replicas: 2, readyReplicas: 2, state: Synced}]
`
)

// later is a clock a day after the clusters were made.
func later() *clocktesting.FakePassiveClock {
	return clocktesting.NewFakePassiveClock(time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC))
}

func clusters(s genericiooptions.IOStreams) *cobra.Command { return NewClustersCommand(s, later()) }

func prunes(s genericiooptions.IOStreams) *cobra.Command { return NewPruneCommand(s, later()) }

// a line and what comes of it: parts of what is printed, or of the error.
type example struct{ line, out, errOut, error string }

// try runs a verb for each example.
func try(t *testing.T, h *hubtest.Hub, make func(genericiooptions.IOStreams) *cobra.Command, stdin string, examples ...example) {
	t.Helper()
	for _, c := range examples {
		t.Run(c.line, func(t *testing.T) {
			t.Helper()
			out, errOut, err := h.Run(t, make, stdin, strings.Fields(c.line)...)
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

func TestClusters(t *testing.T) {
	h := hubtest.New(t)
	try(t, h, clusters, "",
		example{line: "", errOut: "No cluster has joined. Try: hanse join NAME --kubeconfig FILE"},
		example{line: "-o name"},
		example{line: "-o jsonpath={.kind}", out: "ClusterList"})
	h.Put(t, aws)
	h.Put(t, azure)
	try(t, h, clusters, "",
		example{line: "", out: `NAME    STATUS                     PROVIDER   REGION      VERSION   NODES   AGE
aws     Ready,SchedulingDisabled   aws        us-east-1   v1.37.1   3       24h
azure   NotReady,Draining          -          -           -         0       22h
`},
		example{line: "-o wide", out: `NAME    STATUS                     PROVIDER   REGION      VERSION   NODES   AGE   ZONES                   ENDPOINT                MESSAGE
aws     Ready,SchedulingDisabled   aws        us-east-1   v1.37.1   3       24h   us-east-1a,us-east-1b   https://aws.example     cordoned: it is given nothing new. Try: hanse uncordon aws
azure   NotReady,Draining          -          -           -         0       22h   -                       https://azure.example   the hub has not looked at it yet
`},
		example{line: "-o name", out: "cluster.hanse.dev/aws\ncluster.hanse.dev/azure\n"},
		example{line: "-o custom-columns=N:.metadata.name,R:.status.region", out: "N       R\naws     us-east-1\nazure   <none>\n"},
		example{line: "-o jsonpath={.apiVersion},{.kind},{.items[0].kind}", out: "hanse.dev/v1alpha1,ClusterList,Cluster"},
		example{line: "-o xml", error: `unable to match a printer suitable for the output format "xml", allowed formats are: `},
		example{line: "aws", error: `unknown command "aws" for "hanse clusters"`},
		example{line: "--context nowhere", error: `there is no context "nowhere" in `})
}

func TestStatus(t *testing.T) {
	h := hubtest.New(t)
	h.Put(t, aws)
	h.Put(t, strings.ReplaceAll(webPlacement, `"True"`, `"False", message: "aws refuses it"`))
	try(t, h, NewStatusCommand, "",
		example{line: "", out: "hub " + h.URL + `, Kubernetes v1.37.1, ready

CLUSTER   STATUS   SYNCED   HELD   MESSAGE
aws       Ready    True     0      cordoned: it is given nothing new. Try: hanse uncordon aws

1 object is not everywhere as the hub wants it:
NAMESPACE   KIND         NAME   CLUSTERS   MESSAGE
shop        Deployment   web    aws=2      aws refuses it
`},
		example{line: "-o jsonpath={.hub.version},{.clusters[*].name},{.notInSync[0].message}", out: "v1.37.1,aws,aws refuses it"},
		example{line: "-o name", error: `suitable for the output format "name", allowed formats are: go-template`})
	h.Handle("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = w.Write([]byte("[+]ping ok\n[-]etcd failed: gone\nreadyz check failed\n"))
	})
	try(t, h, NewStatusCommand, "", example{line: "-o jsonpath={.hub.ready},{.hub.problem}", out: "false,etcd failed: gone"})
	h.Answer("/hanse/certificates", datadir.Report{Problem: "late", Certificates: []datadir.Certificate{
		{Name: "ca", Expires: later().Now().Add(time.Hour)}, {Name: "admin", Expires: later().Now()}}})
	try(t, h, NewStatusCommand, "", example{line: "-o jsonpath={.hub.certificates.first},{.hub.certificates.problem}", out: "admin,late"})
	h.Answer("GET /version", []int{1})
	try(t, h, NewStatusCommand, "", example{line: "", error: "is not a Kubernetes API server: "})
}

func TestCordon(t *testing.T) {
	h := hubtest.New(t)
	h.Put(t, aws)
	h.Put(t, azure)
	try(t, h, NewCordonCommand, "",
		example{line: "", error: "hanse cordon requires at least one cluster name. Try: hanse clusters, then hanse cordon NAME"},
		example{line: "mars", error: "there is no cluster mars, only aws, azure. Try: hanse clusters"},
		example{line: "aws mars", error: "there is no cluster mars"},
		example{line: "azure --dry-run=maybe", error: "unknown --dry-run=maybe. Try: "},
		example{line: "azure --dry-run", out: "cluster/azure cordoned (dry run)\n"})
	if w := h.Writes(); len(w) != 0 {
		t.Fatalf("written is %v", w)
	}
	try(t, h, NewCordonCommand, "",
		example{line: "azure --dry-run=server", out: "cluster/azure cordoned (server dry run)\n"},
		example{line: "aws azure", out: "cluster/aws already cordoned\ncluster/azure cordoned\n"})
	w := h.Writes()
	if len(w) != 2 || !strings.Contains(w[0].Query, "dryRun=All") || strings.Contains(w[1].Query, "dryRun") || !strings.Contains(w[1].Query, "fieldManager=hanse-cli") {
		t.Fatalf("written is %v", w)
	}
	if w[1].Body != `{"metadata":{"uid":"cluster--azure"},"spec":{"unschedulable":true}}` {
		t.Errorf("written is %s", w[1].Body)
	}
	try(t, h, NewUncordonCommand, "",
		example{line: "azure", out: "cluster/azure uncordoned\n"},
		example{line: "azure", out: "cluster/azure already uncordoned\n"})
	spec := h.Object("/apis/hanse.dev/v1alpha1/clusters/azure").Object["spec"].(map[string]any)
	if len(spec) != 1 || spec["endpoint"] == nil {
		t.Errorf("left of the spec is %v", spec)
	}
	h.Handle("PATCH /apis/hanse.dev/v1alpha1/clusters/azure", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	try(t, h, NewCordonCommand, "", example{line: "azure", error: "does not let you do this: "})
}

func TestPrune(t *testing.T) {
	h := hubtest.New(t)
	held := `{"cluster":"aws","items":[` +
		`{"resource":"configmaps","kind":"ConfigMap","namespace":"shop","name":"old","uid":"1","since":"2026-01-01T23:00:00Z","message":"was made by a hub before","reason":"r"},` +
		`{"resource":"namespaces","kind":"Namespace","name":"shop","uid":"2","since":"2026-01-01T23:00:00Z","message":"m","released":true,"otherHub":true}],"more":3}`
	h.Put(t, aws)
	h.Put(t, azure)
	h.Handle("GET /hanse/held/aws", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(held)) })
	h.Handle("POST /hanse/held/aws", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"approved":1,"stale":["namespaces/shop"]}`))
	})
	h.Answer("GET /hanse/held/azure", map[string]any{"cluster": "azure"})
	table := `KIND        NAMESPACE   NAME   HUB       HELD   WHY
ConfigMap   shop        old    this      60m    was made by a hub before
Namespace   -           shop   another   60m    m (released, not deleted)
`
	more := "3 more are held than are listed. Prune again when these are gone."
	try(t, h, prunes, "",
		example{line: "", error: "hanse prune requires exactly one cluster name. Try: hanse prune NAME"},
		example{line: "nobody", error: "there is no cluster nobody. Try: hanse clusters"},
		example{line: "aws --dry-run=maybe", error: "unknown --dry-run=maybe. Try: "},
		example{line: "aws -o table", error: `suitable for the output format "table"`},
		example{line: "azure", errOut: "Nothing is held in cluster azure."},
		example{line: "azure -o name"},
		example{line: "aws --dry-run", out: table, errOut: more},
		example{line: "aws --dry-run=server -o name", out: "configmaps/shop/old\nnamespaces/shop\n", errOut: more},
		example{line: "aws --dry-run -o jsonpath={.items[*].uid}", out: "1 2", errOut: more},
		example{line: "aws", out: table, errOut: "Delete 2 objects from cluster aws? [y/N] ", error: "there is nobody to answer. Try: --yes"})
	try(t, h, prunes, "n\n", example{line: "aws", out: table, errOut: "Nothing was changed."})
	if w := h.Writes(); len(w) != 0 {
		t.Fatalf("written is %v", w)
	}
	for _, yes := range []struct{ stdin, line string }{{"y\n", "aws"}, {"YES", "aws"}, {"", "aws --yes"}} {
		try(t, h, prunes, yes.stdin, example{line: yes.line, out: table,
			errOut: "namespaces/shop is no longer held, or is another object by now: it is left as it is.\ncluster/aws pruning 1 object\n"})
	}
	if w := h.Writes(); len(w) != 3 || !strings.Contains(w[0].Body, `"uid":"1"`) {
		t.Errorf("written is %v", w)
	}
}
