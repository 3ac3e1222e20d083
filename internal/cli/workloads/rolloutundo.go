package workloads

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/cli/args"
	"github.com/hanse-dev/hanse/internal/cli/hub"
	"github.com/hanse-dev/hanse/internal/cli/output"
	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/rollout"
	"github.com/hanse-dev/hanse/internal/schedule"
)

func newRolloutHistoryCommand(s genericiooptions.IOStreams) *cobra.Command {
	var o rolloutFlags
	format := output.ForValues()
	cmd := &cobra.Command{
		Use:     "history KIND/NAME",
		Short:   "List the revisions of a workload's pods",
		Example: "  hanse rollout history deployment/web",
		Args:    args.One("KIND/NAME", "hanse rollout history deployment/web"),
		RunE: func(cmd *cobra.Command, names []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), hub.Timeout)
			defer cancel()
			t, err := o.target(names[0])
			if err != nil {
				return err
			}
			obj, err := t.get(ctx)
			if err != nil {
				return err
			}
			history, current, err := t.history(ctx, obj)
			if err != nil {
				return err
			}
			return format.Print(s.Out, output.Result{Content: revisionsOf(obj, history, current), Table: func(w io.Writer, _ bool) error {
				return printHistory(w, history, current)
			}})
		},
	}
	o.bind(cmd, "history")
	format.Bind(cmd)
	return cmd
}

// history is the workload's revisions with the one in force, current, among them.
func (t *rolloutTarget) history(ctx context.Context, obj *unstructured.Unstructured) (history rollout.History, current string, err error) {
	gvr := schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "controllerrevisions"}
	list, err := t.client.Resource(gvr).Namespace(t.namespace).List(ctx, metav1.ListOptions{LabelSelector: v1alpha1.LabelRevisionOf + "=" + string(obj.GetUID())})
	if err != nil {
		return nil, "", t.failed("read the revisions of", err)
	}
	for i := range list.Items {
		if entry, ok := rollout.ReadEntry(&list.Items[i]); ok {
			history = append(history, entry)
		}
	}
	template, _, _ := unstructured.NestedMap(kinds.Template(t.resource.GroupResource(), obj), "spec", "template")
	current = rollout.RevisionOf(template)
	number := history.Next(current)
	if entry := history.Find(current); entry != nil {
		entry.Number = number
	} else {
		history = append(history, rollout.Entry{Revision: current, Number: number, Cause: obj.GetAnnotations()[rollout.ChangeCause], Template: template})
	}
	history.Sort()
	return history, current, nil
}

// revisions is what hanse rollout history -o json prints. Its form is stable.
type revisions struct {
	Object schedule.OutputObject `json:"object"`
	// Revisions are the oldest first.
	Revisions []revision `json:"revisions"`
}

type revision struct {
	Number int64 `json:"number"`
	// Current is true of the one that is at the hub.
	Current bool `json:"current"`
	// Revision names the pod template, as hanse.dev/revision does in members.
	Revision    string         `json:"revision"`
	Images      []string       `json:"images"`
	ChangeCause string         `json:"changeCause,omitempty"`
	Template    map[string]any `json:"template"`
}

func revisionsOf(obj *unstructured.Unstructured, history rollout.History, current string) revisions {
	out := revisions{Object: outputObject(obj), Revisions: []revision{}}
	for _, entry := range history {
		out.Revisions = append(out.Revisions, revision{Number: entry.Number, Current: entry.Revision == current, Revision: entry.Revision,
			Images: imagesOf(entry.Template), ChangeCause: entry.Cause, Template: entry.Template})
	}
	return out
}

