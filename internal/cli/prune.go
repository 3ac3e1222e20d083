package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/hanse-dev/hanse/internal/propagate"
)

// prune is what hanse prune was asked for.
type prune struct {
	hub            hubFlags
	yes            bool
	dryRun, output string
}

func newPruneCommand(s Streams) *cobra.Command {
	var o prune
	cmd := &cobra.Command{
		Use:   "prune CLUSTER",
		Short: "Let the hub delete what it holds back in a cluster",
		Long: `A cluster may have objects that came from a hub, and that this one has no use for,
but cannot be sure to have deleted: the hub was restored from an older backup, a
new hub took the cluster over, or somebody restored them in the cluster from a
backup. They are held: nothing happens to them.

prune lists them, asks, and lets the hub delete exactly what it has listed. What
comes to be held while you read stays held. A Namespace or a
CustomResourceDefinition that was in the cluster before is let go, not deleted.`,
		Example: `  hanse prune aws
  hanse prune aws --dry-run
  hanse prune aws --dry-run -o json`,
		Args:              oneCluster,
		ValidArgsFunction: o.hub.completeClusters,
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.run(cmd.Context(), s, args[0])
		},
	}
	o.hub.bind(cmd)
	f := cmd.Flags()
	f.BoolVarP(&o.yes, "yes", "y", false, "do not ask")
	f.StringVar(&o.dryRun, "dry-run", "none", "only list what would be deleted: client or server, which is the same here")
	f.Lookup("dry-run").NoOptDefVal = "client"
	completeWith(cmd, "dry-run", func() []string { return []string{"none", "client", "server"} })
	f.StringVarP(&o.output, "output", "o", "", "wide, json, yaml or name")
	completeWith(cmd, "output", func() []string { return []string{"wide", "json", "yaml", "name"} })
	return cmd
}

func (o *prune) run(ctx context.Context, s Streams, cluster string) error {
	if err := printHeld(io.Discard, propagate.HeldList{}, o.output, time.Now()); err != nil {
		return err // before anything is asked or deleted
	}
	if o.dryRun != "none" && o.dryRun != "client" && o.dryRun != "server" {
		return fmt.Errorf("unknown --dry-run=%s. Try: --dry-run=client or server", o.dryRun)
	}
	clusters, err := o.hub.clusters()
	if err != nil {
		return err
	}
	if _, err := clusters.get(ctx, cluster); err != nil {
		return err
	}
	var list propagate.HeldList
	if err := o.ask(ctx, http.MethodGet, cluster, nil, &list); err != nil {
		return err
	}
	structured := o.output == "json" || o.output == "yaml"
	if len(list.Items) == 0 && !structured {
		fmt.Fprintf(s.Err, "Nothing is held in cluster %s.\n", cluster)
		return nil
	}
	if err := printHeld(s.Out, list, o.output, time.Now()); err != nil {
		return err
	}
	if list.More > 0 {
		fmt.Fprintf(s.Err, "%d more are held than are listed. Prune again when these are gone.\n", list.More)
	}
	if o.dryRun != "none" || len(list.Items) == 0 {
		return nil
	}
	if !o.yes {
		agreed, err := agree(s, fmt.Sprintf("Delete %s from cluster %s?", thisMany(len(list.Items)), cluster))
		if err != nil {
			return err
		}
		if !agreed {
			fmt.Fprintln(s.Err, "Nothing was changed.")
			return nil
		}
	}
	var done propagate.Approval
	if err := o.ask(ctx, http.MethodPost, cluster, list, &done); err != nil {
		return err
	}
	for _, object := range done.Stale {
		fmt.Fprintf(s.Err, "%s is not held any more, or is another object by now: it is left as it is.\n", object)
	}
	fmt.Fprintf(s.Err, "cluster/%s pruning %s\n", cluster, thisMany(done.Approved))
	return nil
}

func thisMany(n int) string {
	if n == 1 {
		return "1 object"
	}
	return fmt.Sprintf("%d objects", n)
}

// ask has the hub answer about what is held in a cluster.
func (o *prune) ask(ctx context.Context, method, cluster string, question, answer any) error {
	var content io.Reader
	if question != nil {
		encoded, err := json.Marshal(question)
		if err != nil {
			return fmt.Errorf("the list cannot be sent to the hub: %w", err)
		}
		content = bytes.NewReader(encoded)
	}
	body, err := o.hub.ask(ctx, method, propagate.PathHeld+cluster, content)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, answer); err != nil {
		return fmt.Errorf("the hub's answer cannot be read: %w. Try: the same version of hanse for both", err)
	}
	return nil
}

func printHeld(w io.Writer, list propagate.HeldList, output string, now time.Time) error {
	switch output {
	case "", "wide":
		return printHeldTable(w, list, output == "wide", now)
	case "name":
		for i := range list.Items {
			fmt.Fprintf(w, "%s/%s/%s\n", list.Items[i].Resource, list.Items[i].Namespace, list.Items[i].Name)
		}
		return nil
	case "json", "yaml":
		return printStructured(w, list, output)
	}
	return fmt.Errorf("unknown output %q. Try: -o wide, json, yaml or name", output)
}

func printHeldTable(w io.Writer, list propagate.HeldList, wide bool, now time.Time) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	header := []string{"KIND", "NAMESPACE", "NAME", "HUB", "HELD", "WHY"}
	if wide {
		header = append(header, "UID", "HUB-UID")
	}
	fmt.Fprintln(t, strings.Join(header, "\t"))
	for i := range list.Items {
		h := &list.Items[i]
		hub := "this"
		if h.OtherHub {
			hub = "another"
		}
		why := h.Message
		switch {
		case h.Approved:
			why += " (approved, on its way out)"
		case h.Released:
			why += " (let go, not deleted)"
		}
		row := []string{h.Kind, orDash(h.Namespace), h.Name, hub, duration.HumanDuration(now.Sub(h.Since)), why}
		if wide {
			row = append(row, string(h.UID), string(h.Hub))
		}
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	return t.Flush()
}

// agree asks a question; anything but y or yes is no. Without anybody to
// answer it is an error.
func agree(s Streams, question string) (bool, error) {
	fmt.Fprint(s.Err, question+" [y/N] ")
	line, err := bufio.NewReader(s.In).ReadString('\n')
	if err != nil && (!errors.Is(err, io.EOF) || line == "") {
		return false, errors.New("nobody answers. Try: --yes")
	}
	answer := strings.ToLower(strings.TrimSpace(line))
	return answer == "y" || answer == "yes", nil
}
