package members

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/utils/clock"
	"sigs.k8s.io/yaml"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/cli/args"
	"github.com/hanse-dev/hanse/internal/cli/hub"
	"github.com/hanse-dev/hanse/internal/fleet/join"
	"github.com/hanse-dev/hanse/internal/rights"
)

// joinFlags are those of hanse join. --kubeconfig and --context are the
// member's here; the hub's have names of their own.
type joinFlags struct {
	hub                 hub.Flags
	kubeconfig, context string
	provider, region    string
	zones               []string
	allow, deny         []string
	dryRun, takeOver    bool
	yes                 bool
	role                string
	noRBAC, noGuard     bool
	namespaces          []string
	timeout             time.Duration
}

// NewJoinCommand is hanse join.
func NewJoinCommand(s genericiooptions.IOStreams) *cobra.Command {
	var f joinFlags
	cmd := &cobra.Command{
		Use:   "join NAME --kubeconfig FILE",
		Short: "Make a cluster a member of the federation",
		Long: `Make a cluster a member of the federation, under NAME. Only its Kubernetes API is
needed, with any kind of credential in its kubeconfig. In the cluster, join creates
a service account with its own role (--dry-run prints it); the hub keeps a token of
it and renews the token by itself. With --role namespaced it writes what is in
namespaces, and grants no right that it does not hold; with full it writes every kind,
as Helm charts with ClusterRoles and CustomResourceDefinitions need, and is an
administrator of the cluster. Provider, region and zones are read from the
nodes. If anything fails, what was created is removed again.

A namespace that the cluster has already is the cluster's own, whatever the hub has
under that name: join lists these and asks which of them the hub may take over.
Whoever may write in such a namespace at the hub gets what it has in the cluster.
Without an answer, that is default alone.

Joining a member again under its name renews its role and credential.`,
		Example: `  hanse join aws --kubeconfig aws.kubeconfig
  hanse join azure --kubeconfig ~/.kube/config --context aks-europe
  hanse join azure --kubeconfig azure.kubeconfig --role full
  hanse join bank --kubeconfig bank.kubeconfig --namespaces shop,web --no-rbac
  hanse join prod --kubeconfig prod.kubeconfig --allow-namespaces shop,'team-*'
  hanse join edge --kubeconfig edge.kubeconfig --provider onprem --region bremen --dry-run`,
		Args: args.OneCluster,
		RunE: func(cmd *cobra.Command, names []string) error {
			return runJoin(cmd.Context(), s, f, names[0])
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.kubeconfig, "kubeconfig", "", "kubeconfig of the cluster to join (default with --context: where kubectl looks)")
	flags.StringVar(&f.context, "context", "", "context in it (default: its current one)")
	flags.StringVar(&f.hub.Kubeconfig, "hub-kubeconfig", "", "the hub's kubeconfig (default: $KUBECONFIG, else ~/.kube/config)")
	flags.StringVar(&f.hub.Context, "hub-context", hub.Context, "the hub's context in it")
	flags.StringVar(&f.provider, "provider", "", "the cluster's cloud, instead of what its nodes say: aws, azure, google, …")
	flags.StringVar(&f.region, "region", "", "its region, instead of what its nodes say")
	flags.StringSliceVar(&f.zones, "zones", nil, "its zones, instead of what its nodes say")
	flags.StringVar(&f.role, "role", "", "what the hub may do in the cluster: namespaced (what is in namespaces), or full (every kind; that is an administrator) (default: what it may, at first namespaced)")
	flags.StringSliceVar(&f.namespaces, "namespaces", nil, "with the role namespaced: all namespaces that the hub may write in, and read Secrets of (default: any)")
	flags.BoolVar(&f.noRBAC, "no-rbac", false, "the hub does not write roles and bindings in the cluster")
	flags.BoolVar(&f.noGuard, "no-guard", false, "make no policy in the cluster that bounds what the hub does with its rights")
	flags.StringSliceVar(&f.allow, "allow-namespaces", nil, "namespaces of the cluster that the hub may take over, beside default: names, or patterns with *")
	flags.StringSliceVar(&f.deny, "deny-namespaces", nil, "namespaces that the hub never writes in, beside kube-* and hanse-system")
	flags.BoolVarP(&f.yes, "yes", "y", false, "do not ask: what the cluster has and is not allowed stays its own")
	flags.BoolVar(&f.dryRun, "dry-run", false, "check everything and print what would be created, but create nothing")
	flags.BoolVar(&f.takeOver, "take-over", false, "take the cluster from another hub, which loses access to it")
	flags.DurationVar(&f.timeout, "timeout", time.Minute, "how long to wait until the hub has reached the cluster")
	args.CompleteWith(cmd, "role", func() []string { return []string{"namespaced", "full"} })
	args.CompleteWith(cmd, "provider", func() []string { return []string{"aws", "azure", "google"} })
	return cmd
}

func runJoin(ctx context.Context, s genericiooptions.IOStreams, f joinFlags, name string) error {
	if f.kubeconfig == "" && f.context == "" {
		return errors.New("which cluster? Try: --kubeconfig FILE, the kubeconfig of the cluster to join")
	}
	role, err := roleOf(f.role)
	if err != nil {
		return err
	}
	hub, err := f.hub.RestConfig()
	if err != nil {
		return asHubFlags(err)
	}
	member, err := join.LoadKubeconfig(f.kubeconfig, f.context)
	if err != nil {
		return err
	}
	o := join.Options{
		Name: name, Hub: hub, Member: member,
		Provider: f.provider, Region: f.region, Zones: f.zones,
		TakeOver: f.takeOver, Timeout: f.timeout, Allow: f.allow, Deny: f.deny,
		Role: role, NoRBAC: f.noRBAC, Namespaces: f.namespaces, NoGuard: f.noGuard,
		Review:   func(ctx context.Context, r join.Review) ([]string, error) { return f.review(ctx, s, name, r) },
		Progress: func(what string) { fmt.Fprintln(s.ErrOut, "• "+what) },
	}
	if f.dryRun {
		plan, err := join.DryRun(ctx, o)
		if err != nil {
			return err
		}
		return printPlan(s, name, plan)
	}
	joined, err := join.Run(ctx, clock.RealClock{}, o)
	if err != nil {
		return err
	}
	verb := "joined"
	if joined.Refreshed {
		verb = "was a member already; its role and credential are renewed"
	}
	fmt.Fprintf(s.Out, "cluster/%s %s\n", name, verb)
	printPlace(s.Out, joined.Cluster.Status)
	printAccess(s.ErrOut, joined.Cluster)
	fmt.Fprintln(s.ErrOut, "\nNext: hanse clusters, or kubectl --context federation create deployment …")
	return nil
}

// roleOf is the role of a flag.
func roleOf(flag string) (v1alpha1.AccessRole, error) {
	switch flag {
	case "":
		return "", nil
	case "namespaced":
		return v1alpha1.RoleNamespaced, nil
	case "full":
		return v1alpha1.RoleFull, nil
	}
	return "", fmt.Errorf("there is no role %q. Try: --role namespaced, or full", flag)
}

// printAccess says what the hub may do in a cluster, as it is.
func printAccess(w io.Writer, c *v1alpha1.Cluster) {
	a := rights.Read(c.Spec.Access)
	if limits := a.Limits(); limits != "" {
		fmt.Fprintf(w, "The hub's account there (%s) does not write %s. For more: hanse join %s again with --role full.\n", a, limits, c.Name)
	} else {
		fmt.Fprintf(w, "The hub's account there (%s) is an administrator of the cluster, and so is whoever controls the hub. For less: hanse join %s again with --role namespaced.\n", a, c.Name)
	}
	if c.Spec.Access.Guard != v1alpha1.GuardEnforced {
		fmt.Fprintln(w, "No policy in the cluster bounds what the account does with its rights.")
	}
}

// asHubFlags makes advice about the hub's kubeconfig fit join, where the plain
// flags are the member's.
func asHubFlags(err error) error {
	advice := strings.NewReplacer("--kubeconfig", "--hub-kubeconfig", "--context", "--hub-context")
	return errors.New(advice.Replace(err.Error()))
}

// printPlace prints what was found out about a cluster, without what was not.
func printPlace(w io.Writer, s v1alpha1.ClusterStatus) {
	region := s.Region
	if len(s.Zones) > 0 {
		region += " (" + strings.Join(s.Zones, ", ") + ")"
	}
	for _, line := range [][2]string{
		{"provider", s.Provider}, {"region", strings.TrimSpace(region)}, {"version", s.Version}, {"nodes", fmt.Sprint(s.Nodes)},
	} {
		if line[1] == "" {
			line[1] = "unknown. Try: hanse join again with --" + line[0]
		}
		fmt.Fprintf(w, "  %-9s %s\n", line[0], line[1])
	}
}

// printPlan prints the objects of a plan as YAML.
func printPlan(s genericiooptions.IOStreams, name string, plan *join.Plan) error {
	verb := "would join"
	if plan.Refreshed {
		verb = "is a member already; its role and credential would be renewed"
	}
	fmt.Fprintf(s.ErrOut, "cluster/%s %s (dry run)\n", name, verb)
	printPlace(s.ErrOut, plan.Found)
	printReview(s.ErrOut, name, plan.Review)
	for _, part := range []struct {
		where   string
		objects []runtime.Object
	}{{"in the cluster", plan.InMember}, {"at the hub, beside a Secret with the credential", plan.AtHub}} {
		for _, o := range part.objects {
			out, err := yaml.Marshal(o)
			if err != nil {
				return fmt.Errorf("cannot print the plan: %w", err)
			}
			fmt.Fprintf(s.Out, "--- # %s\n%s", part.where, out)
		}
	}
	return nil
}
