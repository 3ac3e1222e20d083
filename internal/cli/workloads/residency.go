package workloads

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/hanse-dev/hanse/internal/cli/args"
	"github.com/hanse-dev/hanse/internal/cli/hub"
	"github.com/hanse-dev/hanse/internal/cli/output"
	"github.com/hanse-dev/hanse/internal/propagate"
	"github.com/hanse-dev/hanse/internal/propagate/census"
)

// ErrResidencyUnknown ends hanse residency report after it has printed its answer, when nothing was found outside, but not all
// could be asked. The exit code is ResidencyUnknown then.
var ErrResidencyUnknown = errors.New("not all could be asked")

// ResidencyUnknown is the exit code that tells what nobody knows from a violation.
const ResidencyUnknown = 3

// NewResidencyCommand is hanse residency, with its verbs.
func NewResidencyCommand(s genericiooptions.IOStreams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "residency",
		Short: "Show where the objects of namespaces are that may not be everywhere",
		Args:  args.RejectUnknown,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newResidencyReportCommand(s))
	return cmd
}

func newResidencyReportCommand(s genericiooptions.IOStreams) *cobra.Command {
	var flags hub.Flags
	format := output.ForValues()
	cmd := &cobra.Command{
		Use:   "report [RESIDENCY…]",
		Short: "List what members have of what a Residency restricts, and what may not be there",
		Long: `List what members have of what each Residency restricts, and what may not be there. The hub
asks every member now, and lists what its API server has in the namespaces: objects that came
from the hub, and what was made of them there. What the hub remembers counts for nothing but
the time since when it is so.

What the hub itself stores is said for each Residency: it stores every object.

The exit code is 0 if nothing is where it may not be, and all members were asked; 1 if
something is, or on errors; 3 if nothing was found, but not all could be asked. It takes the
right to list residencies; names of objects take the verb audit of residencies besides.`,
		Example: `  hanse residency report
  hanse residency report eu -o json`,
		RunE: func(cmd *cobra.Command, names []string) error {
			var report census.Report
			if err := flags.GetJSON(cmd.Context(), propagate.PathResidency, url.Values{"name": names}, &report); err != nil {
				return err
			}
			table := func(w io.Writer, _ bool) error { return printCensus(w, &report) }
			if err := format.Print(s.Out, output.Result{Content: &report, Table: table}); err != nil {
				return err
			}
			return verdictOf(&report)
		},
	}
	flags.Bind(cmd)
	format.Bind(cmd)
	return cmd
}

// verdictOf is an error if something is outside, or nobody knows.
func verdictOf(r *census.Report) error {
	violations, where, hubs, unknown := 0, map[string]bool{}, 0, map[string]bool{}
	for i := range r.Residencies {
		of := &r.Residencies[i]
		if of.Hub.Outside == "True" {
			hubs++
		}
		if of.Problem != "" {
			unknown["Residency "+of.Name] = true
		}
		for j := range of.Clusters {
			c := &of.Clusters[j]
			if violations += c.Violations; c.Violations > 0 {
				where[c.Name] = true
			}
			if c.Unknown != "" {
				unknown[c.Name] = true
			}
		}
	}
	switch {
	case violations > 0:
		return fmt.Errorf("%s in %s may not be there. Try: kubectl get residencies -o wide, for what is being done", output.Count(violations, "object"), listed(sortedNames(where)))
	case hubs > 0:
		return fmt.Errorf("the hub stores what it may not, by %s", output.Count(hubs, "Residency"))
	case len(unknown) > 0:
		return fmt.Errorf("nothing was found where it may not be, but %w: %s. Try: hanse clusters", ErrResidencyUnknown, listed(sortedNames(unknown)))
	}
	return nil
}

func sortedNames(of map[string]bool) (names []string) {
	for name := range of {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// printCensus prints a table of clusters, and what is where it may not be.
func printCensus(w io.Writer, r *census.Report) error {
	if len(r.Residencies) == 0 {
		_, err := fmt.Fprintln(w, "There are no Residencies: everything may be everywhere.")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "RESIDENCY\tCLUSTER\tALLOWED\tOBJECTS\tVIOLATIONS\tSINCE\tMESSAGE")
	for i := range r.Residencies {
		of := &r.Residencies[i]
		for j := range of.Clusters {
			censusRow(t, of, &of.Clusters[j])
		}
		fmt.Fprintf(t, "%s\t(hub)\t%s\t-\t-\t-\t%s\n", of.Name, map[string]string{"True": "no", "False": "yes"}[of.Hub.Outside]+unknownIf(of.Hub.Outside == "Unknown"), output.Dash(of.Hub.Message))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	return printViolations(w, r)
}

func censusRow(w io.Writer, of *census.Residency, c *census.Cluster) {
	allowed, objects, violations, since := "yes", fmt.Sprint(c.Objects), fmt.Sprint(c.Violations), "-"
	if !c.Allowed {
		allowed = "no"
	}
	if c.Unknown != "" && c.Objects == 0 {
		objects, violations = "unknown", "unknown"
	}
	if c.Since != nil {
		since = c.Since.Format(time.RFC3339)
	}
	var said []string
	for _, text := range []string{c.Unknown, c.Why} {
		if text != "" {
			said = append(said, text)
		}
	}
	if len(c.Unlisted) > 0 {
		said = append(said, "the hub's account may not list "+listed(c.Unlisted)+" there")
	}
	if c.Others > 0 {
		said = append(said, output.Count(c.Others, "object")+" of others in a namespace of that name")
	}
	fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", of.Name, c.Name, allowed, objects, violations, since, output.Dash(strings.Join(said, "; ")))
}

func unknownIf(is bool) string {
	if is {
		return "unknown"
	}
	return ""
}

// printViolations names what is where it may not be.
func printViolations(w io.Writer, r *census.Report) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	head := "\nCLUSTER\tNAMESPACE\tOBJECT\tTHERE SINCE\tRESIDENCY\n"
	for i := range r.Residencies {
		of := &r.Residencies[i]
		for j := range of.Clusters {
			c := &of.Clusters[j]
			for k := range c.Found {
				f := &c.Found[k]
				fmt.Fprintf(t, "%s%s\t%s\t%s/%s\t%s\t%s\n", head, c.Name, output.Dash(f.Namespace), f.Resource, f.Name, f.Created.Format(time.RFC3339), of.Name)
				head = ""
			}
			if more := c.Violations - len(c.Found); more > 0 && len(c.Found) > 0 {
				fmt.Fprintf(t, "%s\tand %d more\n", c.Name, more)
			}
		}
	}
	return t.Flush()
}
