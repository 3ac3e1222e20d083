package workloads

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/hanse-dev/hanse/internal/cli/args"
	"github.com/hanse-dev/hanse/internal/cli/hub"
	"github.com/hanse-dev/hanse/internal/cli/output"
	"github.com/hanse-dev/hanse/internal/scaling"
)

// scaleFlags are those of hanse scale.
type scaleFlags struct {
	hub              hub.Flags
	namespace        string
	replicas         int32
	min, max, weight []string
	even             bool
	dryRun           args.DryRun
	format           *output.Flags
}

// scaleAttempts is how often a write is tried again that met another's.
const scaleAttempts = 10

// NewScaleCommand is hanse scale.
func NewScaleCommand(s genericiooptions.IOStreams) *cobra.Command {
	o := scaleFlags{format: output.ForValues(output.Wide, output.Name)}
	cmd := &cobra.Command{
		Use:   "scale KIND/NAME [CLUSTER=N …]",
		Short: "Set how many replicas a workload has, in total and in each cluster",
		Long: `Set how many replicas a Deployment, StatefulSet, ReplicaSet or ReplicationController
has. Clusters that are not named keep theirs, and the total, which kubectl get shows
at the hub, is the sum. Minima, maxima and weights are kept on the object, in the
annotation hanse.dev/preferences, and apply from then on, also to kubectl scale.

The hub decides where replicas go, by what its members have free, before anything is
written. With --dry-run nothing is.`,
		Example: `  hanse scale deploy/whoami aws=2 azure=2 google=2
  hanse scale deploy/whoami azure=4
  hanse scale deploy/whoami --replicas=9
  hanse scale deploy/whoami --replicas=90 --dry-run -o wide
  hanse scale deploy/whoami --min aws=1,azure=1 --max aws=5
  hanse scale deploy/whoami --weight aws=2,azure=1
  hanse scale deploy/whoami --even`,
		Args: func(_ *cobra.Command, given []string) error {
			if len(given) == 0 {
				return errors.New("no workload is named. Try: hanse scale deployment/web aws=2")
			}
			return o.dryRun.Check()
		},
		ValidArgsFunction: o.completeCounts,
		RunE: func(cmd *cobra.Command, given []string) error {
			return o.run(cmd, s, given)
		},
	}
	o.hub.Bind(cmd)
	f := cmd.Flags()
	f.StringVarP(&o.namespace, "namespace", "n", metav1.NamespaceDefault, "namespace of the object")
	f.Int32Var(&o.replicas, "replicas", 0, "the total, divided as the object's rules say")
	f.StringSliceVar(&o.min, "min", nil, "minimum of replicas in a cluster, such as aws=1,azure=1; * stands for all other clusters")
	f.StringSliceVar(&o.max, "max", nil, "maximum of replicas in a cluster, such as aws=5; aws=none removes a maximum")
	f.StringSliceVar(&o.weight, "weight", nil, "in proportion to weights, such as aws=2,azure=1")
	f.BoolVar(&o.even, "even", false, "remove counts, minima, maxima and weights, and divide again")
	o.dryRun.Bind(cmd, "only show what would be done: none, client, or server to let the hub check it")
	o.format.Bind(cmd)
	return cmd
}

func (o *scaleFlags) completeCounts(cmd *cobra.Command, given []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(given) == 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	names := o.hub.ClusterNames(cmd.Context())
	for i := range names {
		names[i] += "="
	}
	return names, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

func (o *scaleFlags) run(cmd *cobra.Command, s genericiooptions.IOStreams, given []string) error {
	request, err := o.request(cmd, given[1:])
	if err != nil {
		return err
	}
	w, err := o.workload(given[0])
	if err != nil {
		return err
	}
	for range scaleAttempts {
		result, err := o.scale(cmd.Context(), w, request)
		if apierrors.IsConflict(err) {
			continue // somebody else has written it: with what there is now
		}
		if err != nil {
			return err
		}
		return result.print(s, o.format)
	}
	return fmt.Errorf("%s keeps being changed by others. Try: again", given[0])
}

// request is what the command line asks for.
func (o *scaleFlags) request(cmd *cobra.Command, counts []string) (*scaling.Request, error) {
	r := &scaling.Request{Even: o.even}
	if cmd.Flags().Changed("replicas") {
		if o.replicas < 0 {
			return nil, fmt.Errorf("--replicas=%d is below zero. Try: --replicas=%d", o.replicas, -int64(o.replicas))
		}
		r.Replicas = &o.replicas
	}
	var err error
	if r.Counts, err = scaling.ParseCounts(counts); err != nil {
		return nil, err
	}
	if r.Min, err = scaling.ParseNumbers("--min", o.min); err != nil {
		return nil, err
	}
	if r.Max, err = scaling.ParseMaxima(o.max); err != nil {
		return nil, err
	}
	r.Weight, err = scaling.ParseNumbers("--weight", o.weight)
	return r, err
}

// scale reads, has the hub decide, and writes once.
func (o *scaleFlags) scale(ctx context.Context, w *scaledWorkload, r *scaling.Request) (*scaleResult, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*hub.Timeout)
	defer cancel()
	obj, state, err := w.read(ctx)
	if err != nil {
		return nil, err
	}
	if state.Clusters, err = w.clusters(ctx); err != nil {
		return nil, err
	}
	change, err := r.Apply(state, w.decide(ctx, obj))
	if err != nil {
		return nil, err
	}
	result := newScaleResult(obj, state, change, o.dryRun)
	if scaler := w.autoscaler(ctx, obj); scaler != "" {
		result.notes = append(result.notes, fmt.Sprintf("HorizontalPodAutoscaler %s sets the replicas of %s by their load, whatever is asked for here", scaler, state.Object))
	}
	if !o.dryRun.Writes() {
		return result, nil
	}
	keep := r.Even || len(r.Min)+len(r.Max)+len(r.Weight) > 0
	return result, w.write(ctx, obj, change, keep, o.dryRun)
}
