package serve

import (
	"errors"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/hanse-dev/hanse/internal/localcluster/cluster"
)

// NewLocalRunCommand is what the processes of local clusters run.
func NewLocalRunCommand(s genericiooptions.IOStreams) *cobra.Command {
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
			return cluster.Run(cmd.Context(), dir, s.ErrOut)
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "the cluster's own directory")
	return cmd
}
