package cli

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/hanse-dev/hanse/internal/overview"
	"github.com/hanse-dev/hanse/internal/scaling"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// scaleResult is what hanse scale -o json prints.
type scaleResult struct {
	Object schedule.OutputObject `json:"object"`
	// DryRun is client or server where nothing was written.
	DryRun string `json:"dryRun,omitempty"`
	// Before and After are the replicas in all and by cluster.
	Before scaleNumbers `json:"before"`
	After  scaleNumbers `json:"after"`
	// Preferences are the minima, maxima and weights that hold from now on.
	Preferences *schedule.Preferences `json:"preferences,omitempty"`

	resource schema.GroupVersionResource
	notes    []string
}

type scaleNumbers struct {
	Replicas int32            `json:"replicas"`
	Clusters map[string]int32 `json:"clusters"`
}

func newScaleResult(obj *unstructured.Unstructured, resource schema.GroupVersionResource, now scaling.State, c scaling.Change, dryRun string) *scaleResult {
	r := &scaleResult{
		Object:      schedule.OutputObject{APIVersion: obj.GetAPIVersion(), Kind: obj.GetKind(), Namespace: obj.GetNamespace(), Name: obj.GetName()},
		Before:      scaleNumbers{now.Total, now.Division},
		After:       scaleNumbers{c.Total, c.Division},
		Preferences: c.Preferences, resource: resource, notes: c.Notes,
	}
	if dryRun != "none" {
		r.DryRun = dryRun
	}
	return r
}

func (r *scaleResult) print(s Streams, output string) error {
	for _, note := range r.notes {
		fmt.Fprintln(s.Err, "Note: "+note+".")
	}
	name := schema.GroupKind{Group: r.resource.Group, Kind: strings.ToLower(r.Object.Kind)}.String() + "/" + r.Object.Name
	switch output {
	case "json":
		return printJSON(s.Out, r)
	case "yaml":
		out, err := yaml.Marshal(r)
		if err != nil {
			return fmt.Errorf("encode the result: %w", err)
		}
		_, err = s.Out.Write(out)
		return err
	case "name":
		_, err := fmt.Fprintln(s.Out, name)
		return err
	}
	fmt.Fprintf(s.Out, "%s scaled: %s%s\n", name, overview.Replicas(r.After.Replicas), dryRunSuffix(r.DryRun))
	return r.printTable(s.Out)
}

// printTable prints a line for each cluster, by name.
func (r *scaleResult) printTable(w io.Writer) error {
	clusters := maps.Clone(r.After.Clusters)
	maps.Copy(clusters, r.Before.Clusters)
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	header := "CLUSTER\tBEFORE\tAFTER"
	if r.Preferences != nil {
		header += "\tMIN\tMAX\tWEIGHT"
	}
	fmt.Fprintln(t, header)
	for _, name := range slices.Sorted(maps.Keys(clusters)) {
		fmt.Fprintf(t, "%s\t%d\t%d%s\n", name, r.Before.Clusters[name], r.After.Clusters[name], limitColumns(r.Preferences, name))
	}
	return t.Flush()
}

func limitColumns(p *schedule.Preferences, cluster string) string {
	if p == nil {
		return ""
	}
	c, listed := p.Clusters[cluster]
	if !listed {
		c, listed = p.Clusters[schedule.Others]
	}
	if !listed {
		return "\t-\t0\t-"
	}
	most := "-"
	if c.MaxReplicas != nil {
		most = fmt.Sprint(*c.MaxReplicas)
	}
	return fmt.Sprintf("\t%d\t%s\t%d", c.MinReplicas, most, c.Weight)
}
