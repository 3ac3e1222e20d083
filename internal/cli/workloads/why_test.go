package workloads

import (
	"net/http"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	testclock "k8s.io/utils/clock/testing"

	"github.com/hanse-dev/hanse/internal/cli/hubtest"
)

const explained = `
apiVersion: hanse.dev/v1alpha1
kind: Placement
metadata: {name: deployments.apps.web, namespace: default}
object: {kind: Deployment, name: web, namespace: default}
summary: {clusters: "aws=2", message: "1 replica has no place"}
unplaced: 1
policy: {reason: "PlacementPolicy few selects it", overruled: ["ClusterPlacementPolicy all"]}
rollout: {state: Paused, message: before step aws, revision: abc}
clusters:
- {name: aws, replicas: 2, state: Synced, reason: even share}
- {name: azure, replicas: 0, state: Error, lastError: quota exceeded}
rejected: [{name: google, reason: not ready}]
`

// whyVerb is the command at a moment.
func whyVerb(s genericiooptions.IOStreams) *cobra.Command {
	return NewWhyCommand(s, testclock.NewFakePassiveClock(moment))
}

func TestWhy(t *testing.T) {
	h := hubtest.New(t)
	h.Put(t, explained)
	h.Put(t, `{apiVersion: hanse.dev/v1alpha1, kind: Placement, metadata: {name: namespaces.shop, namespace: hanse-system},
  object: {kind: Namespace, name: shop}, summary: {}, clusters: [{name: aws, state: Synced}]}`)
	try(t, h, whyVerb,
		example{line: "deploy/web", out: `deployment/web: aws=2
not placed: 1 replica
1 replica has no place
rollout: Paused, before step aws
policy: PlacementPolicy few selects it
        ClusterPlacementPolicy all
CLUSTER   CHOSEN   REPLICAS   STATE    REASON
aws       yes      2          Synced   even share
azure     yes      0          Error    -
google    no       -          -        not ready
azure: quota exceeded
`},
		example{line: "ns/shop -n any", out: "namespace/shop: -\nCLUSTER   CHOSEN   REPLICAS   STATE    REASON\naws       yes      -          Synced   -\n"},
		example{line: "deploy/web -o jsonpath={.kind},{.rejected[*].name}", out: "Placement,google"},
		example{line: "deploy/web -o name", out: "placement.hanse.dev/deployments.apps.web\n"},
		example{line: "deploy/web -o custom-columns=W:.summary.clusters", out: "W\naws=2\n"},
		example{line: "deploy/web -o wide", error: `suitable for the output format "wide"`},
		example{line: "", error: "hanse why requires exactly one KIND/NAME. Try: hanse why deployment/web"},
		example{line: "web", error: `"web" is not KIND/NAME. Try: hanse why deployment/web`},
		example{line: "deploy/none", error: "nothing is known of deploy/none in namespace default: it does not exist, or stays at the hub. Try: "},
		example{line: "planet/mars", error: "the hub has no kind planet. Try: kubectl api-resources"})
	h.Handle("GET /apis/hanse.dev/v1alpha1/namespaces/default/placements/deployments.apps.web", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
	try(t, h, whyVerb, example{line: "deploy/web", error: "refuses the credential in its kubeconfig (401)"})
}

func TestKinds(t *testing.T) {
	run := func(line string) (string, error) {
		out, _, err := hubtest.Run(t, NewKindsCommand, "", strings.Fields(line)...)
		return out, err
	}
	for line, want := range map[string]string{
		"":        "RESOURCE ",
		"-o name": "nodes\n",
		`-o jsonpath={.items[?(@.resource=="nodes")].reason}`: "machines belong to a member",
		"-o json":                              `"resource": "nodes"`,
		"--role":                               "kind: ClusterRole\n",
		"--role -o json":                       `"kind": "ClusterRole"`,
		"--role -o name":                       "clusterrole.rbac.authorization.k8s.io/",
		"--role -o jsonpath={.rules[0].verbs}": `["`,
	} {
		if out, err := run(line); err != nil || !strings.Contains(out, want) {
			t.Errorf("%q: %v, %s; want %q", line, err, out, want)
		}
	}
	for line, want := range map[string]string{
		"-o table": `suitable for the output format "table"`,
		"nodes":    "unknown command",
	} {
		if out, err := run(line); err == nil || !strings.Contains(err.Error(), want) || out != "" {
			t.Errorf("%q: %v, %s; want %q", line, err, out, want)
		}
	}
}
