package policy_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/policy"
)

func show(a policy.Allowed) string {
	var parts []string
	for _, g := range a.Groups {
		parts = append(parts, g.Name+"="+strings.Join(g.Clusters, ","))
	}
	for _, r := range a.Rejected {
		parts = append(parts, "not "+r.Cluster+" ("+r.Reason+")")
	}
	return strings.Join(parts, "; ")
}

func TestAllowed(t *testing.T) {
	for spec, want := range map[string]string{
		`{}`: "clusters=aws,azure,google,home",
		`clusters: {names: [google, aws, none], exclude: [aws]}`: "clusters=google; not aws (PlacementPolicy shop/web: excluded by name); " +
			"not azure (PlacementPolicy shop/web: not among the names); not home (PlacementPolicy shop/web: not among the names)",
		`clusters: {fields: [{key: provider, operator: NotIn, values: [aws, azure]}]}`: "clusters=google,home; " +
			"not aws (PlacementPolicy shop/web: provider is aws, and must be not in (aws,azure)); not azure (PlacementPolicy shop/web: provider is azure, and must be not in (aws,azure))",
		`clusters: {fields: [{key: zone, operator: In, values: [us-east-1a, westeurope-1]}, {key: continent, operator: In, values: [NA]}]}`: "clusters=aws; " +
			"not azure (PlacementPolicy shop/web: continent is EU, and must be in (NA)); not google (PlacementPolicy shop/web: zone is not known, and must be in (us-east-1a,westeurope-1)); " +
			"not home (PlacementPolicy shop/web: zone is not known, and must be in (us-east-1a,westeurope-1))",
		"clusters: {fields: [{key: region, operator: In, values: [westeurope]}]}\nfallback: [{name: prod, labels: {matchLabels: {stage: prod}}}, {exclude: [home]}]": "clusters=azure; prod=aws; fallback[1]=google; " +
			"not home (PlacementPolicy shop/web: region is not known, and must be in (westeurope))",
		`clusters: {labels: {matchExpressions: [{key: pci, operator: Exists}, {key: stage, operator: In, values: [prod]}]}}`: "clusters=aws; " +
			"not azure (PlacementPolicy shop/web: its labels do not match pci,stage in (prod)); not google (PlacementPolicy shop/web: its labels do not match pci,stage in (prod)); not home (PlacementPolicy shop/web: its labels do not match pci,stage in (prod))",
	} {
		if got := show(made(t, "shop", "web", 0, spec).Allowed(clusters())); got != want {
			t.Errorf("%s:\n%s, want\n%s", spec, got, want)
		}
	}
}

func TestProblem(t *testing.T) {
	for spec, want := range map[string]string{
		`{}`:                                            "",
		`clusters: {names: [nowhere]}`:                  "PlacementPolicy shop/web selects none of the 4 clusters (nowhere)",
		`spread: [{key: region, atLeast: 3}]`:           "",
		`spread: [{key: cluster, atLeast: 4}]`:          "",
		`spread: [{key: provider, atLeast: 4}]`:         "PlacementPolicy shop/web wants at least 4 values of hanse.dev/provider, the allowed clusters have 3",
		`spread: [{key: example.com/rack, atLeast: 2}]`: "PlacementPolicy shop/web spreads over example.com/rack, which no allowed cluster has",
		`spread: [{key: stage, atLeast: 2}, {key: continent, atLeast: 3}]`:    "",
		"clusters: {names: [google]}\nspread: [{key: zone, atLeast: 2}]":      "PlacementPolicy shop/web spreads over topology.kubernetes.io/zone, which no allowed cluster has",
		"clusters: {names: [aws, google]}\nspread: [{key: zone, atLeast: 2}]": "",
	} {
		if got := made(t, "shop", "web", 0, spec).Problem(clusters()); got != want {
			t.Errorf("%s:\n%q, want\n%q", spec, got, want)
		}
	}
	if got := made(t, "shop", "web", 0, `clusters: {names: [nowhere]}`).Problem(nil); got != "" {
		t.Errorf("without clusters: %q", got)
	}
}

