// Package policy reads PlacementPolicies, ClusterPlacementPolicies and Residencies: which of
// them applies to an object and why, which clusters it allows, and what else it
// says, as plain data. It is pure, and what it returns is never changed by it
// again, so that all of it may be shared between goroutines.
package policy

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/override"
)

// Policy is a PlacementPolicy or ClusterPlacementPolicy, ready to be asked. It is
// not to be modified.
type Policy struct {
	// Namespace is empty for a ClusterPlacementPolicy.
	Namespace string
	Name      string
	UID       types.UID
	// Generation of the spec that this was made of.
	Generation int64
	Created    time.Time

	// Strategy is one of the Divide… constants, never empty.
	Strategy string
	// Limits by cluster, with v1alpha1.AnyCluster for those that are not in it.
	// See LimitsOf.
	Limits    map[string]v1alpha1.ClusterLimits
	Rebalance bool
	// Spread has the keys of labels of Clusters: region is
	// topology.kubernetes.io/region.
	Spread      []Spread
	Tolerations []corev1.Toleration
	Failover    Failover
	// Rollout is nil where changes go everywhere at once.
	Rollout *Rollout

	objects     objectSelector
	groups      []group // where to, in order; empty: everywhere
	overrides   []clusterOverride
	named       []string // clusters that the spec names anywhere, sorted
	held        string   // see Held
	isEnforced  bool
	isResidency bool
	serving     []Serving // of a Residency
	// propagation is one of the Propagate… constants, empty: the policy does not say.
	propagation string
	base        *Policy   // what this was made of by under; else nil
	enforced    []*Policy // those that it is under, in order; base may be one
	summary     v1alpha1.PolicySummary
}

// Spread demands replicas in at least so many values of a label of Clusters.
type Spread struct {
	Key     string
	AtLeast int32
}

// Failover with its defaults filled in.
type Failover struct {
	Enabled bool
	// After is how long a cluster has to be out of reach. 0 where the policy does
	// not say: the hub's own.
	After time.Duration
	// UnschedulableAfter is how long pods may be unschedulable; 0: for ever.
	UnschedulableAfter time.Duration
}

// NoPolicy is what holds for objects that no policy applies to, and the defaults
// of those that do.
func NoPolicy() *Policy {
	return &Policy{Strategy: v1alpha1.DivideEven, Failover: defaultFailover()}
}

func defaultFailover() Failover {
	return Failover{Enabled: true, UnschedulableAfter: 5 * time.Minute}
}

// String is the policy as messages call it: PlacementPolicy shop/web.
func (p *Policy) String() string {
	switch {
	case p.isResidency:
		return KindResidency + " " + p.Name
	case p.Name == "" && len(p.enforced) > 0: // no other applies
		names := make([]string, len(p.enforced))
		for i, e := range p.enforced {
			names[i] = e.String()
		}
		return strings.Join(names, ", ")
	case p.Namespace == "":
		return "ClusterPlacementPolicy " + p.Name
	}
	return "PlacementPolicy " + p.Namespace + "/" + p.Name
}

// Version is another whenever what the policy says is.
func (p *Policy) Version() string {
	v := fmt.Sprintf("%s/%d", p.UID, p.Generation)
	for _, e := range p.enforced {
		v += fmt.Sprintf(" under %s/%d", e.UID, e.Generation)
	}
	return v
}

// Summary is the policy in a line, for its status.
func (p *Policy) Summary() v1alpha1.PolicySummary { return p.summary }

// LimitsOf is the limits of one cluster.
func (p *Policy) LimitsOf(cluster string) v1alpha1.ClusterLimits {
	l, ok := p.Limits[cluster]
	if !ok {
		l = p.Limits[v1alpha1.AnyCluster]
	}
	return p.capped(l, cluster)
}

