package members

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/internal/audit"
	"github.com/hanse-dev/hanse/internal/cli/hub"
	"github.com/hanse-dev/hanse/internal/cli/output"
	"github.com/hanse-dev/hanse/internal/fleet/access"
)

// auditing is what hanse audit is asked for.
type auditing struct {
	at                                     hub.Flags
	format                                 *output.Flags
	now                                    clock.PassiveClock
	s                                      genericiooptions.IOStreams
	user, object, namespace, cluster, file string
	flight                                 string
	since                                  time.Duration
	limit                                  int
	follow                                 bool
}

// NewAuditCommand is hanse audit.
func NewAuditCommand(s genericiooptions.IOStreams, now clock.PassiveClock) *cobra.Command {
	a := auditing{format: output.ForValues(output.Wide), now: now, s: s, since: time.Hour, limit: 1000}
	cmd := &cobra.Command{
		Use:   "audit [--user USER] [--object KIND/NAME] [--cluster CLUSTER]",
		Short: "Show who did what, at the hub and by it in the clusters",
		Long: `Show who did what: requests to the hub, as its audit log has them, and what was
written in clusters because of them, the oldest first. A write in a cluster has
the user whose write at the hub led to it, and - where the hub did it of its own
accord, with what caused that. The audit log of the cluster has the same ID.

It takes the right to get /hanse/audit at the hub, which the ClusterRole
hanse:audit gives. With --file it reads a copy of a hub's audit log instead.`,
		Example: `  hanse audit --cluster google --object deployment/web -n shop
  hanse audit --user alice@example.com --since 24h
  hanse audit -f
  hanse audit --file audit.log --flight flight -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if format := cmd.Flag("output").Value.String(); a.follow && !a.format.ForPeople() && format != "json" {
				return fmt.Errorf("with --follow there is a line for each entry, not -o %s. Try: -o json", format)
			}
			return a.run(cmd.Context())
		},
	}
	a.at.Bind(cmd)
	a.format.Bind(cmd)
	f := cmd.Flags()
	f.StringVar(&a.user, "user", "", "what this user did, or had others do by impersonation")
	f.StringVar(&a.object, "object", "", "what was done to KIND/NAME (with --file: RESOURCE.GROUP/NAME)")
	f.StringVarP(&a.namespace, "namespace", "n", "", "what was done in this namespace (default: in all, and in none)")
	f.StringVar(&a.cluster, "cluster", "", "what was written in this cluster")
	f.DurationVar(&a.since, "since", a.since, "how far back to look (0: as far as there is anything)")
	f.IntVar(&a.limit, "limit", a.limit, fmt.Sprintf("how many entries at most, the newest (1 to %d)", audit.MostEntries))
	f.BoolVarP(&a.follow, "follow", "f", false, "print what happens from now on, too, until you end it")
	f.StringVar(&a.file, "file", "", "read this audit log of a hub; those that were rotated are beside it")
	f.StringVar(&a.flight, "flight", "", "with --file: directory of that hub's flight recorder, for what was written in clusters")
	return cmd
}

func (a *auditing) run(ctx context.Context) error {
	switch {
	case a.since < 0:
		return fmt.Errorf("--since=%s is in the future. Try: 1h", a.since)
	case a.limit < 1 || a.limit > audit.MostEntries:
		return fmt.Errorf("--limit=%d must be from 1 to %d. Try: 1000", a.limit, audit.MostEntries)
	case a.flight != "" && a.file == "":
		return errors.New("--flight goes with the audit log of the same hub. Try: --file FILE")
	case a.follow && a.file != "":
		return errors.New("a file is read once. Try: without --follow, or without --file")
	case a.file != "":
		return a.offline(ctx)
	}
	query, err := a.query()
	if err != nil {
		return err
	}
	if a.follow {
		return a.followed(ctx, query)
	}
	var report audit.Report
	if err := a.at.GetJSON(ctx, audit.Path, query, &report); err != nil {
		return err
	}
	return a.print(report)
}

// query is what the hub is asked.
func (a *auditing) query() (url.Values, error) {
	q := url.Values{"limit": {fmt.Sprint(a.limit)}}
	for name, value := range map[string]string{"user": a.user, "namespace": a.namespace, "cluster": a.cluster} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if a.since > 0 {
		q.Set("since", a.now.Now().Add(-a.since).UTC().Format(time.RFC3339Nano))
	}
	if a.object == "" {
		return q, nil
	}
	cfg, err := a.at.RestConfig()
	if err != nil {
		return nil, err
	}
	resource, name, err := hub.FindResource(cfg, a.object, "--object deployment/web")
	if err != nil {
		return nil, err
	}
	q.Set("resource", resource.GroupResource().String())
	q.Set("name", name)
	return q, nil
}

func (a *auditing) offline(ctx context.Context) error {
	q := audit.Query{User: a.user, Namespace: a.namespace, Cluster: a.cluster, Limit: a.limit}
	if a.since > 0 {
		q.Since = a.now.Now().Add(-a.since)
	}
	if a.object != "" {
		var ok bool
		if q.Resource, q.Name, ok = strings.Cut(a.object, "/"); !ok {
			return fmt.Errorf("--object=%s is not RESOURCE.GROUP/NAME. Try: deployments.apps/web", a.object)
		}
	}
	report, err := audit.Read(ctx, audit.Sources{Log: a.file, Flight: a.flight}, q)
	if err != nil {
		return err
	}
	return a.print(report)
}

func (a *auditing) print(report audit.Report) error {
	if len(report.Entries) == 0 {
		fmt.Fprintln(a.s.ErrOut, "Nothing that was asked for is recorded. Try: a longer --since")
	}
	return a.format.Print(a.s.Out, output.Result{Content: report, Table: func(w io.Writer, wide bool) error {
		t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
		fmt.Fprintln(t, header(wide))
		for _, e := range report.Entries {
			fmt.Fprintln(t, row(e, wide))
		}
		return t.Flush()
	}})
}

func header(wide bool) string {
	h := "TIME\tUSER\tWHERE\tDID\tOBJECT\tRESULT"
	if wide {
		h += "\tAUDIT-ID\tFROM\tWHY"
	}
	return h
}

// row is an entry. What is in it others chose: it is one line whatever they did.
func row(e audit.Entry, wide bool) string {
	who := output.Dash(e.User)
	if e.By != "" {
		who += " (by " + e.By + ")"
	}
	result := fmt.Sprint(e.Code)
	if e.Cluster != "" {
		result = cmp.Or(e.Error, "ok")
	}
	cells := []string{e.At.Local().Format("2006-01-02 15:04:05"), who, cmp.Or(e.Cluster, "hub"), e.Verb, named(e.Object), result}
	if wide {
		why := e.Cause
		if e.Decision != "" {
			why = strings.TrimPrefix(why+": "+e.Decision, ": ")
		}
		cells = append(cells, output.Dash(e.AuditID), output.Dash(strings.Join(e.SourceIPs, ",")), output.Dash(why))
	}
	for i, cell := range cells {
		cells[i] = output.Dash(access.OneLine(cell))
	}
	return strings.Join(cells, "\t")
}

// named leaves out the namespace of what is in none.
func named(object string) string { return strings.Replace(object, "//", "/", 1) }

// followed prints entries as they come, until ctx ends. A hub ends its answers after a while, and is asked again.
func (a *auditing) followed(ctx context.Context, query url.Values) error {
	cfg, err := a.at.RestConfig()
	if err != nil {
		return err
	}
	client, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return access.HubError(cfg.Host, err)
	}
	if a.format.ForPeople() {
		fmt.Fprintln(a.s.Out, strings.ReplaceAll(header(false), "\t", "   "))
	}
	query.Set("follow", "true")
	from, seen := a.now.Now().Add(-a.since), audit.Seen{}
	for ctx.Err() == nil {
		query.Set("since", from.UTC().Format(time.RFC3339Nano))
		if err := a.stream(ctx, client, cfg.Host, query, seen); err != nil && ctx.Err() == nil {
			return err
		}
		from = seen.From(from)
	}
	return nil
}

// stream prints what one answer has.
func (a *auditing) stream(ctx context.Context, client *http.Client, host string, query url.Values, seen audit.Seen) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(host, "/")+audit.Path+"?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	answer, err := client.Do(request)
	if err != nil {
		return access.HubError(host, err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(io.LimitReader(answer.Body, 1<<10))
		if answer.StatusCode == http.StatusForbidden {
			return errors.New("the hub does not let you read its audit log. Try: ask its administrator for the ClusterRole hanse:audit")
		}
		return fmt.Errorf("the hub answers %s: %s", answer.Status, access.OneLine(string(said)))
	}
	for lines := bufio.NewReader(answer.Body); ; {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return nil // it is asked again
		}
		var e audit.Entry
		if err := json.Unmarshal(line, &e); err != nil {
			return fmt.Errorf("the hub's answer cannot be read: %w. Try: the same version of hanse for both", err)
		}
		if seen.Before(e) {
			continue
		}
		if a.format.ForPeople() {
			line = []byte(strings.ReplaceAll(row(e, false), "\t", "   ") + "\n")
		}
		if _, err := a.s.Out.Write(line); err != nil {
			return err
		}
	}
}