func TestUnknown(t *testing.T) {
	p := made(t, "shop", "web", 0, `
clusters: {names: [aws, a], exclude: [b]}
fallback: [{names: [c]}]
division: {limits: {azure: {max: 1}, d: {max: 1}, "*": {max: 1}}}
rollout: {by: Cluster, order: [google, e]}
overrides: [{clusters: {names: [f, a]}, replicas: 1}, {replicas: 2}]`)
	if got, want := p.Unknown(clusters()), []string{"a", "b", "c", "d", "e", "f"}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	p = made(t, "shop", "web", 0, `{rollout: {by: Region, order: [nowhere]}}`)
	if got := p.Unknown(clusters()); got != nil {
		t.Errorf("regions as clusters: %v", got)
	}
	p = made(t, "shop", "web", 0, `{rollout: {groups: [{names: [g]}]}}`)
	if got, want := p.Unknown(nil), []string{"g"}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestClusterOf(t *testing.T) {
	in := &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "aws", Labels: map[string]string{
		"topology.kubernetes.io/region": "label", "failure-domain.beta.kubernetes.io/zone": "beta", "hanse.dev/provider": "label", "hanse.dev/continent": "NA"}}}
	want := policy.Cluster{Name: "aws", Labels: in.Labels, Provider: "label", Region: "label", Zones: []string{"beta"}, Continent: "NA"}
	want.Declared = &policy.Cluster{Name: "aws", Labels: map[string]string{"hanse.dev/cluster": "aws"}} // the rest the hub may have by what its nodes say
	if got := policy.ClusterOf(in); !reflect.DeepEqual(got, want) {
		t.Errorf("by labels: %+v", got)
	}
	in.Status = v1alpha1.ClusterStatus{Provider: "found", Region: "found", Zones: []string{"found"}}
	if got := policy.ClusterOf(in); got.Provider != "found" || got.Region != "found" || got.Zones[0] != "found" {
		t.Errorf("by status: %+v", got)
	}
	in.Spec = v1alpha1.ClusterSpec{Provider: "said", Region: "said", Zones: []string{"said"}}
	if got := policy.ClusterOf(in); got.Provider != "said" || got.Region != "said" || got.Zones[0] != "said" {
		t.Errorf("by spec: %+v", got)
	}
}

func TestSteps(t *testing.T) {
	for spec, want := range map[string]string{
		`{by: Cluster}`: "aws=aws azure=azure google=google home=home",
		`{by: Cluster, order: [home, gone, azure]}`: "home=home azure=azure aws=aws google=google",
		`{by: Zone, order: [westeurope-1]}`:         "westeurope-1=azure us-east-1a=aws others=google,home",
		`{by: Region}`:                              "asia-east1=google us-east-1=aws westeurope=azure others=home",
		`{by: Provider, order: [google]}`:           "google=google aws=aws azure=azure others=home",
		`{by: Continent}`:                           "AS=google EU=azure NA=aws others=home",
		`{groups: [{name: canary, names: [google]}, {labels: {matchLabels: {stage: prod}}}, {names: [aws]}]}`: "canary=google groups[1]=aws,azure others=home",
	} {
		p := made(t, "shop", "web", 0, "rollout: "+spec)
		var parts []string
		backwards := clusters()
		slices.Reverse(backwards)
		if a, b := p.Rollout.Steps(clusters()), p.Rollout.Steps(backwards); !reflect.DeepEqual(a, b) {
			t.Errorf("%s: %v, and with the clusters in another order %v", spec, a, b)
		}
		for _, s := range p.Rollout.Steps(clusters()) {
			parts = append(parts, s.Name+"="+strings.Join(s.Clusters, ","))
		}
		if got := strings.Join(parts, " "); got != want {
			t.Errorf("%s: %s, want %s", spec, got, want)
		}
	}
	r := made(t, "shop", "web", 0, `rollout: {by: Zone}`).Rollout
	if !r.Stop || r.Paused || r.Wait != 0 || r.ProgressDeadline != 10*time.Minute {
		t.Errorf("defaults: %+v", r)
	}
	r = made(t, "shop", "web", 0, `rollout: {by: Zone, onFailure: Continue, paused: true, wait: 1m, progressDeadline: 2m}`).Rollout
	if r.Stop || !r.Paused || r.Wait != time.Minute || r.ProgressDeadline != 2*time.Minute {
		t.Errorf("as said: %+v", r)
	}
}

func TestOverrides(t *testing.T) {
	p := made(t, "shop", "web", 0, `
overrides:
- {replicas: 1}
- {name: eu, clusters: {fields: [{key: continent, operator: In, values: [EU]}]}, replicas: 2}
- {clusters: {names: [aws], exclude: [aws]}, replicas: 3}`)
	for _, c := range clusters() {
		want := "overrides[0] of PlacementPolicy shop/web=1"
		if c.Name == "azure" {
			want += " override eu (overrides[1]) of PlacementPolicy shop/web=2"
		}
		var parts []string
		for _, o := range p.Overrides(&c) {
			parts = append(parts, fmt.Sprintf("%s=%d", o.Name, *o.Spec.Replicas))
		}
		if got := strings.Join(parts, " "); got != want {
			t.Errorf("%s: %s, want %s", c.Name, got, want)
		}
	}
}