// Numbers are the limits of clusters one by one, as scheduling takes them: nothing
// in minimum is 0, nothing in maximum is no bound. weights is nil where the
// strategy is not Weighted.
func (p *Policy) Numbers(clusters []string) (weights map[string]int64, minimum, maximum map[string]int32) {
	minimum, maximum = map[string]int32{}, map[string]int32{}
	if p.Strategy == v1alpha1.DivideWeighted {
		weights = map[string]int64{}
	}
	for _, name := range clusters {
		l := p.LimitsOf(name)
		if l.Min > 0 {
			minimum[name] = l.Min
		}
		if l.Max != nil {
			maximum[name] = *l.Max
		}
		if l.Weight != nil && weights != nil {
			weights[name] = int64(*l.Weight)
		}
	}
	return weights, minimum, maximum
}

// Parse is FromPolicy, FromClusterPolicy or FromResidency, as the object's kind says.
func Parse(obj *unstructured.Unstructured) (*Policy, error) {
	converter := runtime.DefaultUnstructuredConverter
	switch obj.GetKind() {
	case "ClusterPlacementPolicy":
		var in v1alpha1.ClusterPlacementPolicy
		if err := converter.FromUnstructured(obj.Object, &in); err != nil {
			return nil, err
		}
		return FromClusterPolicy(&in)
	case KindResidency:
		var in v1alpha1.Residency
		if err := converter.FromUnstructured(obj.Object, &in); err != nil {
			return nil, err
		}
		return FromResidency(&in)
	}
	var in v1alpha1.PlacementPolicy
	if err := converter.FromUnstructured(obj.Object, &in); err != nil {
		return nil, err
	}
	return FromPolicy(&in)
}

// FromPolicy makes a policy ready. The error says which field makes no sense; the
// CRD lets few such policies through. One that was there before should then go on
// as it was.
func FromPolicy(in *v1alpha1.PlacementPolicy) (*Policy, error) {
	p := &Policy{
		Namespace: in.Namespace, Name: in.Name, UID: in.UID, Generation: in.Generation, Created: in.CreationTimestamp.Time,
	}
	return p.read(in.Spec.DeepCopy(), nil)
}

// FromClusterPolicy is FromPolicy for a ClusterPlacementPolicy.
func FromClusterPolicy(in *v1alpha1.ClusterPlacementPolicy) (*Policy, error) {
	p := &Policy{Name: in.Name, UID: in.UID, Generation: in.Generation, Created: in.CreationTimestamp.Time}
	spec := in.Spec.DeepCopy()
	if p.isEnforced = spec.Mode == v1alpha1.ModeEnforced; p.isEnforced && (len(spec.Select.Names) > 0 || spec.Select.Labels != nil) {
		return nil, fmt.Errorf("%s: spec.select: what is enforced selects by kinds and namespaces only: names and labels are chosen by those whom it is to bind", p)
	}
	return p.read(&spec.PlacementPolicySpec, spec.Namespaces)
}

func (p *Policy) read(spec *v1alpha1.PlacementPolicySpec, namespaces *v1alpha1.NamespaceSelector) (*Policy, error) {
	for _, part := range []func() error{
		func() error { return p.readObjects(&spec.Select, namespaces) },
		func() error { return p.readClusters(spec) },
		func() error { return p.readDivision(&spec.Division) },
		func() error { return p.readSpread(spec) },
		func() error { return p.readFailover(&spec.Failover) },
		func() error { return p.readRollout(spec.Rollout) },
		func() error { return p.readOverrides(spec.Overrides) },
		func() error { return p.readPropagation(spec.Propagation) },
	} {
		if err := part(); err != nil {
			return nil, fmt.Errorf("%s: %w", p, err)
		}
	}
	p.Tolerations = tolerations(spec.Tolerations)
	p.named = namedClusters(spec)
	p.summary = v1alpha1.PolicySummary{Selects: p.objects.String(), Strategy: p.Strategy, Clusters: describeGroups(p.groups)}
	return p, nil
}

func (p *Policy) readDivision(d *v1alpha1.Division) error {
	p.Strategy, p.Limits, p.Rebalance = d.Strategy, d.Limits, d.Rebalance
	weighted, positive := false, false
	for cluster, l := range d.Limits {
		if l.Max != nil && l.Min > *l.Max {
			return fmt.Errorf("spec.division.limits[%s]: min %d is above max %d", cluster, l.Min, *l.Max)
		}
		weighted = weighted || l.Weight != nil
		positive = positive || l.Weight != nil && *l.Weight > 0
	}
	switch {
	case weighted && !positive:
		return fmt.Errorf("spec.division.limits: the weights must not all be 0")
	case p.Strategy == "" && weighted:
		p.Strategy = v1alpha1.DivideWeighted
	case p.Strategy == "":
		p.Strategy = v1alpha1.DivideEven
	case p.Strategy == v1alpha1.DivideWeighted && !weighted:
		return fmt.Errorf("spec.division.limits: strategy Weighted needs a weight")
	}
	return nil
}

