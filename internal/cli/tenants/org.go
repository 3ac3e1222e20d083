package tenants

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/cli/args"
	"github.com/hanse-dev/hanse/internal/cli/hub"
	"github.com/hanse-dev/hanse/internal/cli/output"
)

func organizationRoles() []string {
	return []string{v1alpha1.RoleOwner, v1alpha1.RoleAdmin, v1alpha1.RoleAuditor, v1alpha1.RoleMember}
}

// NewOrgCommand is hanse org.
func NewOrgCommand(s genericiooptions.IOStreams, now clock.PassiveClock) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "org",
		Aliases: []string{"organization"},
		Short:   "Manage organizations: people, and the namespaces that are theirs",
		Args:    args.RejectUnknown,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(orgList(s, now), orgShow(s), orgCreate(s), orgAdd(s), orgRemove(s), orgInvite(s, now), orgJoin(s))
	return cmd
}

func orgList(s genericiooptions.IOStreams, now clock.PassiveClock) *cobra.Command {
	var at hub.Flags
	format := output.ForObjects()
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List organizations: all, or those that you are in",
		Example: "  hanse org list",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := organizations(&at)
			if err != nil {
				return err
			}
			list, err := c.list(cmd.Context())
			if err != nil {
				return err
			}
			if len(list.Items) == 0 && format.ForPeople() {
				fmt.Fprintln(s.ErrOut, "There is no organization that you may see. Try: hanse org create NAME --owner USER, or hanse org join TOKEN")
				return nil
			}
			return format.Print(s.Out, output.Result{Content: list, Table: func(w io.Writer, _ bool) error {
				rows := [][]string{{"NAME", "MEMBERS", "WORKSPACES", "NAMESPACES", "READY", "AGE", "MESSAGE"}}
				for i := range list.Items {
					var o v1alpha1.Organization
					if err := hub.Decode(&list.Items[i], &o); err != nil {
						return err
					}
					ready, message := accepted(o.Status.Conditions)
					rows = append(rows, []string{
						o.Name, fmt.Sprint(len(o.Spec.Members)), fmt.Sprint(o.Status.Workspaces), few(o.Status.Namespaces), ready,
						duration.HumanDuration(now.Since(o.CreationTimestamp.Time)), message,
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

func orgShow(s genericiooptions.IOStreams) *cobra.Command {
	var at hub.Flags
	format := output.ForObjects()
	cmd := &cobra.Command{
		Use:     "show ORGANIZATION",
		Short:   "Show who is in an organization, and what is its own",
		Example: "  hanse org show acme",
		Args:    args.One("organization", "hanse org show NAME"),
		RunE: func(cmd *cobra.Command, given []string) error {
			c, err := organizations(&at)
			if err != nil {
				return err
			}
			var o v1alpha1.Organization
			u, err := c.get(cmd.Context(), given[0], &o)
			if err != nil {
				return err
			}
			return format.Print(s.Out, output.Result{Content: u, Table: func(w io.Writer, _ bool) error { return describeOrganization(w, &o) }})
		},
	}
	at.Bind(cmd)
	format.Bind(cmd)
	return cmd
}

func describeOrganization(w io.Writer, o *v1alpha1.Organization) error {
	ready, message := accepted(o.Status.Conditions)
	rows := [][]string{{"Name:", o.Name}, {"Ready:", ready}, {"Namespaces:", strings.Join(o.Status.Namespaces, ", ")}, {"Workspaces:", fmt.Sprint(o.Status.Workspaces)}, {"Clusters:", clustersIn(o.Spec.Clusters)}}
	if message != "" {
		rows = append(rows, []string{"Message:", message})
	}
	if err := table(w, rows...); err != nil {
		return err
	}
	rows = [][]string{{"\nMEMBER", "KIND", "ROLE"}}
	for _, m := range o.Spec.Members {
		rows = append(rows, []string{m.Name, m.Kind, m.Role})
	}
	if err := table(w, rows...); err != nil || len(o.Spec.Invitations) == 0 {
		return err
	}
	rows = [][]string{{"\nINVITATION", "ROLE", "EXPIRES"}}
	for _, i := range o.Spec.Invitations {
		rows = append(rows, []string{i.Name, i.Role, i.ExpiresAt.UTC().Format("2006-01-02 15:04 UTC")})
	}
	return table(w, rows...)
}

func orgCreate(s genericiooptions.IOStreams) *cobra.Command {
	var o writing
	var owners, groups, namespaces []string
	var clusters where
	cmd := &cobra.Command{
		Use:   "create ORGANIZATION",
		Short: "Create an organization",
		Long: `Create an organization, with its owners, and the namespaces that are its own: those
that do not exist are made. With --clusters, --provider, --region or --continent, what is in
these namespaces is never in other clusters.`,
		Example: `  hanse org create acme --owner ann@example.com --namespaces shop,pay
  hanse org create acme --owner-group acme-leads --namespaces shop --provider azure`,
		Args: args.One("organization", "hanse org create NAME --owner USER"),
		RunE: func(cmd *cobra.Command, given []string) error {
			if err := o.dryRun.Check(); err != nil {
				return err
			}
			spec := v1alpha1.OrganizationSpec{Namespaces: namespaces, Clusters: clusters.selector()}
			for _, name := range owners {
				spec.Members = append(spec.Members, v1alpha1.OrganizationMember{Subject: v1alpha1.Subject{Kind: v1alpha1.SubjectUser, Name: name}, Role: v1alpha1.RoleOwner})
			}
			for _, name := range groups {
				spec.Members = append(spec.Members, v1alpha1.OrganizationMember{Subject: v1alpha1.Subject{Kind: v1alpha1.SubjectGroup, Name: name}, Role: v1alpha1.RoleOwner})
			}
			if len(spec.Members) == 0 {
				return fmt.Errorf("an organization without an owner is nobody's. Try: --owner USER, or --owner-group GROUP")
			}
			return o.report(cmd.Context(), s, organizations, "organization/"+given[0]+" created", func(ctx context.Context, c collection) error {
				return c.create(ctx, given[0], &spec, o.server())
			})
		},
	}
	o.bind(cmd)
	clusters.bind(cmd)
	cmd.Flags().StringSliceVar(&owners, "owner", nil, "users who own it")
	cmd.Flags().StringSliceVar(&groups, "owner-group", nil, "groups that own it")
	cmd.Flags().StringSliceVar(&namespaces, "namespaces", nil, "namespaces that are its own")
	return cmd
}

// report does what a verb is for, unless it is only to be shown, and says so as kubectl does.
func (o *writing) report(ctx context.Context, s genericiooptions.IOStreams, of func(*hub.Flags) (collection, error), done string, do func(context.Context, collection) error) error {
	if o.dryRun.Writes() {
		c, err := of(&o.hub)
		if err != nil {
			return err
		}
		if err := do(ctx, c); err != nil {
			return err
		}
	}
	fmt.Fprintln(s.Out, done+o.dryRun.Suffix())
	return nil
}

// editOrganization changes the spec of one.
func editOrganization(ctx context.Context, c collection, name string, dryRun []string, change func(*v1alpha1.OrganizationSpec) error) error {
	return c.edit(ctx, name, func() any { return &v1alpha1.Organization{} }, func(object any) (any, error) {
		o := object.(*v1alpha1.Organization)
		return &o.Spec, change(&o.Spec)
	}, dryRun)
}

func orgAdd(s genericiooptions.IOStreams) *cobra.Command {
	var o writing
	var who subject
	var as string
	cmd := &cobra.Command{
		Use:   "add ORGANIZATION",
		Short: "Add a user or a group to an organization, or give them another role",
		Example: `  hanse org add acme --group acme-developers --role member
  hanse org add acme --user bob@example.com --role admin`,
		Args: args.One("organization", "hanse org add NAME --user USER --role member"),
		RunE: func(cmd *cobra.Command, given []string) error {
			of, err := who.read()
			if err != nil {
				return err
			}
			is, err := role(as, organizationRoles()...)
			if err != nil {
				return err
			}
			if err := o.dryRun.Check(); err != nil {
				return err
			}
			return o.report(cmd.Context(), s, organizations, fmt.Sprintf("%s is %s of organization/%s", who, is, given[0]), func(ctx context.Context, c collection) error {
				return editOrganization(ctx, c, given[0], o.server(), func(spec *v1alpha1.OrganizationSpec) error {
					spec.Members = slices.DeleteFunc(spec.Members, func(m v1alpha1.OrganizationMember) bool { return m.Subject == of })
					spec.Members = append(spec.Members, v1alpha1.OrganizationMember{Subject: of, Role: is})
					return nil
				})
			})
		},
	}
	o.bind(cmd)
	who.bind(cmd)
	bindRole(cmd, &as, "member", organizationRoles()...)
	return cmd
}

func orgRemove(s genericiooptions.IOStreams) *cobra.Command {
	var o writing
	var who subject
	cmd := &cobra.Command{
		Use:   "remove ORGANIZATION",
		Short: "Remove a user or a group from an organization",
		Long: `Remove a user or a group from an organization. What they are watching ends within
seconds. Who was an owner or an admin may have made invitations for themselves: those that
are open are withdrawn.`,
		Example: "  hanse org remove acme --user bob@example.com",
		Args:    args.One("organization", "hanse org remove NAME --user USER"),
		RunE: func(cmd *cobra.Command, given []string) error {
			of, err := who.read()
			if err != nil {
				return err
			}
			if err := o.dryRun.Check(); err != nil {
				return err
			}
			return o.report(cmd.Context(), s, organizations, fmt.Sprintf("%s removed from organization/%s", who, given[0]), func(ctx context.Context, c collection) error {
				return editOrganization(ctx, c, given[0], o.server(), func(spec *v1alpha1.OrganizationSpec) error {
					i := slices.IndexFunc(spec.Members, func(m v1alpha1.OrganizationMember) bool { return m.Subject == of })
					if i < 0 {
						return fmt.Errorf("%s is not in organization %s by name. Try: hanse org show %s", who, given[0], given[0])
					}
					if role := spec.Members[i].Role; role == v1alpha1.RoleOwner || role == v1alpha1.RoleAdmin {
						spec.Invitations = nil
					}
					spec.Members = slices.Delete(spec.Members, i, i+1)
					return nil
				})
			})
		},
	}
	o.bind(cmd)
	who.bind(cmd)
	return cmd
}
