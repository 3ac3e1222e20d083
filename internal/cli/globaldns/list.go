package globaldns

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/cli/args"
	"github.com/hanse-dev/hanse/internal/cli/hub"
	"github.com/hanse-dev/hanse/internal/cli/output"
)

func newRoutesCommand(s genericiooptions.IOStreams) *cobra.Command {
	return newListCommand(s, &cobra.Command{
		Use:   "routes",
		Short: "List the hostnames, and the health of each cluster that can answer",
	}, "globalroutes", "There is no GlobalRoute. Try: kubectl annotate ingress NAME hanse.dev/global=true", printRoutes)
}

func newZonesCommand(s genericiooptions.IOStreams, now clock.PassiveClock) *cobra.Command {
	return newListCommand(s, &cobra.Command{
		Use:   "zones",
		Short: "List the zones, who serves them, and what to delegate them to",
	}, "dnszones", "There is no DNSZone; the first GlobalRoute has one made.", func(w io.Writer, zones []v1alpha1.DNSZone) error {
		return printZones(w, zones, now)
	})
}

// newListCommand makes cmd one that prints all objects of a resource, or says that
// there are none.
func newListCommand[T any](s genericiooptions.IOStreams, cmd *cobra.Command, resource, none string, print func(io.Writer, []T) error) *cobra.Command {
	var at hub.Flags
	format := output.ForObjects()
	cmd.Args = args.RejectUnknown
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		list, items, err := hub.List[T](cmd.Context(), &at, resource)
		if err != nil {
			return err
		}
		if len(items) == 0 && format.ForPeople() {
			fmt.Fprintln(s.ErrOut, none)
			return nil
		}
		return format.Print(s.Out, output.Result{Content: list, Table: func(w io.Writer, _ bool) error { return print(w, items) }})
	}
	at.Bind(cmd)
	format.Bind(cmd)
	return cmd
}

// printRoutes has a line for each cluster of each route.
func printRoutes(w io.Writer, routes []v1alpha1.GlobalRoute) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "ROUTE\tHOSTS\tROUTING\tCLUSTER\tADDRESSES\tHEALTHY\tINSIDE\tOUTSIDE\tSHARE")
	for i := range routes {
		r := &routes[i]
		head := []string{r.Namespace + "/" + r.Name, output.Dash(r.Status.Summary.Hosts), output.Dash(r.Status.Summary.Routing)}
		for _, c := range r.Status.Clusters {
			fmt.Fprintf(t, "%s\t%s\t%t\t%s\t%s\t%s\n", strings.Join(append(head, c.Name), "\t"),
				output.Dash(strings.Join(append(c.Addresses, c.Hostnames...), ",")), c.Healthy, state(c.Inside), state(c.Outside), output.Dash(c.Share))
			head = []string{"", "", ""}
		}
		if len(r.Status.Clusters) == 0 {
			fmt.Fprintln(t, strings.Join(append(head, "-", "-", "-", "-", "-", "-"), "\t"))
		}
	}
	return t.Flush()
}

func state(h *v1alpha1.RouteHealth) string {
	if h == nil {
		return "-"
	}
	return h.State
}

func printZones(w io.Writer, zones []v1alpha1.DNSZone, now clock.PassiveClock) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "DOMAIN\tPROVIDER\tHOSTS\tSERIAL\tREADY\tDELEGATED\tNAMESERVERS\tLISTENERS\tAGE")
	for i := range zones {
		z := &zones[i]
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%s\t%s\t%s\t%s\t%s\n", z.Spec.Domain, output.Dash(z.Status.Provider), z.Status.Hosts, z.Status.Serial,
			conditionStatus(z, v1alpha1.ConditionReady), conditionStatus(z, v1alpha1.ConditionDelegated),
			output.Dash(strings.Join(z.Status.NameServers, ",")), output.Dash(strings.Join(z.Status.Listeners, ",")),
			duration.HumanDuration(now.Since(z.CreationTimestamp.Time)))
	}
	return t.Flush()
}

func conditionStatus(z *v1alpha1.DNSZone, kind string) string {
	if c := meta.FindStatusCondition(z.Status.Conditions, kind); c != nil {
		return string(c.Status)
	}
	return string(metav1.ConditionUnknown)
}