func (p *Policy) readSpread(spec *v1alpha1.PlacementPolicySpec) error {
	for i, s := range spec.Spread {
		key := spreadKey(s.Key)
		for _, other := range p.Spread {
			if other.Key == key {
				return fmt.Errorf("spec.spread[%d].key: %s is spread over twice", i, s.Key)
			}
		}
		p.Spread = append(p.Spread, Spread{Key: key, AtLeast: s.AtLeast})
	}
	return nil
}

func spreadKey(word string) string {
	switch word {
	case "cluster":
		return v1alpha1.LabelClusterName
	case v1alpha1.FieldProvider:
		return v1alpha1.LabelProvider
	case v1alpha1.FieldContinent:
		return v1alpha1.LabelContinent
	case v1alpha1.FieldRegion, corev1.LabelFailureDomainBetaRegion:
		return corev1.LabelTopologyRegion
	case v1alpha1.FieldZone, corev1.LabelFailureDomainBetaZone:
		return corev1.LabelTopologyZone
	}
	return word
}

func (p *Policy) readFailover(f *v1alpha1.Failover) error {
	p.Failover = defaultFailover()
	if f.Enabled != nil {
		p.Failover.Enabled = *f.Enabled
	}
	if f.After != nil {
		p.Failover.After = f.After.Duration
		if f.After.Duration <= 0 {
			return fmt.Errorf("spec.failover.after: %s is not above 0. Try: 30s", f.After.Duration)
		}
	}
	if f.UnschedulableAfter != nil {
		p.Failover.UnschedulableAfter = f.UnschedulableAfter.Duration
		if f.UnschedulableAfter.Duration < 0 {
			return fmt.Errorf("spec.failover.unschedulableAfter: %s is below 0. Try: 5m", f.UnschedulableAfter.Duration)
		}
	}
	return nil
}

func tolerations(in []v1alpha1.Toleration) []corev1.Toleration {
	var out []corev1.Toleration
	for _, t := range in {
		out = append(out, corev1.Toleration{
			Key: t.Key, Operator: corev1.TolerationOperator(t.Operator), Value: string(t.Value),
			Effect: corev1.TaintEffect(t.Effect), TolerationSeconds: t.TolerationSeconds,
		})
	}
	return out
}

// clusterOverride is an override with its clusters.
type clusterOverride struct {
	override.Override
	clusters *clusterSelector // nil: all
}

func (p *Policy) readOverrides(in []v1alpha1.Override) error {
	for i := range in {
		o := clusterOverride{Override: override.Override{Name: fmt.Sprintf("overrides[%d] of %s", i, p), Spec: &in[i], Namespaced: p.Namespace != ""}}
		if in[i].Name != "" {
			o.Name = fmt.Sprintf("override %s (overrides[%d]) of %s", in[i].Name, i, p)
		}
		if err := override.Check(o.Override); err != nil {
			return fmt.Errorf("spec.overrides[%d].%s: %w", i, err.Field, err.Err)
		}
		if in[i].Clusters != nil {
			clusters, err := newClusterSelector(in[i].Clusters)
			if err != nil {
				return fmt.Errorf("spec.overrides[%d].clusters.%w", i, err)
			}
			o.clusters = clusters
		}
		p.overrides = append(p.overrides, o)
	}
	return nil
}

// Overrides are those for a cluster, in order, for override.Apply.
func (p *Policy) Overrides(c *Cluster) []override.Override {
	var out []override.Override
	for i := range p.overrides {
		if o := &p.overrides[i]; o.clusters == nil || o.clusters.rejects(c) == "" {
			out = append(out, o.Override)
		}
	}
	return p.enforcedOverrides(c, out)
}
