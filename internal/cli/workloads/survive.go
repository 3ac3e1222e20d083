package workloads

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/hanse-dev/hanse/internal/cli/hub"
	"github.com/hanse-dev/hanse/internal/cli/output"
	"github.com/hanse-dev/hanse/internal/propagate"
	"github.com/hanse-dev/hanse/internal/propagate/survive"
)

// ErrNotSurvived ends hanse survive after it has printed its answer, when something would not survive. The exit code is
// NotSurvived then.
var ErrNotSurvived = errors.New("would not be survived")

// NotSurvived is the exit code that tells an answer from an error.
const NotSurvived = 2

// surviveFlags are those of hanse survive.
type surviveFlags struct {
	hub     hub.Flags
	of      string
	verbose bool
}

// NewSurviveCommand is hanse survive.
func NewSurviveCommand(s genericiooptions.IOStreams) *cobra.Command {
	var o surviveFlags
	format := output.ForValues()
	cmd := &cobra.Command{
		Use:   "survive [CLUSTER…]",
		Short: "Show what would survive the loss of each cluster, region, provider, and pair of clusters",
		Long: `Show what would survive the loss of each cluster, each region, each provider, and each
pair of clusters, if it happened now. With clusters as arguments, it is the loss of all of
these at once. The hub decides as it would if the clusters were lost, with what its members
have free now, and changes nothing.

A loss is survived if every replica that has a place now would have one, no StatefulSet
would be left with half of its replicas or fewer until the rest has failed over, and every
Service and hostname that has an answer now would have one. "by hand" is a loss that is
survived once somebody runs hanse drain: so many clusters fall silent at once that the hub
takes itself to be the one that is cut off. Jobs and bare Pods wait for their cluster, and
are not counted as unplaced.

The exit code is 0 if all would be survived, 2 if something would not, and 1 on errors.`,
		Example: `  hanse survive
  hanse survive -v
  hanse survive aws azure
  hanse survive --of web -o json`,
		ValidArgsFunction: o.hub.CompleteClusters,
		RunE: func(cmd *cobra.Command, clusters []string) error {
			report, err := o.ask(cmd.Context(), clusters)
			if err != nil {
				return err
			}
			table := func(w io.Writer, _ bool) error { return printSurvive(w, report, o.verbose || o.of != "") }
			if err := format.Print(s.Out, output.Result{Content: report, Table: table}); err != nil {
				return err
			}
			if report.LeftOut != "" {
				fmt.Fprintf(s.ErrOut, "not shown: %s\n", report.LeftOut)
			}
			return o.verdict(report)
		},
	}
	o.hub.Bind(cmd)
	cmd.Flags().StringVar(&o.of, "of", "", "only workloads of this name")
	cmd.Flags().BoolVarP(&o.verbose, "verbose", "v", false, "show the workloads, Services, hostnames and PodDisruptionBudgets, too")
	format.Bind(cmd)
	return cmd
}

func (o *surviveFlags) ask(ctx context.Context, clusters []string) (*survive.Report, error) {
	query := url.Values{"cluster": clusters}
	if o.verbose || o.of != "" {
		query.Set("all", "true")
	}
	if o.of != "" {
		query.Set("of", o.of[strings.LastIndex(o.of, "/")+1:])
	}
	var report survive.Report
	err := o.hub.GetJSON(ctx, propagate.PathSurvive, query, &report)
	return &report, err
}

// verdict is an error if not all would be survived, or nobody knows.
func (o *surviveFlags) verdict(r *survive.Report) error {
	not, found := 0, false
	for i := range r.Scenarios {
		found = found || r.Scenarios[i].Affected > 0
		if !r.Scenarios[i].Survives {
			not++
		}
	}
	switch {
	case not > 0:
		return fmt.Errorf("%d of %s %w%s", not, losses(len(r.Scenarios)), ErrNotSurvived, o.advice(r))
	case r.Incomplete:
		return errors.New("not all was looked at. Try: hanse survive CLUSTER")
	case o.of != "" && !found:
		return fmt.Errorf("no workload named %s runs in what would be lost. Try: kubectl get placements -A", o.of)
	}
	return nil
}

// advice is what to try so that more would survive.
func (o *surviveFlags) advice(r *survive.Report) string {
	var all []string
	workloads := map[string][]string{}
	for i := range r.Scenarios {
		for _, w := range r.Scenarios[i].Workloads {
			if w.Try == "" || slices.Contains(workloads[w.Try], workloadName(&w)) {
				continue
			}
			if workloads[w.Try] == nil {
				all = append(all, w.Try)
			}
			workloads[w.Try] = append(workloads[w.Try], workloadName(&w))
		}
	}
	for i, try := range all {
		all[i] = "for " + listed(workloads[try]) + ": " + try
	}
	switch {
	case o.verbose && len(all) == 0:
		return ""
	case len(all) == 0:
		return ". Try: hanse survive -v"
	case !o.verbose:
		all = append(all, "for the reasons: hanse survive -v")
	}
	return ". Try: " + strings.Join(all, "; ")
}

