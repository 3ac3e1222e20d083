package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// KindResidency is the kind of a Residency.
const KindResidency = "Residency"

// FromResidency makes a Residency ready: a policy that is enforced, applies to nothing by itself, and selects Namespaces with
// all that is in them.
func FromResidency(in *v1alpha1.Residency) (*Policy, error) {
	p := newResidency(in.Name)
	p.UID, p.Generation, p.Created = in.UID, in.Generation, in.CreationTimestamp.Time
	spec := in.Spec.DeepCopy()
	if err := p.readResidents(spec); err != nil {
		return nil, fmt.Errorf("%s: %w", p, err)
	}
	clusters, err := newClusterSelector(&spec.Clusters)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: spec.clusters.%w", p, err)
	case clusters.text == "":
		return nil, fmt.Errorf("%s: spec.clusters: must have names, labels, fields or exclude", p)
	}
	p.groups = []group{{"clusters", clusters}}
	p.named = slices.Clone(spec.Clusters.Names)
	for i := range spec.Serving {
		rule, err := newServing(&spec.Serving[i])
		if err != nil {
			return nil, fmt.Errorf("%s: spec.serving[%d].%w", p, i, err)
		}
		p.serving = append(p.serving, rule)
	}
	p.summary = v1alpha1.PolicySummary{Selects: p.objects.String(), Clusters: describeGroups(p.groups)}
	return p, nil
}

func newResidency(name string) *Policy {
	p := NoPolicy()
	p.Name, p.isEnforced, p.isResidency = name, true, true
	return p
}

// readResidents reads which namespaces are selected.
func (p *Policy) readResidents(spec *v1alpha1.ResidencySpec) error {
	r := &residents{names: set(spec.Namespaces)}
	texts := make([]string, 0, 2)
	if r.names != nil {
		texts = append(texts, few(spec.Namespaces))
	}
	if spec.NamespaceSelector != nil {
		by, err := selector(spec.NamespaceSelector)
		if err != nil {
			return fmt.Errorf("spec.namespaceSelector.%w", err)
		}
		r.labels = by
		texts = append(texts, by.String())
	}
	if len(texts) == 0 {
		return fmt.Errorf("spec: namespaces or namespaceSelector must say which namespaces are meant")
	}
	p.objects = objectSelector{residents: r, text: strings.Join(texts, " or ")}
	return nil
}

// heldResidency is a Residency that the hub does not understand, and of which it knows no earlier spec. What it may select is
// held: as far as the namespaces can be read those, and else all.
func heldResidency(obj *unstructured.Unstructured, mistake error) *Policy {
	p := newResidency(obj.GetName())
	p.UID, p.Generation, p.Created = obj.GetUID(), obj.GetGeneration(), obj.GetCreationTimestamp().Time
	p.held = fmt.Sprintf("the Residency that selects it is not valid, so nothing new is placed: %v. Try: correct the Residency", mistake)
	if err := p.readHeldResidents(obj); err != nil {
		p.objects = objectSelector{residents: &residents{}, unread: true, text: "everything, as its namespaces are not valid"}
	}
	p.summary = v1alpha1.PolicySummary{Selects: p.objects.String(), Clusters: "none"}
	return p
}

