package policy

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// Cluster is what clusters are selected by.
type Cluster struct {
	Name      string
	Labels    map[string]string
	Provider  string
	Region    string
	Zones     []string
	Continent string
	// Declared is the cluster as the hub's own people have declared it; nil: by its name alone. What a member's nodes say of
	// where they are is in none of it.
	Declared *Cluster
}

// ClusterOf reads a Cluster: what its spec says before what was found out, and
// that before its labels.
func ClusterOf(c *v1alpha1.Cluster) Cluster {
	out := Cluster{
		Name: c.Name, Labels: c.Labels,
		Provider:  cmp.Or(c.Spec.Provider, c.Status.Provider, c.Labels[v1alpha1.LabelProvider]),
		Region:    cmp.Or(c.Spec.Region, c.Status.Region, c.Labels[corev1.LabelTopologyRegion], c.Labels[corev1.LabelFailureDomainBetaRegion]),
		Continent: c.Labels[v1alpha1.LabelContinent],
		Zones:     c.Spec.Zones,
	}
	if len(out.Zones) == 0 {
		out.Zones = c.Status.Zones
	}
	if zone := cmp.Or(c.Labels[corev1.LabelTopologyZone], c.Labels[corev1.LabelFailureDomainBetaZone]); len(out.Zones) == 0 && zone != "" {
		out.Zones = []string{zone}
	}
	out.Declared = declared(c)
	return out
}

// declared is what the spec of a Cluster says, and its labels, without those that the hub keeps by what the nodes say.
func declared(c *v1alpha1.Cluster) *Cluster {
	out := &Cluster{
		Name: c.Name, Labels: maps.Clone(c.Labels), Provider: c.Spec.Provider, Region: c.Spec.Region, Zones: c.Spec.Zones,
		Continent: ContinentOf(c.Spec.Provider, c.Spec.Region),
	}
	for _, key := range kept() {
		delete(out.Labels, key)
	}
	for key, value := range map[string]string{
		v1alpha1.LabelClusterName: c.Name, v1alpha1.LabelProvider: out.Provider, v1alpha1.LabelContinent: out.Continent, corev1.LabelTopologyRegion: out.Region,
	} {
		if value != "" {
			out.Labels = labels.Merge(out.Labels, labels.Set{key: value})
		}
	}
	return out
}

// kept are the labels of a Cluster that say where it is, and that the hub keeps itself, or reads in their place.
func kept() []string {
	return []string{
		v1alpha1.LabelClusterName, v1alpha1.LabelProvider, v1alpha1.LabelContinent, corev1.LabelTopologyRegion, corev1.LabelTopologyZone,
		corev1.LabelFailureDomainBetaRegion, corev1.LabelFailureDomainBetaZone,
	}
}

// field is the values of a field of a cluster.
func (c *Cluster) field(key string) []string {
	value := ""
	switch key {
	case v1alpha1.FieldProvider:
		value = c.Provider
	case v1alpha1.FieldRegion:
		value = c.Region
	case v1alpha1.FieldContinent:
		value = c.Continent
	case v1alpha1.FieldZone:
		return c.Zones
	}
	if value == "" {
		return nil
	}
	return []string{value}
}

type clusterSelector struct {
	names, exclude map[string]bool
	labels         labels.Selector // nil: any
	fields         []v1alpha1.FieldRequirement
	text           string
}

// newClusterSelector reads a selector. The error begins with the field.
func newClusterSelector(in *v1alpha1.ClusterSelector) (*clusterSelector, error) {
	s := &clusterSelector{names: set(in.Names), exclude: set(in.Exclude), fields: in.Fields}
	if in.Labels != nil {
		by, err := selector(in.Labels)
		if err != nil {
			return nil, fmt.Errorf("labels.%w", err)
		}
		s.labels = by
	}
	for i, f := range in.Fields {
		if f.Operator != "In" && f.Operator != "NotIn" {
			return nil, fmt.Errorf("fields[%d].operator: %q is not supported. Try: In, NotIn", i, f.Operator)
		}
		switch f.Key {
		case v1alpha1.FieldProvider, v1alpha1.FieldRegion, v1alpha1.FieldZone, v1alpha1.FieldContinent:
		default:
			return nil, fmt.Errorf("fields[%d].key: %q is not a field of a cluster. Try: provider, region, zone, continent", i, f.Key)
		}
	}
	s.text = s.describe(in)
	return s, nil
}

// rejects is why a cluster is not selected, empty if it is.
func (s *clusterSelector) rejects(c *Cluster) string {
	if s.exclude[c.Name] {
		return "excluded by name"
	}
	if s.names != nil && !s.names[c.Name] {
		return "not among the names"
	}
	for _, f := range s.fields {
		has := c.field(f.Key)
		in := slices.ContainsFunc(has, func(v string) bool { return slices.Contains(f.Values, v) })
		if in != (f.Operator == "In") {
			return fmt.Sprintf("%s is %s, and must be %s %s", f.Key, orNone(has), inOrNot(f.Operator), list(f.Values))
		}
	}
	if s.labels != nil && !s.labels.Matches(labels.Set(c.Labels)) {
		return "its labels do not match " + s.labels.String()
	}
	return ""
}

