package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Streams are the three standard streams of the process.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// Main runs the command that args (with the program's name first) ask for and
// returns the exit code: 0, or 1 after one line on s.Err that says what failed.
// It returns soon after ctx ends.
func Main(ctx context.Context, args []string, s Streams) int {
	program := filepath.Base(args[0])
	if program == "kubectl" {
		return runKubectl(args, s)
	}
	root := newRootCommand(program, s)
	root.SetArgs(args[1:])
	err := root.ExecuteContext(ctx)
	if errors.Is(err, errKubectl) {
		return 1
	}
	if err != nil {
		fmt.Fprintln(s.Err, "Error: "+strings.TrimSpace(err.Error()))
		return 1
	}
	return 0
}

// newRootCommand is hanse, or kubectl hanse when the binary is installed as
// the kubectl plugin kubectl-hanse.
func newRootCommand(program string, s Streams) *cobra.Command {
	// Upstream's packages register flags of their servers here, which cobra
	// would offer at every command.
	pflag.CommandLine = pflag.NewFlagSet(program, pflag.ContinueOnError)
	cobra.EnableCommandSorting = false
	root := &cobra.Command{
		Use:   "hanse",
		Short: "Kubernetes clusters in different clouds, joined into one",
		Long: `Hanse joins Kubernetes clusters in different clouds into one. The hub is a
Kubernetes API server: what is created there is propagated to the members.

  hanse demo        a hub and three local clusters with an application on them`,
		Version:                    buildVersions().Hanse,
		SilenceUsage:               true,
		SilenceErrors:              true,
		SuggestionsMinimumDistance: 2,
		Args:                       rejectUnknown,
		RunE:                       func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	if program == "kubectl-hanse" {
		root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl hanse"}
	}
	root.SetIn(s.In)
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w. Try: %s --help", err, cmd.CommandPath())
	})
	root.AddCommand(commands(s)...)
	return root
}

// commands lists the verbs in the order in which help shows them: first what a
// newcomer needs.
func commands(s Streams) []*cobra.Command {
	return []*cobra.Command{
		newDemoCommand(s),
		newServerCommand(s),
		newJoinCommand(s),
		newUnjoinCommand(s),
		newKubeconfigCommand(s),
		newClustersCommand(s),
		newStatusCommand(s),
		newPlanCommand(s),
		newWhyCommand(s),
		newScaleCommand(s),
		newRolloutCommand(s),
		newDNSCommand(s),
		newCordonCommand(s),
		newUncordonCommand(s),
		newDrainCommand(s),
		newPruneCommand(s),
		newKindsCommand(s),
		newLocalCommand(s),
		newKubectlCommand(s),
		newVersionCommand(s),
	}
}

// rejectUnknown fails on a word that is no command and names the ones it looks
// like.
func rejectUnknown(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := cmd.CommandPath() + " --help"
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		for i := range near {
			near[i] = cmd.CommandPath() + " " + near[i]
		}
		hint = strings.Join(near, ", or ")
	}
	return fmt.Errorf("unknown command %q for %s. Try: %s", args[0], cmd.CommandPath(), hint)
}
