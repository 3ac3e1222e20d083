package workloads

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/hanse-dev/hanse/internal/cli/args"
	"github.com/hanse-dev/hanse/internal/cli/output"
	"github.com/hanse-dev/hanse/internal/scaling"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// scaleResult is what hanse scale -o json prints. Its form is stable.
type scaleResult struct {
	Object schedule.OutputObject `json:"object"`
	// DryRun is client or server where nothing was written.
	DryRun string `json:"dryRun,omitempty"`
	// Before and After are the replicas in all and by cluster.
	Before scaleNumbers `json:"before"`
	After  scaleNumbers `json:"after"`
	// Unplaced is how many of the replicas after have no place.
	Unplaced int32 `json:"unplaced"`
	// Reasons are the hub's, by cluster.
	Reasons map[string]string `json:"reasons,omitempty"`
	// Preferences are the minima, maxima and weights that hold from now on.
	Preferences *schedule.Preferences `json:"preferences,omitempty"`

	name   string // as kubectl shows it
	suffix string // of what was only tried
	notes  []string
}

type scaleNumbers struct {
	Replicas int32            `json:"replicas"`
	Clusters map[string]int32 `json:"clusters"`
}

func newScaleResult(obj *unstructured.Unstructured, now scaling.State, c scaling.Change, dryRun args.DryRun) *scaleResult {
	r := &scaleResult{
		Object:   outputObject(obj),
		Before:   scaleNumbers{now.Total, now.Division},
		After:    scaleNumbers{c.Total, c.Division},
		Unplaced: c.Decision.Unplaced, Reasons: map[string]string{},
		Preferences: c.Preferences, name: shownAs(obj), suffix: dryRun.Suffix(), notes: c.Notes,
	}
	for _, s := range c.Decision.Shares {
		r.Reasons[s.Cluster] = s.Reason
	}
	for _, x := range c.Decision.Rejected {
		r.Reasons[x.Cluster] = x.Reason
	}
	if dryRun.On() {
		r.DryRun = string(dryRun)
	}
	return r
}

func (r *scaleResult) print(s genericiooptions.IOStreams, format *output.Flags) error {
	for _, note := range r.notes {
		fmt.Fprintln(s.ErrOut, "Note: "+note+".")
	}
	return format.Print(s.Out, output.Result{Content: r, Names: []string{r.name}, Table: r.printTable})
}

// printTable prints a line for each cluster, by name. Clusters that get nothing are
// in the wide one only.
func (r *scaleResult) printTable(w io.Writer, wide bool) error {
	fmt.Fprintf(w, "%s scaled: %s%s\n", r.name, output.Count(r.After.Replicas, "replica"), r.suffix)
	if r.Unplaced > 0 {
		fmt.Fprintf(w, "not placed: %s\n", output.Count(r.Unplaced, "replica"))
	}
	clusters := map[string]int32{}
	maps.Copy(clusters, r.After.Clusters)
	maps.Copy(clusters, r.Before.Clusters)
	header := []string{"CLUSTER", "BEFORE", "AFTER"}
	if r.Preferences != nil {
		header = append(header, "MIN", "MAX", "WEIGHT")
	}
	if wide {
		header = append(header, "REASON")
		for name := range r.Reasons {
			clusters[name] = 0
		}
	}
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, strings.Join(header, "\t"))
	for _, name := range slices.Sorted(maps.Keys(clusters)) {
		row := []string{name, fmt.Sprint(r.Before.Clusters[name]), fmt.Sprint(r.After.Clusters[name])}
		if r.Preferences != nil {
			row = append(row, limitColumns(r.Preferences, name)...)
		}
		if wide {
			row = append(row, output.Dash(r.Reasons[name]))
		}
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	return t.Flush()
}

func limitColumns(p *schedule.Preferences, cluster string) []string {
	c, listed := p.Clusters[cluster]
	if !listed {
		c, listed = p.Clusters[schedule.Others]
	}
	if !listed {
		return []string{"-", "0", "-"}
	}
	most := "-"
	if c.MaxReplicas != nil {
		most = fmt.Sprint(*c.MaxReplicas)
	}
	return []string{fmt.Sprint(c.MinReplicas), most, fmt.Sprint(c.Weight)}
}
