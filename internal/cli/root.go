package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/internal/cli/args"
	"github.com/hanse-dev/hanse/internal/cli/credentials"
	"github.com/hanse-dev/hanse/internal/cli/globaldns"
	"github.com/hanse-dev/hanse/internal/cli/local"
	"github.com/hanse-dev/hanse/internal/cli/members"
	"github.com/hanse-dev/hanse/internal/cli/tenants"
	"github.com/hanse-dev/hanse/internal/cli/workloads"
)

// Program is what the command line consists of, besides the verbs that it knows
// itself.
type Program struct {
	genericiooptions.IOStreams
	// Clock is asked for the time, never for a timer.
	Clock clock.PassiveClock

	// Server and RunLocal make hanse server, and what the processes of local clusters
	// run. They link an API server.
	Server, RunLocal func(genericiooptions.IOStreams) *cobra.Command
	// Kubectl runs kubectl with args, with the program's name first, and returns its
	// exit code. It has printed its errors.
	Kubectl func(args []string, s genericiooptions.IOStreams) (code int)
}

// Main runs the command that args (with the program's name first) ask for and
// returns the exit code: 0, or 1 after one line on p.ErrOut that says what failed. An answer of
// hanse survive that is no has a code of its own, and what hanse residency report cannot know.
// It returns soon after ctx ends.
func (p *Program) Main(ctx context.Context, args []string) (code int) {
	name := filepath.Base(args[0])
	if name == "kubectl" {
		return p.Kubectl(args, p.IOStreams)
	}
	root := p.root(name)
	root.SetArgs(args[1:])
	err := root.ExecuteContext(ctx)
	if errors.Is(err, errKubectl) {
		return 1
	}
	if err != nil {
		fmt.Fprintln(p.ErrOut, "Error: "+strings.TrimSpace(err.Error()))
		switch {
		case errors.Is(err, workloads.ErrNotSurvived):
			return workloads.NotSurvived
		case errors.Is(err, workloads.ErrResidencyUnknown):
			return workloads.ResidencyUnknown
		}
		return 1
	}
	return 0
}

// root is hanse, or kubectl hanse when the binary is installed as the kubectl plugin
// kubectl-hanse.
func (p *Program) root(name string) *cobra.Command {
	// Upstream's packages register flags of their servers here, which cobra
	// would offer at every command.
	pflag.CommandLine = pflag.NewFlagSet(name, pflag.ContinueOnError)
	cobra.EnableCommandSorting = false
	root := &cobra.Command{
		Use:   "hanse",
		Short: "Kubernetes clusters in different clouds, joined into one",
		Long: `Hanse joins Kubernetes clusters in different clouds into one. The hub is a
Kubernetes API server: what is created there is propagated to the members.

  hanse demo        a hub and three local clusters with an application on them`,
		Version:       buildVersions().Hanse,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          args.RejectUnknown,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	if name == "kubectl-hanse" {
		root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl hanse"}
	}
	root.SetIn(p.In)
	root.SetOut(p.Out)
	root.SetErr(p.ErrOut)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w. Try: %s --help", err, cmd.CommandPath())
	})
	root.AddCommand(p.verbs()...)
	return root
}

// verbs are in the order in which help shows them: first what a newcomer needs.
func (p *Program) verbs() []*cobra.Command {
	s := p.IOStreams
	return []*cobra.Command{
		local.NewDemoCommand(s, p.Clock),
		p.Server(s),
		members.NewJoinCommand(s),
		members.NewUnjoinCommand(s),
		members.NewKubeconfigCommand(s),
		credentials.NewLoginCommand(s, p.Clock),
		credentials.NewLogoutCommand(s, p.Clock),
		tenants.NewOrgCommand(s, p.Clock),
		tenants.NewWorkspaceCommand(s, p.Clock),
		tenants.NewCanCommand(s),
		members.NewClustersCommand(s, p.Clock),
		members.NewStatusCommand(s),
		workloads.NewPlanCommand(s, p.Clock),
		workloads.NewWhyCommand(s, p.Clock),
		workloads.NewHistoryCommand(s, p.Clock),
		workloads.NewSurviveCommand(s),
		workloads.NewResidencyCommand(s),
		workloads.NewScaleCommand(s),
		workloads.NewRolloutCommand(s),
		globaldns.NewCommand(s, p.Clock),
		members.NewCordonCommand(s),
		members.NewUncordonCommand(s),
		members.NewDrainCommand(s),
		members.NewPruneCommand(s, p.Clock),
		members.NewAuditCommand(s, p.Clock),
		credentials.NewCertsCommand(s, p.Clock),
		credentials.NewEncryptionCommand(s, p.Clock),
		credentials.NewAdminCommand(s, p.Clock),
		credentials.NewTokenCommand(s, p.Clock),
		workloads.NewKindsCommand(s),
		workloads.NewReplayCommand(s),
		local.NewCommand(s, p.Clock, p.RunLocal(s)),
		p.kubectl(),
		newVersionCommand(s),
	}
}

// errKubectl says that kubectl failed; it has printed why already.
var errKubectl = errors.New("kubectl failed")

// kubectl is the real kubectl, so that a machine with hanse needs nothing else.
func (p *Program) kubectl() *cobra.Command {
	return &cobra.Command{
		Use:                "kubectl [ARGS…]",
		Short:              "Run the kubectl that is built in",
		DisableFlagParsing: true,
		Args:               cobra.ArbitraryArgs,
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveDefault
		},
		RunE: func(_ *cobra.Command, given []string) error {
			if p.Kubectl(append([]string{"kubectl"}, given...), p.IOStreams) != 0 {
				return errKubectl
			}
			return nil
		},
	}
}
