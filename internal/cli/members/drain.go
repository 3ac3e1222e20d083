package members

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/cli/hub"
)

// drainPoll is how often the hub is asked how far a drain has come.
const drainPoll = 500 * time.Millisecond

// NewDrainCommand is hanse drain.
func NewDrainCommand(s genericiooptions.IOStreams) *cobra.Command {
	var o closing
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "drain CLUSTER [CLUSTER…]",
		Short: "Move what runs in clusters to others, and keep new replicas away",
		Long: `Move what runs in clusters to others, as far as these can take it, and keep new
replicas away. Replicas are removed only when as many are ready elsewhere;
workloads that one PodDisruptionBudget selects move together, those of the next
one afterwards. What runs in every cluster, such as DaemonSets, stays; so do Jobs
and bare Pods, whose work must not be done twice.

The hub does the work, and continues after this command ends, until hanse uncordon.`,
		Example: `  hanse drain aws
  hanse drain aws azure --timeout=10m
  hanse drain aws --dry-run`,
		RunE: func(cmd *cobra.Command, names []string) error {
			return o.drain(cmd.Context(), s, names, timeout)
		},
	}
	o.bind(cmd)
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "how long to wait (0: until the drain is done)")
	return cmd
}

func (o *closing) drain(ctx context.Context, s genericiooptions.IOStreams, names []string, timeout time.Duration) error {
	clusters, err := o.hub.Clusters()
	if err != nil {
		return err
	}
	named, err := clusters.Named(ctx, names)
	if err != nil {
		return err
	}
	w := &drainWatch{hub: clusters, err: s.ErrOut, said: map[string]string{}}
	if err := w.start(ctx, names); err != nil {
		return err
	}
	for _, c := range named {
		if err := o.patch(ctx, clusters, c, map[string]any{"unschedulable": true, "drain": true}); err != nil {
			return err
		}
		if o.dryRun.On() {
			w.plan(s.Out, c.Name)
			fmt.Fprintf(s.Out, "cluster/%s drained%s\n", c.Name, o.dryRun.Suffix())
			continue
		}
		fmt.Fprintf(s.ErrOut, "cluster/%s is being drained\n", c.Name)
	}
	if o.dryRun.On() {
		return nil
	}
	waiting, cancel := ctx, context.CancelFunc(func() {})
	if timeout > 0 {
		waiting, cancel = context.WithTimeout(ctx, timeout)
	}
	defer cancel()
	for _, name := range names {
		if err := w.wait(waiting, name); err != nil {
			return err
		}
		fmt.Fprintf(s.Out, "cluster/%s drained\n", name)
	}
	return nil
}

// drainWatch follows drains.
type drainWatch struct {
	hub    hub.Clusters
	err    io.Writer
	moving []*v1alpha1.Placement // as they were at first
	from   []string              // the clusters
	said   map[string]string     // by cluster
}

// start notes what there is to move.
func (w *drainWatch) start(ctx context.Context, names []string) error {
	w.from = names
	all, err := w.hub.Placements(ctx)
	if err != nil {
		return err
	}
	for i := range all {
		if slices.ContainsFunc(names, func(name string) bool { return replicasIn(&all[i], name) > 0 }) {
			w.moving = append(w.moving, &all[i])
		}
	}
	return nil
}

// plan says what a drain would begin with.
func (w *drainWatch) plan(out io.Writer, cluster string) {
	for _, p := range w.moving {
		if n := replicasIn(p, cluster); n > 0 {
			fmt.Fprintf(out, "%s: %d to be moved from %s\n", objectOf(p), n, cluster)
		}
	}
}

// wait returns when a cluster is empty, or with an error that says what is left.
func (w *drainWatch) wait(ctx context.Context, name string) error {
	ticker := time.NewTicker(drainPoll)
	defer ticker.Stop()
	for {
		drained, err := w.look(ctx, name)
		switch {
		case ctx.Err() != nil:
			return w.stopped(ctx, name)
		case err != nil:
			return err
		case drained != nil && drained.Status == metav1.ConditionTrue:
			return nil
		case drained != nil && drained.Reason == v1alpha1.ReasonBlocked:
			return fmt.Errorf("cluster %s is not empty: %s. The hub moves the rest when it can. Try: make room in other clusters, or hanse uncordon %s to end the drain", name, drained.Message, name)
		}
		select {
		case <-ctx.Done():
			return w.stopped(ctx, name)
		case <-ticker.C:
		}
	}
}

func (w *drainWatch) stopped(ctx context.Context, name string) error {
	ended := "interrupted"
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		ended = "timed out"
	}
	left := w.said[name]
	if left != "" {
		left = " (" + left + ")"
	}
	return fmt.Errorf("%s; the hub continues to drain cluster %s%s. Try: hanse drain %s to wait again, hanse uncordon %s to end the drain", ended, name, left, name, name)
}

// look says what is new, and returns the condition of a cluster that is about its spec
// as it is now, nil if there is none yet.
func (w *drainWatch) look(ctx context.Context, name string) (*metav1.Condition, error) {
	c, err := w.hub.One(ctx, name)
	if err != nil {
		return nil, err
	}
	if !c.Spec.Drain {
		return nil, fmt.Errorf("somebody else has ended the drain of cluster %s. Try: hanse drain %s again", name, name)
	}
	all, err := w.hub.Placements(ctx)
	if err != nil {
		return nil, err
	}
	w.sayMoved(all)
	drained := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionDrained)
	if drained == nil || drained.ObservedGeneration < c.Generation {
		return nil, nil
	}
	if drained.Status != metav1.ConditionTrue && w.said[name] != drained.Message {
		w.said[name] = drained.Message
		fmt.Fprintf(w.err, "cluster/%s: %s\n", name, drained.Message)
	}
	return drained, nil
}

// sayMoved says which workloads have left all the clusters.
func (w *drainWatch) sayMoved(all []v1alpha1.Placement) {
	w.moving = slices.DeleteFunc(w.moving, func(before *v1alpha1.Placement) bool {
		i := slices.IndexFunc(all, func(p v1alpha1.Placement) bool { return p.Object.UID == before.Object.UID })
		if i < 0 {
			return true // deleted meanwhile
		}
		now := &all[i]
		for _, name := range w.from {
			if replicasIn(now, name) > 0 || readyIn(now, name) > 0 {
				return false
			}
		}
		fmt.Fprintf(w.err, "%s moved: %s, was %s\n", objectOf(now), now.Summary.Clusters, before.Summary.Clusters)
		return true
	})
}

func objectOf(p *v1alpha1.Placement) string {
	return strings.ToLower(p.Object.Kind) + " " + p.Object.Namespace + "/" + p.Object.Name
}

// replicasIn is the share of a cluster, 0 for what is not divided.
func replicasIn(p *v1alpha1.Placement, cluster string) int32 {
	for _, c := range p.Clusters {
		if c.Name == cluster && c.Replicas != nil {
			return *c.Replicas
		}
	}
	return 0
}

func readyIn(p *v1alpha1.Placement, cluster string) int32 {
	for _, c := range p.Clusters {
		if c.Name == cluster && c.ReadyReplicas != nil {
			return *c.ReadyReplicas
		}
	}
	return 0
}
