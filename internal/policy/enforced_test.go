package policy_test

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/override"
	"github.com/hanse-dev/hanse/internal/policy"
)

// enforcing is a ClusterPlacementPolicy that is enforced.
func enforcing(t *testing.T, name, spec string) *policy.Policy {
	t.Helper()
	p, err := readEnforced(name, spec)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func readEnforced(name, spec string) (*policy.Policy, error) {
	in := &v1alpha1.ClusterPlacementPolicy{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID("uid-" + name), Generation: 1}}
	if err := yaml.UnmarshalStrict([]byte(spec), &in.Spec); err != nil {
		return nil, err
	}
	in.Spec.Mode = v1alpha1.ModeEnforced
	return policy.FromClusterPolicy(in)
}

func europe() []policy.Cluster {
	return []policy.Cluster{
		{Name: "aws", Continent: "NA"}, {Name: "azure", Continent: "EU"}, {Name: "google", Continent: "AS"}, {Name: "hetzner", Continent: "EU"},
	}
}

const inEurope = "clusters: {fields: [{key: continent, operator: In, values: [EU]}]}"

func names(a policy.Allowed) (all []string) {
	for _, g := range a.Groups {
		all = append(all, g.Clusters...)
	}
	return all
}

func TestATenantNarrowsAndNeverWidens(t *testing.T) {
	eu := enforcing(t, "eu", inEurope)
	for spec, want := range map[string]string{
		"{}":                                "azure,hetzner",
		"{clusters: {names: [aws]}}":        "",
		"{clusters: {names: [aws, azure]}}": "azure",
		"{clusters: {names: [aws]}, fallback: [{names: [hetzner]}, {names: [google]}]}": "hetzner",
		"{clusters: {exclude: [azure]}}":                                                "hetzner",
	} {
		tenants := made(t, "shop", "p", 1, spec)
		got := policy.NewIndex([]*policy.Policy{tenants, eu}).For(deployment("shop", "web", nil))
		if got.String() != tenants.String() {
			t.Fatalf("%s applies", got)
		}
		allowed := got.Allowed(europe())
		if all := strings.Join(names(allowed), ","); all != want || allowed.Everywhere {
			t.Errorf("%s: allowed are %q, expected %q", spec, all, want)
		}
		if i := slices.IndexFunc(allowed.Rejected, func(r policy.Rejection) bool { return r.Cluster == "aws" }); i < 0 ||
			!strings.Contains(allowed.Rejected[i].Reason, "ClusterPlacementPolicy eu, which is enforced: continent is NA") {
			t.Errorf("%s: rejected %v", spec, allowed.Rejected)
		}
		for _, c := range europe() {
			if barred := got.Bars(&c) != ""; barred != (c.Continent != "EU") {
				t.Errorf("%s: %s is barred: %t", spec, c.Name, barred)
			}
		}
		if tenants.Bars(&europe()[0]) != "" || names(tenants.Allowed(europe()))[0] == "" {
			t.Error("the tenant's own was changed")
		}
	}
}

func TestWhatIsEnforcedAlone(t *testing.T) {
	index := policy.NewIndex([]*policy.Policy{enforcing(t, "eu", inEurope+"\nnamespaces: {names: [shop]}")})
	if got := index.For(deployment("shop", "web", nil)); got == nil || strings.Join(names(got.Allowed(europe())), ",") != "azure,hetzner" {
		t.Errorf("%v", got)
	}
	if got := index.For(deployment("other", "web", nil)); got != nil {
		t.Errorf("%s applies in another namespace", got)
	}
}

func TestSeveralThatAreEnforced(t *testing.T) {
	index := policy.NewIndex([]*policy.Policy{made(t, "shop", "p", 1, "{}"), enforcing(t, "eu", inEurope), enforcing(t, "no-azure", "clusters: {exclude: [azure]}")})
	if got := names(index.For(deployment("shop", "web", nil)).Allowed(europe())); strings.Join(got, ",") != "hetzner" {
		t.Errorf("allowed: %v", got)
	}
	m := index.Match(deployment("shop", "web", nil))
	if m.Policy.String() != "PlacementPolicy shop/p" || len(m.Enforced) != 2 || len(m.Overruled) != 0 || !strings.Contains(m.Reason, "; enforced besides: ClusterPlacementPolicy eu, ClusterPlacementPolicy no-azure") {
		t.Errorf("%+v", m)
	}
}

func TestMaximaAndTolerationsThatAreEnforced(t *testing.T) {
	tenants := made(t, "shop", "p", 1, `
division: {limits: {aws: {min: 5, max: 9}, azure: {max: 2}, "*": {min: 1}}}
tolerations: [{operator: Exists}, {key: gpu, operator: Exists}, {key: gpu, value: big, effect: NoSchedule}, {key: spot, operator: Exists}]`)
	capping := enforcing(t, "few", `
division: {limits: {aws: {max: 3}, "*": {max: 4}}}
tolerations: [{key: gpu, operator: Exists}]`)
	got := policy.NewIndex([]*policy.Policy{tenants, capping}).For(deployment("shop", "web", nil))
	_, minimum, maximum := got.Numbers([]string{"aws", "azure", "google"})
	if minimum["aws"] != 3 || maximum["aws"] != 3 || maximum["azure"] != 2 || minimum["google"] != 1 || maximum["google"] != 4 || !got.Caps() {
		t.Errorf("minima %v, maxima %v", minimum, maximum)
	}
	if len(got.Tolerations) != 2 || got.Tolerations[0].Key != "gpu" || got.Tolerations[1] != (corev1.Toleration{Key: "gpu", Value: "big", Effect: "NoSchedule"}) {
		t.Errorf("tolerations: %v", got.Tolerations)
	}
	if len(tenants.Tolerations) != 4 || tenants.LimitsOf("aws").Min != 5 {
		t.Error("the tenant's own was changed")
	}
}

