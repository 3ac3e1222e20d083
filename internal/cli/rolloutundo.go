package cli

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

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/rollout"
)

func newRolloutHistoryCommand(s Streams) *cobra.Command {
	var o rolloutFlags
	cmd := &cobra.Command{
		Use:     "history KIND/NAME",
		Short:   "List the revisions of a workload's pods",
		Example: "  hanse rollout history deployment/web",
		Args:    oneArgument("KIND/NAME", "hanse rollout history deployment/web"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), hubTimeout)
			defer cancel()
			t, err := o.target(args[0])
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
			return printHistory(s.Out, history, current)
		},
	}
	o.bind(cmd, "history")
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

func printHistory(w io.Writer, history rollout.History, current string) error {
	tw := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(tw, "REVISION\tIMAGES\tCHANGE-CAUSE")
	for _, entry := range history {
		number := fmt.Sprint(entry.Number)
		if entry.Revision == current {
			number += " (current)"
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\n", number, orDash(imagesOf(entry.Template)), orDash(entry.Cause))
	}
	return tw.Flush()
}

func imagesOf(template map[string]any) string {
	containers, _, _ := unstructured.NestedSlice(template, "spec", "containers")
	var images []string
	for _, c := range containers {
		m, _ := c.(map[string]any)
		if image, _ := m["image"].(string); image != "" {
			images = append(images, image)
		}
	}
	return strings.Join(images, ",")
}

func newRolloutUndoCommand(s Streams) *cobra.Command {
	var o rolloutFlags
	var to int64
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "undo KIND/NAME",
		Short: "Go back to an earlier revision of a workload's pods",
		Long: `Go back to an earlier revision of a workload's pods. Clusters that still have it
are left alone, and the others get it as they get any change: all at once, or step by
step where a policy says so.`,
		Example: `  hanse rollout undo deployment/web
  hanse rollout undo deployment/web --to-revision=3`,
		Args: oneArgument("KIND/NAME", "hanse rollout undo deployment/web"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), hubTimeout)
			defer cancel()
			t, err := o.target(args[0])
			if err != nil {
				return err
			}
			said, err := t.undo(ctx, to, dryRun)
			if err != nil {
				return err
			}
			fmt.Fprintf(s.Out, "%s/%s %s\n", t.resource.Resource, t.name, said)
			return nil
		},
	}
	o.bind(cmd, "undo")
	cmd.Flags().Int64Var(&to, "to-revision", 0, "the revision to go back to, as hanse rollout history shows it; 0: the one before")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "say what would be done, and let the hub check it")
	return cmd
}

// undo puts an earlier pod template in force.
func (t *rolloutTarget) undo(ctx context.Context, to int64, dryRun bool) (said string, err error) {
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
	options := metav1.PatchOptions{FieldManager: rolloutManager}
	if dryRun {
		options.DryRun = []string{metav1.DryRunAll}
	}
	if _, err := t.objects().Patch(ctx, t.name, types.JSONPatchType, patch, options); err != nil {
		return "", t.failed("change", err)
	}
	said = fmt.Sprintf("rolled back to revision %d (%s)", entry.Number, imagesOf(entry.Template))
	if dryRun {
		return said + " (dry run)", nil
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
