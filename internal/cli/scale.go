package cli

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-dev/hanse/internal/scaling"
)

// scaleFlags are those of hanse scale.
type scaleFlags struct {
	hub           hubFlags
	namespace     string
	replicas      int32
	min, max, wgt []string
	even          bool
	dryRun        string
	output        string
}

// scaleAttempts is how often a write is tried again that met another's.
const scaleAttempts = 10

func newScaleCommand(s Streams) *cobra.Command {
	var o scaleFlags
	cmd := &cobra.Command{
		Use:   "scale KIND/NAME [CLUSTER=N …]",
		Short: "Set how many replicas a workload has, in total and in each cluster",
		Long: `Set how many replicas a Deployment, StatefulSet, ReplicaSet or ReplicationController
has. Clusters that are not named keep theirs, and the total, which kubectl get shows
at the hub, is the sum. Minima, maxima and weights are kept on the object, in the
annotation hanse.dev/preferences, and apply from then on, also to kubectl scale.`,
		Example: `  hanse scale deploy/whoami aws=2 azure=2 google=2
  hanse scale deploy/whoami azure=4
  hanse scale deploy/whoami --replicas=9
  hanse scale deploy/whoami --min aws=1,azure=1 --max aws=5
  hanse scale deploy/whoami --weight aws=2,azure=1
  hanse scale deploy/whoami --even`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fmt.Errorf("no workload is named. Try: hanse scale deployment/web aws=2")
			}
			return nil
		},
		ValidArgsFunction: o.completeCounts,
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.run(cmd, s, args)
		},
	}
	o.hub.bind(cmd)
	f := cmd.Flags()
	f.StringVarP(&o.namespace, "namespace", "n", metav1.NamespaceDefault, "namespace of the object")
	f.Int32Var(&o.replicas, "replicas", 0, "the total, divided as the object's rules say")
	f.StringSliceVar(&o.min, "min", nil, "minimum of replicas in a cluster, as aws=1,azure=1; * stands for all other clusters")
	f.StringSliceVar(&o.max, "max", nil, "maximum of replicas in a cluster, as aws=5; aws=none removes a maximum")
	f.StringSliceVar(&o.wgt, "weight", nil, "in proportion to weights, as aws=2,azure=1")
	f.BoolVar(&o.even, "even", false, "remove counts, minima, maxima and weights, and divide again")
	f.StringVar(&o.dryRun, "dry-run", "none", "say what would be done: client, or server to let the hub check it")
	f.Lookup("dry-run").NoOptDefVal = "client"
	f.StringVarP(&o.output, "output", "o", "table", "table, json, yaml or name")
	completeWith(cmd, "output", func() []string { return []string{"table", "json", "yaml", "name"} })
	completeWith(cmd, "dry-run", func() []string { return []string{"none", "client", "server"} })
	return cmd
}

func (o *scaleFlags) completeCounts(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	names := o.hub.clusterNames(cmd.Context())
	for i := range names {
		names[i] += "="
	}
	return names, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

func (o *scaleFlags) run(cmd *cobra.Command, s Streams, args []string) error {
	if !slices.Contains([]string{"none", "client", "server"}, o.dryRun) {
		return fmt.Errorf("unknown --dry-run=%s. Try: --dry-run=client or server", o.dryRun)
	}
	if !slices.Contains([]string{"table", "json", "yaml", "name"}, o.output) {
		return fmt.Errorf("unknown output %q. Try: -o table, json, yaml or name", o.output)
	}
	request, err := o.request(cmd, args[1:])
	if err != nil {
		return err
	}
	w, err := o.workload(args[0])
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
		return result.print(s, o.output)
	}
	return fmt.Errorf("%s keeps being changed by others. Try: again", args[0])
}

// request is what the command line asks for.
func (o *scaleFlags) request(cmd *cobra.Command, counts []string) (*scaling.Request, error) {
	r := &scaling.Request{Even: o.even}
	if cmd.Flags().Changed("replicas") {
		if o.replicas < 0 {
			return nil, fmt.Errorf("--replicas=%d is below zero. Try: --replicas=%d", o.replicas, -o.replicas)
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
	r.Weight, err = scaling.ParseNumbers("--weight", o.wgt)
	return r, err
}

// scale reads, works out and writes once.
func (o *scaleFlags) scale(ctx context.Context, w *scaledWorkload, r *scaling.Request) (*scaleResult, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*hubTimeout)
	defer cancel()
	obj, state, err := w.read(ctx)
	if err != nil {
		return nil, err
	}
	planner, err := w.planner(ctx)
	if err != nil {
		return nil, err
	}
	state.Clusters = w.ready
	change, err := r.Apply(state, w.decide(obj, planner))
	if err != nil {
		return nil, err
	}
	result := newScaleResult(obj, w.resource, state, change, o.dryRun)
	if scaler := w.autoscaler(ctx, obj); scaler != "" {
		result.notes = append(result.notes, fmt.Sprintf("HorizontalPodAutoscaler %s sets the replicas of %s by their load, whatever is asked for here", scaler, state.Object))
	}
	if o.dryRun == "client" {
		return result, nil
	}
	keep := r.Even || len(r.Min)+len(r.Max)+len(r.Weight) > 0
	return result, w.write(ctx, obj, change, keep, o.dryRun == "server")
}

// dryRunSuffix is said after what would have been done.
func dryRunSuffix(dryRun string) string {
	switch dryRun {
	case "client":
		return " (dry run)"
	case "server":
		return " (server dry run)"
	}
	return ""
}
