package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

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
		Short: "Say where objects would go, without touching anything",
		Long: `Decide where the objects in manifests would go, and why, without touching anything:
with the clusters of a hub, or without any hub with those in a file, as written by
kubectl get clusters -o yaml. The JSON is

  {"decisions":[{"object":{"apiVersion","kind","namespace","name"},
    "clusters":[{"name","replicas","reason"}],"unplaced":N,"rejected":[{"name","reason"}]}]}`,
		Example: `  hanse plan -f db-federation.yaml
  hanse plan -f db-federation.yaml --without aws
  hanse plan -f db-federation.yaml --clusters clusters.yaml --current aws=3,azure=0 -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			clusters, err := planClusters(cmd, &hub, &o)
			if err != nil {
				return err
			}
			return runPlan(s, &o, clusters)
		},
	}
	hub.bind(cmd)
	f := cmd.Flags()
	f.StringArrayVarP(&o.files, "filename", "f", nil, "manifests; - is standard input")
	f.StringVar(&o.clusters, "clusters", "", "file with Clusters (default: the hub's)")
	f.StringSliceVar(&o.without, "without", nil, "clusters to be thought away")
	f.StringVar(&o.current, "current", "", "what runs where now, as aws=3,azure=0 (default: nothing)")
	f.StringVarP(&o.output, "output", "o", "table", "table or json")
	completeWith(cmd, "output", func() []string { return []string{"table", "json"} })
	completeWith(cmd, "without", func() []string { return hub.clusterNames(cmd.Context()) })
	return cmd
}

// planClusters are the clusters to plan with, by name.
func planClusters(cmd *cobra.Command, hub *hubFlags, o *planFlags) ([]v1alpha1.Cluster, error) {
	var all []v1alpha1.Cluster
	if o.clusters != "" {
		objects, err := readObjects(o.clusters, os.Stdin)
		if err != nil {
			return nil, err
		}
		for _, u := range objects {
			var c v1alpha1.Cluster
			if u.GetKind() != "Cluster" {
				return nil, fmt.Errorf("%s has a %s, where Clusters are wanted. Try: kubectl get clusters -o yaml > %s", o.clusters, u.GetKind(), o.clusters)
			}
			if err := decode(u, &c); err != nil {
				return nil, fmt.Errorf("cannot read Cluster %s in %s: %w", u.GetName(), o.clusters, err)
			}
			all = append(all, offline(c))
		}
	} else {
		clusters, err := hub.clusters()
		if err != nil {
			return nil, err
		}
		list, err := clusters.list(cmd.Context())
		if err != nil {
			return nil, err
		}
		all = list.Items
	}
	for _, name := range o.without {
		if !slices.ContainsFunc(all, func(c v1alpha1.Cluster) bool { return c.Name == name }) {
			return nil, fmt.Errorf("there is no cluster %s to be thought away. Try: hanse clusters", name)
		}
		all = slices.DeleteFunc(all, func(c v1alpha1.Cluster) bool { return c.Name == name })
	}
	return all, nil
}

// offline takes a cluster for ready about which nothing is said: one that somebody
// has written down to plan with.
func offline(c v1alpha1.Cluster) v1alpha1.Cluster {
	if meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionReady) == nil {
		meta.SetStatusCondition(&c.Status.Conditions, metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: "Planned"})
	}
	return c
}

func runPlan(s Streams, o *planFlags, clusters []v1alpha1.Cluster) error {
	if len(o.files) == 0 {
		return errors.New("there is nothing to plan. Try: hanse plan -f FILE")
	}
	current, err := parseCurrent(o.current)
	if err != nil {
		return err
	}
	out := schedule.Output{Decisions: []schedule.OutputDecision{}}
	for _, file := range o.files {
		objects, err := readObjects(file, s.In)
		if err != nil {
			return err
		}
		for _, u := range objects {
			d, stays := propagate.Plan(u, clusters, current)
			object := schedule.OutputObject{APIVersion: u.GetAPIVersion(), Kind: u.GetKind(), Namespace: u.GetNamespace(), Name: u.GetName()}
			decision := d.Output(object)
			if stays != "" {
				decision.Reason = "stays at the hub: " + stays
			}
			out.Decisions = append(out.Decisions, decision)
			if o.output == "table" {
				if err := printDecision(s.Out, u, d, stays); err != nil {
					return err
				}
			}
		}
	}
	switch o.output {
	case "table":
		return nil
	case "json":
		encoder := json.NewEncoder(s.Out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(out)
	}
	return fmt.Errorf("unknown output %q. Try: -o table or json", o.output)
}

func printDecision(w io.Writer, u *unstructured.Unstructured, d schedule.Decision, stays string) error {
	fmt.Fprintf(w, "%s/%s\n", strings.ToLower(u.GetKind()), u.GetName())
	if stays != "" {
		fmt.Fprintf(w, "stays at the hub: %s\n\n", stays)
		return nil
	}
	if err := d.WriteTable(w); err != nil {
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
