package args

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// tree is hanse with a verb that has verbs below it.
func tree(below ...*cobra.Command) *cobra.Command {
	root := &cobra.Command{Use: "hanse"}
	parent := &cobra.Command{Use: "rollout"}
	for _, name := range []string{"status", "history"} {
		parent.AddCommand(&cobra.Command{Use: name, Run: func(*cobra.Command, []string) {}})
	}
	root.AddCommand(append(below, parent)...)
	return parent
}

func TestRejectUnknown(t *testing.T) {
	cmd := tree()
	for given, want := range map[string]string{
		"":       "",
		"statis": `unknown command "statis" for hanse rollout. Try: hanse rollout status`,
		"xyz":    `unknown command "xyz" for hanse rollout. Try: hanse rollout --help`,
	} {
		if err := RejectUnknown(cmd, strings.Fields(given)); (err == nil) != (want == "") || err != nil && err.Error() != want {
			t.Errorf("%q: %v, want %s", given, err, want)
		}
	}
}

func TestHowMany(t *testing.T) {
	cmd := tree()
	one := One("KIND/NAME", "hanse why deployment/web")
	for _, given := range [][]string{nil, {"a", "b"}} {
		if err := one(cmd, given); err == nil || err.Error() != "hanse rollout requires exactly one KIND/NAME. Try: hanse why deployment/web" {
			t.Errorf("%q: %v", given, err)
		}
		if err := OneCluster(cmd, given); err == nil || err.Error() != "hanse rollout requires exactly one cluster name. Try: hanse rollout NAME" {
			t.Errorf("%q: %v", given, err)
		}
	}
	if one(cmd, []string{"a"}) != nil || OneCluster(cmd, []string{"a"}) != nil {
		t.Error("one is one")
	}
}

func TestDryRun(t *testing.T) {
	for _, c := range []struct {
		line       string
		on, writes bool
		suffix     string
		server     bool
		error      string
	}{
		{line: "", writes: true},
		{line: "--dry-run=none", writes: true},
		{line: "--dry-run", on: true, suffix: " (dry run)"},
		{line: "--dry-run=client", on: true, suffix: " (dry run)"},
		{line: "--dry-run=server", on: true, writes: true, suffix: " (server dry run)", server: true},
		{line: "--dry-run=maybe", error: "unknown --dry-run=maybe. Try: --dry-run=client or --dry-run=server"},
	} {
		var d DryRun
		cmd := &cobra.Command{Use: "x", Run: func(*cobra.Command, []string) {}}
		d.Bind(cmd, "")
		cmd.SetArgs(strings.Fields(c.line))
		if err := cmd.Execute(); err != nil {
			t.Fatal(err)
		}
		if err := d.Check(); err != nil || c.error != "" {
			if err == nil || err.Error() != c.error {
				t.Errorf("%q: %v, want %s", c.line, err, c.error)
			}
			continue
		}
		options := d.PatchOptions("m")
		if d.On() != c.on || d.Writes() != c.writes || d.Suffix() != c.suffix || options.FieldManager != "m" || slices.Equal(options.DryRun, []string{metav1.DryRunAll}) != c.server {
			t.Errorf("%q: on %t, writes %t, %q, %+v", c.line, d.On(), d.Writes(), d.Suffix(), options)
		}
	}
}

func TestCompleteWith(t *testing.T) {
	cmd := &cobra.Command{Use: "x"}
	cmd.Flags().String("to", "", "")
	CompleteWith(cmd, "to", func() []string { return []string{"a", "b"} })
	complete, ok := cmd.GetFlagCompletionFunc("to")
	if !ok {
		t.Fatal("there is no completion")
	}
	if got, directive := complete(cmd, nil, ""); !slices.Equal(got, []string{"a", "b"}) || directive != cobra.ShellCompDirectiveNoFileComp {
		t.Errorf("%q, %v", got, directive)
	}
}
