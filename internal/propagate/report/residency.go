package report

import (
	"cmp"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize/english"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/policy"
	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/policies"
)

// Outside is what is known of a cluster that a Residency lets nothing be in.
type Outside struct {
	Cluster string
	// Objects that are there, and of which the first are named.
	Objects int32
	Some    []string
	// Unknown is why it is not known whether there are any; empty: it is.
	Unknown string
}

// someOutside is how many objects a status names of a cluster.
const someOutside = 5

// Residents is what is where it may not be, for each Residency in effect, by cluster. It takes microseconds for each object in a
// namespace that one selects, and next to nothing for all others.
func Residents(facts *decide.Facts, all iter.Seq[*decide.Assignment], members []Member) map[*policy.Policy][]Outside {
	c := residents{facts: facts, members: members, of: map[string][]*policy.Policy{}, found: map[*policy.Policy][]Outside{}, excluded: map[*policy.Policy][]int{}}
	for a := range all {
		for _, r := range c.residencies(policies.NamespaceOf(a.Key)) {
			c.count(r, a)
		}
	}
	for _, found := range c.found {
		for i := range found {
			slices.Sort(found[i].Some)
		}
	}
	return c.found
}

type residents struct {
	facts    *decide.Facts
	members  []Member
	of       map[string][]*policy.Policy // by namespace
	found    map[*policy.Policy][]Outside
	excluded map[*policy.Policy][]int // indexes of members, as in found
}

func (c *residents) residencies(namespace string) []*policy.Policy {
	if namespace == "" {
		return nil
	}
	all, known := c.of[namespace]
	if !known {
		all = c.facts.Policies.Residencies(namespace, c.facts.Namespaces[namespace])
		c.of[namespace] = all
		for _, r := range all {
			c.exclude(r)
		}
	}
	return all
}

// exclude notes which members a Residency lets nothing be in.
func (c *residents) exclude(r *policy.Policy) {
	if _, known := c.excluded[r]; known {
		return
	}
	c.excluded[r] = []int{}
	for i, m := range c.members {
		if in := c.facts.Clusters[m.Name()]; in != nil && r.Excludes(&in.Facts) != "" {
			c.excluded[r] = append(c.excluded[r], i)
			c.found[r] = append(c.found[r], Outside{Cluster: m.Name()})
		}
	}
}

func (c *residents) count(r *policy.Policy, a *decide.Assignment) {
	for n, i := range c.excluded[r] {
		m, o := c.members[i], &c.found[r][n]
		if m.Observed(a.Key).Exists() {
			if o.Objects++; len(o.Some) < someOutside {
				o.Some = append(o.Some, a.GVK.Kind+" "+a.Key.NamespacedName().String())
			}
		}
		switch unread := m.Unread(a.Key.GR); {
		case o.Unknown != "":
		case !m.Reachable():
			o.Unknown = awayMessage(c.facts.Clusters[m.Name()])
		case unread != nil:
			o.Unknown = fmt.Sprintf("%s cannot be read there: %s", a.Key.GR, Shorten(unread.Error()))
		case !m.Heard(a.Key.GR):
			o.Unknown = fmt.Sprintf("%s there have not been read yet", a.Key.GR)
		}
	}
}

// ResidencyStatus is the status of a Residency, as it should be; nil: it is so already. hub is where the hub is, as is declared.
func ResidencyStatus(p decide.KnownPolicy, outside []Outside, clusters []policy.Cluster, hub policy.Cluster, now time.Time) (map[string]any, error) {
	status := residencyStatus(p, outside, clusters, hub, now)
	return patchOf(p, &status)
}

