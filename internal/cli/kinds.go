package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/kinds"
)

// newKindsCommand prints the two tables that say what Hanse does with whose
// objects.
func newKindsCommand(s Streams) *cobra.Command {
	var output string
	var role bool
	cmd := &cobra.Command{
		Use:   "kinds",
		Short: "What stays at the hub, and why; everything else is propagated",
		Long: `What stays at the hub, and why; everything else is propagated. A ResourceQuota is
in every cluster and limits each by itself; the use that the hub shows is that of the
hub's own objects.`,
		Example: `  hanse kinds
  hanse kinds --role     # what the hub may do in a member`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if role {
				return printRole(s.Out)
			}
			return printKinds(s.Out, output)
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "json or yaml")
	cmd.Flags().BoolVar(&role, "role", false, "print the ClusterRole that the hub has in a member instead")
	completeWith(cmd, "output", func() []string { return []string{"json", "yaml"} })
	return cmd
}

// stayingKind is a row of kinds.StaysAtHub as it is printed.
type stayingKind struct {
	Group    string `json:"group"`
	Resource string `json:"resource"`
	Which    string `json:"which"`
	Reason   string `json:"reason"`
}

func printKinds(w io.Writer, output string) error {
	var rows []stayingKind
	for _, r := range kinds.StaysAtHub() {
		rows = append(rows, stayingKind{Group: r.Group, Resource: r.Resource, Which: r.Which, Reason: r.Reason})
	}
	if output != "" {
		return printStructured(w, rows, output)
	}
	table := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "RESOURCE\tWHICH\tREASON")
	for _, r := range rows {
		name := r.Resource
		if r.Group != "" {
			name += "." + r.Group
		}
		if name == "*.*" {
			name = "*"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", name, r.Which, r.Reason)
	}
	return table.Flush()
}

func printRole(w io.Writer) error {
	return printStructured(w, rbacv1.ClusterRole{
		TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "ClusterRole"},
		ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.ServiceAccount},
		Rules:      kinds.MemberRules(),
	}, "yaml")
}

// printStructured prints a value as -o json or -o yaml does.
func printStructured(w io.Writer, value any, output string) error {
	var out []byte
	var err error
	switch output {
	case "json":
		out, err = json.MarshalIndent(value, "", "  ")
		out = append(out, '\n')
	case "yaml":
		out, err = yaml.Marshal(value)
	default:
		return fmt.Errorf("unknown output %q. Try: -o json or -o yaml", output)
	}
	if err != nil {
		return fmt.Errorf("cannot print as %s: %w", output, err)
	}
	_, err = w.Write(out)
	return err
}
