package members

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/internal/cli/args"
	"github.com/hanse-dev/hanse/internal/cli/hub"
	"github.com/hanse-dev/hanse/internal/cli/output"
	"github.com/hanse-dev/hanse/internal/propagate"
)

// prune is what hanse prune was asked for.
type prune struct {
	hub    hub.Flags
	yes    bool
	dryRun args.DryRun
	format *output.Flags
	now    clock.PassiveClock
}

// NewPruneCommand is hanse prune.
func NewPruneCommand(s genericiooptions.IOStreams, now clock.PassiveClock) *cobra.Command {
	o := prune{format: output.ForValues(output.Wide, output.Name), now: now}
	cmd := &cobra.Command{
		Use:   "prune CLUSTER",
		Short: "Delete the objects that the hub holds back in a cluster",
		Long: `A cluster may have objects that came from a hub, and that this one has no use for,
but cannot be sure to have deleted: the hub was restored from an older backup, a
new hub took the cluster over, or somebody restored them in the cluster from a
backup. Others a Residency does not let be there, but data of volumes would go with
them. They are held: nothing happens to them.

prune lists them, asks, and lets the hub delete exactly what it has listed. What
comes to be held while you read stays held. A Namespace or a
CustomResourceDefinition that was in the cluster before is released, not deleted.`,
		Example: `  hanse prune aws
  hanse prune aws --dry-run
  hanse prune aws --dry-run -o json`,
		Args:              args.OneCluster,
		ValidArgsFunction: o.hub.CompleteClusters,
		RunE: func(cmd *cobra.Command, names []string) error {
			return o.run(cmd.Context(), s, names[0])
		},
	}
	o.hub.Bind(cmd)
	cmd.Flags().BoolVarP(&o.yes, "yes", "y", false, "do not ask")
	o.dryRun.Bind(cmd, "only list what would be deleted: none, client or server, which is the same here")
	o.format.Bind(cmd)
	return cmd
}

func (o *prune) run(ctx context.Context, s genericiooptions.IOStreams, cluster string) error {
	if err := o.dryRun.Check(); err != nil {
		return err
	}
	list, err := o.held(ctx, cluster)
	if err != nil {
		return err
	}
	if len(list.Items) == 0 && o.format.ForPeople() {
		fmt.Fprintf(s.ErrOut, "Nothing is held in cluster %s.\n", cluster)
		return nil
	}
	if err := o.format.Print(s.Out, o.result(list)); err != nil {
		return err
	}
	if list.More > 0 {
		fmt.Fprintf(s.ErrOut, "%d more are held than are listed. Prune again when these are gone.\n", list.More)
	}
	if o.dryRun.On() || len(list.Items) == 0 {
		return nil
	}
	if !o.yes {
		agreed, err := agree(s, fmt.Sprintf("Delete %s from cluster %s?", output.Count(len(list.Items), "object"), cluster))
		if err != nil {
			return err
		}
		if !agreed {
			fmt.Fprintln(s.ErrOut, "Nothing was changed.")
			return nil
		}
	}
	return o.approve(ctx, s, cluster, list)
}

// held is what is held in a cluster, which there has to be.
func (o *prune) held(ctx context.Context, cluster string) (list propagate.HeldList, err error) {
	clusters, err := o.hub.Clusters()
	if err != nil {
		return list, err
	}
	if _, err := clusters.One(ctx, cluster); err != nil {
		return list, err
	}
	return list, o.hub.GetJSON(ctx, propagate.PathHeld+cluster, nil, &list)
}

// approve lets the hub delete what is in the list.
func (o *prune) approve(ctx context.Context, s genericiooptions.IOStreams, cluster string, list propagate.HeldList) error {
	content, err := json.Marshal(list)
	if err != nil {
		return fmt.Errorf("the list cannot be sent to the hub: %w", err)
	}
	body, err := o.hub.Ask(ctx, http.MethodPost, propagate.PathHeld+cluster, bytes.NewReader(content))
	if err != nil {
		return err
	}
	var done propagate.Approval
	if err := hub.Unmarshal(body, &done); err != nil {
		return err
	}
	for _, object := range done.Stale {
		fmt.Fprintf(s.ErrOut, "%s is no longer held, or is another object by now: it is left as it is.\n", object)
	}
	fmt.Fprintf(s.ErrOut, "cluster/%s pruning %s\n", cluster, output.Count(done.Approved, "object"))
	return nil
}

func (o *prune) result(list propagate.HeldList) output.Result {
	var names []string
	for i := range list.Items {
		names = append(names, path.Join(list.Items[i].Resource, list.Items[i].Namespace, list.Items[i].Name))
	}
	return output.Result{Content: list, Names: names, Table: func(w io.Writer, wide bool) error {
		return printHeld(w, list, wide, o.now)
	}}
}

func printHeld(w io.Writer, list propagate.HeldList, wide bool, now clock.PassiveClock) error {
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
			why += " (approved, being deleted)"
		case h.Released:
			why += " (released, not deleted)"
		}
		row := []string{h.Kind, output.Dash(h.Namespace), h.Name, hub, duration.HumanDuration(now.Since(h.Since)), why}
		if wide {
			row = append(row, string(h.UID), string(h.Hub))
		}
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	return t.Flush()
}

// agree asks a question; anything but y or yes is no. Without anybody to
// answer it is an error.
func agree(s genericiooptions.IOStreams, question string) (bool, error) {
	fmt.Fprint(s.ErrOut, question+" [y/N] ")
	line, err := bufio.NewReader(s.In).ReadString('\n')
	if err != nil && (!errors.Is(err, io.EOF) || line == "") {
		return false, errors.New("there is nobody to answer. Try: --yes")
	}
	answer := strings.ToLower(strings.TrimSpace(line))
	return answer == "y" || answer == "yes", nil
}
