package local

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/internal/cli/args"
	"github.com/hanse-dev/hanse/internal/localcluster"
)

// NewCommand is hanse local: clusters on this machine, to try things on. run is what
// their processes run.
func NewCommand(s genericiooptions.IOStreams, now clock.PassiveClock, run *cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "local",
		Short: "Manage clusters on this machine that look like those of a cloud",
		Long: `Manage clusters on this machine: each is a process of its own with a real API server,
controllers and scheduler. The nodes are simulated, with the names, labels and
sizes of a cloud's; pods become ready at once and run nothing. Services of type
LoadBalancer and Ingresses get loopback addresses that answer.`,
		Args: args.RejectUnknown,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		newCreateCommand(s, now), newListCommand(s), newKubeconfigCommand(s),
		newStopCommand(s), newStartCommand(s), newDeleteCommand(s), run,
	)
	return cmd
}

// dirFlag says where local clusters are kept.
type dirFlag struct{ home string }

func (l *dirFlag) bind(cmd *cobra.Command) {
	cmd.Flags().StringVar(&l.home, "dir", "", "directory that keeps local clusters (default: $HANSE_HOME, else ~/.hanse)")
	_ = cmd.MarkFlagDirname("dir")
}

func (l *dirFlag) manager() (localcluster.Manager, error) {
	home := l.home
	if home == "" {
		home = os.Getenv("HANSE_HOME")
	}
	if home == "" {
		user, err := os.UserHomeDir()
		if err != nil {
			return localcluster.Manager{}, fmt.Errorf("cannot tell where local clusters are kept: %w. Try: --dir DIR", err)
		}
		home = filepath.Join(user, ".hanse")
	}
	return newManager(home)
}

// newManager keeps clusters in home that run this very program.
func newManager(home string) (localcluster.Manager, error) {
	home, err := filepath.Abs(home)
	if err != nil {
		return localcluster.Manager{}, fmt.Errorf("cannot find the directory of local clusters: %w", err)
	}
	executable, err := os.Executable()
	if err != nil {
		return localcluster.Manager{}, fmt.Errorf("cannot find the hanse program: %w", err)
	}
	return localcluster.Manager{Home: home, Executable: executable}, nil
}

// again is the flag that a suggested command needs in order to mean the same clusters.
func (l *dirFlag) again() string {
	if l.home == "" {
		return ""
	}
	return " --dir " + l.home
}

