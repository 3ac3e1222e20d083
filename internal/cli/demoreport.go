package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/tabwriter"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/examples/finsolutions"
	"github.com/hanse-dev/hanse/internal/demo"
	"github.com/hanse-dev/hanse/internal/dns"
)

// reportDemo prints the clusters, where each workload runs, and what to try
// next.
func reportDemo(ctx context.Context, s Streams, d *demo.Demo, o demo.Options) error {
	hub := hubFlags{kubeconfig: d.Kubeconfig(), context: hubContext}
	cfg, err := hub.restConfig()
	if err != nil {
		return err
	}
	client, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return fmt.Errorf("cannot talk to the hub: %w", err)
	}
	clusters, err := listAll[v1alpha1.Cluster](ctx, client, "clusters")
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
		placements, err := listAll[v1alpha1.Placement](ctx, client, "placements")
		if err != nil {
			return err
		}
		if err := printWorkloads(s.Out, clusters, placements); err != nil {
			return err
		}
	}
	printNext(s.Err, d, o)
	if !o.Bare {
		return printAnswers(ctx, s.Out, &hub)
	}
	return nil
}

// printAnswers shows who is answered with which cloud.
func printAnswers(ctx context.Context, w io.Writer, hub *hubFlags) error {
	body, err := hub.get(ctx, dns.PathAbout, nil)
	if err != nil {
		return err
	}
	var about dns.About
	if err := json.Unmarshal(body, &about); err != nil {
		return fmt.Errorf("cannot read what the hub says of its DNS: %w", err)
	}
	host := "www." + finsolutions.Host
	fmt.Fprintf(w, "\n%s, as %s answers\n", host, orDash(strings.Join(about.Listeners, ", ")))
	table := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	for _, city := range []string{"Paris", "New York", "Singapore"} {
		body, err := hub.get(ctx, dns.PathQuery, url.Values{"name": {host}, "from": {city}})
		if err != nil {
			return err
		}
		var e dns.Explanation
		if err := json.Unmarshal(body, &e); err != nil {
			return fmt.Errorf("cannot read what the hub answers: %w", err)
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

// listAll lists one of Hanse's resources in all namespaces.
func listAll[T any](ctx context.Context, client dynamic.Interface, resource string) ([]T, error) {
	list, err := client.Resource(v1alpha1.Resource(resource)).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("cannot list the %s at the hub: %w", resource, err)
	}
	items := make([]T, len(list.Items))
	for i := range list.Items {
		if err := decode(&list.Items[i], &items[i]); err != nil {
			return nil, fmt.Errorf("cannot read the %s of the hub: %w", resource, err)
		}
	}
	return items, nil
}

func decode(from *unstructured.Unstructured, into any) error {
	return runtime.DefaultUnstructuredConverter.FromUnstructured(from.Object, into)
}
