package cli

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
	"k8s.io/client-go/dynamic"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/fleet"
	"github.com/hanse-dev/hanse/internal/overview"
	"github.com/hanse-dev/hanse/internal/placement"
)

func newWhyCommand(s Streams) *cobra.Command {
	var hub hubFlags
	var namespace string
	cmd := &cobra.Command{
		Use:   "why KIND/NAME",
		Short: "Explain why an object is where it is, and why not elsewhere",
		Example: `  hanse why deployment/db-primary
  hanse why deploy/whoami -n shop`,
		Args: oneArgument("KIND/NAME", "hanse why deployment/web"),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := hub.placement(cmd.Context(), args[0], namespace)
			if err != nil {
				return err
			}
			return printWhy(s.Out, p)
		},
	}
	hub.bind(cmd)
	cmd.Flags().StringVarP(&namespace, "namespace", "n", metav1.NamespaceDefault, "namespace of the object")
	return cmd
}

// placement is that of an object named as kubectl names it.
func (h *hubFlags) placement(ctx context.Context, object, namespace string) (*v1alpha1.Placement, error) {
	cfg, err := h.restConfig()
	if err != nil {
		return nil, err
	}
	resource, name, err := findResource(cfg, object, "hanse why deployment/web")
	if err != nil {
		return nil, err
	}
	client, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return nil, fleet.HubError(cfg.Host, err)
	}
	ctx, cancel := context.WithTimeout(ctx, hubTimeout)
	defer cancel()
	for _, where := range []string{namespace, v1alpha1.SystemNamespace} { // the latter has those of cluster-scoped objects
		u, err := client.Resource(v1alpha1.Resource("placements")).Namespace(where).Get(ctx, placement.Name(resource.GroupResource(), name), metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, fleet.HubError(cfg.Host, err)
		}
		p := &v1alpha1.Placement{}
		return p, decode(u, p)
	}
	return nil, fmt.Errorf("nothing is known of %s in namespace %s: it is not there, or stays at the hub. Try: kubectl get placements, hanse kinds", object, namespace)
}

func printWhy(w io.Writer, p *v1alpha1.Placement) error {
	fmt.Fprintf(w, "%s/%s: %s\n", strings.ToLower(p.Object.Kind), p.Object.Name, orDash(p.Summary.Clusters))
	if p.Unplaced > 0 {
		fmt.Fprintf(w, "not placed: %s\n", overview.Replicas(p.Unplaced))
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
		fmt.Fprintf(t, "%s\tyes\t%s\t%s\t%s\n", c.Name, replicas, c.State, orDash(c.Reason))
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
