package workloads

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/yaml"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/cli/output"
	"github.com/hanse-dev/hanse/internal/kinds"
)

// NewKindsCommand is hanse kinds. It prints the two tables that say what Hanse does
// with whose objects.
func NewKindsCommand(s genericiooptions.IOStreams) *cobra.Command {
	format := output.ForValues(output.Name)
	var role bool
	cmd := &cobra.Command{
		Use:   "kinds",
		Short: "List what stays at the hub, and why; everything else is propagated",
		Long: `List what stays at the hub, and why; everything else is propagated. A ResourceQuota
at the hub is the total over all clusters, each of which has a part of it.`,
		Example: `  hanse kinds
  hanse kinds --role     # what the hub may do in a member`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if role {
				return format.Print(s.Out, memberRole())
			}
			return format.Print(s.Out, staying())
		},
	}
	format.Bind(cmd)
	cmd.Flags().BoolVar(&role, "role", false, "print the ClusterRole that the hub has in a member instead, as YAML unless -o is given")
	return cmd
}

// stayingKinds is what hanse kinds -o json prints. Its form is stable.
type stayingKinds struct {
	Items []stayingKind `json:"items"`
}

// stayingKind is a row of kinds.StaysAtHub as it is printed.
type stayingKind struct {
	Group    string `json:"group"`
	Resource string `json:"resource"`
	Which    string `json:"which"`
	Reason   string `json:"reason"`
}

// name is that of the resource, with its group.
func (k stayingKind) name() string {
	switch {
	case k.Group == "":
		return k.Resource
	case k.Resource == "*" && k.Group == "*":
		return "*"
	}
	return k.Resource + "." + k.Group
}

func staying() output.Result {
	var all stayingKinds
	var names []string
	for _, r := range kinds.StaysAtHub() {
		row := stayingKind{Group: r.Group, Resource: r.Resource, Which: r.Which, Reason: r.Reason}
		all.Items = append(all.Items, row)
		names = append(names, row.name())
	}
	return output.Result{Content: all, Names: names, Table: func(w io.Writer, _ bool) error {
		table := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
		fmt.Fprintln(table, "RESOURCE\tWHICH\tREASON")
		for _, r := range all.Items {
			fmt.Fprintf(table, "%s\t%s\t%s\n", r.name(), r.Which, r.Reason)
		}
		return table.Flush()
	}}
}

func memberRole() output.Result {
	role := &rbacv1.ClusterRole{
		TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "ClusterRole"},
		ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.ServiceAccount},
		Rules:      kinds.MemberRules(),
	}
	return output.Result{Content: role, Names: []string{"clusterrole.rbac.authorization.k8s.io/" + role.Name}, Table: func(w io.Writer, _ bool) error {
		out, err := yaml.Marshal(role)
		if err != nil {
			return fmt.Errorf("cannot print the ClusterRole: %w", err)
		}
		_, err = w.Write(out)
		return err
	}}
}
