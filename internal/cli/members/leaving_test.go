package members

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/hanse-dev/hanse/internal/cli/hubtest"
)

const (
	clusterPath   = "/apis/hanse.dev/v1alpha1/clusters/"
	placementPath = "/apis/hanse.dev/v1alpha1/namespaces/shop/placements/deployments.apps.web"
)

// onPatch lets the hub do something when a Cluster is patched, after the patch.
func onPatch(t *testing.T, h *hubtest.Hub, name string, then func()) {
	t.Helper()
	h.After("PATCH "+clusterPath+name, then)
}

func TestDrain(t *testing.T) {
	h := hubtest.New(t)
	h.Put(t, strings.ReplaceAll(aws, ", unschedulable: true", ""))
	h.Put(t, azure)
	h.Put(t, webPlacement)
	try(t, h, NewDrainCommand, "",
		example{line: "", error: "hanse drain requires at least one cluster name"},
		example{line: "mars", error: "there is no cluster mars, only aws, azure"},
		example{line: "aws --timeout=soon", error: `invalid argument "soon" for "--timeout" flag`},
		example{line: "aws --dry-run", out: "deployment shop/web: 2 to be moved from aws\ncluster/aws drained (dry run)\n"},
		example{line: "aws --dry-run=server", out: "deployment shop/web: 2 to be moved from aws\ncluster/aws drained (server dry run)\n"})
	condition := func(status, reason, message string) {
		h.Put(t, strings.ReplaceAll(aws, "unschedulable: true", "unschedulable: true, drain: true")+
			`  - {type: Drained, observedGeneration: 2, status: "`+status+`", reason: `+reason+`, message: "`+message+`"}`+"\n")
	}
	onPatch(t, h, "aws", func() { condition("False", "Blocked", "1 workload is left") })
	try(t, h, NewDrainCommand, "", example{line: "aws",
		errOut: "cluster/aws is being drained\ncluster/aws: 1 workload is left\n",
		error:  "cluster aws is not empty: 1 workload is left. The hub moves the rest when it can. Try: "})
	onPatch(t, h, "aws", func() { condition("False", "Draining", "web is moving") })
	try(t, h, NewDrainCommand, "", example{line: "aws --timeout=10ms", errOut: "cluster/aws is being drained\n",
		error: "timed out; the hub continues to drain cluster aws"})
	onPatch(t, h, "aws", func() {
		condition("True", "Drained", "")
		h.Put(t, strings.NewReplacer("aws=2", "azure=2", "name: aws", "name: azure").Replace(webPlacement))
	})
	try(t, h, NewDrainCommand, "", example{line: "aws", out: "cluster/aws drained\n",
		errOut: "cluster/aws is being drained\ndeployment shop/web moved: azure=2, was aws=2\n"})
	onPatch(t, h, "aws", func() { h.Put(t, aws) })
	try(t, h, NewDrainCommand, "", example{line: "aws", errOut: "cluster/aws is being drained\n",
		error: "somebody else has ended the drain of cluster aws. Try: hanse drain aws again"})
}

// Who interrupts a drain is told that the hub continues.
func TestDrainInterrupted(t *testing.T) {
	h := hubtest.New(t)
	h.Put(t, strings.ReplaceAll(aws, "unschedulable: true", "unschedulable: true, drain: true"))
	ctx, cancel := context.WithCancel(t.Context())
	interrupted := func(s genericiooptions.IOStreams) *cobra.Command {
		cmd := NewDrainCommand(s)
		run := cmd.RunE
		cmd.RunE = func(cmd *cobra.Command, names []string) error {
			cmd.SetContext(ctx)
			return run(cmd, names)
		}
		return cmd
	}
	h.After("GET "+clusterPath+"aws", cancel)
	_, _, err := h.Run(t, interrupted, "", "aws")
	if err == nil || !strings.HasPrefix(err.Error(), "interrupted; the hub continues to drain cluster aws. Try: hanse drain aws to wait again") {
		t.Errorf("%v", err)
	}
}