func inOrNot(operator string) string {
	if operator == "NotIn" {
		return "not in"
	}
	return "in"
}

func orNone(values []string) string {
	if len(values) == 0 {
		return "not known"
	}
	return strings.Join(values, ",")
}

func list(values []string) string { return "(" + strings.Join(values, ",") + ")" }

func (s *clusterSelector) describe(in *v1alpha1.ClusterSelector) string {
	var parts []string
	if len(in.Names) > 0 {
		parts = append(parts, few(in.Names))
	}
	for _, f := range in.Fields {
		parts = append(parts, f.Key+" "+inOrNot(f.Operator)+" ("+few(f.Values)+")")
	}
	if s.labels != nil {
		parts = append(parts, s.labels.String())
	}
	if len(in.Exclude) > 0 {
		parts = append(parts, "not "+few(in.Exclude))
	}
	return strings.Join(parts, " ")
}

// group is one of the ordered groups of a policy.
type group struct {
	name     string
	selector *clusterSelector
}

func (p *Policy) readClusters(spec *v1alpha1.PlacementPolicySpec) error {
	if spec.Clusters == nil {
		if len(spec.Fallback) > 0 {
			return fmt.Errorf("spec.fallback: needs spec.clusters, the ones that come first")
		}
		return nil
	}
	first, err := newClusterSelector(spec.Clusters)
	if err != nil {
		return fmt.Errorf("spec.clusters.%w", err)
	}
	p.groups = []group{{"clusters", first}}
	further, err := newGroups("fallback", spec.Fallback)
	if err != nil {
		return fmt.Errorf("spec.%w", err)
	}
	p.groups = append(p.groups, further...)
	return nil
}

func newGroups(field string, in []v1alpha1.ClusterGroup) ([]group, error) {
	var out []group
	for i := range in {
		name := field + "[" + strconv.Itoa(i) + "]"
		s, err := newClusterSelector(&in[i].ClusterSelector)
		if err != nil {
			return nil, fmt.Errorf("%s.%w", name, err)
		}
		out = append(out, group{cmp.Or(in[i].Name, name), s})
	}
	return out, nil
}

func describeGroups(groups []group) string {
	if len(groups) == 0 {
		return "all"
	}
	var parts []string
	for _, g := range groups {
		parts = append(parts, g.selector.text)
	}
	return strings.Join(parts, ", then ")
}

// Allowed is the clusters that a policy allows.
type Allowed struct {
	// Everywhere: the policy does not restrict the clusters. Groups then is one
	// group of all.
	Everywhere bool
	// Groups in order: each is for what those before it cannot take. A cluster is
	// in one of them, the first that selects it. A group may be empty.
	Groups []Group
	// Rejected is the clusters that are in none.
	Rejected []Rejection
}

// Names are the groups' clusters as scheduling takes them: nil for everywhere.
func (a Allowed) Names() [][]string {
	if a.Everywhere {
		return nil
	}
	out := make([][]string, len(a.Groups))
	for i, g := range a.Groups {
		out[i] = g.Clusters
	}
	return out
}

// Group is clusters, by name, that are equally good.
type Group struct {
	// Name is what the policy calls it.
	Name     string
	Clusters []string
}

// Rejection is why one cluster is not allowed, in a sentence.
type Rejection struct {
	Cluster string
	Reason  string
}

// Allowed says which of the clusters the policy allows.
func (p *Policy) Allowed(clusters []Cluster) Allowed {
	sorted := slices.SortedFunc(slices.Values(clusters), func(a, b Cluster) int { return cmp.Compare(a.Name, b.Name) })
	if len(p.groups) == 0 || p.isResidency {
		out := Allowed{Everywhere: !p.restricts() && !p.isResidency, Groups: []Group{{Name: "clusters"}}}
		for i := range sorted {
			if why := cmp.Or(p.Bars(&sorted[i]), p.Excludes(&sorted[i])); why != "" {
				out.Rejected = append(out.Rejected, Rejection{Cluster: sorted[i].Name, Reason: why})
				continue
			}
			out.Groups[0].Clusters = append(out.Groups[0].Clusters, sorted[i].Name)
		}
		return out
	}
	out := Allowed{Groups: make([]Group, len(p.groups))}
	for i, g := range p.groups {
		out.Groups[i].Name = g.name
	}
	for i := range sorted {
		c := &sorted[i]
		if why := p.Bars(c); why != "" {
			out.Rejected = append(out.Rejected, Rejection{Cluster: c.Name, Reason: why})
		} else if at, why := placeIn(p.groups, c); at >= 0 {
			out.Groups[at].Clusters = append(out.Groups[at].Clusters, c.Name)
		} else {
			out.Rejected = append(out.Rejected, Rejection{Cluster: c.Name, Reason: p.String() + ": " + why})
		}
	}
	return out
}

// placeIn is the first group that selects a cluster, or -1 and why the first does
// not.
func placeIn(groups []group, c *Cluster) (at int, why string) {
	for i, g := range groups {
		reason := g.selector.rejects(c)
		if reason == "" {
			return i, ""
		}
		if i == 0 {
			why = reason
		}
	}
	return -1, why
}
