package schedule

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// Output is what `hanse plan -o json` prints. Its form is stable.
type Output struct {
	Decisions []OutputDecision `json:"decisions"`
}

// OutputDecision is one Decision.
type OutputDecision struct {
	Object   OutputObject     `json:"object"`
	Clusters []OutputShare    `json:"clusters"`
	Unplaced int32            `json:"unplaced"`
	Rejected []OutputRejected `json:"rejected"`
	// Reason, Problem and Ignored are Decision's.
	Reason  string   `json:"reason,omitempty"`
	Problem string   `json:"problem,omitempty"`
	Ignored []string `json:"ignored,omitempty"`
	// WouldNotSurvive says of each cluster whose loss would leave replicas without a place how many, and why.
	WouldNotSurvive []string `json:"wouldNotSurvive,omitempty"`
}

// OutputObject says what was placed.
type OutputObject struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Namespace  string `json:"namespace"`
	Name       string `json:"name"`
}

// OutputShare is a Share. Replicas is left out where nothing is divided.
type OutputShare struct {
	Name     string `json:"name"`
	Replicas *int32 `json:"replicas,omitempty"`
	Reason   string `json:"reason"`
}

// OutputRejected is a Rejection.
type OutputRejected struct {
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

// Output is the decision about an object in the form that is printed as JSON.
func (d Decision) Output(object OutputObject) OutputDecision {
	out := OutputDecision{Object: object, Clusters: []OutputShare{}, Unplaced: d.Unplaced, Rejected: []OutputRejected{},
		Reason: d.Reason, Problem: d.Problem, Ignored: d.Ignored}
	for _, s := range d.Shares {
		share := OutputShare{Name: s.Cluster, Reason: s.Reason}
		if d.Divided {
			replicas := s.Replicas
			share.Replicas = &replicas
		}
		out.Clusters = append(out.Clusters, share)
	}
	for _, x := range d.Rejected {
		out.Rejected = append(out.Rejected, OutputRejected{x.Cluster, x.Reason})
	}
	return out
}

// WriteTable prints the decision for people: a line per cluster, by name, and
// below it what concerns the whole.
func (d Decision) WriteTable(w io.Writer) error {
	type line struct{ cluster, replicas, reason string }
	var lines []line
	for _, s := range d.Shares {
		replicas := "whole"
		if d.Divided {
			replicas = fmt.Sprint(s.Replicas)
		}
		lines = append(lines, line{s.Cluster, replicas, s.Reason})
	}
	for _, x := range d.Rejected {
		lines = append(lines, line{x.Cluster, "-", x.Reason})
	}
	slices.SortFunc(lines, func(a, b line) int {
		if a.cluster < b.cluster {
			return -1
		}
		return 1
	})
	if d.Unplaced > 0 {
		lines = append(lines, line{"(none)", fmt.Sprint(d.Unplaced), "unplaced"})
	}
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "CLUSTER\tREPLICAS\tREASON")
	for _, l := range lines {
		fmt.Fprintf(t, "%s\t%s\t%s\n", l.cluster, l.replicas, l.reason)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if d.Reason != "" {
		if _, err := fmt.Fprintf(w, "\n%s.\n", d.Reason); err != nil {
			return err
		}
	}
	if len(d.Ignored) > 0 {
		_, err := fmt.Fprintf(w, "\nLeft to the clusters' own schedulers: %s.\n", strings.Join(d.Ignored, ", "))
		return err
	}
	return nil
}
