package workloads

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/dynamic"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/cli/args"
	"github.com/hanse-dev/hanse/internal/cli/hub"
	"github.com/hanse-dev/hanse/internal/cli/output"
	"github.com/hanse-dev/hanse/internal/fleet/access"
	"github.com/hanse-dev/hanse/internal/placement"
)

// NewWhyCommand is hanse why.
func NewWhyCommand(s genericiooptions.IOStreams, now clock.PassiveClock) *cobra.Command {
	var at hub.Flags
	var namespace, then string
	format := output.ForObjects()
	cmd := &cobra.Command{
		Use:   "why KIND/NAME",
		Short: "Explain why an object is where it is, and why not elsewhere",
		Long: `Explain why an object is where it is, and why not elsewhere. With -o, what is printed
is the object's Placement. With --at, it is what was decided last by then, as the hub's
flight recorder has it.`,
		Example: `  hanse why deployment/db-primary
  hanse why deploy/whoami -n shop
  hanse why deploy/whoami --at 03:12
  hanse why deploy/whoami -o jsonpath='{.rejected[*].name}'`,
		Args: args.One("KIND/NAME", "hanse why deployment/web"),
		RunE: func(cmd *cobra.Command, names []string) error {
			var found *unstructured.Unstructured
			var err error
			if then == "" {
				found, err = findPlacement(cmd.Context(), &at, names[0], namespace)
			} else if moment, mistake := parseWhen(then, now); mistake != nil {
				err = fmt.Errorf("--at: %w", mistake)
			} else {
				found, err = placementThen(cmd.Context(), &at, names[0], namespace, moment)
			}
			if err != nil {
				return err
			}
			var p v1alpha1.Placement
			if err := hub.Decode(found, &p); err != nil {
				return fmt.Errorf("cannot read the placement of %s: %w", names[0], err)
			}
			return format.Print(s.Out, output.Result{Content: found, Table: func(w io.Writer, _ bool) error { return printWhy(w, &p) }})
		},
	}
	at.Bind(cmd)
	cmd.Flags().StringVarP(&namespace, "namespace", "n", metav1.NamespaceDefault, "namespace of the object")
	cmd.Flags().StringVar(&then, "at", "", "explain what held then: 03:12, 10m (ago), or 2026-01-31T03:12:00Z (default: now)")
	format.Bind(cmd)
	return cmd
}

// findPlacement is that of an object named as kubectl names it.
func findPlacement(ctx context.Context, at *hub.Flags, object, namespace string) (*unstructured.Unstructured, error) {
	cfg, err := at.RestConfig()
	if err != nil {
		return nil, err
	}
	resource, name, err := hub.FindResource(cfg, object, "hanse why deployment/web")
	if err != nil {
		return nil, err
	}
	client, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return nil, access.HubError(cfg.Host, err)
	}
	ctx, cancel := context.WithTimeout(ctx, hub.Timeout)
	defer cancel()
	for _, where := range []string{namespace, v1alpha1.SystemNamespace} { // the latter has those of cluster-scoped objects
		found, err := client.Resource(v1alpha1.Resource("placements")).Namespace(where).Get(ctx, placement.Name(resource.GroupResource(), name), metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, access.HubError(cfg.Host, err)
		}
		return found, nil
	}
	return nil, fmt.Errorf("nothing is known of %s in namespace %s: it does not exist, or stays at the hub. Try: kubectl get placements, hanse kinds", object, namespace)
}

func printWhy(w io.Writer, p *v1alpha1.Placement) error {
	fmt.Fprintf(w, "%s/%s: %s\n", strings.ToLower(p.Object.Kind), p.Object.Name, output.Dash(p.Summary.Clusters))
	if p.Unplaced > 0 {
		fmt.Fprintf(w, "not placed: %s\n", output.Count(p.Unplaced, "replica"))
	}
	if p.Summary.Message != "" && (p.Rollout == nil || p.Rollout.Message != p.Summary.Message) {
		fmt.Fprintln(w, p.Summary.Message)
	}
	if p.Rollout != nil && p.Rollout.State != v1alpha1.RolloutStateComplete {
		fmt.Fprintf(w, "rollout: %s, %s\n", p.Rollout.State, p.Rollout.Message)
	}
	if p.Policy != nil {
		fmt.Fprintf(w, "policy: %s\n", p.Policy.Reason)
		for _, o := range p.Policy.Overruled {
			fmt.Fprintf(w, "        %s\n", o)
		}
	}
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "CLUSTER\tCHOSEN\tREPLICAS\tSTATE\tREASON")
	for _, c := range p.Clusters {
		replicas := "-"
		if c.Replicas != nil {
			replicas = fmt.Sprint(*c.Replicas)
		}
		fmt.Fprintf(t, "%s\tyes\t%s\t%s\t%s\n", c.Name, replicas, c.State, output.Dash(c.Reason))
	}
	for _, r := range p.Rejected {
		fmt.Fprintf(t, "%s\tno\t-\t-\t%s\n", r.Name, r.Reason)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, c := range p.Clusters {
		problem := c.Name + ": " + cmp.Or(c.LastError, c.Message)
		if c.State != v1alpha1.StateSynced && c.LastError+c.Message != "" && problem != p.Summary.Message && c.LastError != p.Summary.Message {
			fmt.Fprintln(w, problem)
		}
	}
	return nil
}
