package members

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/cli/args"
	"github.com/hanse-dev/hanse/internal/cli/hub"
	"github.com/hanse-dev/hanse/internal/fleet"
	"github.com/hanse-dev/hanse/internal/fleet/access"
)

type unjoinFlags struct {
	hub             hub.Flags
	deleteWorkloads bool
	force           bool
	timeout         time.Duration
}

// NewUnjoinCommand is hanse unjoin.
func NewUnjoinCommand(s genericiooptions.IOStreams) *cobra.Command {
	var f unjoinFlags
	cmd := &cobra.Command{
		Use:   "unjoin NAME",
		Short: "Remove a cluster from the federation",
		Long: `Remove a cluster from the federation. Its workloads stay as they are, without the
hub's labels and annotations, unless --delete-workloads is given. The hub's service
account is removed from it. A cluster that cannot be reached leaves after about ten
seconds.`,
		Example: `  hanse unjoin aws
  hanse unjoin aws --delete-workloads`,
		Args:              args.OneCluster,
		ValidArgsFunction: f.hub.CompleteClusters,
		RunE: func(cmd *cobra.Command, names []string) error {
			return runUnjoin(cmd.Context(), s, f, names[0])
		},
	}
	f.hub.Bind(cmd)
	flags := cmd.Flags()
	flags.BoolVar(&f.deleteWorkloads, "delete-workloads", false, "delete everything that the hub manages in the cluster")
	flags.BoolVar(&f.force, "force", false, "with --delete-workloads: let it go even if they cannot be deleted")
	flags.DurationVar(&f.timeout, "timeout", 5*time.Minute, "how long to wait until it has left")
	return cmd
}

func runUnjoin(ctx context.Context, s genericiooptions.IOStreams, f unjoinFlags, name string) error {
	clusters, err := f.hub.Clusters()
	if err != nil {
		return err
	}
	cluster, err := clusters.One(ctx, name)
	if err != nil {
		return err
	}
	if err := askToLeave(ctx, clusters, cluster, f); err != nil {
		return err
	}
	last, err := awaitLeft(ctx, s, clusters, cluster, f.timeout)
	if err != nil {
		return err
	}
	switch {
	case !f.deleteWorkloads:
		fmt.Fprintf(s.Out, "cluster/%s left; its workloads are left running\n", name)
	case f.force:
		fmt.Fprintf(s.Out, "cluster/%s left; its workloads may still be there, as --force allows\n", name)
	default:
		fmt.Fprintf(s.Out, "cluster/%s left; its workloads are deleted\n", name)
	}
	if last != nil && last.Reason == fleet.LeaveBehind {
		fmt.Fprintln(s.ErrOut, "Note: "+last.Message)
	}
	return nil
}

// askToLeave says what becomes of the workloads and deletes the Cluster.
func askToLeave(ctx context.Context, clusters hub.Clusters, c *v1alpha1.Cluster, f unjoinFlags) error {
	annotations := map[string]any{v1alpha1.AnnotationOnUnjoin: nil, fleet.AnnotationOnUnjoinForce: nil}
	if f.deleteWorkloads {
		annotations[v1alpha1.AnnotationOnUnjoin] = v1alpha1.OnUnjoinDelete
	}
	if f.force {
		annotations[fleet.AnnotationOnUnjoinForce] = "true"
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": annotations, "uid": c.UID}})
	if err != nil {
		return fmt.Errorf("cannot encode the annotations: %w", err)
	}
	if _, err = clusters.Patch(ctx, c.Name, types.MergePatchType, patch, metav1.PatchOptions{}); err == nil {
		err = clusters.Delete(ctx, c.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &c.UID}})
	}
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("cannot remove cluster %s: %w", c.Name, err)
	}
	return nil
}

// awaitLeft waits until the Cluster is gone and returns its last words.
func awaitLeft(ctx context.Context, s genericiooptions.IOStreams, clusters hub.Clusters, c *v1alpha1.Cluster, timeout time.Duration) (*metav1.Condition, error) {
	waitCtx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var last *metav1.Condition
	err := access.WatchCluster(waitCtx, clusters.ClusterClient, c.Name, func(now *v1alpha1.Cluster) bool {
		if now == nil || now.UID != c.UID {
			return true
		}
		leaving := meta.FindStatusCondition(now.Status.Conditions, fleet.ConditionLeaving)
		if leaving != nil && leaving.Reason == fleet.LeaveWaiting && (last == nil || last.Message != leaving.Message) {
			fmt.Fprintln(s.ErrOut, "• "+leaving.Message)
		}
		last = leaving
		return false
	})
	switch {
	case err == nil:
		return last, nil
	case ctx.Err() != nil:
		return nil, fmt.Errorf("interrupted; the hub continues to remove cluster %s. Try: hanse clusters", c.Name)
	case waitCtx.Err() != nil && last != nil:
		return nil, fmt.Errorf("cluster %s has not left within %s: %s", c.Name, timeout, last.Message)
	case waitCtx.Err() != nil:
		return nil, fmt.Errorf("cluster %s has not left within %s: the hub has not looked at it. Try: hanse status", c.Name, timeout)
	}
	return nil, err
}
