package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/hanse-dev/hanse/internal/localcluster"
)

func newLocalListCommand(s Streams) *cobra.Command {
	var local localFlags
	var output string
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List the clusters on this machine",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			manager, err := local.manager()
			if err != nil {
				return err
			}
			clusters, err := manager.List()
			if err != nil {
				return err
			}
			return printLocalClusters(s, clusters, output)
		},
	}
	local.bind(cmd)
	cmd.Flags().StringVarP(&output, "output", "o", "", "json or name")
	completeWith(cmd, "output", func() []string { return []string{"json", "name"} })
	return cmd
}

// localCluster is a cluster as -o json prints it.
type localCluster struct {
	Name       string   `json:"name"`
	Status     string   `json:"status"`
	Provider   string   `json:"provider"`
	Region     string   `json:"region"`
	Zones      []string `json:"zones"`
	Version    string   `json:"version"`
	Nodes      int      `json:"nodes"`
	Server     string   `json:"server"`
	Network    string   `json:"network"`
	Kubeconfig string   `json:"kubeconfig"`
	PID        int      `json:"pid,omitempty"`
	Log        string   `json:"log"`
}

func describeLocal(c localcluster.Cluster) localCluster {
	result := localCluster{
		Name: c.Name, Status: string(c.Phase), Provider: c.Provider, Region: c.Region, Zones: c.Zones,
		Version: c.Version, Nodes: c.Nodes, Server: c.Server, Network: c.Network,
		Kubeconfig: c.KubeconfigPath(), Log: c.LogFile(),
	}
	if c.Phase == localcluster.Running {
		result.PID = c.PID
	}
	return result
}

func printLocalClusters(s Streams, clusters []localcluster.Cluster, output string) error {
	described := make([]localCluster, 0, len(clusters))
	for _, c := range clusters {
		described = append(described, describeLocal(c))
	}
	switch output {
	case "json":
		out, err := json.MarshalIndent(described, "", "  ")
		if err != nil {
			return fmt.Errorf("cannot print the clusters: %w", err)
		}
		_, err = fmt.Fprintln(s.Out, string(out))
		return err
	case "name":
		for _, c := range described {
			fmt.Fprintln(s.Out, c.Name)
		}
		return nil
	case "":
		if len(described) == 0 {
			fmt.Fprintln(s.Err, "No local clusters. Try: hanse local create NAME --provider aws")
			return nil
		}
		return printLocalTable(s.Out, described)
	default:
		return fmt.Errorf("unknown output %q. Try: -o json or -o name", output)
	}
}

func printLocalTable(w io.Writer, clusters []localCluster) error {
	table := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "NAME\tSTATUS\tPROVIDER\tREGION\tVERSION\tNODES\tPORT")
	for _, c := range clusters {
		fmt.Fprintln(table, strings.Join([]string{
			c.Name, c.Status, c.Provider, c.Region, c.Version, strconv.Itoa(c.Nodes), c.Server[strings.LastIndex(c.Server, ":")+1:],
		}, "\t"))
	}
	return table.Flush()
}
