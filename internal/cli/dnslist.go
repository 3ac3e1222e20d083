package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/client-go/dynamic"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/dns"
	"github.com/hanse-dev/hanse/internal/fleet"
)

func newDNSRoutesCommand(s Streams) *cobra.Command {
	return newDNSListCommand(s, &cobra.Command{
		Use:   "routes",
		Short: "List the hostnames, and how each cluster of theirs is doing",
	}, "globalroutes", "There is no GlobalRoute. Try: kubectl annotate ingress NAME hanse.dev/global=true", printRoutes)
}

func newDNSZonesCommand(s Streams) *cobra.Command {
	return newDNSListCommand(s, &cobra.Command{
		Use:   "zones",
		Short: "List the zones, who serves them, and what to delegate them to",
	}, "dnszones", "There is no DNSZone; the first GlobalRoute has one made.", printZones)
}

// newDNSListCommand makes cmd one that prints all objects of a resource, or says
// that there are none.
func newDNSListCommand[T any](s Streams, cmd *cobra.Command, resource, none string, print func(io.Writer, []T) error) *cobra.Command {
	var hub hubFlags
	cmd.Args = rejectUnknown
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		items, err := listOf[T](cmd, &hub, resource)
		if err != nil {
			return err
		}
		if len(items) == 0 {
			fmt.Fprintln(s.Err, none)
			return nil
		}
		return print(s.Out, items)
	}
	hub.bind(cmd)
	return cmd
}

// listOf lists a resource, with errors that speak of the hub.
func listOf[T any](cmd *cobra.Command, hub *hubFlags, resource string) ([]T, error) {
	cfg, err := hub.restConfig()
	if err != nil {
		return nil, err
	}
	client, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return nil, fleet.HubError(cfg.Host, err)
	}
	items, err := listAll[T](cmd.Context(), client, resource)
	switch {
	case apierrors.IsNotFound(err):
		return nil, fmt.Errorf("the hub at %s has no %s. Try: the same version of hanse for both", cfg.Host, resource)
	case err != nil:
		return nil, fleet.HubError(cfg.Host, err)
	}
	return items, nil
}

// printRoutes has a line for each cluster of each route.
func printRoutes(w io.Writer, routes []v1alpha1.GlobalRoute) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "ROUTE\tHOSTS\tROUTING\tCLUSTER\tADDRESSES\tHEALTHY\tINSIDE\tOUTSIDE\tSHARE")
	for i := range routes {
		r := &routes[i]
		head := []string{r.Namespace + "/" + r.Name, orDash(r.Status.Summary.Hosts), orDash(r.Status.Summary.Routing)}
		for _, c := range r.Status.Clusters {
			fmt.Fprintf(t, "%s\t%s\t%t\t%s\t%s\t%s\n", strings.Join(append(head, c.Name), "\t"),
				orDash(strings.Join(append(c.Addresses, c.Hostnames...), ",")), c.Healthy, state(c.Inside), state(c.Outside), orDash(c.Share))
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

func printZones(w io.Writer, zones []v1alpha1.DNSZone) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "DOMAIN\tPROVIDER\tHOSTS\tSERIAL\tREADY\tDELEGATED\tNAMESERVERS\tLISTENERS\tAGE")
	for i := range zones {
		z := &zones[i]
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%s\t%s\t%s\t%s\t%s\n", z.Spec.Domain, orDash(z.Status.Provider), z.Status.Hosts, z.Status.Serial,
			conditionStatus(z, v1alpha1.ConditionReady), conditionStatus(z, v1alpha1.ConditionDelegated),
			orDash(strings.Join(z.Status.NameServers, ",")), orDash(strings.Join(z.Status.Listeners, ",")),
			duration.HumanDuration(time.Since(z.CreationTimestamp.Time)))
	}
	return t.Flush()
}

func conditionStatus(z *v1alpha1.DNSZone, kind string) string {
	if c := meta.FindStatusCondition(z.Status.Conditions, kind); c != nil {
		return string(c.Status)
	}
	return string(metav1.ConditionUnknown)
}

func newDNSExportCommand(s Streams) *cobra.Command {
	var hub hubFlags
	cmd := &cobra.Command{
		Use:   "export DOMAIN",
		Short: "Print a zone as a master file, as secondaries get it",
		Long: `Print a zone that the hub serves as a master file, as secondaries get it: a
hostname that is answered differently to different places has the answer for a
place that nobody knows.`,
		Example: "  hanse dns export devfest.example > devfest.example.zone",
		Args:    oneArgument("domain", "hanse dns zones"),
		RunE: func(cmd *cobra.Command, args []string) error {
			body, err := hub.get(cmd.Context(), dns.PathExport, url.Values{"zone": args})
			if err != nil {
				return err
			}
			_, err = s.Out.Write(body)
			return err
		},
	}
	hub.bind(cmd)
	return cmd
}

func newDNSAboutCommand(s Streams) *cobra.Command {
	var hub hubFlags
	cmd := &cobra.Command{
		Use:   "about",
		Short: "Show where the name server listens, and whose geographic data it uses",
		Args:  rejectUnknown,
		RunE: func(cmd *cobra.Command, _ []string) error {
			body, err := hub.get(cmd.Context(), dns.PathAbout, nil)
			if err != nil {
				return err
			}
			var about dns.About
			if err := json.Unmarshal(body, &about); err != nil {
				return fmt.Errorf("the hub's answer cannot be read: %w. Try: the same version of hanse for both", err)
			}
			fmt.Fprintf(s.Out, "name server: %s\ngeographic data: %s\n", orDash(strings.Join(about.Listeners, ", ")), about.Database)
			if about.Error != "" {
				fmt.Fprintf(s.Out, "problem: %s\n", about.Error)
			}
			for _, member := range slices.Sorted(maps.Keys(about.Panics)) {
				fmt.Fprintf(s.Out, "problem: what %s says made the hub fail %d times: see its log\n", cmp.Or(member, "somebody"), about.Panics[member])
			}
			return nil
		},
	}
	hub.bind(cmd)
	return cmd
}