func residencyStatus(p decide.KnownPolicy, outside []Outside, clusters []policy.Cluster, hub policy.Cluster, now time.Time) v1alpha1.ResidencyStatus {
	var out v1alpha1.ResidencyStatus
	before, _ := p.Object.Object["status"].(map[string]any)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(before, &out); err != nil {
		out = v1alpha1.ResidencyStatus{}
	}
	out.ObservedGeneration = p.Object.GetGeneration()
	out.Summary = v1alpha1.ResidencySummary{Namespaces: p.InEffect.Summary().Selects, Clusters: p.InEffect.Summary().Clusters}
	out.InEffect = inEffectOf(p)
	was := out.Violations
	out.Violations, out.Outside = nil, 0
	for _, o := range outside {
		if o.Objects == 0 && o.Unknown == "" {
			continue
		}
		v := v1alpha1.ResidencyViolation{Cluster: o.Cluster, Objects: o.Objects, Since: metav1.NewTime(now), Message: o.message()}
		if i := slices.IndexFunc(was, func(v v1alpha1.ResidencyViolation) bool { return v.Cluster == o.Cluster }); i >= 0 {
			v.Since = was[i].Since
		}
		out.Outside += o.Objects
		out.Violations = append(out.Violations, v)
	}
	set := func(c metav1.Condition) {
		c.ObservedGeneration, c.LastTransitionTime, c.Message = p.Object.GetGeneration(), metav1.NewTime(now), cmp.Or(c.Message, "-")
		meta.SetStatusCondition(&out.Conditions, c)
	}
	accepted := acceptedOf(p, clusters)
	set(accepted)
	set(enforcedOf(p, &out))
	set(hubOutsideOf(p, hub))
	return out
}

func (o *Outside) message() string {
	text := strings.Join(o.Some, ", ")
	if more := int(o.Objects) - len(o.Some); more > 0 {
		text = fmt.Sprintf("%s and %d more", text, more)
	}
	switch {
	case o.Unknown == "":
		return Shorten(text)
	case text == "":
		return Shorten(o.Unknown)
	}
	return Shorten(text) + ", as last seen; " + Shorten(o.Unknown)
}

// enforcedOf says whether anything is outside.
func enforcedOf(p decide.KnownPolicy, s *v1alpha1.ResidencyStatus) metav1.Condition {
	c := metav1.Condition{Type: v1alpha1.ConditionEnforced}
	var are, unknown []string
	for _, v := range s.Violations {
		if v.Objects > 0 {
			are = append(are, fmt.Sprintf("%s in %s", english.Plural(int(v.Objects), "object", ""), v.Cluster))
		} else {
			unknown = append(unknown, v.Cluster)
		}
	}
	switch {
	case p.InEffect.WhyHeld() != "":
		c.Status, c.Reason = metav1.ConditionUnknown, v1alpha1.ReasonPolicyProblem
		c.Message = "where its objects may be cannot be read: nothing new of them is placed, and nothing is moved"
	case len(are) > 0:
		c.Status, c.Reason = metav1.ConditionFalse, v1alpha1.ReasonResidentViolations
		c.Message = strings.Join(are, ", ") + " may not be there. They leave as soon as others are ready in their place. Try: hanse residency report"
	case len(unknown) > 0:
		c.Status, c.Reason = metav1.ConditionUnknown, v1alpha1.ReasonResidentUnknown
		c.Message = "it is not known what is in " + strings.Join(unknown, ", ")
	default:
		c.Status, c.Reason, c.Message = metav1.ConditionTrue, v1alpha1.ReasonResidentEverywhere, "no member has an object that may not be there"
	}
	return c
}

// hubOutsideOf says whether the hub, which stores everything, is where the objects may be.
func hubOutsideOf(p decide.KnownPolicy, hub policy.Cluster) metav1.Condition {
	c := metav1.Condition{Type: v1alpha1.ConditionHubOutside}
	inside, why := p.InEffect.Holds(&hub)
	switch {
	case why == "":
		c.Status, c.Reason, c.Message = metav1.ConditionFalse, v1alpha1.ReasonHubInside, "the hub is where the objects may be"
	case inside:
		c.Status, c.Reason = metav1.ConditionUnknown, v1alpha1.ReasonHubUndeclared
		c.Message = "the hub stores every object, and whether it may is not known: " + why
	default:
		c.Status, c.Reason = metav1.ConditionTrue, v1alpha1.ReasonHubElsewhere
		c.Message = "the hub stores every object, with its backups and records, and may not: " + why + ". Try: a hub that is where the objects may be"
	}
	return c
}

// inEffectOf is the earlier spec that is in effect; nil: the present one is.
func inEffectOf(p decide.KnownPolicy) *v1alpha1.PolicyInEffect {
	earlier := p.Earlier()
	if earlier == nil {
		return nil
	}
	spec, err := json.Marshal(earlier.Object["spec"])
	if err != nil {
		return nil
	}
	return &v1alpha1.PolicyInEffect{Generation: earlier.GetGeneration(), Spec: apiextensionsv1.JSON{Raw: spec}}
}