func (l *dirFlag) completeNames(cmd *cobra.Command) {
	cmd.ValidArgsFunction = func(_ *cobra.Command, given []string, _ string) ([]string, cobra.ShellCompDirective) {
		manager, err := l.manager()
		if err != nil || len(given) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		clusters, err := manager.List()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var names []string
		for _, c := range clusters {
			names = append(names, c.Name)
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

func newCreateCommand(s genericiooptions.IOStreams, now clock.PassiveClock) *cobra.Command {
	var dir dirFlag
	var spec localcluster.Spec
	cmd := &cobra.Command{
		Use:   "create NAME --provider PROVIDER",
		Short: "Create a cluster and wait until it is ready",
		Example: `  hanse local create aws --provider aws --region us-east-1
  hanse local create eu --provider azure --nodes 6 --node-cpu 8 --node-memory 32Gi`,
		Args: args.OneCluster,
		RunE: func(cmd *cobra.Command, names []string) error {
			manager, err := dir.manager()
			if err != nil {
				return err
			}
			spec.Name = names[0]
			end := newProgress(s.ErrOut, now).begin("create " + spec.Name)
			created, err := manager.Create(cmd.Context(), spec)
			end(err)
			if err != nil {
				return err
			}
			fmt.Fprintf(s.Out, "cluster/%s created\n", created.Name)
			fmt.Fprintf(s.ErrOut, "Try: hanse local kubeconfig %s%s > %s.kubeconfig && hanse join %s --kubeconfig %s.kubeconfig\n",
				created.Name, dir.again(), created.Name, created.Name, created.Name)
			return nil
		},
	}
	dir.bind(cmd)
	f := cmd.Flags()
	f.StringVar(&spec.Provider, "provider", "", "the cloud that it looks like: aws, azure or google")
	f.StringVar(&spec.Region, "region", "", "region of its nodes (default: us-east-1, westeurope or asia-southeast1)")
	f.StringSliceVar(&spec.Zones, "zones", nil, "zones of its nodes, in full or their endings (default: three of the region)")
	f.IntVar(&spec.Nodes, "nodes", 3, "number of nodes")
	f.StringVar(&spec.NodeCPU, "node-cpu", "", "CPU of a node (default 4)")
	f.StringVar(&spec.NodeMemory, "node-memory", "", "memory of a node (default 4Gi for each CPU)")
	f.IntVar(&spec.Port, "port", 0, "port of its API server (default: a free one)")
	f.StringVar(&spec.EmulatedVersion, "emulated-version", "", "version of Kubernetes that it behaves as, up to three older (default: its own)")
	f.BoolVar(&spec.Audit, "audit", false, "keep an audit log of who changes what, in data/audit in its directory")
	f.StringVar((*string)(&spec.Components), "components", "", "apiserver: nothing but the API server")
	_ = f.MarkHidden("components")
	args.CompleteWith(cmd, "provider", func() []string { return []string{"aws", "azure", "google"} })
	return cmd
}

func newKubeconfigCommand(s genericiooptions.IOStreams) *cobra.Command {
	var dir dirFlag
	cmd := &cobra.Command{
		Use:   "kubeconfig NAME",
		Short: "Print the administrator's kubeconfig of a cluster",
		Args:  args.OneCluster,
		RunE: func(_ *cobra.Command, names []string) error {
			manager, err := dir.manager()
			if err != nil {
				return err
			}
			path, err := manager.KubeconfigPath(names[0])
			if err != nil {
				return err
			}
			content, err := os.ReadFile(path)
			if err != nil {
				return fmt.Errorf("local cluster %q has no kubeconfig: %w. Try: hanse local start %s%s", names[0], err, names[0], dir.again())
			}
			_, err = s.Out.Write(content)
			return err
		},
	}
	dir.bind(cmd)
	dir.completeNames(cmd)
	return cmd
}

// newVerb is a command that does one thing to one cluster.
func newVerb(s genericiooptions.IOStreams, verb, short, done string, do func(context.Context, localcluster.Manager, string) error) *cobra.Command {
	var dir dirFlag
	cmd := &cobra.Command{
		Use:   verb + " NAME",
		Short: short,
		Args:  args.OneCluster,
		RunE: func(cmd *cobra.Command, names []string) error {
			manager, err := dir.manager()
			if err != nil {
				return err
			}
			if err := do(cmd.Context(), manager, names[0]); err != nil {
				return err
			}
			_, err = fmt.Fprintf(s.Out, "cluster/%s %s\n", names[0], done)
			return err
		},
	}
	dir.bind(cmd)
	dir.completeNames(cmd)
	return cmd
}

func newStopCommand(s genericiooptions.IOStreams) *cobra.Command {
	return newVerb(s, "stop", "Stop a cluster and keep its data", "stopped",
		func(ctx context.Context, m localcluster.Manager, name string) error { return m.Stop(ctx, name) })
}

func newStartCommand(s genericiooptions.IOStreams) *cobra.Command {
	return newVerb(s, "start", "Start a stopped cluster again, the same as it was", "started",
		func(ctx context.Context, m localcluster.Manager, name string) error {
			_, err := m.Start(ctx, name)
			return err
		})
}

func newDeleteCommand(s genericiooptions.IOStreams) *cobra.Command {
	return newVerb(s, "delete", "Stop a cluster and delete its data", "deleted",
		func(ctx context.Context, m localcluster.Manager, name string) error { return m.Delete(ctx, name) })
}