func printHistory(w io.Writer, history rollout.History, current string) error {
	tw := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(tw, "REVISION\tIMAGES\tCHANGE-CAUSE")
	for _, entry := range history {
		number := fmt.Sprint(entry.Number)
		if entry.Revision == current {
			number += " (current)"
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\n", number, output.Dash(strings.Join(imagesOf(entry.Template), ",")), output.Dash(entry.Cause))
	}
	return tw.Flush()
}

func imagesOf(template map[string]any) []string {
	containers, _, _ := unstructured.NestedSlice(template, "spec", "containers")
	images := []string{}
	for _, c := range containers {
		m, _ := c.(map[string]any)
		if image, _ := m["image"].(string); image != "" {
			images = append(images, image)
		}
	}
	return images
}

func newRolloutUndoCommand(s genericiooptions.IOStreams) *cobra.Command {
	var o rolloutFlags
	var to int64
	var dryRun args.DryRun
	cmd := &cobra.Command{
		Use:   "undo KIND/NAME",
		Short: "Go back to an earlier revision of a workload's pods",
		Long: `Go back to an earlier revision of a workload's pods. Clusters that still have it
are left alone, and the others get it as they get any change: all at once, or step by
step where a policy says so.`,
		Example: `  hanse rollout undo deployment/web
  hanse rollout undo deployment/web --to-revision=3`,
		Args: args.One("KIND/NAME", "hanse rollout undo deployment/web"),
		RunE: func(cmd *cobra.Command, names []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), hub.Timeout)
			defer cancel()
			if err := dryRun.Check(); err != nil {
				return err
			}
			t, err := o.target(names[0])
			if err != nil {
				return err
			}
			said, err := t.undo(ctx, to, dryRun)
			if err != nil {
				return err
			}
			fmt.Fprintf(s.Out, "%s %s\n", t.shown, said)
			return nil
		},
	}
	o.bind(cmd, "undo")
	cmd.Flags().Int64Var(&to, "to-revision", 0, "the revision to go back to, as hanse rollout history shows it (0: the one before)")
	dryRun.Bind(cmd, "only show what would be done: none, client, or server to let the hub check it")
	return cmd
}

// undo puts an earlier pod template in force.
func (t *rolloutTarget) undo(ctx context.Context, to int64, dryRun args.DryRun) (said string, err error) {
	obj, err := t.get(ctx)
	if err != nil {
		return "", err
	}
	history, current, err := t.history(ctx, obj)
	if err != nil {
		return "", err
	}
	entry, err := t.choose(history, current, to)
	if err != nil {
		return "", err
	}
	patch, err := json.Marshal([]map[string]any{
		{"op": "test", "path": "/metadata/resourceVersion", "value": obj.GetResourceVersion()},
		{"op": "replace", "path": "/spec/template", "value": entry.Template},
	})
	if err != nil {
		return "", fmt.Errorf("encode a patch: %w", err)
	}
	if dryRun.Writes() {
		if _, err := t.objects().Patch(ctx, t.name, types.JSONPatchType, patch, dryRun.PatchOptions(rolloutManager)); err != nil {
			return "", t.failed("change", err)
		}
	}
	said = fmt.Sprintf("rolled back to revision %d (%s)", entry.Number, strings.Join(imagesOf(entry.Template), ","))
	if dryRun.On() {
		return said + dryRun.Suffix(), nil
	}
	if obj.GetAnnotations()[v1alpha1.AnnotationRollout] == v1alpha1.RolloutPaused {
		said += fmt.Sprintf(", and paused: clusters that have another keep it until hanse rollout resume %s", t.asked)
	}
	return said, nil
}

func (t *rolloutTarget) choose(history rollout.History, current string, to int64) (*rollout.Entry, error) {
	if to == 0 {
		if entry := history.Previous(current); entry != nil {
			return entry, nil
		}
		return nil, fmt.Errorf("%s has no earlier revision to go back to. Try: hanse rollout history %s", t.asked, t.asked)
	}
	for i := range history {
		if history[i].Number != to {
			continue
		}
		if history[i].Revision == current {
			return nil, fmt.Errorf("%s has revision %d already. Try: hanse rollout history %s", t.asked, to, t.asked)
		}
		return &history[i], nil
	}
	return nil, fmt.Errorf("%s has no revision %d. Try: hanse rollout history %s", t.asked, to, t.asked)
}