func (p *Policy) readHeldResidents(obj *unstructured.Unstructured) error {
	var in v1alpha1.ResidencySpec
	only := map[string]any{}
	spec, _, err := unstructured.NestedMap(obj.Object, "spec")
	if err != nil {
		return err
	}
	for _, field := range []string{"namespaces", "namespaceSelector"} {
		if value, there := spec[field]; there {
			only[field] = value
		}
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(only, &in); err != nil {
		return err
	}
	return p.readResidents(&in)
}

// residents are the namespaces of a Residency: those of these names, and those with these labels besides.
type residents struct {
	names  map[string]bool
	labels labels.Selector // nil: none
}

func (r *residents) have(namespace string, of map[string]string) bool {
	return namespace != "" && (r.names[namespace] || r.labels != nil && r.labels.Matches(labels.Set(of)))
}

// Holds says whether a Residency lets its objects be stored where the hub is, by what was declared of it; why is why not, or, if
// inside, why that cannot be said. The hub is none of the clusters, so that only the fields of clusters can say.
func (p *Policy) Holds(hub *Cluster) (inside bool, why string) {
	switch {
	case !p.isResidency || len(p.groups) == 0:
		return true, "the Residency cannot be read"
	case len(p.groups[0].selector.fields) == 0:
		return true, "its clusters are not selected by fields, such as region"
	}
	for _, f := range p.groups[0].selector.fields {
		has := hub.field(f.Key)
		if len(has) == 0 {
			why = fmt.Sprintf("its %s is not declared. Try: hanse server --%s", f.Key, f.Key)
			continue
		}
		in := slices.ContainsFunc(has, func(v string) bool { return slices.Contains(f.Values, v) })
		if in != (f.Operator == "In") {
			return false, fmt.Sprintf("its %s is %s, and must be %s %s", f.Key, strings.Join(has, ","), inOrNot(f.Operator), list(f.Values))
		}
	}
	return true, why
}

// IsResidency says whether the policy is a Residency.
func (p *Policy) IsResidency() bool { return p.isResidency }

// HasNamespace says whether a Residency selects a namespace with these labels.
func (p *Policy) HasNamespace(name string, of map[string]string) bool {
	return p.isResidency && (p.objects.unread && name != "" || p.objects.residents.have(name, of))
}

// NamespacesIn are the namespaces that a Residency selects: those that it names, whether they are there or not, and those of
// these labels, by name.
func (p *Policy) NamespacesIn(labels map[string]map[string]string) []string {
	all := map[string]bool{}
	if p.isResidency {
		maps.Copy(all, p.objects.residents.names)
	}
	for name, of := range labels {
		if p.HasNamespace(name, of) {
			all[name] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// Excludes is why a Residency does not let its objects be in a cluster; empty: it does. One that is held lets nothing new be
// anywhere, and says nothing of what is there.
func (p *Policy) Excludes(c *Cluster) string {
	if !p.isResidency || len(p.groups) == 0 {
		return ""
	}
	if why := undeclared(p.groups[0].selector, c); why != "" {
		return fmt.Sprintf("%s keeps it out: %s", p, why)
	}
	return ""
}

// undeclared is why a selector does not select a cluster by what was declared of it at the hub. What a member says of its place
// selects it nowhere: whoever controls it could have it say anything. Nor does a field that nobody declared, with NotIn.
func undeclared(s *clusterSelector, c *Cluster) string {
	as := c.Declared
	if as == nil {
		as = &Cluster{Name: c.Name}
	}
	for _, f := range s.fields {
		if len(as.field(f.Key)) > 0 {
			continue
		}
		said := "not known"
		if has := c.field(f.Key); len(has) > 0 {
			said = fmt.Sprintf("%s as its own nodes say", strings.Join(has, ","))
		}
		field := f.Key
		switch field {
		case v1alpha1.FieldContinent:
			field = "region" // and the provider, by which it is known
		case v1alpha1.FieldZone:
			field = "zones"
		}
		return fmt.Sprintf("its %s is %s, and was not declared at the hub. Try: declare spec.provider and spec.%s of the Cluster, as hanse join --provider --%s does", f.Key, said, field, strings.TrimSuffix(field, "s"))
	}
	return s.rejects(as)
}

// addResidency notes a Residency by what it selects.
func (x *Index) addResidency(i int) {
	p := x.all[i]
	if p.objects.unread || p.objects.residents.labels != nil {
		x.residentsByLabels = append(x.residentsByLabels, i)
		return
	}
	for name := range p.objects.residents.names {
		x.residentsByName[name] = append(x.residentsByName[name], i)
	}
}

// residencies are the indexes of those that select a namespace with these labels, in order.
func (x *Index) residencies(namespace string, of map[string]string) (all []int) {
	if namespace == "" {
		return nil
	}
	all = x.residentsByName[namespace]
	shared := true
	for _, i := range x.residentsByLabels {
		if !x.all[i].HasNamespace(namespace, of) {
			continue
		}
		if shared {
			all, shared = slices.Clone(all), false
		}
		all = append(all, i)
	}
	if !shared {
		slices.Sort(all)
	}
	return all
}

// Residencies are those that select a namespace with these labels, in order.
func (x *Index) Residencies(namespace string, of map[string]string) (all []*Policy) {
	for _, i := range x.residencies(namespace, of) {
		all = append(all, x.all[i])
	}
	return all
}

// Outside is why a Residency does not let what is in a namespace with these labels be in a cluster; empty: none does.
func (x *Index) Outside(namespace string, of map[string]string, c *Cluster) string {
	for _, i := range x.residencies(namespace, of) {
		if why := x.all[i].Excludes(c); why != "" {
			return why
		}
	}
	return ""
}
