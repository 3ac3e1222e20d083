package tenants

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/cli/args"
	"github.com/hanse-dev/hanse/internal/cli/hub"
)

// writing is what the verbs that change something have in common.
type writing struct {
	hub    hub.Flags
	dryRun args.DryRun
}

func (o *writing) bind(cmd *cobra.Command) {
	o.hub.Bind(cmd)
	o.dryRun.Bind(cmd, "only show what would be done: none, client, or server to let the hub check it")
}

// server is DryRun of a request.
func (o *writing) server() []string {
	if o.dryRun.On() {
		return []string{metav1.DryRunAll}
	}
	return nil
}

// subject is somebody that a verb is about: --user or --group.
type subject struct{ user, group string }

func (s *subject) bind(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.user, "user", "", "name of a user, as the hub's authentication has it")
	cmd.Flags().StringVar(&s.group, "group", "", "name of a group")
}

func (s subject) read() (v1alpha1.Subject, error) {
	switch {
	case (s.user == "") == (s.group == ""):
		return v1alpha1.Subject{}, fmt.Errorf("it takes a user or a group. Try: --user NAME, or --group NAME")
	case s.user != "":
		return v1alpha1.Subject{Kind: v1alpha1.SubjectUser, Name: s.user}, nil
	}
	return v1alpha1.Subject{Kind: v1alpha1.SubjectGroup, Name: s.group}, nil
}

func (s subject) String() string {
	if s.user != "" {
		return "user " + s.user
	}
	return "group " + s.group
}

// role reads one of roles, in whichever case.
func role(given string, roles ...string) (string, error) {
	for _, r := range roles {
		if strings.EqualFold(r, given) {
			return r, nil
		}
	}
	return "", fmt.Errorf("there is no role %q. Try: --role %s", given, strings.ToLower(strings.Join(roles, ", or --role ")))
}

func bindRole(cmd *cobra.Command, into *string, value string, roles ...string) {
	for i := range roles {
		roles[i] = strings.ToLower(roles[i])
	}
	cmd.Flags().StringVar(into, "role", value, "role: "+strings.Join(roles, ", "))
	args.CompleteWith(cmd, "role", func() []string { return roles })
}

// where are flags that select clusters.
type where struct{ names, providers, regions, continents []string }

func (w *where) bind(cmd *cobra.Command) {
	cmd.Flags().StringSliceVar(&w.names, "clusters", nil, "only these clusters")
	cmd.Flags().StringSliceVar(&w.providers, "provider", nil, "only clusters of these providers, such as azure")
	cmd.Flags().StringSliceVar(&w.regions, "region", nil, "only clusters in these regions")
	cmd.Flags().StringSliceVar(&w.continents, "continent", nil, "only clusters on these continents, such as EU")
}

func (w where) selector() *v1alpha1.ClusterSelector {
	s := &v1alpha1.ClusterSelector{Names: w.names}
	for _, f := range []struct {
		key    string
		values []string
	}{{v1alpha1.FieldProvider, w.providers}, {v1alpha1.FieldRegion, w.regions}, {v1alpha1.FieldContinent, w.continents}} {
		if len(f.values) > 0 {
			s.Fields = append(s.Fields, v1alpha1.FieldRequirement{Key: f.key, Operator: "In", Values: f.values})
		}
	}
	if len(s.Names) == 0 && len(s.Fields) == 0 {
		return nil
	}
	return s
}

// clustersIn is a selector in a line.
func clustersIn(s *v1alpha1.ClusterSelector) string {
	if s == nil {
		return "all"
	}
	var parts []string
	if len(s.Names) > 0 {
		parts = append(parts, strings.Join(s.Names, ","))
	}
	for _, f := range s.Fields {
		parts = append(parts, fmt.Sprintf("%s %s (%s)", f.Key, strings.ToLower(f.Operator), strings.Join(f.Values, ",")))
	}
	if s.Labels != nil {
		parts = append(parts, "by labels")
	}
	if len(s.Exclude) > 0 {
		parts = append(parts, "not "+strings.Join(s.Exclude, ","))
	}
	return strings.Join(parts, ", ")
}

// few are names in a column.
func few(names []string) string {
	const most = 3
	if len(names) <= most {
		return strings.Join(names, ",")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(slices.Clone(names[:most]), ","), len(names)-most)
}