func TestUnjoin(t *testing.T) {
	h := hubtest.New(t)
	try(t, h, NewUnjoinCommand, "",
		example{line: "", error: "hanse unjoin requires exactly one cluster name"},
		example{line: "nobody", error: "there is no cluster nobody. Try: hanse clusters"})
	for _, c := range []struct {
		example
		annotations string
	}{
		{example{line: "aws", out: "cluster/aws left; its workloads are left running\n"}, `"hanse.dev/on-unjoin":null,"hanse.dev/on-unjoin-force":null`},
		{example{line: "aws --delete-workloads", out: "cluster/aws left; its workloads are deleted\n"}, `"hanse.dev/on-unjoin":"delete","hanse.dev/on-unjoin-force":null`},
		{example{line: "aws --delete-workloads --force", out: "cluster/aws left; its workloads may still be there, as --force allows\n"}, `"hanse.dev/on-unjoin":"delete","hanse.dev/on-unjoin-force":"true"`},
	} {
		h.Put(t, aws)
		try(t, h, NewUnjoinCommand, "", c.example)
		w := h.Writes()
		patch, remove := w[len(w)-2], w[len(w)-1]
		if patch.Body != `{"metadata":{"annotations":{`+c.annotations+`},"uid":"cluster--aws"}}` {
			t.Errorf("%s: written is %s", c.line, patch.Body)
		}
		if remove.Method != http.MethodDelete || !strings.Contains(remove.Body, `"uid":"cluster--aws"`) {
			t.Errorf("%s: deleted is %+v", c.line, remove)
		}
	}
}

// A cluster that has not left in time says why, and one that has what it left behind.
func TestUnjoinWaits(t *testing.T) {
	h := hubtest.New(t)
	leaving := func(reason, message string) {
		h.Put(t, aws+`  - {type: Leaving, status: "True", reason: `+reason+`, message: "`+message+`"}`+"\n")
	}
	h.Handle("DELETE "+clusterPath+"aws", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"kind":"Status","apiVersion":"v1"}`))
	})
	h.Put(t, aws)
	try(t, h, NewUnjoinCommand, "", example{line: "aws --timeout=10ms", error: "cluster aws has not left within 10ms: the hub has not looked at it. Try: hanse status"})
	leaving("Waiting", "2 objects are left")
	try(t, h, NewUnjoinCommand, "", example{line: "aws --timeout=300ms", errOut: "• 2 objects are left\n", error: "cluster aws has not left within 300ms: 2 objects are left"})
	h.Handle("PATCH "+clusterPath+"azure", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	h.Put(t, azure)
	try(t, h, NewUnjoinCommand, "", example{line: "azure", error: "cannot remove cluster azure: "})
}

func TestJoinErrors(t *testing.T) {
	h := hubtest.New(t)
	hub := "--hub-kubeconfig " + h.Kubeconfig
	for line, want := range map[string]string{
		"":                        "hanse join requires exactly one cluster name. Try: hanse join NAME",
		"x":                       "which cluster? Try: --kubeconfig FILE, the kubeconfig of the cluster to join",
		"x --kubeconfig none":     "there is no file none. Try: --kubeconfig with the kubeconfig of the cluster to join",
		"x --context none " + hub: `there is no context "none" in `,
		"x --kubeconfig " + h.Kubeconfig + " --hub-context none " + hub:             "Try: --hub-kubeconfig FILE or --hub-context NAME",
		"Bad_Name --kubeconfig " + h.Kubeconfig + " --context federation " + hub:    `"Bad_Name" cannot be the name of a cluster`,
		"x --kubeconfig " + h.Kubeconfig + " --context federation " + hub:           "is not an https:// address: the hub would send its credential in the clear",
		"x --dry-run --kubeconfig " + h.Kubeconfig + " --context federation " + hub: "is not an https:// address: the hub would send its credential in the clear",
	} {
		t.Setenv("KUBECONFIG", h.Kubeconfig)
		out, _, err := hubtest.Run(t, NewJoinCommand, "", strings.Fields(line)...)
		if err == nil || !strings.Contains(err.Error(), want) || out != "" {
			t.Errorf("%s: %q, %v; want %q", line, out, err, want)
		}
	}
	if w := h.Writes(); len(w) != 0 {
		t.Errorf("written is %v", w)
	}
	if err := asHubFlags(errors.New("Try: --kubeconfig F or --context C")); err.Error() != "Try: --hub-kubeconfig F or --hub-context C" {
		t.Error(err)
	}
}
