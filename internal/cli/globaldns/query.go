package globaldns

import (
	"fmt"
	"io"
	"net/url"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/hanse-dev/hanse/internal/cli/args"
	"github.com/hanse-dev/hanse/internal/cli/hub"
	"github.com/hanse-dev/hanse/internal/cli/output"
	"github.com/hanse-dev/hanse/internal/dns"
)

func newQueryCommand(s genericiooptions.IOStreams) *cobra.Command {
	var at hub.Flags
	var from string
	format := output.ForValues()
	cmd := &cobra.Command{
		Use:   "query HOST",
		Short: "Show which cluster a client is sent to for a hostname, and why",
		Long: `Show which cluster answers for a hostname to a client at a place, with which
addresses, and why. The place is a city, a country, a subdivision (US-NY), a
continent, an address or a network; without one, the place is unknown.`,
		Example: `  hanse dns query www.devfest.example --from Singapore
  hanse dns query www.devfest.example --from 1.1.1.0/24 -o json`,
		Args: args.One("hostname", "hanse dns query www.example.com --from Paris"),
		RunE: func(cmd *cobra.Command, names []string) error {
			var e dns.Explanation
			if err := at.GetJSON(cmd.Context(), dns.PathQuery, url.Values{"name": names, "from": {from}}, &e); err != nil {
				return err
			}
			return format.Print(s.Out, output.Result{Content: e, Table: func(w io.Writer, _ bool) error { return explain(w, &e) }})
		},
	}
	at.Bind(cmd)
	cmd.Flags().StringVar(&from, "from", "", "where the client is: Singapore, FR, US-NY, EU, 1.1.1.1, 1.1.1.0/24")
	format.Bind(cmd)
	return cmd
}

func explain(w io.Writer, e *dns.Explanation) error {
	fmt.Fprintf(w, "%s for %s\n", e.Name, whereabouts(e.From))
	for _, a := range e.Answers {
		share := ""
		if len(e.Answers) > 1 {
			share = fmt.Sprintf(" (weight %d)", a.Weight)
		}
		fmt.Fprintf(w, "  %s: %s%s\n", strings.Join(a.Clusters, ","), output.Dash(strings.Join(a.Addresses, ", ")), share)
	}
	if len(e.Answers) == 0 {
		fmt.Fprintln(w, "  no address")
	}
	fmt.Fprintf(w, "because: %s\nroute: %s (%s), host %s, zone %s, TTL %d s\n\n", e.Why, e.Route, output.Dash(e.Policy), e.Host, e.Zone, e.TTL)
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "CLUSTER\tHEALTHY\tINSIDE\tOUTSIDE")
	for _, c := range e.Clusters {
		fmt.Fprintf(t, "%s\t%t\t%s\t%s\n", c.Name, c.Healthy, c.Inside, c.Outside)
	}
	return t.Flush()
}

// whereabouts names a place by all that is known of it.
func whereabouts(f dns.From) string {
	var codes []string
	for _, code := range []string{f.Subdivision, f.Country, f.Continent} {
		if code != "" {
			codes = append(codes, code)
		}
	}
	known := strings.Join(codes, ", ")
	switch {
	case f.Asked == "":
		return "an unknown place"
	case known == "":
		known = "location unknown"
	}
	if f.Network != "" {
		known += ", and all of " + f.Network
	}
	return fmt.Sprintf("%s (%s)", f.Asked, known)
}
