package cli

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/internal/cli/hubtest"
	"github.com/hanse-dev/hanse/internal/propagate/survive"
)

// run is hanse, under a name, with verbs in the place of those that link an API server.
func run(t *testing.T, line ...string) (out, errOut string, code int) {
	t.Helper()
	p, stdout, stderr := program()
	code = p.Main(t.Context(), line)
	return stdout(), stderr(), code
}

func program() (p *Program, stdout, stderr func() string) {
	s, _, out, errOut := genericiooptions.NewTestIOStreams()
	stub := func(use string) func(genericiooptions.IOStreams) *cobra.Command {
		return func(genericiooptions.IOStreams) *cobra.Command {
			return &cobra.Command{Use: use, Short: "Run a server", RunE: func(*cobra.Command, []string) error { return nil }}
		}
	}
	p = &Program{IOStreams: s, Clock: clock.RealClock{}, Server: stub("server"), RunLocal: stub("run"),
		Kubectl: func(args []string, s genericiooptions.IOStreams) int {
			_, _ = s.Out.Write([]byte(strings.Join(args, " ") + "\n"))
			if slices.Contains(args, "fail") {
				return 3
			}
			return 0
		}}
	return p, out.String, errOut.String
}

func TestProgram(t *testing.T) {
	for _, c := range []struct {
		line        string
		code        int
		out, errOut string
	}{
		{"hanse", 0, "\n  demo ", ""},
		{"hanse --help", 0, "\n  kubeconfig ", ""},
		{"hanse --version", 0, "hanse version ", ""},
		{"hanse versio", 1, "", "Error: unknown command \"versio\" for hanse. Try: hanse version\n"},
		{"hanse xyzzy", 1, "", "Error: unknown command \"xyzzy\" for hanse. Try: hanse --help\n"},
		{"hanse version --nope", 1, "", "Error: unknown flag: --nope. Try: hanse version --help\n"},
		{"hanse rollout undoo", 1, "", "Error: unknown command \"undoo\" for hanse rollout. Try: hanse rollout undo\n"},
		{"/usr/bin/kubectl get pods", 0, "/usr/bin/kubectl get pods\n", ""},
		{"kubectl fail", 3, "kubectl fail\n", ""},
		{"hanse kubectl get --x", 0, "kubectl get --x\n", ""},
		{"hanse kubectl fail", 1, "kubectl fail\n", ""},
		{"kubectl-hanse --help", 0, "kubectl hanse", ""},
		{"kubectl-hanse versio", 1, "", "Try: kubectl hanse version\n"},
		{"hanse why", 1, "", "Error: hanse why requires exactly one KIND/NAME. Try: hanse why deployment/web\n"},
	} {
		out, errOut, code := run(t, strings.Fields(c.line)...)
		if code != c.code || !strings.Contains(out, c.out) || !strings.Contains(errOut, c.errOut) || c.errOut == "" && errOut != "" {
			t.Errorf("%s: %d, %q, %q", c.line, code, out, errOut)
		}
	}
}

func TestVersion(t *testing.T) {
	h := hubtest.New(t)
	for line, want := range map[string]string{
		"version --kubeconfig " + h.Kubeconfig:                                   "hub         v1.37.1\n",
		"version --kubeconfig /none":                                             "hub         (none answers)\n",
		"version --kubeconfig " + h.Kubeconfig + " --client":                     "hub         (none answers)\n",
		"version --kubeconfig " + h.Kubeconfig + " -o jsonpath={.hub}":           "v1.37.1",
		"version --client -o yaml":                                               "\nplatform: ",
		"version --kubeconfig " + h.Kubeconfig + " -o go-template={{.platform}}": "/",
	} {
		if out, errOut, code := run(t, append([]string{"hanse"}, strings.Fields(line)...)...); code != 0 || !strings.Contains(out, want) {
			t.Errorf("%s: %d, %q, %s; want %q", line, code, out, errOut, want)
		}
	}
	if _, errOut, code := run(t, "hanse", "version", "-o", "table"); code != 1 || !strings.HasPrefix(errOut, `Error: unable to match a printer suitable for the output format "table", allowed formats are: `) {
		t.Errorf("%d, %s", code, errOut)
	}
}

// TestALossThatIsNotSurvivedIsNoError: its exit code is another.
func TestALossThatIsNotSurvivedIsNoError(t *testing.T) {
	h := hubtest.New(t)
	answer := &survive.Report{Scenarios: []survive.Scenario{{Kind: survive.KindCluster, Name: "aws", Unplaced: 1}}}
	h.Handle("GET /hanse/survive", func(w http.ResponseWriter, _ *http.Request) { hubtest.Respond(w, http.StatusOK, answer) })
	survives := func() int {
		_, _, code := run(t, "hanse", "survive", "--kubeconfig", h.Kubeconfig)
		return code
	}
	if code := survives(); code != 2 {
		t.Errorf("it is not survived, and the exit code is %d", code)
	}
	answer.Scenarios[0].Survives = true
	if code := survives(); code != 0 {
		t.Errorf("it is survived, and the exit code is %d", code)
	}
	h.Close()
	if code := survives(); code != 1 {
		t.Errorf("nobody knows, and the exit code is %d", code)
	}
}

