package tenants

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/cli/args"
	"github.com/hanse-dev/hanse/internal/cli/hub"
	"github.com/hanse-dev/hanse/internal/cli/output"
)

func workspaceRoles() []string {
	return []string{v1alpha1.RoleView, v1alpha1.RoleEdit, v1alpha1.RoleAdmin}
}

// NewWorkspaceCommand is hanse workspace.
func NewWorkspaceCommand(s genericiooptions.IOStreams, now clock.PassiveClock) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "workspace",
		Short: "Manage workspaces: namespaces of an organization, and who may do what there",
		Args:  args.RejectUnknown,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(workspaceList(s, now), workspaceShow(s), workspaceCreate(s), workspaceGrant(s), workspaceRevoke(s), workspaceDelete(s))
	return cmd
}

func workspaceList(s genericiooptions.IOStreams, now clock.PassiveClock) *cobra.Command {
	var at hub.Flags
	format := output.ForObjects()
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List workspaces: all, or those that you may see",
		Example: "  hanse workspace list",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := workspaces(&at)
			if err != nil {
				return err
			}
			list, err := c.list(cmd.Context())
			if err != nil {
				return err
			}
			if len(list.Items) == 0 && format.ForPeople() {
				fmt.Fprintln(s.ErrOut, "There is no workspace that you may see. Try: hanse workspace create NAME --organization ORGANIZATION --namespaces NAMESPACE")
				return nil
			}
			return format.Print(s.Out, output.Result{Content: list, Table: func(w io.Writer, _ bool) error {
				rows := [][]string{{"NAME", "ORGANIZATION", "NAMESPACES", "CLUSTERS", "READY", "AGE", "MESSAGE"}}
				for i := range list.Items {
					var ws v1alpha1.Workspace
					if err := hub.Decode(&list.Items[i], &ws); err != nil {
						return err
					}
					ready, message := accepted(ws.Status.Conditions)
					rows = append(rows, []string{
						ws.Name, ws.Spec.Organization, few(ws.Status.Namespaces), clustersIn(ws.Spec.Clusters), ready,
						duration.HumanDuration(now.Since(ws.CreationTimestamp.Time)), message,
					})
				}
				return table(w, rows...)
			}})
		},
	}
	at.Bind(cmd)
	format.Bind(cmd)
	return cmd
}

func workspaceShow(s genericiooptions.IOStreams) *cobra.Command {
	var at hub.Flags
	format := output.ForObjects()
	cmd := &cobra.Command{
		Use:     "show WORKSPACE",
		Short:   "Show a workspace: namespaces, bounds, and who may do what",
		Example: "  hanse workspace show web",
		Args:    args.One("workspace", "hanse workspace show NAME"),
		RunE: func(cmd *cobra.Command, given []string) error {
			c, err := workspaces(&at)
			if err != nil {
				return err
			}
			var ws v1alpha1.Workspace
			u, err := c.get(cmd.Context(), given[0], &ws)
			if err != nil {
				return err
			}
			return format.Print(s.Out, output.Result{Content: u, Table: func(w io.Writer, _ bool) error { return describeWorkspace(w, &ws) }})
		},
	}
	at.Bind(cmd)
	format.Bind(cmd)
	return cmd
}

func describeWorkspace(w io.Writer, ws *v1alpha1.Workspace) error {
	ready, message := accepted(ws.Status.Conditions)
	rows := [][]string{
		{"Name:", ws.Name}, {"Organization:", ws.Spec.Organization}, {"Ready:", ready}, {"Namespaces:", strings.Join(ws.Status.Namespaces, ", ")},
		{"Clusters:", clustersIn(ws.Spec.Clusters)}, {"Residency:", clustersIn(ws.Spec.Residency)},
	}
	if q := ws.Spec.Quota; q != nil {
		var parts []string
		for _, name := range slices.Sorted(maps.Keys(q.Hard)) {
			quantity := q.Hard[name]
			parts = append(parts, fmt.Sprintf("%s=%s", name, quantity.String()))
		}
		rows = append(rows, []string{"Quota:", strings.Join(parts, ", ") + " in each namespace"})
	}
	if message != "" {
		rows = append(rows, []string{"Message:", message})
	}
	if err := table(w, rows...); err != nil {
		return err
	}
	rows = [][]string{{"\nACCESS", "KIND", "ROLE"}}
	for _, a := range ws.Spec.Access {
		rows = append(rows, []string{a.Name, a.Kind, a.Role})
	}
	return table(w, rows...)
}

func workspaceCreate(s genericiooptions.IOStreams) *cobra.Command {
	var o writing
	var of string
	var namespaces, quota []string
	var clusters where
	cmd := &cobra.Command{
		Use:   "create WORKSPACE",
		Short: "Create a workspace in an organization",
		Long: `Create a workspace in an organization. With --clusters, --provider, --region or
--continent, what is in its namespaces is never in other clusters.`,
		Example: `  hanse workspace create web --organization acme --namespaces shop,pay
  hanse workspace create web --organization acme --namespaces shop --provider azure --quota pods=50`,
		Args: args.One("workspace", "hanse workspace create NAME --organization ORGANIZATION --namespaces NAMESPACE"),
		RunE: func(cmd *cobra.Command, given []string) error {
			if err := o.dryRun.Check(); err != nil {
				return err
			}
			if of == "" {
				return fmt.Errorf("a workspace is in an organization. Try: --organization NAME, of those of hanse org list")
			}
			hard, err := quantities(quota)
			if err != nil {
				return err
			}
			spec := v1alpha1.WorkspaceSpec{Organization: of, Clusters: clusters.selector(), Quota: hard, Namespaces: v1alpha1.WorkspaceNamespaces{Names: namespaces}}
			return o.report(cmd.Context(), s, workspaces, "workspace/"+given[0]+" created", func(ctx context.Context, c collection) error {
				return c.create(ctx, given[0], &spec, o.server())
			})
		},
	}
	o.bind(cmd)
	clusters.bind(cmd)
	cmd.Flags().StringVar(&of, "organization", "", "organization that it is in")
	cmd.Flags().StringSliceVar(&namespaces, "namespaces", nil, "its namespaces; those that do not exist are made")
	cmd.Flags().StringSliceVar(&quota, "quota", nil, "quota of each namespace, such as pods=50")
	return cmd
}

