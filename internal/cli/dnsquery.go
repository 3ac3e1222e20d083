package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/hanse-dev/hanse/internal/dns"
)

func newDNSQueryCommand(s Streams) *cobra.Command {
	var hub hubFlags
	var from, output string
	cmd := &cobra.Command{
		Use:   "query HOST",
		Short: "Show which cluster a client is sent to for a hostname, and why",
		Long: `Show which cluster answers for a hostname to a client at a place, with which
addresses, and why. The place is a city, a country, a subdivision (US-NY), a
continent, an address or a network; without one it is a place that nobody knows.`,
		Example: `  hanse dns query www.devfest.example --from Singapore
  hanse dns query www.devfest.example --from 1.1.1.0/24 -o json`,
		Args: oneArgument("hostname", "hanse dns query www.example.com --from Paris"),
		RunE: func(cmd *cobra.Command, args []string) error {
			body, err := hub.get(cmd.Context(), dns.PathQuery, url.Values{"name": args, "from": {from}})
			if err != nil {
				return err
			}
			return printExplanation(s.Out, body, output)
		},
	}
	hub.bind(cmd)
	cmd.Flags().StringVar(&from, "from", "", "where the client is: Singapore, FR, US-NY, EU, 1.1.1.1, 1.1.1.0/24")
	cmd.Flags().StringVarP(&output, "output", "o", "", "json or yaml")
	completeWith(cmd, "output", func() []string { return []string{"json", "yaml"} })
	return cmd
}

func printExplanation(w io.Writer, body []byte, output string) error {
	var e dns.Explanation
	if err := json.Unmarshal(body, &e); err != nil {
		return fmt.Errorf("the hub's answer cannot be read: %w. Try: the same version of hanse for both", err)
	}
	switch output {
	case "":
		return explainInWords(w, &e)
	case "json":
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(e)
	case "yaml":
		text, err := yaml.JSONToYAML(body)
		if err != nil {
			return fmt.Errorf("the hub's answer cannot be read: %w", err)
		}
		_, err = w.Write(text)
		return err
	}
	return fmt.Errorf("unknown output %q. Try: -o json or yaml", output)
}

func explainInWords(w io.Writer, e *dns.Explanation) error {
	fmt.Fprintf(w, "%s for %s\n", e.Name, whereabouts(e.From))
	for _, a := range e.Answers {
		share := ""
		if len(e.Answers) > 1 {
			share = fmt.Sprintf(" (weight %d)", a.Weight)
		}
		fmt.Fprintf(w, "  %s: %s%s\n", strings.Join(a.Clusters, ","), orDash(strings.Join(a.Addresses, ", ")), share)
	}
	if len(e.Answers) == 0 {
		fmt.Fprintln(w, "  no address")
	}
	fmt.Fprintf(w, "because: %s\nroute: %s (%s), host %s, zone %s, TTL %d s\n\n", e.Why, e.Route, orDash(e.Policy), e.Host, e.Zone, e.TTL)
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
		return "a place that nobody knows"
	case known == "":
		known = "nobody knows where"
	}
	if f.Network != "" {
		known += ", and all of " + f.Network
	}
	return fmt.Sprintf("%s (%s)", f.Asked, known)
}
