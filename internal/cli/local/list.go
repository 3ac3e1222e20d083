package local

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/hanse-dev/hanse/internal/cli/output"
	"github.com/hanse-dev/hanse/internal/localcluster"
)

func newListCommand(s genericiooptions.IOStreams) *cobra.Command {
	var dir dirFlag
	format := output.ForValues(output.Name)
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List the clusters on this machine",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			manager, err := dir.manager()
			if err != nil {
				return err
			}
			clusters, err := manager.List()
			if err != nil {
				return err
			}
			if len(clusters) == 0 && format.ForPeople() {
				fmt.Fprintln(s.ErrOut, "No local clusters. Try: hanse local create NAME --provider aws")
				return nil
			}
			return format.Print(s.Out, listed(clusters))
		},
	}
	dir.bind(cmd)
	format.Bind(cmd)
	return cmd
}

// clusterList is what hanse local list -o json prints. Its form is stable.
type clusterList struct {
	Items []clusterItem `json:"items"`
}

type clusterItem struct {
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

func describe(c localcluster.Cluster) clusterItem {
	item := clusterItem{
		Name: c.Name, Status: string(c.Phase), Provider: c.Provider, Region: c.Region, Zones: c.Zones,
		Version: c.Version, Nodes: c.Nodes, Server: c.Server, Network: c.Network,
		Kubeconfig: c.KubeconfigPath(), Log: c.LogFile(),
	}
	if c.Phase == localcluster.Running {
		item.PID = c.PID
	}
	return item
}

func listed(clusters []localcluster.Cluster) output.Result {
	list := clusterList{Items: []clusterItem{}}
	var names []string
	for _, c := range clusters {
		list.Items = append(list.Items, describe(c))
		names = append(names, c.Name)
	}
	return output.Result{Content: list, Names: names, Table: func(w io.Writer, _ bool) error {
		t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
		fmt.Fprintln(t, "NAME\tSTATUS\tPROVIDER\tREGION\tVERSION\tNODES\tPORT")
		for _, c := range list.Items {
			fmt.Fprintln(t, strings.Join([]string{
				c.Name, c.Status, c.Provider, c.Region, c.Version, strconv.Itoa(c.Nodes), c.Server[strings.LastIndex(c.Server, ":")+1:],
			}, "\t"))
		}
		return t.Flush()
	}}
}
