package local

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/examples/finsolutions"
	"github.com/hanse-dev/hanse/internal/cli/hub"
	"github.com/hanse-dev/hanse/internal/cli/output"
	"github.com/hanse-dev/hanse/internal/demo"
	"github.com/hanse-dev/hanse/internal/dns"
)

// reportDemo prints the clusters, where each workload runs, and what to try
// next.
func reportDemo(ctx context.Context, s genericiooptions.IOStreams, d *demo.Demo, o demo.Options) error {
	at := &hub.Flags{Kubeconfig: d.Kubeconfig(), Context: hub.Context}
	_, clusters, err := hub.List[v1alpha1.Cluster](ctx, at, "clusters")
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(s.Out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "\nNAME\tSTATUS\tPROVIDER\tREGION\tVERSION\tNODES")
	for _, c := range clusters {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%d\n", c.Name, c.Status.Phase, c.Status.Provider, c.Status.Region, c.Status.Version, c.Status.Nodes)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if !o.Bare {
		_, placements, err := hub.List[v1alpha1.Placement](ctx, at, "placements")
		if err != nil {
			return err
		}
		if err := printWorkloads(s.Out, clusters, placements); err != nil {
			return err
		}
	}
	printNext(s.ErrOut, d, o)
	if !o.Bare {
		return printAnswers(ctx, s.Out, at)
	}
	return nil
}

// printAnswers shows who is answered with which cloud.
func printAnswers(ctx context.Context, w io.Writer, at *hub.Flags) error {
	var about dns.About
	if err := at.GetJSON(ctx, dns.PathAbout, nil, &about); err != nil {
		return err
	}
	host := "www." + finsolutions.Host
	fmt.Fprintf(w, "\n%s, as %s answers\n", host, output.Dash(strings.Join(about.Listeners, ", ")))
	table := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	for _, city := range []string{"Paris", "New York", "Singapore"} {
		var e dns.Explanation
		if err := at.GetJSON(ctx, dns.PathQuery, url.Values{"name": {host}, "from": {city}}, &e); err != nil {
			return err
		}
		for _, a := range e.Answers {
			fmt.Fprintf(table, "  %s\t%s\t%s\n", city, strings.Join(a.Clusters, ","), strings.Join(a.Addresses, ", "))
		}
	}
	return table.Flush()
}

// printWorkloads prints how many replicas of each workload are ready in which
// cluster.
func printWorkloads(w io.Writer, clusters []v1alpha1.Cluster, placements []v1alpha1.Placement) error {
	table := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprint(table, "\nWORKLOAD\tREADY")
	for _, c := range clusters {
		fmt.Fprint(table, "\t"+strings.ToUpper(c.Name))
	}
	fmt.Fprintln(table)
	for _, p := range placements {
		ready := map[string]int32{}
		for _, c := range p.Clusters {
			if c.Replicas != nil && c.ReadyReplicas != nil {
				ready[c.Name] = *c.ReadyReplicas
			}
		}
		if len(ready) == 0 {
			continue // nothing that runs
		}
		fmt.Fprintf(table, "%s/%s\t%s", strings.ToLower(p.Object.Kind), p.Object.Name, p.Summary.Ready)
		for _, c := range clusters {
			fmt.Fprintf(table, "\t%d", ready[c.Name])
		}
		fmt.Fprintln(table)
	}
	return table.Flush()
}

// printNext names three commands to try, with kubectl where there is one.
func printNext(w io.Writer, d *demo.Demo, o demo.Options) {
	kubectl := "kubectl"
	if _, err := exec.LookPath(kubectl); err != nil {
		kubectl = invokedAs() + " kubectl"
	}
	fmt.Fprintf(w, "\nTry next:\n  export KUBECONFIG=%s\n", d.Kubeconfig())
	if o.Bare {
		fmt.Fprintf(w, "  %s get clusters --show-labels\n  %s create namespace shop\n", kubectl, kubectl)
		return
	}
	fmt.Fprintf(w, "  %s scale deployment wordpress --replicas=9\n  %s get placements\n  %s dns query www.%s --from Singapore\n", kubectl, kubectl, invokedAs(), finsolutions.Host)
}

// invokedAs is how the user called this program.
func invokedAs() string {
	name := os.Args[0]
	if filepath.Base(name) == "kubectl-hanse" {
		return "kubectl hanse"
	}
	return name
}