// fewNames is how many names are shown where there may be many.
const fewNames = 3

// listed is names, the first of them if there are many.
func listed(names []string) string {
	if more := len(names) - fewNames; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:fewNames], ", "), more)
	}
	return strings.Join(names, ", ")
}

func workloadName(w *survive.Workload) string {
	return strings.ToLower(w.Kind) + " " + w.Namespace + "/" + w.Name
}

func losses(n int) string {
	if n == 1 {
		return "1 loss"
	}
	return fmt.Sprintf("%d losses", n)
}

func printSurvive(w io.Writer, r *survive.Report, verbose bool) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "LOSS\tSURVIVED\tWORKLOADS\tKEPT\tFAILED OVER\tUNPLACED\tMESSAGE")
	for i := range r.Scenarios {
		s := &r.Scenarios[i]
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%d\t%d\t%s\n", lossName(s), survived(s), s.Affected, s.Kept, s.FailedOver, s.Unplaced, output.Dash(lossMessage(s)))
	}
	if err := t.Flush(); err != nil || !verbose {
		return err
	}
	for i := range r.Scenarios {
		if err := printLoss(w, &r.Scenarios[i]); err != nil {
			return err
		}
	}
	return nil
}

// lossName is as cluster aws, region us-east-1.
func lossName(s *survive.Scenario) string {
	var names []string
	for _, n := range s.Names() {
		switch n.Kind {
		case survive.KindCluster, survive.KindRegion, survive.KindProvider:
			names = append(names, strings.ToLower(n.Kind)+" "+n.Name)
		default:
			names = append(names, strings.ReplaceAll(n.Name, "+", " + "))
		}
	}
	return strings.Join(names, ", ")
}

func survived(s *survive.Scenario) string {
	switch {
	case !s.Survives:
		return "no"
	case s.ByHand:
		return "by hand"
	}
	return "yes"
}

func lossMessage(s *survive.Scenario) string {
	var said []string
	if summary := s.Summary(); summary != "" {
		var names []string
		for i := range s.Workloads {
			if w := &s.Workloads[i]; !w.Survives {
				names = append(names, workloadName(w))
			}
		}
		if len(names) > 0 {
			summary += " (" + listed(names) + ")"
		}
		said = append(said, summary)
	}
	if s.BrokenBudgets > 0 {
		said = append(said, output.Count(s.BrokenBudgets, "PodDisruptionBudget")+" broken")
	}
	if s.ByHand {
		said = append(said, "nothing fails over until hanse drain")
	}
	return strings.Join(said, "; ")
}

// printLoss is what would become of what runs in what is lost.
func printLoss(w io.Writer, s *survive.Scenario) error {
	if len(s.Workloads)+len(s.Services)+len(s.Hostnames)+len(s.Budgets) == 0 {
		return nil
	}
	fmt.Fprintf(w, "\n%s\n", lossName(s))
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "WORKLOAD\tREPLICAS\tKEPT\tFAILED OVER\tUNPLACED\tREASON")
	for i := range s.Workloads {
		one := &s.Workloads[i]
		reason := one.Reason
		if one.QuorumLost {
			reason = strings.TrimSuffix("its quorum is lost; "+reason, "; ")
		}
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%s\n", workloadName(one), one.Replicas, one.Kept, one.FailedOver, one.Unplaced, output.Dash(reason))
	}
	if len(s.Workloads) > 0 {
		if err := t.Flush(); err != nil {
			return err
		}
	}
	if more := s.Affected - len(s.Workloads); more > 0 {
		fmt.Fprintf(w, "and %s\n", output.Count(more, "more workload"))
	}
	for _, name := range s.Services {
		fmt.Fprintf(w, "without an answer: service %s\n", name)
	}
	for _, name := range s.Hostnames {
		fmt.Fprintf(w, "without an answer: %s\n", name)
	}
	for _, b := range s.Budgets {
		until := ""
		if b.After >= b.Wants {
			until = ", until what fails over is ready"
		}
		fmt.Fprintf(w, "broken: poddisruptionbudget %s/%s wants %d, %d would be left%s\n", b.Namespace, b.Name, b.Wants, b.Remain, until)
	}
	return nil
}
