package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// rolloutPoll is how often a rollout is looked at that is waited for.
const rolloutPoll = 300 * time.Millisecond

func newRolloutStatusCommand(s Streams) *cobra.Command {
	var o rolloutFlags
	var watch bool
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "status KIND/NAME",
		Short: "Show how far a rollout is, and wait until it is done",
		Long: `Say how far a rollout is in each cluster, and wait until it is done. Fails if the
rollout has failed or stopped.`,
		Example: `  hanse rollout status deployment/web
  hanse rollout status deployment/web --watch=false`,
		Args: oneArgument("KIND/NAME", "hanse rollout status deployment/web"),
		RunE: func(cmd *cobra.Command, args []string) error {
			t, err := o.target(args[0])
			if err != nil {
				return err
			}
			ctx, cancel := cmd.Context(), context.CancelFunc(func() {})
			if timeout > 0 {
				ctx, cancel = context.WithTimeout(ctx, timeout)
			}
			defer cancel()
			r, err := t.awaitRollout(ctx, s.Err, watch)
			if r != nil {
				err = errors.Join(err, printRollout(s.Out, t, r))
			}
			if err == nil && failedRollout(r) {
				err = fmt.Errorf("the rollout of %s has %s: %s. Try: hanse rollout undo %s", t.asked, stateVerb(r), r.Message, t.asked)
			}
			return err
		},
	}
	o.bind(cmd, "status")
	cmd.Flags().BoolVarP(&watch, "watch", "w", true, "wait until the rollout is done")
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "how long to wait; 0: no limit")
	return cmd
}

// awaitRollout is the rollout as it is now, or, with watch, when it is over. What
// happens meanwhile is said on progress.
func (t *rolloutTarget) awaitRollout(ctx context.Context, progress io.Writer, watch bool) (*v1alpha1.PlacementRollout, error) {
	var last *v1alpha1.PlacementRollout
	err := wait.PollUntilContextCancel(ctx, rolloutPoll, true, func(ctx context.Context) (bool, error) {
		obj, err := t.get(ctx)
		if err != nil {
			return false, err
		}
		p, err := t.placement(ctx)
		if err != nil {
			return false, err
		}
		if p == nil || p.Object.UID != obj.GetUID() || p.Generation < obj.GetGeneration() || p.Rollout == nil {
			return false, nil // the hub has just been told
		}
		if watch && (last == nil || last.Message != p.Rollout.Message) {
			fmt.Fprintf(progress, "%s: %s\n", p.Rollout.State, p.Rollout.Message)
		}
		last = p.Rollout
		return !watch || last.State == v1alpha1.RolloutStateComplete || failedRollout(last), nil
	})
	switch {
	case err == nil:
		return last, nil
	case ctx.Err() == nil:
		return nil, err
	case last == nil:
		return nil, fmt.Errorf("nothing is known of %s: the hub did not answer in time", t.asked)
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return last, fmt.Errorf("the rollout of %s is not done in time: %s", t.asked, last.Message)
	}
	return last, fmt.Errorf("the rollout of %s was not waited for: %w", t.asked, ctx.Err())
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
	fmt.Fprintf(w, "%s/%s: %s, %s\n", t.resource.Resource, t.name, r.State, r.Message)
	tw := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(tw, "STEP\tCLUSTER\tSTATE\tUPDATED\tREADY\tTOTAL")
	for _, c := range r.Clusters {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%d\t%d\t%d\n", orDash(c.Step), c.Name, c.State, c.Updated, c.Ready, c.Total)
	}
	return tw.Flush()
}
