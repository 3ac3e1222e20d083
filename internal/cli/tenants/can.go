package tenants

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/restmapper"

	"github.com/hanse-dev/hanse/internal/cli/hub"
	"github.com/hanse-dev/hanse/internal/cli/output"
	"github.com/hanse-dev/hanse/internal/fleet/access"
)

// NewCanCommand is hanse can.
func NewCanCommand(s genericiooptions.IOStreams) *cobra.Command {
	var at hub.Flags
	var namespace, subresource, as string
	var groups []string
	format := output.ForValues(output.Wide)
	cmd := &cobra.Command{
		Use:   "can VERB RESOURCE[/NAME]",
		Short: "Show who may do something at the hub, and by what",
		Long: `Show who may do something at the hub, and by what: each user and group that has
the right, the role that gives it, and the Workspace or Organization that gave the role, or
the binding that did.

With --as it is about one user, and the exit code is 1 if they may not. Without -n it is about
all namespaces, or about what is in none. It reads the hub's roles and bindings, as far as you
may read them, and knows nothing of a webhook that authorizes.`,
		Example: `  hanse can get secrets -n shop
  hanse can delete deployments.apps/web -n shop --as alice --as-group acme-developers
  hanse can grant organizations/acme`,
		Args: func(cmd *cobra.Command, given []string) error {
			if len(given) != 2 {
				return fmt.Errorf("%s requires a verb and a resource. Try: hanse can get secrets -n NAMESPACE", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, given []string) error {
			if as == "" && len(groups) > 0 {
				return fmt.Errorf("--as-group is groups of a user. Try: --as USER as well")
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), hub.Timeout)
			defer cancel()
			q := question{verb: given[0], subresource: subresource, namespace: namespace}
			cfg, err := at.RestConfig()
			if err != nil {
				return err
			}
			client, err := kubernetes.NewForConfig(cfg)
			if err != nil {
				return access.HubError(cfg.Host, err)
			}
			var name string
			name, q.name, _ = strings.Cut(given[1], "/")
			if q.resource, err = resourceNamed(client.Discovery(), name); err != nil {
				return err
			}
			w := walk{client: client, question: q, roles: map[string][]rbacv1.PolicyRule{}}
			if as != "" {
				w.only = &person{as, append(groupsOf(as), groups...)}
			}
			grants, err := w.grants(ctx)
			if err != nil {
				return access.HubError(cfg.Host, err)
			}
			for _, what := range w.unread {
				fmt.Fprintf(s.ErrOut, "You may not read %s, so there may be more.\n", what)
			}
			if len(grants) == 0 && format.ForPeople() {
				return q.nobody(as, len(w.unread) > 0)
			}
			err = format.Print(s.Out, output.Result{Content: answer{Question: q.String(), As: as, Allowed: len(grants) > 0, Grants: grants}, Table: func(out io.Writer, wide bool) error {
				return printGrants(out, grants, wide)
			}})
			if err == nil && len(grants) == 0 && as != "" {
				return q.nobody(as, len(w.unread) > 0)
			}
			return err
		},
	}
	at.Bind(cmd)
	format.Bind(cmd)
	cmd.Flags().StringVarP(&namespace, "namespace", "n", "", "namespace (default: all of them, or what is in none)")
	cmd.Flags().StringVar(&subresource, "subresource", "", "subresource, such as log")
	cmd.Flags().StringVar(&as, "as", "", "user that it is about (default: everybody)")
	cmd.Flags().StringSliceVar(&groups, "as-group", nil, "groups of that user, besides system:authenticated")
	return cmd
}

// answer is what hanse can prints as JSON.
type answer struct {
	Question string  `json:"question"`
	As       string  `json:"as,omitempty"`
	Allowed  bool    `json:"allowed"`
	Grants   []grant `json:"grants"`
}

// nobody is an answer that is no.
func (q question) nobody(as string, unsure bool) error {
	switch {
	case unsure:
		return fmt.Errorf("nothing that you may read says that anybody asked about may %s. Try: as an administrator of the hub", q)
	case as != "":
		return fmt.Errorf("user %s may not %s. Try: without --as, to see who may", as, q)
	}
	return fmt.Errorf("nobody but system:masters may %s. Try: hanse workspace grant, or a RoleBinding", q)
}

func printGrants(w io.Writer, grants []grant, wide bool) error {
	header := []string{"SUBJECT", "KIND", "ROLE", "GIVEN BY"}
	if wide {
		header = append(header, "BINDING")
	}
	rows := [][]string{header}
	for _, g := range grants {
		row := []string{g.Name, g.Kind, g.Role, g.By}
		if wide {
			row = append(row, g.Binding)
		}
		rows = append(rows, row)
	}
	return table(w, rows...)
}

// groupsOf are the groups that everybody has, and service accounts besides.
func groupsOf(user string) []string {
	groups := []string{"system:authenticated"}
	if account, ok := strings.CutPrefix(user, "system:serviceaccount:"); ok {
		namespace, _, _ := strings.Cut(account, ":")
		groups = append(groups, "system:serviceaccounts", "system:serviceaccounts:"+namespace)
	}
	return groups
}

// resourceNamed is a resource as kubectl takes it: with its group or without, short, or in the singular.
func resourceNamed(client discovery.DiscoveryInterface, name string) (schema.GroupResource, error) {
	if name == "*" {
		return schema.GroupResource{Group: "*", Resource: "*"}, nil
	}
	cached := memory.NewMemCacheClient(client)
	mapper := restmapper.NewShortcutExpander(restmapper.NewDeferredDiscoveryRESTMapper(cached), cached, nil)
	gvr, err := mapper.ResourceFor(schema.ParseGroupResource(name).WithVersion(""))
	if meta.IsNoMatchError(err) {
		return schema.GroupResource{}, fmt.Errorf("the hub has no resource %q. Try: hanse kubectl api-resources", name)
	}
	return gvr.GroupResource(), err
}

func (q question) String() string {
	resource := q.resource.String()
	if q.subresource != "" {
		resource += "/" + q.subresource
	}
	out := q.verb + " " + resource
	if q.name != "" {
		out += " " + q.name
	}
	if q.namespace != "" {
		out += " in namespace " + q.namespace
	}
	return out
}

// sortGrants sorts reasons by whom they are about.
func sortGrants(all []grant) {
	slices.SortStableFunc(all, func(a, b grant) int {
		return slices.Compare([]string{a.Kind, a.Name, a.Binding}, []string{b.Kind, b.Name, b.Binding})
	})
}
