package workloads

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/discovery"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/internal/cli/args"
	"github.com/hanse-dev/hanse/internal/cli/hub"
	"github.com/hanse-dev/hanse/internal/cli/output"
	"github.com/hanse-dev/hanse/internal/fleet/access"
	"github.com/hanse-dev/hanse/internal/propagate"
	"github.com/hanse-dev/hanse/internal/propagate/record"
)

// NewHistoryCommand is hanse history.
func NewHistoryCommand(s genericiooptions.IOStreams, now clock.PassiveClock) *cobra.Command {
	var at hub.Flags
	var namespace, since string
	limit := 100
	format := output.ForValues(output.Wide)
	cmd := &cobra.Command{
		Use:   "history KIND/NAME",
		Short: "Show what was decided about an object over time, and what was written where",
		Long: `Show what was decided about an object over time, what caused each decision, and what was
written to which cluster, the oldest first. The hub's flight recorder has it (hanse server
--flight-recorder-size); who may get the object may see its history. Times are local.`,
		Example: `  hanse history deployment/web
  hanse history deploy/web -n shop --since 1h -o wide
  hanse history deploy/web -o json`,
		Args: args.One("KIND/NAME", "hanse history deployment/web"),
		RunE: func(cmd *cobra.Command, names []string) error {
			q := url.Values{"limit": {fmt.Sprint(limit)}}
			if since != "" {
				from, err := parseWhen(since, now)
				if err != nil {
					return fmt.Errorf("--since: %w", err)
				}
				q.Set("since", from.UTC().Format(time.RFC3339Nano))
			}
			h, err := askHistory(cmd.Context(), &at, names[0], namespace, "hanse history deployment/web", q)
			if err != nil {
				return err
			}
			if len(h.Entries) == 0 {
				return fmt.Errorf("nothing is recorded of %s: it does not exist, stays at the hub, or nothing happened to it. Try: an earlier --since", names[0])
			}
			return format.Print(s.Out, output.Result{Content: h, Table: func(w io.Writer, wide bool) error { return printEntries(w, h.Entries, wide) }})
		},
	}
	at.Bind(cmd)
	f := cmd.Flags()
	f.StringVarP(&namespace, "namespace", "n", metav1.NamespaceDefault, "namespace of the object")
	f.StringVar(&since, "since", "", "from when on: 1h, 03:12 or 2026-01-31T03:12:00Z (default: all that is recorded)")
	f.IntVar(&limit, "limit", limit, "how many entries at most, the newest (1 to 1000)")
	format.Bind(cmd)
	return cmd
}

// askHistory asks the hub what is recorded of an object that is named as kubectl names it.
func askHistory(ctx context.Context, at *hub.Flags, object, namespace, example string, q url.Values) (h propagate.History, err error) {
	cfg, err := at.RestConfig()
	if err != nil {
		return h, err
	}
	resource, name, err := hub.FindResource(cfg, object, example)
	if err != nil {
		return h, err
	}
	known, err := discovery.NewDiscoveryClientForConfig(cfg)
	if err != nil {
		return h, access.HubError(cfg.Host, err)
	}
	if namespaced, err := isNamespaced(known, resource); err != nil {
		return h, access.HubError(cfg.Host, err)
	} else if namespaced {
		q.Set("namespace", namespace)
	}
	q.Set("resource", resource.GroupResource().String())
	q.Set("name", name)
	return h, at.GetJSON(ctx, propagate.PathHistory, q, &h)
}

func isNamespaced(known discovery.ServerResourcesInterface, resource schema.GroupVersionResource) (bool, error) {
	list, err := known.ServerResourcesForGroupVersion(resource.GroupVersion().String())
	if err != nil {
		return false, err
	}
	for i := range list.APIResources {
		if list.APIResources[i].Name == resource.Resource {
			return list.APIResources[i].Namespaced, nil
		}
	}
	return false, errors.New("it no longer serves " + resource.String())
}

func printEntries(w io.Writer, entries []record.Entry, wide bool) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "TIME\tWHAT\tWHERE\tWHY")
	for _, e := range entries {
		when := e.At().Local().Format(shownTime)
		if write := e.Write; write != nil {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", when, write.Verb, write.Cluster, cmp.Or(write.Error, "as decided"))
			continue
		}
		o := e.Outcome
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", when, whatOf(o), output.Dash(o.Decision.String()), whyOf(o))
		if wide {
			printReasons(t, o)
		}
	}
	return t.Flush()
}

func whatOf(o *record.Outcome) string {
	switch {
	case o.Gone:
		return "gone"
	case o.Recording:
		return "decided, to be recorded"
	}
	return "decided"
}

// whyOf is what caused a decision, and what is unusual about it.
func whyOf(o *record.Outcome) string {
	why := o.Cause
	if message := messageOf(o); message != "" {
		why += "; " + message
	}
	return why
}

// messageOf is what is unusual about a decision as a whole.
func messageOf(o *record.Outcome) string {
	said := []string{}
	for _, text := range []string{o.Decision.Problem, o.Decision.Reason} {
		if text != "" {
			said = append(said, text)
		}
	}
	return strings.Join(said, "; ")
}

func printReasons(w io.Writer, o *record.Outcome) {
	if o.Policy != "" {
		fmt.Fprintf(w, "\t\t\tpolicy: %s\n", o.Policy)
	}
	for _, share := range o.Decision.Shares {
		where := share.Cluster
		if o.Decision.Divided {
			where = fmt.Sprintf("%s=%d", share.Cluster, share.Replicas)
		}
		if now, other := o.Now[share.Cluster]; other {
			where += fmt.Sprintf(", meanwhile %d", now)
		}
		fmt.Fprintf(w, "\t\t  %s\t%s\n", where, output.Dash(share.Reason))
	}
	for _, r := range o.Decision.Rejected {
		fmt.Fprintf(w, "\t\t  not %s\t%s\n", r.Cluster, r.Reason)
	}
}
