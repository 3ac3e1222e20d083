package workloads

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/cli/args"
	"github.com/hanse-dev/hanse/internal/cli/hub"
	"github.com/hanse-dev/hanse/internal/cli/output"
	"github.com/hanse-dev/hanse/internal/propagate"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// planFlags are those of hanse plan.
type planFlags struct {
	now      clock.PassiveClock
	hub      hub.Flags
	files    []string
	clusters string
	without  []string
	current  string
}

// NewPlanCommand is hanse plan.
func NewPlanCommand(s genericiooptions.IOStreams, now clock.PassiveClock) *cobra.Command {
	o := planFlags{now: now}
	format := output.ForValues()
	cmd := &cobra.Command{
		Use:   "plan -f FILE",
		Short: "Show where objects would go, without changing anything",
		Long: `Show where the objects in manifests would go, and why, without changing anything.
The hub decides with all that it knows, such as what its members have free now. With
--clusters, no hub is asked; the file has Clusters as kubectl get clusters -o yaml
writes them. The JSON is

  {"decisions":[{"object":{"apiVersion","kind","namespace","name"},
    "clusters":[{"name","replicas","reason"}],"unplaced":N,"rejected":[{"name","reason"}],
    "wouldNotSurvive":["the loss of aws: 2 of 6 replicas without a place: …"]}]}`,
		Example: `  hanse plan -f db-federation.yaml
  hanse plan -f db-federation.yaml --without aws
  hanse plan -f db-federation.yaml --clusters clusters.yaml --current aws=3,azure=0 -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(o.files) == 0 {
				return errors.New("there is nothing to plan. Try: hanse plan -f FILE")
			}
			objects, err := readManifests(o.files, s.In)
			if err != nil {
				return err
			}
			planned, err := o.plan(cmd.Context(), objects, s.In)
			if err != nil {
				return err
			}
			return format.Print(s.Out, plannedResult(objects, planned))
		},
	}
	o.hub.Bind(cmd)
	f := cmd.Flags()
	f.StringArrayVarP(&o.files, "filename", "f", nil, "manifests; - is standard input")
	f.StringVar(&o.clusters, "clusters", "", "file with Clusters (default: the hub's)")
	f.StringSliceVar(&o.without, "without", nil, "clusters to leave out")
	f.StringVar(&o.current, "current", "", "what runs where now, such as aws=3,azure=0 (default: what the hub has given, or with --clusters nothing)")
	format.Bind(cmd)
	args.CompleteWith(cmd, "without", func() []string { return o.hub.ClusterNames(cmd.Context()) })
	return cmd
}

// plan decides: by the clusters in a file, or by all that the hub knows.
func (o *planFlags) plan(ctx context.Context, objects []*unstructured.Unstructured, stdin io.Reader) ([]propagate.Planned, error) {
	current, err := parseCurrent(o.current)
	if err != nil {
		return nil, err
	}
	if o.clusters == "" {
		return planAtHub(ctx, &o.hub, propagate.PlanRequest{Objects: objects, Without: o.without, Current: current, Losses: true})
	}
	all, others, err := worldInFile(o.clusters, stdin)
	if err != nil {
		return nil, err
	}
	for _, name := range o.without {
		if !slices.ContainsFunc(all, func(c v1alpha1.Cluster) bool { return c.Name == name }) {
			return nil, fmt.Errorf("there is no cluster %s to leave out. Try: hanse clusters", name)
		}
		all = slices.DeleteFunc(all, func(c v1alpha1.Cluster) bool { return c.Name == name })
	}
	planner, err := propagate.NewPlanner(all, instead(others, objects), o.now.Now())
	if err != nil {
		return nil, err
	}
	out := make([]propagate.Planned, len(objects))
	for i, u := range objects {
		out[i].Decision, out[i].Stays = planner.Plan(u, current)
		out[i].Effect = planner.Effect(u)
	}
	return out, nil
}

// worldInFile is the Clusters in a file, and what else there steers decisions.
func worldInFile(file string, stdin io.Reader) (all []v1alpha1.Cluster, others []*unstructured.Unstructured, err error) {
	objects, err := readObjects(file, stdin)
	if err != nil {
		return nil, nil, err
	}
	for _, u := range objects {
		var c v1alpha1.Cluster
		switch {
		case propagate.Steers(u):
			others = append(others, u)
		case u.GetKind() != "Cluster":
			return nil, nil, fmt.Errorf("%s has a %s, where Clusters, policies and Namespaces are wanted. Try: kubectl get clusters -o yaml > %s", file, u.GetKind(), file)
		default:
			if err := hub.Decode(u, &c); err != nil {
				return nil, nil, fmt.Errorf("cannot read Cluster %s in %s: %w", u.GetName(), file, err)
			}
			all = append(all, offline(c))
		}
	}
	return all, others, nil
}

// offline takes a cluster for ready about which nothing is said: one that somebody
// has written down to plan with.
func offline(c v1alpha1.Cluster) v1alpha1.Cluster {
	if meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionReady) == nil {
		meta.SetStatusCondition(&c.Status.Conditions, metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: "Planned"})
	}
	return c
}

// instead is what steers decisions, with that in the manifests in the place of what
// has the same name: so a policy can be tried before it is applied.
func instead(others, manifests []*unstructured.Unstructured) []*unstructured.Unstructured {
	same := func(a, b *unstructured.Unstructured) bool {
		return a.GroupVersionKind().GroupKind() == b.GroupVersionKind().GroupKind() && a.GetNamespace() == b.GetNamespace() && a.GetName() == b.GetName()
	}
	for _, u := range manifests {
		if propagate.Steers(u) {
			others = slices.DeleteFunc(others, func(o *unstructured.Unstructured) bool { return same(o, u) })
			others = append(others, u)
		}
	}
	return others
}

// parseCurrent reads aws=3,azure=0; nil for nothing.
func parseCurrent(s string) (map[string]int32, error) {
	if s == "" {
		return nil, nil
	}
	current := map[string]int32{}
	for _, one := range strings.Split(s, ",") {
		name, count, _ := strings.Cut(one, "=")
		n, err := strconv.ParseInt(count, 10, 32)
		if err != nil || n < 0 || name == "" {
			return nil, fmt.Errorf("%q is not CLUSTER=N. Try: --current aws=3,azure=0", one)
		}
		current[name] = int32(n)
	}
	return current, nil
}

func plannedResult(objects []*unstructured.Unstructured, planned []propagate.Planned) output.Result {
	out := schedule.Output{Decisions: []schedule.OutputDecision{}}
	for i, u := range objects {
		decision := planned[i].Decision.Output(outputObject(u))
		if stays := planned[i].Stays; stays != "" {
			decision.Reason = strings.TrimSuffix("stays at the hub: "+stays+". "+planned[i].Effect, ". ")
		}
		decision.WouldNotSurvive = planned[i].WouldNotSurvive
		out.Decisions = append(out.Decisions, decision)
	}
	return output.Result{Content: out, Table: func(w io.Writer, _ bool) error {
		for i, u := range objects {
			if err := printDecision(w, u, planned[i]); err != nil {
				return err
			}
		}
		if !slices.ContainsFunc(planned, func(p propagate.Planned) bool { return p.Stays == "" }) {
			fmt.Fprintln(w, "Nothing here goes to a cluster. Try: the workloads that a policy selects beside it, such as hanse plan -f web.yaml -f policy.yaml")
		}
		return nil
	}}
}

func outputObject(u *unstructured.Unstructured) schedule.OutputObject {
	return schedule.OutputObject{APIVersion: u.GetAPIVersion(), Kind: u.GetKind(), Namespace: u.GetNamespace(), Name: u.GetName()}
}

func printDecision(w io.Writer, u *unstructured.Unstructured, planned propagate.Planned) error {
	fmt.Fprintf(w, "%s/%s\n", strings.ToLower(u.GetKind()), u.GetName())
	if planned.Stays != "" {
		fmt.Fprintf(w, "stays at the hub: %s\n", planned.Stays)
		if planned.Effect != "" {
			fmt.Fprintln(w, strings.ReplaceAll(planned.Effect, ". ", "\n"))
		}
		fmt.Fprintln(w)
		return nil
	}
	if err := planned.Decision.WriteTable(w); err != nil {
		return err
	}
	for i, loss := range planned.WouldNotSurvive {
		if i == 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "would not survive %s\n", loss)
	}
	fmt.Fprintln(w)
	return nil
}
