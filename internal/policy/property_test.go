package policy_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"pgregory.net/rapid"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/policy"
)

func some(t *rapid.T, label string, of ...string) []string {
	return slices.Compact(slices.Sorted(slices.Values(rapid.SliceOfN(rapid.SampledFrom(of), 0, 2).Draw(t, label))))
}

func drawSelector(t *rapid.T) v1alpha1.ObjectSelector {
	var s v1alpha1.ObjectSelector
	for _, kind := range some(t, "kinds", "Deployment", "StatefulSet", "ReplicaSet") {
		s.Kinds = append(s.Kinds, v1alpha1.ObjectKind{APIVersion: "apps/v1", Kind: kind})
	}
	s.Names = some(t, "names", "a", "b", "c")
	if rapid.Bool().Draw(t, "labelled") {
		s.Labels = &v1alpha1.Selector{MatchLabels: map[string]v1alpha1.LabelValue{"app": v1alpha1.LabelValue(rapid.SampledFrom([]string{"a", "b"}).Draw(t, "app"))}}
	}
	return s
}

func drawPolicy(t *rapid.T, i int) *policy.Policy {
	meta := metav1.ObjectMeta{Name: fmt.Sprint("p", i), CreationTimestamp: metav1.Date(2030, 1, 1, 0, rapid.IntRange(0, 2).Draw(t, "minute"), 0, 0, time.UTC)}
	spec := v1alpha1.PlacementPolicySpec{Select: drawSelector(t)}
	var p *policy.Policy
	var err error
	if rapid.Bool().Draw(t, "namespaced") {
		meta.Namespace = rapid.SampledFrom([]string{"x", "y"}).Draw(t, "namespace")
		p, err = policy.FromPolicy(&v1alpha1.PlacementPolicy{ObjectMeta: meta, Spec: spec})
	} else {
		all := v1alpha1.ClusterPlacementPolicySpec{PlacementPolicySpec: spec}
		if names := some(t, "namespaces", "x", "y"); len(names) > 0 {
			all.Namespaces = &v1alpha1.NamespaceSelector{Names: names}
		}
		p, err = policy.FromClusterPolicy(&v1alpha1.ClusterPlacementPolicy{ObjectMeta: meta, Spec: all})
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func drawObject(t *rapid.T) *policy.Object {
	o := &policy.Object{
		Kind:      schema.GroupKind{Group: "apps", Kind: rapid.SampledFrom([]string{"Deployment", "StatefulSet", "DaemonSet"}).Draw(t, "kind")},
		Namespace: rapid.SampledFrom([]string{"x", "y", "z", ""}).Draw(t, "namespace"), Name: rapid.SampledFrom([]string{"a", "b", "d"}).Draw(t, "name"),
	}
	if app := rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "app"); app != "" {
		o.Labels = map[string]string{"app": app}
	}
	return o
}

// TestIndexProperties: the index answers as a look through all policies does,
// whatever their order; exactly one of those that select applies; a policy of the
// namespace is never overruled by one of the cluster; and a policy that is added
// or taken away matters to no object that it does not select.
func TestIndexProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var all []*policy.Policy
		for i := range rapid.IntRange(0, 8).Draw(t, "policies") {
			all = append(all, drawPolicy(t, i))
		}
		o := drawObject(t)
		m := policy.NewIndex(all).Match(o)
		shuffled := rapid.Permutation(all).Draw(t, "shuffled")
		if got := policy.NewIndex(shuffled).For(o); got != m.Policy {
			t.Fatalf("%v in one order, %v in another", m.Policy, got)
		}
		selecting := 0
		for _, p := range all {
			if !p.Selects(o) {
				continue
			}
			selecting++
			if m.Policy == nil || m.Policy.Namespace == "" && p.Namespace != "" {
				t.Fatalf("%v selects %s, and %v applies", p, o, m.Policy)
			}
		}
		if applied := len(m.Overruled); m.Policy != nil && applied+1 != selecting || m.Policy == nil && selecting != 0 {
			t.Fatalf("%d select it, %v applies, %d are overruled", selecting, m.Policy, applied)
		}
		added := drawPolicy(t, len(all))
		if now := policy.NewIndex(append(slices.Clone(all), added)).For(o); now != m.Policy && (now != added || !added.Selects(o)) {
			t.Fatalf("%v is added, and instead of %v, %v applies to %s", added, m.Policy, now, o)
		}
	})
}

// TestAllowedProperties: each cluster is in exactly one group or rejected with a
// reason, whatever the order of clusters.
func TestAllowedProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		spec := v1alpha1.PlacementPolicySpec{Clusters: &v1alpha1.ClusterSelector{Names: some(t, "names", "aws", "azure", "none"), Exclude: some(t, "exclude", "aws", "google")}}
		for range rapid.IntRange(0, 3).Draw(t, "groups") {
			spec.Fallback = append(spec.Fallback, v1alpha1.ClusterGroup{ClusterSelector: v1alpha1.ClusterSelector{
				Fields: []v1alpha1.FieldRequirement{{Key: "continent", Operator: rapid.SampledFrom([]string{"In", "NotIn"}).Draw(t, "op"), Values: some(t, "continents", "EU", "NA", "AS")}}}})
		}
		p, err := policy.FromPolicy(&v1alpha1.PlacementPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "x", Name: "p"}, Spec: spec})
		if err != nil {
			t.Fatal(err)
		}
		all := clusters()
		a := p.Allowed(all)
		if b := p.Allowed(rapid.Permutation(all).Draw(t, "shuffled")); show(a) != show(b) {
			t.Fatalf("%s in one order, %s in another", show(a), show(b))
		}
		seen := map[string]int{}
		for _, g := range a.Groups {
			if !slices.IsSorted(g.Clusters) {
				t.Fatal(g)
			}
			for _, c := range g.Clusters {
				seen[c]++
			}
		}
		for _, r := range a.Rejected {
			seen[r.Cluster]++
			if r.Reason == "" {
				t.Fatal("no reason")
			}
		}
		for _, c := range all {
			if seen[c.Name] != 1 {
				t.Fatalf("%s is %d times in %s", c.Name, seen[c.Name], show(a))
			}
		}
	})
}
