package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/hanse-dev/hanse/internal/localcluster"
	"github.com/hanse-dev/hanse/internal/localcluster/cluster"
)

// newLocalCommand is hanse local: clusters on this machine, to try things on.
func newLocalCommand(s Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "local",
		Short: "Clusters on this machine that look like those of a cloud",
		Long: `Clusters on this machine: each a process of its own with a real API server,
controllers and scheduler. The nodes are simulated, with the names, labels and
sizes of a cloud's; pods become ready at once and run nothing. Services of type
LoadBalancer and Ingresses get loopback addresses that answer.`,
		Args: rejectUnknown,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		newLocalCreateCommand(s), newLocalListCommand(s), newLocalKubeconfigCommand(s),
		newLocalStopCommand(s), newLocalStartCommand(s), newLocalDeleteCommand(s), newLocalRunCommand(s),
	)
	return cmd
}

// localFlags says where local clusters are kept.
type localFlags struct{ home string }

func (l *localFlags) bind(cmd *cobra.Command) {
	cmd.Flags().StringVar(&l.home, "dir", "", "directory that keeps local clusters (default: $HANSE_HOME, else ~/.hanse)")
	_ = cmd.MarkFlagDirname("dir")
}

func (l *localFlags) manager() (localcluster.Manager, error) {
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
	return newLocalManager(home)
}

// newLocalManager keeps clusters in home that run this very program.
func newLocalManager(home string) (localcluster.Manager, error) {
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
func (l *localFlags) again() string {
	if l.home == "" {
		return ""
	}
	return " --dir " + l.home
}

func (l *localFlags) completeNames(cmd *cobra.Command) {
	cmd.ValidArgsFunction = func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		manager, err := l.manager()
		if err != nil || len(args) > 0 {
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

func newLocalCreateCommand(s Streams) *cobra.Command {
	var local localFlags
	var spec localcluster.Spec
	cmd := &cobra.Command{
		Use:   "create NAME --provider PROVIDER",
		Short: "Create a cluster and wait until it is ready",
		Example: `  hanse local create aws --provider aws --region us-east-1
  hanse local create eu --provider azure --nodes 6 --node-cpu 8 --node-memory 32Gi`,
		Args: oneName,
		RunE: func(cmd *cobra.Command, args []string) error {
			manager, err := local.manager()
			if err != nil {
				return err
			}
			spec.Name = args[0]
			end := newProgress(s.Err).begin("create " + spec.Name)
			created, err := manager.Create(cmd.Context(), spec)
			end(err)
			if err != nil {
				return err
			}
			fmt.Fprintf(s.Out, "cluster/%s created\n", created.Name)
			fmt.Fprintf(s.Err, "Try: hanse local kubeconfig %s%s > %s.kubeconfig && hanse join %s --kubeconfig %s.kubeconfig\n",
				created.Name, local.again(), created.Name, created.Name, created.Name)
			return nil
		},
	}
	local.bind(cmd)
	f := cmd.Flags()
	f.StringVar(&spec.Provider, "provider", "", "the cloud that it looks like: aws, azure or google")
	f.StringVar(&spec.Region, "region", "", "region of its nodes (default: us-east-1, westeurope or asia-southeast1)")
	f.StringSliceVar(&spec.Zones, "zones", nil, "zones of its nodes, in full or their endings (default: three of the region)")
	f.IntVar(&spec.Nodes, "nodes", 3, "how many nodes")
	f.StringVar(&spec.NodeCPU, "node-cpu", "", "CPU of a node (default 4)")
	f.StringVar(&spec.NodeMemory, "node-memory", "", "memory of a node (default 4Gi for each CPU)")
	f.IntVar(&spec.Port, "port", 0, "port of its API server (default: a free one)")
	f.StringVar(&spec.EmulatedVersion, "emulated-version", "", "version of Kubernetes that it behaves as, up to three older (default: its own)")
	f.StringVar((*string)(&spec.Components), "components", "", "apiserver: nothing but the API server")
	_ = f.MarkHidden("components")
	completeWith(cmd, "provider", func() []string { return []string{"aws", "azure", "google"} })
	return cmd
}

// oneName asks for exactly one argument in words.
func oneName(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("%s needs the name of one cluster. Try: %s NAME", cmd.CommandPath(), cmd.CommandPath())
	}
	return nil
}

func newLocalKubeconfigCommand(s Streams) *cobra.Command {
	var local localFlags
	cmd := &cobra.Command{
		Use:   "kubeconfig NAME",
		Short: "Print the administrator's kubeconfig of a cluster",
		Args:  oneName,
		RunE: func(_ *cobra.Command, args []string) error {
			manager, err := local.manager()
			if err != nil {
				return err
			}
			path, err := manager.KubeconfigPath(args[0])
			if err != nil {
				return err
			}
			content, err := os.ReadFile(path)
			if err != nil {
				return fmt.Errorf("local cluster %q has no kubeconfig: %w. Try: hanse local start %s%s", args[0], err, args[0], local.again())
			}
			_, err = s.Out.Write(content)
			return err
		},
	}
	local.bind(cmd)
	local.completeNames(cmd)
	return cmd
}

// newLocalVerb is a command that does one thing to one cluster.
func newLocalVerb(s Streams, verb, short, done string, do func(context.Context, localcluster.Manager, string) error) *cobra.Command {
	var local localFlags
	cmd := &cobra.Command{
		Use:   verb + " NAME",
		Short: short,
		Args:  oneName,
		RunE: func(cmd *cobra.Command, args []string) error {
			manager, err := local.manager()
			if err != nil {
				return err
			}
			if err := do(cmd.Context(), manager, args[0]); err != nil {
				return err
			}
			_, err = fmt.Fprintf(s.Out, "cluster/%s %s\n", args[0], done)
			return err
		},
	}
	local.bind(cmd)
	local.completeNames(cmd)
	return cmd
}

func newLocalStopCommand(s Streams) *cobra.Command {
	return newLocalVerb(s, "stop", "Stop a cluster and keep its data", "stopped",
		func(ctx context.Context, m localcluster.Manager, name string) error { return m.Stop(ctx, name) })
}

func newLocalStartCommand(s Streams) *cobra.Command {
	return newLocalVerb(s, "start", "Start a stopped cluster again, the same as it was", "started",
		func(ctx context.Context, m localcluster.Manager, name string) error {
			_, err := m.Start(ctx, name)
			return err
		})
}

func newLocalDeleteCommand(s Streams) *cobra.Command {
	return newLocalVerb(s, "delete", "Stop a cluster and delete its data", "deleted",
		func(ctx context.Context, m localcluster.Manager, name string) error { return m.Delete(ctx, name) })
}

// newLocalRunCommand is what the processes of local clusters run.
func newLocalRunCommand(s Streams) *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:    "run --dir DIR",
		Short:  "Run the cluster of a directory in the foreground",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if dir == "" {
				return errors.New("a cluster runs from its directory. Try: hanse local run --dir DIR")
			}
			return cluster.Run(cmd.Context(), dir, s.Err)
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "the cluster's own directory")
	return cmd
}
