package workloads

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/cli/args"
	"github.com/hanse-dev/hanse/internal/cli/hub"
	"github.com/hanse-dev/hanse/internal/cli/output"
)

// rolloutPoll is how often a rollout is looked at that is waited for.
const rolloutPoll = 300 * time.Millisecond

func newRolloutStatusCommand(s genericiooptions.IOStreams) *cobra.Command {
	var o rolloutFlags
	var watch bool
	var timeout time.Duration
	format := output.ForObjects()
	cmd := &cobra.Command{
		Use:   "status KIND/NAME",
		Short: "Show how far a rollout is, and wait until it is done",
		Long: `Show how far a rollout is in each cluster, and wait until it is done. Fails if the
rollout has failed or stopped. With -o, what is printed is the workload's Placement, once
there is nothing to wait for.`,
		Example: `  hanse rollout status deployment/web
  hanse rollout status deployment/web --watch=false`,
		Args: args.One("KIND/NAME", "hanse rollout status deployment/web"),
		RunE: func(cmd *cobra.Command, names []string) error {
			t, err := o.target(names[0])
			if err != nil {
				return err
			}
			ctx, cancel := cmd.Context(), context.CancelFunc(func() {})
			if timeout > 0 {
				ctx, cancel = context.WithTimeout(ctx, timeout)
			}
			defer cancel()
			p, r, err := t.awaitRollout(ctx, s.ErrOut, watch)
			if r != nil {
				err = errors.Join(err, format.Print(s.Out, output.Result{Content: p, Table: func(w io.Writer, _ bool) error {
					return printRollout(w, t, r)
				}}))
			}
			if err == nil && failedRollout(r) {
				err = fmt.Errorf("the rollout of %s has %s: %s. Try: hanse rollout undo %s", t.asked, stateVerb(r), r.Message, t.asked)
			}
			return err
		},
	}
	o.bind(cmd, "status")
	format.Bind(cmd)
	cmd.Flags().BoolVarP(&watch, "watch", "w", true, "wait until the rollout is done")
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "how long to wait (0: until the rollout is done)")
	return cmd
}

// awaitRollout is the rollout as it is now, or, with watch, when it is over, and the
// Placement that tells of it. What happens meanwhile is said on progress. last is nil
// if nothing was heard of it.
func (t *rolloutTarget) awaitRollout(ctx context.Context, progress io.Writer, watch bool) (found *unstructured.Unstructured, last *v1alpha1.PlacementRollout, err error) {
	err = wait.PollUntilContextCancel(ctx, rolloutPoll, true, func(ctx context.Context) (bool, error) {
		obj, err := t.get(ctx)
		if err != nil {
			return false, err
		}
		u, err := t.placement(ctx)
		if u == nil || err != nil {
			return false, err // nil: the hub has just been told
		}
		var p v1alpha1.Placement
		if err := hub.Decode(u, &p); err != nil {
			return false, fmt.Errorf("cannot read the placement of %s: %w", t.asked, err)
		}
		if p.Object.UID != obj.GetUID() || p.Generation < obj.GetGeneration() || p.Rollout == nil {
			return false, nil // the hub has just been told
		}
		if watch && (last == nil || last.Message != p.Rollout.Message) {
			fmt.Fprintf(progress, "%s: %s\n", p.Rollout.State, p.Rollout.Message)
		}
		found, last = u, p.Rollout
		return !watch || last.State == v1alpha1.RolloutStateComplete || failedRollout(last), nil
	})
	switch {
	case err == nil:
		return found, last, nil
	case ctx.Err() == nil:
		return nil, nil, err
	case last == nil:
		return nil, nil, fmt.Errorf("nothing is known of %s: the hub did not answer in time", t.asked)
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return found, last, fmt.Errorf("the rollout of %s is not done in time: %s", t.asked, last.Message)
	}
	return found, last, fmt.Errorf("the rollout of %s was not waited for: %w", t.asked, ctx.Err())
}

func failedRollout(r *v1alpha1.PlacementRollout) bool {
	return r.State == v1alpha1.RolloutStateStopped || r.State == v1alpha1.RolloutStateFailed
}

func stateVerb(r *v1alpha1.PlacementRollout) string {
	if r.State == v1alpha1.RolloutStateStopped {
		return "stopped"
	}
	return "failed"
}

func printRollout(w io.Writer, t *rolloutTarget, r *v1alpha1.PlacementRollout) error {
	fmt.Fprintf(w, "%s: %s, %s\n", t.shown, r.State, r.Message)
	tw := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(tw, "STEP\tCLUSTER\tSTATE\tUPDATED\tREADY\tTOTAL")
	for _, c := range r.Clusters {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%d\t%d\t%d\n", output.Dash(c.Step), c.Name, c.State, c.Updated, c.Ready, c.Total)
	}
	return tw.Flush()
}