// quantities reads a quota.
func quantities(given []string) (*v1alpha1.WorkspaceQuota, error) {
	if len(given) == 0 {
		return nil, nil
	}
	hard := corev1.ResourceList{}
	for _, one := range given {
		name, value, _ := strings.Cut(one, "=")
		quantity, err := resource.ParseQuantity(value)
		if err != nil || name == "" {
			return nil, fmt.Errorf("--quota=%s is no quota. Try: --quota pods=50,requests.cpu=20", one)
		}
		hard[corev1.ResourceName(name)] = quantity
	}
	return &v1alpha1.WorkspaceQuota{Hard: hard}, nil
}

// accessor is what grant and revoke have in common.
type accessor struct {
	writing
	subject
	all bool // the members of the workspace's organization
}

func (o *accessor) bind(cmd *cobra.Command) {
	o.writing.bind(cmd)
	o.subject.bind(cmd)
	cmd.Flags().BoolVar(&o.all, "members", false, "all members of its organization")
}

// run changes who has access; in is nil for nobody.
func (o *accessor) run(ctx context.Context, s genericiooptions.IOStreams, name, done string, is string) error {
	if err := o.dryRun.Check(); err != nil {
		return err
	}
	var of v1alpha1.Subject
	if !o.all {
		var err error
		if of, err = o.read(); err != nil {
			return fmt.Errorf("%w, or --members", err)
		}
	} else if o.user != "" || o.group != "" {
		return fmt.Errorf("--members is all members. Try: it alone, or --user or --group alone")
	}
	return o.report(ctx, s, workspaces, done, func(ctx context.Context, c collection) error {
		return c.edit(ctx, name, func() any { return &v1alpha1.Workspace{} }, func(object any) (any, error) {
			spec := &object.(*v1alpha1.Workspace).Spec
			one := v1alpha1.WorkspaceAccess{Kind: of.Kind, Name: of.Name, Role: is}
			if o.all {
				one.Kind, one.Name = v1alpha1.SubjectOrganization, spec.Organization
			}
			before := len(spec.Access)
			spec.Access = slices.DeleteFunc(spec.Access, func(a v1alpha1.WorkspaceAccess) bool { return a.Kind == one.Kind && a.Name == one.Name })
			switch {
			case is != "":
				spec.Access = append(spec.Access, one)
			case len(spec.Access) == before:
				return nil, fmt.Errorf("%s %s has no access to workspace %s by name. Try: hanse workspace show %s", strings.ToLower(one.Kind), one.Name, name, name)
			}
			return spec, nil
		}, o.server())
	})
}

func (o *accessor) who() string {
	if o.all {
		return "every member of its organization"
	}
	return o.subject.String()
}

func workspaceGrant(s genericiooptions.IOStreams) *cobra.Command {
	var o accessor
	var as string
	cmd := &cobra.Command{
		Use:   "grant WORKSPACE",
		Short: "Grant a role in the namespaces of a workspace",
		Example: `  hanse workspace grant web --group acme-developers --role edit
  hanse workspace grant web --members --role view`,
		Args: args.One("workspace", "hanse workspace grant NAME --user USER --role edit"),
		RunE: func(cmd *cobra.Command, given []string) error {
			is, err := role(as, workspaceRoles()...)
			if err != nil {
				return err
			}
			return o.run(cmd.Context(), s, given[0], fmt.Sprintf("%s has %s in workspace/%s", o.who(), is, given[0]), is)
		},
	}
	o.bind(cmd)
	bindRole(cmd, &as, "view", workspaceRoles()...)
	return cmd
}

func workspaceRevoke(s genericiooptions.IOStreams) *cobra.Command {
	var o accessor
	cmd := &cobra.Command{
		Use:     "revoke WORKSPACE",
		Short:   "Revoke what somebody was granted in a workspace",
		Example: "  hanse workspace revoke web --user bob@example.com",
		Args:    args.One("workspace", "hanse workspace revoke NAME --user USER"),
		RunE: func(cmd *cobra.Command, given []string) error {
			return o.run(cmd.Context(), s, given[0], fmt.Sprintf("%s revoked from workspace/%s", o.who(), given[0]), "")
		},
	}
	o.bind(cmd)
	return cmd
}

func workspaceDelete(s genericiooptions.IOStreams) *cobra.Command {
	var o writing
	cmd := &cobra.Command{
		Use:     "delete WORKSPACE",
		Short:   "Delete a workspace; its namespaces stay",
		Example: "  hanse workspace delete web",
		Args:    args.One("workspace", "hanse workspace delete NAME"),
		RunE: func(cmd *cobra.Command, given []string) error {
			if err := o.dryRun.Check(); err != nil {
				return err
			}
			return o.report(cmd.Context(), s, workspaces, "workspace/"+given[0]+" deleted", func(ctx context.Context, c collection) error {
				return c.remove(ctx, given[0], o.server())
			})
		},
	}
	o.bind(cmd)
	return cmd
}
