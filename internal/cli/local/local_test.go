package local

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/cli/hub"
	"github.com/hanse-dev/hanse/internal/cli/hubtest"
	"github.com/hanse-dev/hanse/internal/dns"
)

// TestMain fails at once where these verbs would start their own program, which is this
// test: it would start itself without end.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-") {
		os.Exit(97)
	}
	os.Exit(m.Run())
}

func fixed() *clocktesting.FakePassiveClock {
	return clocktesting.NewFakePassiveClock(time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC))
}

func verbs(s genericiooptions.IOStreams) *cobra.Command {
	return NewCommand(s, fixed(), &cobra.Command{Use: "run", Hidden: true})
}

func demos(s genericiooptions.IOStreams) *cobra.Command { return NewDemoCommand(s, fixed()) }

// home has a cluster that is stopped, and one whose files are damaged if damaged says so.
func home(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for file, content := range map[string]string{
		"cluster.json": `{"name":"aws","provider":"aws","region":"us-east-1","zones":["us-east-1a"],"nodes":3,"port":7001}`,
		"state.json":   `{"pid":1,"ready":true,"version":"v1.37.1","server":"https://127.0.0.1:7001","network":"127.1.0.0/16"}`,
	} {
		path := filepath.Join(dir, "local", "aws", file)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestList(t *testing.T) {
	dir, empty := home(t), t.TempDir()
	for _, c := range []struct{ line, out, errOut, error string }{
		{"list --dir " + dir, "NAME   STATUS    PROVIDER   REGION      VERSION   NODES   PORT\naws    Stopped   aws        us-east-1   v1.37.1   3       7001\n", "", ""},
		{"ls -o name --dir " + dir, "aws\n", "", ""},
		{"list -o jsonpath={.items[0].status},{.items[0].nodes},{.items[0].kubeconfig} --dir " + dir, "Stopped,3," + dir + "/local/aws/data/admin.kubeconfig", "", ""},
		{"list --dir " + empty, "", "No local clusters. Try: hanse local create NAME --provider aws\n", ""},
		{"list -o go-template={{.items|len}} --dir " + empty, "0", "", ""},
		{"list -o wide --dir " + dir, "", "", `suitable for the output format "wide"`},
		{"list aws --dir " + dir, "", "", `unknown command "aws"`},
	} {
		out, errOut, err := hubtest.Run(t, verbs, "", strings.Fields(c.line)...)
		if out != c.out || errOut != c.errOut || (err == nil) != (c.error == "") || err != nil && !strings.Contains(err.Error(), c.error) {
			t.Errorf("%s: %q, %q, %v; want %+v", c.line, out, errOut, err, c)
		}
	}
	t.Setenv("HANSE_HOME", dir)
	if out, _, err := hubtest.Run(t, verbs, "", "list", "-o", "name"); err != nil || out != "aws\n" {
		t.Errorf("by $HANSE_HOME: %q, %v", out, err)
	}
}

func TestLocalErrors(t *testing.T) {
	dir := home(t)
	for line, want := range map[string]string{
		"create --provider aws":                         "hanse local create requires exactly one cluster name. Try: hanse local create NAME",
		"create federation --provider aws --dir " + dir: `a cluster cannot be called "federation"`,
		"create a --provider nimbus --dir " + dir:       `unknown provider "nimbus". Try: `,
		"create aws --provider aws --dir " + dir:        `there is a local cluster "aws" already. Try: `,
		"create a --nodes many":                         `invalid argument "many" for "--nodes" flag`,
		"kubeconfig nobody --dir " + dir:                `there is no local cluster "nobody". Try: hanse local list`,
		"kubeconfig aws --dir " + dir:                   "Try: hanse local start aws --dir " + dir,
		"stop nobody --dir " + dir:                      `there is no local cluster "nobody"`,
		"start ../aws --dir " + dir:                     `there is no local cluster "../aws"`,
		"delete --dir " + dir:                           "requires exactly one cluster name",
	} {
		out, _, err := hubtest.Run(t, verbs, "", strings.Fields(line)...)
		if err == nil || !strings.Contains(err.Error(), want) || out != "" {
			t.Errorf("%s: %q, %v; want %q", line, out, err, want)
		}
	}
	if out, _, err := hubtest.Run(t, verbs, "", "delete", "aws", "--dir", dir); err != nil || out != "cluster/aws deleted\n" {
		t.Errorf("%q, %v", out, err)
	}
}

func TestDemoErrors(t *testing.T) {
	for line, want := range map[string]string{
		"dwn":          "unknown command \"dwn\" for hanse demo. Try: hanse demo down",
		"down now":     `unknown command "now"`,
		"--nodes none": `invalid argument "none" for "--nodes" flag`,
	} {
		out, _, err := hubtest.Run(t, demos, "", strings.Fields(line)...)
		if err == nil || !strings.Contains(err.Error(), want) || out != "" {
			t.Errorf("%s: %q, %v; want %q", line, out, err, want)
		}
	}
	none := t.TempDir()
	if _, errOut, err := hubtest.Run(t, demos, "", "down", "--dir", none); err != nil || errOut != "There is no demo in "+none+".\n" {
		t.Errorf("%q, %v", errOut, err)
	}
}

// TestProgress: elsewhere than on a terminal, a line for each phase that begins and ends.
func TestProgress(t *testing.T) {
	var b strings.Builder
	now := fixed()
	p := newProgress(&b, now)
	first, second := p.begin("hub"), p.begin("aws")
	now.SetTime(now.Now().Add(1500 * time.Millisecond))
	first(nil)
	second(errors.New("no"))
	if want := " • hub …\n • aws …\n ✓ hub                     1.5 s\n ✗ aws                     1.5 s\n"; b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
}

func TestPrintWorkloads(t *testing.T) {
	two := int32(2)
	var placement v1alpha1.Placement
	placement.Object.Kind, placement.Object.Name, placement.Summary.Ready = "Deployment", "web", "2/2"
	placement.Clusters = append(placement.Clusters, v1alpha1.ClusterPlacement{Name: "azure", Replicas: &two, ReadyReplicas: &two})
	clusters := make([]v1alpha1.Cluster, 2)
	clusters[0].Name, clusters[1].Name = "aws", "azure"
	var b strings.Builder
	if err := printWorkloads(&b, clusters, []v1alpha1.Placement{placement, {}}); err != nil {
		t.Fatal(err)
	}
	if want := "\nWORKLOAD         READY   AWS   AZURE\ndeployment/web   2/2     0     2\n"; b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
}

func TestPrintAnswers(t *testing.T) {
	h := hubtest.New(t)
	h.Answer("GET "+dns.PathAbout, dns.About{Listeners: []string{"127.0.0.1:53"}})
	h.Answer("GET "+dns.PathQuery, dns.Explanation{Answers: []dns.Answer{{Clusters: []string{"aws"}, Addresses: []string{"10.0.0.1"}}}})
	var b strings.Builder
	if err := printAnswers(t.Context(), &b, &hub.Flags{Kubeconfig: h.Kubeconfig, Context: hub.Context}); err != nil {
		t.Fatal(err)
	}
	if out := b.String(); !strings.Contains(out, ", as 127.0.0.1:53 answers\n") || !strings.Contains(out, "  New York    aws   10.0.0.1\n") {
		t.Errorf("%q", out)
	}
}
