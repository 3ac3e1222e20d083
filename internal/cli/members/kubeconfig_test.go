package members

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/hanse-dev/hanse/internal/cli/hubtest"
)

// sample is a kubeconfig with one context.
func sample(name, server string) string {
	return "{apiVersion: v1, kind: Config, current-context: " + name + ", contexts: [{name: " + name + ", context: {cluster: c, user: u}}], clusters: [{name: c, cluster: {server: '" + server + "'}}], users: [{name: u, user: {token: t}}]}"
}

func write(t *testing.T, name, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func contextsIn(t *testing.T, content string) string {
	t.Helper()
	config, err := clientcmd.Load([]byte(content))
	if err != nil {
		t.Fatalf("%v in %s", err, content)
	}
	var names []string
	for _, name := range []string{"aws", "aws-2", "aws2", "azure", "federation"} {
		if config.Contexts[name] != nil {
			names = append(names, name)
		}
	}
	return strings.Join(names, ",")
}

func TestKubeconfigPrints(t *testing.T) {
	h := hubtest.New(t)
	h.Put(t, aws)
	merged := write(t, "merged", sample("aws", "https://a.example"))
	hub, err := os.ReadFile(h.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBECONFIG", write(t, "hub", string(hub))+string(os.PathListSeparator)+merged)
	for line, want := range map[string]string{
		"":                              "aws,federation",
		"federation":                    "federation",
		"--from " + merged + "=azure":   "azure",
		"--from " + merged + ":aws":     "aws",
		"aws --from " + merged + ":aws": "aws",
	} {
		out, errOut, err := hubtest.Run(t, NewKubeconfigCommand, "", strings.Fields(line)...)
		if err != nil || errOut != "" || contextsIn(t, out) != want {
			t.Errorf("%q: %q, %v; want %s, got %s", line, errOut, err, want, out)
		}
	}
	for line, want := range map[string]string{
		"mars":             `there is no context "mars" to take. Try: one of federation, aws, or --from FILE`,
		"--on-clash=maybe": "unknown --on-clash=maybe. Try: ask, rename, overwrite or fail",
		"--from none":      "none",
		"--from " + merged + " --from " + h.Kubeconfig + ":federation=aws":                      "Try: --on-clash=rename or --on-clash=overwrite, or --from FILE:CONTEXT=NAME",
		"--from " + merged + " --from " + h.Kubeconfig + ":federation=aws --on-clash=overwrite": "two of the contexts to merge are called aws. Try: --from FILE:CONTEXT=NAME",
		"--kubeconfig /none": "there is no kubeconfig /none. Try: hanse demo",
	} {
		out, _, err := hubtest.Run(t, NewKubeconfigCommand, "", strings.Fields(line)...)
		if err == nil || !strings.Contains(err.Error(), want) || out != "" {
			t.Errorf("%q: %q, %v; want %q", line, out, err, want)
		}
	}
}

func TestKubeconfigMerges(t *testing.T) {
	new1 := write(t, "new", sample("aws", "https://new.example"))
	into := write(t, "config", sample("aws", "https://old.example"))
	run := func(line string) (string, string, error) {
		return hubtest.Run(t, NewKubeconfigCommand, "", append(strings.Fields(line), "--merge="+into)...)
	}
	if out, _, err := run("--from " + new1 + " --on-clash=fail"); err == nil || out != "" {
		t.Errorf("a clash is no error: %q", out)
	}
	// Nobody can be asked, so that it fails.
	if _, _, err := run("--from " + new1); err == nil || !strings.Contains(err.Error(), "--on-clash=rename") {
		t.Errorf("%v", err)
	}
	out, errOut, err := run("--from " + new1 + " --on-clash=rename")
	if err != nil || !strings.Contains(out, "context/aws") || !strings.Contains(errOut, "aws is taken: calling it ") || !strings.Contains(errOut, "The kubeconfig as it was is in "+into+".bak.") || !strings.HasSuffix(errOut, "The current context is aws.\n") {
		t.Errorf("%q, %q, %v", out, errOut, err)
	}
	out, errOut, err = run("--from " + new1 + "=azure --use azure")
	if err != nil || out != "context/azure added\n" || !strings.HasSuffix(errOut, "The current context is azure.\n") {
		t.Errorf("%q, %q, %v", out, errOut, err)
	}
	out, errOut, err = run("--from " + new1 + "=azure")
	if err != nil || out != "" || !strings.Contains(errOut, into+" has these contexts already.") {
		t.Errorf("%q, %q, %v", out, errOut, err)
	}
	out, _, err = run("--from " + new1 + " --on-clash=overwrite")
	if err != nil || out != "context/aws updated\n" {
		t.Errorf("%q, %v", out, err)
	}
}
