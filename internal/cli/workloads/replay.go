package workloads

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/hanse-dev/hanse/internal/cli/args"
	"github.com/hanse-dev/hanse/internal/cli/output"
	"github.com/hanse-dev/hanse/internal/propagate/record"
)

// NewReplayCommand is hanse replay.
func NewReplayCommand(s genericiooptions.IOStreams) *cobra.Command {
	format := output.ForValues()
	cmd := &cobra.Command{
		Use:   "replay PATH",
		Short: "Show where this version of hanse would decide otherwise than a recording says",
		Long: `Give what a hub's flight recorder recorded to the decider of this version of hanse, and show
where it decides otherwise. So an upgrade can be tried on yesterday's traffic. PATH is the
directory DATA-DIR/flight of a hub, a copy of it, or one file of it. No hub is asked, and
nothing is changed.

The exit code is 0 if all is decided as it was, and 1 if anything is not, or the recording
cannot be read.`,
		Example: `  hanse replay /var/lib/hanse/flight
  hanse replay flight/000000000042.flight -o json`,
		Args: args.One("PATH", "hanse replay /var/lib/hanse/flight"),
		RunE: func(cmd *cobra.Command, paths []string) error {
			got, err := record.Replay(cmd.Context(), paths[0])
			if err != nil {
				return err
			}
			if got.Runs == 0 && got.Inputs == 0 {
				return fmt.Errorf("%s has nothing that can be replayed. Try: the directory flight in the data directory of a hub", paths[0])
			}
			if err := format.Print(s.Out, output.Result{Content: got, Table: func(w io.Writer, _ bool) error { return printReplay(w, &got) }}); err != nil {
				return err
			}
			if n := len(got.Differences) + got.More; n > 0 {
				return fmt.Errorf("%s would differ", output.Count(n, "decision"))
			}
			return nil
		},
	}
	format.Bind(cmd)
	return cmd
}

func printReplay(w io.Writer, r *record.Replayed) error {
	fmt.Fprintf(w, "replayed %s to %s: %s, %s\n", r.From.Local().Format(shownTime), r.To.Local().Format(shownTime),
		output.Count(r.Inputs, "input"), output.Count(r.Outcomes, "decision"))
	if r.Gaps > 0 {
		fmt.Fprintf(w, "%s: what was decided then is not compared\n", output.Count(r.Gaps, "gap"))
	}
	if len(r.Differences) == 0 {
		fmt.Fprintln(w, "all is decided as it was")
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "TIME\tOBJECT\tRECORDED\tNOW\tCAUSE")
	for _, d := range r.Differences {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", d.At.Local().Format(shownTime), d.Object, decided(d.Recorded), decided(d.Now), d.Cause)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if r.More > 0 {
		fmt.Fprintf(w, "and %d more\n", r.More)
	}
	return nil
}

// decided is an outcome in a word.
func decided(o *record.Outcome) string {
	switch {
	case o == nil:
		return "as before"
	case o.Gone:
		return "gone"
	case o.Decision.Unplaced > 0:
		return fmt.Sprintf("%s, %d not placed", output.Dash(o.Decision.String()), o.Decision.Unplaced)
	}
	return output.Dash(o.Decision.String())
}
