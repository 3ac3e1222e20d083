package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/propagate"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// planFlags are those of hanse plan.
type planFlags struct {
	files    []string
	clusters string
	without  []string
	current  string
	output   string
}

func newPlanCommand(s Streams) *cobra.Command {
	var hub hubFlags
	var o planFlags
	cmd := &cobra.Command{
		Use:   "plan -f FILE",
		Short: "Show where objects would go, without changing anything",
		Long: `Show where the objects in manifests would go, and why, without changing anything.
The hub decides with all that it knows, such as what its members have free now. With
--clusters, no hub is asked; the file has Clusters as kubectl get clusters -o yaml
writes them. The JSON is

  {"decisions":[{"object":{"apiVersion","kind","namespace","name"},
    "clusters":[{"name","replicas","reason"}],"unplaced":N,"rejected":[{"name","reason"}]}]}`,
		Example: `  hanse plan -f db-federation.yaml
  hanse plan -f db-federation.yaml --without aws
  hanse plan -f db-federation.yaml --clusters clusters.yaml --current aws=3,azure=0 -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(o.files) == 0 {
				return errors.New("there is nothing to plan. Try: hanse plan -f FILE")
			}
			objects, err := o.objects(s.In)
			if err != nil {
				return err
			}
			planned, err := o.plan(cmd.Context(), &hub, objects)
			if err != nil {
				return err
			}
			return printPlanned(s.Out, &o, objects, planned)
		},
	}
	hub.bind(cmd)
	f := cmd.Flags()
	f.StringArrayVarP(&o.files, "filename", "f", nil, "manifests; - is standard input")
	f.StringVar(&o.clusters, "clusters", "", "file with Clusters (default: the hub's)")
	f.StringSliceVar(&o.without, "without", nil, "clusters to leave out")
	f.StringVar(&o.current, "current", "", "what runs where now, as aws=3,azure=0 (default: what the hub has given, or with --clusters nothing)")
	f.StringVarP(&o.output, "output", "o", "table", "table or json")
	completeWith(cmd, "output", func() []string { return []string{"table", "json"} })
	completeWith(cmd, "without", func() []string { return hub.clusterNames(cmd.Context()) })
	return cmd
}

// plan decides: by the clusters in a file, or by all that the hub knows.
func (o *planFlags) plan(ctx context.Context, hub *hubFlags, objects []*unstructured.Unstructured) ([]propagate.Planned, error) {
	current, err := parseCurrent(o.current)
	if err != nil {
		return nil, err
	}
	if o.clusters == "" {
		return planAtHub(ctx, hub, propagate.PlanRequest{Objects: objects, Without: o.without, Current: current})
	}
	all, others, err := worldInFile(o.clusters)
	if err != nil {
		return nil, err
	}
	for _, name := range o.without {
		if !slices.ContainsFunc(all, func(c v1alpha1.Cluster) bool { return c.Name == name }) {
			return nil, fmt.Errorf("there is no cluster %s to leave out. Try: hanse clusters", name)
		}
		all = slices.DeleteFunc(all, func(c v1alpha1.Cluster) bool { return c.Name == name })
	}
	planner, err := propagate.NewPlanner(all, instead(others, objects), time.Now())
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

// planAtHub has the hub decide, which knows what its members have free.
func planAtHub(ctx context.Context, hub *hubFlags, q propagate.PlanRequest) ([]propagate.Planned, error) {
	content, err := json.Marshal(q)
	if err != nil {
		return nil, fmt.Errorf("the manifests cannot be sent to the hub: %w", err)
	}
	body, err := hub.ask(ctx, http.MethodPost, propagate.PathPlan, bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	var planned []propagate.Planned
	if err := json.Unmarshal(body, &planned); err != nil || len(planned) != len(q.Objects) {
		return nil, fmt.Errorf("the hub's answer cannot be read (%v). Try: the same version of hanse for both", err)
	}
	return planned, nil
}

func worldInFile(file string) (all []v1alpha1.Cluster, others []*unstructured.Unstructured, err error) {
	objects, err := readObjects(file, os.Stdin)
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
			if err := decode(u, &c); err != nil {
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

// objects are those in the files.
func (o *planFlags) objects(stdin io.Reader) (all []*unstructured.Unstructured, err error) {
	for _, file := range o.files {
		found, err := readObjects(file, stdin)
		if err != nil {
			return nil, err
		}
		for _, u := range found {
			if u.GetName() == "" && u.GetGenerateName() == "" {
				return nil, fmt.Errorf("%s has a %s without a name. Try: a manifest as kubectl apply takes it", file, u.GetKind())
			}
		}
		all = append(all, found...)
	}
	return all, nil
}

func printPlanned(w io.Writer, o *planFlags, objects []*unstructured.Unstructured, planned []propagate.Planned) error {
	out := schedule.Output{Decisions: []schedule.OutputDecision{}}
	for i, u := range objects {
		d, stays := planned[i].Decision, planned[i].Stays
		object := schedule.OutputObject{APIVersion: u.GetAPIVersion(), Kind: u.GetKind(), Namespace: u.GetNamespace(), Name: u.GetName()}
		decision := d.Output(object)
		if stays != "" {
			decision.Reason = strings.TrimSuffix("stays at the hub: "+stays+". "+planned[i].Effect, ". ")
		}
		out.Decisions = append(out.Decisions, decision)
		if o.output == "table" {
			if err := printDecision(w, u, planned[i]); err != nil {
				return err
			}
		}
	}
	switch o.output {
	case "table":
		if !slices.ContainsFunc(planned, func(p propagate.Planned) bool { return p.Stays == "" }) {
			fmt.Fprintln(w, "Nothing here goes to a cluster. Try: the workloads that a policy selects beside it, as hanse plan -f web.yaml -f policy.yaml")
		}
		return nil
	case "json":
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(out)
	}
	return fmt.Errorf("unknown output %q. Try: -o table or json", o.output)
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
	fmt.Fprintln(w)
	return nil
}

// parseCurrent reads aws=3,azure=0.
func parseCurrent(s string) (map[string]int32, error) {
	if s == "" {
		return nil, nil
	}
	current := map[string]int32{}
	for _, one := range strings.Split(s, ",") {
		name, count, _ := strings.Cut(one, "=")
		n, err := strconv.ParseInt(count, 10, 32)
		if err != nil || n < 0 || name == "" {
			return nil, fmt.Errorf("%q says nothing of a cluster's replicas. Try: --current aws=3,azure=0", one)
		}
		current[name] = int32(n)
	}
	return current, nil
}

// readObjects are the objects in a file of YAML or JSON documents; Lists are taken
// apart.
func readObjects(file string, stdin io.Reader) ([]*unstructured.Unstructured, error) {
	in := stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("cannot read %s: %w", file, err)
		}
		defer f.Close()
		in = f
	}
	var all []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(in, 4096)
	for {
		u := &unstructured.Unstructured{}
		err := decoder.Decode(&u.Object)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("cannot read %s: %w", file, err)
		}
		if len(u.Object) == 0 {
			continue // nothing between two ---
		}
		if u.GetKind() == "" || u.GetAPIVersion() == "" {
			return nil, fmt.Errorf("%s has an object without apiVersion or kind", file)
		}
		if !u.IsList() {
			all = append(all, u)
			continue
		}
		err = u.EachListItem(func(o runtime.Object) error {
			all = append(all, o.(*unstructured.Unstructured))
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("cannot read the list in %s: %w", file, err)
		}
	}
}