// each walks through all commands.
func each(cmd *cobra.Command, see func(*cobra.Command)) {
	see(cmd)
	for _, below := range cmd.Commands() {
		each(below, see)
	}
}

// TestOutput: every verb that shows something has the same -o, and no other has one.
func TestOutput(t *testing.T) {
	shows := []string{
		"hanse clusters", "hanse status", "hanse plan", "hanse why", "hanse history", "hanse replay", "hanse survive", "hanse residency report", "hanse scale", "hanse rollout status", "hanse rollout history",
		"hanse dns query", "hanse dns routes", "hanse dns zones", "hanse dns check", "hanse dns about",
		"hanse prune", "hanse kinds", "hanse local list", "hanse certs", "hanse admin join-token", "hanse audit", "hanse encryption status", "hanse version",
		"hanse org list", "hanse org show", "hanse workspace list", "hanse workspace show", "hanse can",
	}
	p, _, _ := program()
	each(p.root("hanse"), func(cmd *cobra.Command) {
		f := cmd.Flags().Lookup("output")
		i := slices.Index(shows, cmd.CommandPath())
		if (f != nil) != (i >= 0) {
			t.Errorf("%s has -o: %t", cmd.CommandPath(), f != nil)
		}
		if i < 0 {
			return
		}
		shows = slices.Delete(shows, i, i+1)
		if f == nil {
			return
		}
		for _, format := range []string{"json", "yaml", "kyaml", "jsonpath", "go-template"} {
			if !strings.Contains(f.Usage, " "+format+",") && !strings.Contains(f.Usage, "("+format+",") && !strings.Contains(f.Usage, format+")") {
				t.Errorf("%s: -o has no %s: %s", cmd.CommandPath(), format, f.Usage)
			}
		}
		if f.Shorthand != "o" || f.DefValue != "" || cmd.Flags().Lookup("template") == nil {
			t.Errorf("%s: -o is %+v", cmd.CommandPath(), f)
		}
		if complete, ok := cmd.GetFlagCompletionFunc("output"); !ok {
			t.Errorf("%s: -o completes nothing", cmd.CommandPath())
		} else if formats, _ := complete(cmd, nil, ""); !slices.Contains(formats, "jsonpath") {
			t.Errorf("%s: -o completes %q", cmd.CommandPath(), formats)
		}
	})
	if len(shows) > 0 {
		t.Errorf("there are no %q", shows)
	}
}

// TestHelpReads: help is as kubectl's. A verb begins with what it does, a flag does not
// end like a sentence, and everything fits a terminal.
func TestHelpReads(t *testing.T) {
	p, _, _ := program()
	each(p.root("hanse"), func(cmd *cobra.Command) {
		path := cmd.CommandPath()
		if path != "hanse" && (cmd.Short == "" || cmd.Short != strings.TrimSpace(cmd.Short) || strings.HasSuffix(cmd.Short, ".") || strings.ToUpper(cmd.Short[:1]) != cmd.Short[:1]) {
			t.Errorf("%s: %q", path, cmd.Short)
		}
		first, _, _ := strings.Cut(cmd.Short, " ")
		for _, noun := range []string{"A", "An", "The", "How", "What", "Clusters", "Say"} {
			if first == noun {
				t.Errorf("%s begins with no verb: %q", path, cmd.Short)
			}
		}
		for line := range strings.Lines(cmd.Long + "\n" + cmd.Example) {
			if n := len([]rune(strings.TrimRight(line, "\n"))); n > 100 {
				t.Errorf("%s: a line of %d: %q", path, n, line)
			}
		}
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			switch f.Name {
			case "output", "template", "allow-missing-template-keys", "show-managed-fields":
				return // kubectl's own
			}
			if f.Usage == "" || strings.HasSuffix(f.Usage, ".") || strings.Contains(f.Usage, "; 0") {
				t.Errorf("%s: --%s: %q", path, f.Name, f.Usage)
			}
		})
	})
}

// Nothing is left running when ctx has ended before the command begins.
func TestMainEndsWithItsContext(t *testing.T) {
	h := hubtest.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p, _, stderr := program()
	if code := p.Main(ctx, []string{"hanse", "clusters", "--kubeconfig", h.Kubeconfig}); code != 1 || !strings.HasPrefix(stderr(), "Error: ") {
		t.Errorf("%d, %s", code, stderr())
	}
}