// TestOverridesThatAreEnforcedComeLast, and maxima after all of them.
func TestOverridesThatAreEnforcedComeLast(t *testing.T) {
	tenants := made(t, "shop", "p", 1, "{overrides: [{labels: {set: {tier: open}}, replicas: 100}]}")
	hardening := enforcing(t, "hard", "{division: {limits: {'*': {max: 4}}}, overrides: [{labels: {set: {tier: closed}}}]}")
	index := policy.NewIndex([]*policy.Policy{tenants, hardening})
	object := map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": "web"}, "spec": map[string]any{"replicas": int64(2)}}
	out, _, err := override.Apply(object, index.For(deployment("shop", "web", nil)).Overrides(&europe()[0]))
	if err != nil {
		t.Fatal(err)
	}
	if l := out["metadata"].(map[string]any)["labels"].(map[string]any)["tier"]; l != "closed" {
		t.Errorf("tier is %v", l)
	}
	if n := out["spec"].(map[string]any)["replicas"]; n != int64(4) {
		t.Errorf("%v replicas", n)
	}
}

func TestWhatIsEnforcedIsNotChosenByThoseWhomItBinds(t *testing.T) {
	for _, spec := range []string{"select: {names: [web]}", "select: {labels: {matchLabels: {a: b}}}"} {
		if _, err := readEnforced("p", spec); err == nil || !strings.Contains(err.Error(), "kinds and namespaces only") {
			t.Errorf("%s: %v", spec, err)
		}
	}
}

// TestOtherPoliciesChangeNothing: what applies to an object is the same as long as its parts are.
func TestOtherPoliciesChangeNothing(t *testing.T) {
	tenants, eu, other := made(t, "shop", "p", 1, "{}"), enforcing(t, "eu", inEurope), made(t, "other", "p", 1, "{}")
	web := deployment("shop", "web", nil)
	first := policy.NewIndex([]*policy.Policy{tenants, eu})
	was := first.For(web)
	second := first.Renew([]*policy.Policy{tenants, eu, other})
	if second.For(web) != was {
		t.Error("another policy changed what applies")
	}
	if third := second.Renew([]*policy.Policy{tenants, enforcing(t, "eu", inEurope), other}); third.For(web) == was {
		t.Error("another enforced policy did not change what applies")
	}
	if fourth := second.Renew([]*policy.Policy{tenants}); fourth.For(web) != tenants {
		t.Error("it is still enforced")
	}
}

// TestNothingWidensWhatIsEnforced for any policies.
func TestNothingWidensWhatIsEnforced(t *testing.T) {
	all := []string{"aws", "azure", "google", "hetzner"}
	rapid.Check(t, func(rt *rapid.T) {
		some := rapid.SliceOfNDistinct(rapid.SampledFrom(all), 1, 4, rapid.ID[string])
		limit := rapid.IntRange(0, 9)
		var policies []*policy.Policy
		var enforced []*policy.Policy
		for i := range rapid.IntRange(1, 3).Draw(rt, "enforced") {
			in := &v1alpha1.ClusterPlacementPolicy{ObjectMeta: metav1.ObjectMeta{Name: string(rune('a' + i))}}
			in.Spec.Mode = v1alpha1.ModeEnforced
			in.Spec.Clusters = &v1alpha1.ClusterSelector{Names: some.Draw(rt, "names")}
			most := int32(limit.Draw(rt, "max"))
			in.Spec.Division.Limits = map[string]v1alpha1.ClusterLimits{v1alpha1.AnyCluster: {Max: &most}}
			p, err := policy.FromClusterPolicy(in)
			if err != nil {
				rt.Fatal(err)
			}
			policies, enforced = append(policies, p), append(enforced, p)
		}
		in := &v1alpha1.PlacementPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "p"}}
		in.Spec.Clusters = &v1alpha1.ClusterSelector{Names: some.Draw(rt, "tenant")}
		in.Spec.Fallback = []v1alpha1.ClusterGroup{{ClusterSelector: v1alpha1.ClusterSelector{Names: some.Draw(rt, "fallback")}}}
		least := int32(limit.Draw(rt, "least"))
		in.Spec.Division.Limits = map[string]v1alpha1.ClusterLimits{"aws": {Min: least}}
		p, err := policy.FromPolicy(in)
		if err != nil {
			rt.Fatal(err)
		}
		got := policy.NewIndex(append(policies, p)).For(deployment("shop", "web", nil))
		_, minimum, maximum := got.Numbers(all)
		for _, name := range names(got.Allowed(europe())) {
			if !slices.Contains(names(p.Allowed(europe())), name) {
				rt.Fatalf("%s is not the tenant's", name)
			}
			for _, e := range enforced {
				if !slices.Contains(names(e.Allowed(europe())), name) || maximum[name] > *e.LimitsOf(name).Max || minimum[name] > maximum[name] {
					rt.Fatalf("%s: allowed by %s: %v; %d to %d", name, e, names(e.Allowed(europe())), minimum[name], maximum[name])
				}
			}
		}
	})
}
