package hub_test

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/cli/hub"
	"github.com/hanse-dev/hanse/internal/cli/hubtest"
)

func cluster(name string) string {
	return "{apiVersion: hanse.dev/v1alpha1, kind: Cluster, metadata: {name: " + name + "}}"
}

func at(h *hubtest.Hub) *hub.Flags { return &hub.Flags{Kubeconfig: h.Kubeconfig, Context: hub.Context} }

func wants(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %q", err, want)
	}
}

func TestRestConfig(t *testing.T) {
	h := hubtest.New(t)
	cfg, err := at(h).RestConfig()
	if err != nil || cfg.Host != h.URL || cfg.QPS >= 0 || cfg.UserAgent != "hanse-cli" {
		t.Fatalf("%+v, %v", cfg, err)
	}
	broken := filepath.Join(t.TempDir(), "broken")
	if err := os.WriteFile(broken, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	half := filepath.Join(t.TempDir(), "half")
	if err := os.WriteFile(half, []byte("contexts: [{name: federation, context: {cluster: none}}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		flags hub.Flags
		want  string
	}{
		{hub.Flags{Kubeconfig: "/none", Context: "federation"}, "there is no kubeconfig /none. Try: hanse demo, or --kubeconfig FILE"},
		{hub.Flags{Kubeconfig: h.Kubeconfig, Context: "other"}, `there is no context "other" in ` + h.Kubeconfig + ". Try: --kubeconfig FILE or --context NAME"},
		{hub.Flags{Kubeconfig: broken, Context: "federation"}, "cannot read the kubeconfig " + broken},
		{hub.Flags{Kubeconfig: half, Context: "federation"}, `the context "federation" in ` + half + " cannot be used"},
	} {
		_, err := c.flags.RestConfig()
		wants(t, err, c.want)
	}
}

func TestAsk(t *testing.T) {
	h := hubtest.New(t)
	h.Answer("/hanse/good", map[string]string{"a": "b"})
	h.Refuse("/hanse/said", http.StatusUnprocessableEntity, "this cannot be. Try: that")
	h.Refuse("/hanse/mayNot", http.StatusForbidden, "you may not patch it")
	for path, code := range map[string]int{"/hanse/401": 401, "/hanse/403": 403, "/hanse/500": 500} {
		h.Handle(path, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
	}
	for path, want := range map[string]string{
		"/hanse/said":   "this cannot be. Try: that",
		"/hanse/mayNot": "you may not patch it",
		"/hanse/401":    "refuses the credential in its kubeconfig (401). Try: ",
		"/hanse/403":    "does not let you read /hanse/403. Try: ",
		"/hanse/500":    "answers 500 Internal Server Error to /hanse/500. Try: the same version",
	} {
		_, err := at(h).Get(t.Context(), path, nil)
		wants(t, err, want)
	}
	var got map[string]string
	if err := at(h).GetJSON(t.Context(), "/hanse/good", url.Values{"x": {"1"}}, &got); err != nil || got["a"] != "b" {
		t.Errorf("%v, %v", got, err)
	}
	var number int
	wants(t, at(h).GetJSON(t.Context(), "/hanse/good", nil, &number), "the hub's answer cannot be read: ")
	gone := hubtest.New(t)
	flags := at(gone)
	gone.Close()
	_, err := flags.Get(t.Context(), "/hanse/good", nil)
	wants(t, err, "cannot be asked: connection refused. Try: ")
}

func TestClusters(t *testing.T) {
	h := hubtest.New(t)
	clusters, err := at(h).Clusters()
	if err != nil {
		t.Fatal(err)
	}
	_, err = clusters.Named(t.Context(), []string{"aws"})
	wants(t, err, "there is no cluster aws: none has joined. Try: hanse join aws --kubeconfig FILE")
	_, err = clusters.One(t.Context(), "aws")
	wants(t, err, "there is no cluster aws. Try: hanse clusters")
	for _, name := range []string{"azure", "aws"} {
		h.Put(t, cluster(name))
	}
	all, err := clusters.All(t.Context())
	if err != nil || len(all) != 2 || all[0].Name != "aws" {
		t.Errorf("%v, %v", all, err)
	}
	_, err = clusters.Named(t.Context(), []string{"aws", "mars"})
	wants(t, err, "there is no cluster mars, only aws, azure. Try: hanse clusters")
	if named, err := clusters.Named(t.Context(), []string{"azure"}); err != nil || named[0].Name != "azure" {
		t.Errorf("%v, %v", named, err)
	}
	h.Handle("GET /apis/hanse.dev/v1alpha1/placements", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
	_, err = clusters.Placements(t.Context())
	wants(t, err, "refuses the credential")
}

func TestList(t *testing.T) {
	h := hubtest.New(t)
	h.Put(t, cluster("aws"))
	raw, items, err := hub.List[v1alpha1.Cluster](t.Context(), at(h), "clusters")
	if err != nil || len(items) != 1 || items[0].Name != "aws" || raw.GetKind() != "ClusterList" || raw.Items[0].GetKind() != "Cluster" {
		t.Errorf("%v, %v, %v", raw, items, err)
	}
	_, _, err = hub.List[v1alpha1.Cluster](t.Context(), at(h), "planets")
	wants(t, err, "has no planets. Try: the same version of hanse for both")
}

func TestFindResource(t *testing.T) {
	h := hubtest.New(t)
	cfg, err := at(h).RestConfig()
	if err != nil {
		t.Fatal(err)
	}
	for given, want := range map[string]string{
		"deploy/web": "apps/v1/deployments web", "deployment/web": "apps/v1/deployments web", "deployments.apps/web": "apps/v1/deployments web",
		"svc/web": "/v1/services web", "cluster/aws": "hanse.dev/v1alpha1/clusters aws",
	} {
		gvr, name, err := hub.FindResource(cfg, given, "x")
		if got := strings.Join([]string{gvr.Group, gvr.Version, gvr.Resource}, "/") + " " + name; err != nil || got != want {
			t.Errorf("%s is %s, %v; want %s", given, got, err, want)
		}
	}
	for given, want := range map[string]string{
		"web": `"web" is not KIND/NAME. Try: hanse x`, "/web": "is not KIND/NAME", "deploy/": "is not KIND/NAME",
		"planet/mars": "the hub has no kind planet. Try: kubectl api-resources",
	} {
		_, _, err := hub.FindResource(cfg, given, "hanse x")
		wants(t, err, want)
	}
}

func TestCompletion(t *testing.T) {
	h := hubtest.New(t)
	h.Put(t, cluster("aws"))
	h.Put(t, cluster("azure"))
	flags := at(h)
	cmd := &cobra.Command{}
	cmd.SetContext(t.Context())
	if got, _ := flags.CompleteClusters(cmd, []string{"aws"}, ""); len(got) != 1 || got[0] != "azure" {
		t.Errorf("completed are %q", got)
	}
	flags.Bind(cmd)
	flags.Kubeconfig = h.Kubeconfig
	complete, _ := cmd.GetFlagCompletionFunc("context")
	if got, _ := complete(cmd, nil, ""); len(got) != 1 || got[0] != "federation" {
		t.Errorf("contexts are %q", got)
	}
	h.Close()
	if got := flags.ClusterNames(t.Context()); got != nil {
		t.Errorf("a hub that is gone has %q", got)
	}
}
