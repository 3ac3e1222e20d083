package policy_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/policy"
)

// made is a policy of a namespace, or of none, created minute minutes past the
// hour.
func made(t *testing.T, namespace, name string, minute int, spec string) *policy.Policy {
	t.Helper()
	p, err := parse(t, namespace, name, minute, spec)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func parse(t *testing.T, namespace, name string, minute int, spec string) (*policy.Policy, error) {
	t.Helper()
	meta := metav1.ObjectMeta{Namespace: namespace, Name: name, CreationTimestamp: metav1.Date(2030, 1, 1, 0, minute, 0, 0, time.UTC)}
	if namespace == "" {
		in := &v1alpha1.ClusterPlacementPolicy{ObjectMeta: meta}
		if err := yaml.UnmarshalStrict([]byte(spec), &in.Spec); err != nil {
			t.Fatal(err)
		}
		return policy.FromClusterPolicy(in)
	}
	in := &v1alpha1.PlacementPolicy{ObjectMeta: meta}
	if err := yaml.UnmarshalStrict([]byte(spec), &in.Spec); err != nil {
		t.Fatal(err)
	}
	return policy.FromPolicy(in)
}

func deployment(namespace, name string, labels map[string]string) *policy.Object {
	return &policy.Object{Kind: schema.GroupKind{Group: "apps", Kind: "Deployment"}, Namespace: namespace, Name: name, Labels: labels,
		NamespaceLabels: map[string]string{"tier": "gold"}}
}

func clusters() []policy.Cluster {
	return []policy.Cluster{
		{Name: "aws", Provider: "aws", Region: "us-east-1", Zones: []string{"us-east-1b", "us-east-1a"}, Continent: "NA", Labels: map[string]string{"stage": "prod", "pci": "true"}},
		{Name: "azure", Provider: "azure", Region: "westeurope", Zones: []string{"westeurope-1"}, Continent: "EU", Labels: map[string]string{"stage": "prod"}},
		{Name: "google", Provider: "google", Region: "asia-east1", Continent: "AS", Labels: map[string]string{"stage": "test"}},
		{Name: "home"},
	}
}

func TestWhichApplies(t *testing.T) {
	all := map[string]*policy.Policy{
		"everything": made(t, "", "everything", 0, `{}`),
		"gold":       made(t, "", "gold", 1, `namespaces: {labels: {matchLabels: {tier: gold}}}`),
		"shop":       made(t, "", "shop", 1, `namespaces: {names: [shop]}`),
		"deploys":    made(t, "", "deploys", 0, `select: {kinds: [{apiVersion: apps/v1beta1, kind: Deployment}]}`),
		"crds":       made(t, "", "crds", 0, `select: {kinds: [{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition}]}`),
		"scoped":     made(t, "", "scoped", 0, `{namespaces: {exclude: [shop]}, select: {kinds: [{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition}]}}`),
		"exclude":    made(t, "", "exclude", 0, `namespaces: {exclude: [shop]}`),
		"silver":     made(t, "", "silver", 0, `namespaces: {labels: {matchLabels: {tier: silver}}}`),
		"default":    made(t, "shop", "default", 5, `{}`),
		"kinds":      made(t, "shop", "kinds", 5, `select: {kinds: [{apiVersion: apps/v1, kind: Deployment}]}`),
		"labels":     made(t, "shop", "labels", 5, `select: {labels: {matchLabels: {app: web}}}`),
		"labels2":    made(t, "shop", "labels2", 4, `select: {labels: {matchExpressions: [{key: app, operator: Exists}]}}`),
		"kindlabels": made(t, "shop", "kindlabels", 9, `select: {kinds: [{apiVersion: apps/v1, kind: Deployment}], labels: {matchLabels: {app: web}}}`),
		"name":       made(t, "shop", "name", 9, `select: {names: [web, api]}`),
		"twin":       made(t, "shop", "a-twin", 9, `select: {names: [web]}`),
		"elsewhere":  made(t, "bank", "elsewhere", 0, `select: {names: [web]}`),
	}
	web := deployment("shop", "web", map[string]string{"app": "web"})
	for _, c := range []struct {
		policies, want, why string
		object              *policy.Object
	}{
		{"", "", "no policy selects it", web},
		{"elsewhere crds", "", "no policy selects it", web},
		{"everything", "everything", "ClusterPlacementPolicy everything selects it with everything", web},
		{"everything gold", "gold", "overruled: ClusterPlacementPolicy gold selects it more specifically, by the namespace's labels instead of with everything", web},
		{"shop gold", "shop", "by namespace instead of by the namespace's labels", web},
		{"shop deploys", "deploys", "by kind instead of by namespace", web},
		{"deploys default", "default", "PlacementPolicy shop/default is of the object's namespace", web},
		{"default kinds", "kinds", "by kind instead of with all of its namespace", web},
		{"kinds labels", "labels", "by labels instead of by kind", web},
		{"labels labels2", "labels2", "PlacementPolicy shop/labels2 is as specific, and older", web},
		{"labels2 kindlabels", "kindlabels", "by labels and kind instead of by labels", web},
		{"kindlabels name", "name", "by name instead of by labels and kind", web},
		{"name twin", "twin", "PlacementPolicy shop/a-twin is as specific and as old, and comes first by name", web},
		{"name labels", "labels", "", deployment("shop", "other", map[string]string{"app": "web"})},
		{"name labels", "", "", deployment("shop", "other", nil)},
		{"name labels everything", "everything", "", deployment("bank", "web", nil)},
		{"everything gold shop crds", "crds", "selects it by kind", &policy.Object{Kind: schema.GroupKind{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}, Name: "x.example.com"}},
		{"scoped", "", "no policy selects it", &policy.Object{Kind: schema.GroupKind{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}, Name: "x.example.com"}},
		{"exclude silver", "", "no policy selects it", web},
		{"exclude", "exclude", "ClusterPlacementPolicy exclude selects it with everything", deployment("bank", "web", nil)},
		{"everything gold deploys", "", "no policy selects it", &policy.Object{Kind: schema.GroupKind{Kind: "Namespace"}, Name: "shop"}},
	} {
		var in []*policy.Policy
		for _, name := range strings.Fields(c.policies) {
			in = append(in, all[name])
		}
		x := policy.NewIndex(in)
		if got := x.For(c.object); got != all[c.want] {
			t.Errorf("of %s: %v applies to %s, want %s", c.policies, got, c.object, c.want)
		}
		m := x.Match(c.object)
		if m.Policy != all[c.want] {
			t.Errorf("of %s: Match gives %v, want %s", c.policies, m.Policy, c.want)
		}
		text := m.Reason
		for _, o := range m.Overruled {
			text += "; " + o.Reason
		}
		if !strings.Contains(text, c.why) {
			t.Errorf("of %s: %q, want %q in it", c.policies, text, c.why)
		}
	}
}

func TestNumbers(t *testing.T) {
	names := []string{"aws", "azure", "google"}
	p := made(t, "shop", "web", 0, `division: {limits: {aws: {min: 1, max: 5, weight: 2}, azure: {max: 0}, "*": {weight: 1, min: 0}}}`)
	weights, least, most := p.Numbers(names)
	if want := (map[string]int64{"aws": 2, "google": 1}); !reflect.DeepEqual(weights, want) {
		t.Errorf("weights %v, want %v", weights, want)
	}
	if want := (map[string]int32{"aws": 1}); !reflect.DeepEqual(least, want) {
		t.Errorf("minimum %v, want %v", least, want)
	}
	if want := (map[string]int32{"aws": 5, "azure": 0}); !reflect.DeepEqual(most, want) {
		t.Errorf("maximum %v, want %v", most, want)
	}
	weights, least, most = made(t, "shop", "web", 0, `division: {strategy: Pack, limits: {"*": {max: 3}}}`).Numbers(names)
	if weights != nil || len(least) != 0 || len(most) != 3 {
		t.Errorf("%v %v %v", weights, least, most)
	}
	if got := made(t, "shop", "web", 0, `{}`).Allowed(clusters()).Names(); got != nil {
		t.Errorf("everywhere is %v", got)
	}
	got := made(t, "shop", "web", 0, "clusters: {names: [none]}\nfallback: [{names: [aws, azure]}]").Allowed(clusters()).Names()
	if want := [][]string{nil, {"aws", "azure"}}; !reflect.DeepEqual(got, want) {
		t.Errorf("groups %v, want %v", got, want)
	}
}

func TestPlainData(t *testing.T) {
	p := made(t, "shop", "web", 0, `
select: {kinds: [{apiVersion: apps/v1, kind: Deployment}], names: [web]}
division: {limits: {aws: {min: 1, max: 5, weight: 2}, "*": {weight: 1}}, rebalance: true}
spread: [{key: region, atLeast: 2}, {key: example.com/rack, atLeast: 3}]
tolerations: [{key: dedicated, operator: Exists, effect: NoExecute, tolerationSeconds: 5}]
failover: {enabled: false, after: 5s, unschedulableAfter: 0s}
`)
	if p.Strategy != v1alpha1.DivideWeighted || !p.Rebalance || *p.LimitsOf("aws").Max != 5 || *p.LimitsOf("other").Weight != 1 || p.LimitsOf("other").Max != nil {
		t.Errorf("division: %+v", p)
	}
	if want := []policy.Spread{{Key: "topology.kubernetes.io/region", AtLeast: 2}, {Key: "example.com/rack", AtLeast: 3}}; !reflect.DeepEqual(p.Spread, want) {
		t.Errorf("spread: %v", p.Spread)
	}
	seconds := int64(5)
	if want := []corev1.Toleration{{Key: "dedicated", Operator: "Exists", Effect: "NoExecute", TolerationSeconds: &seconds}}; !reflect.DeepEqual(p.Tolerations, want) {
		t.Errorf("tolerations: %v", p.Tolerations)
	}
	if want := (policy.Failover{After: 5 * time.Second}); p.Failover != want {
		t.Errorf("failover: %+v", p.Failover)
	}
	if want := (v1alpha1.PolicySummary{Selects: "Deployment/web", Strategy: "Weighted", Clusters: "all"}); p.Summary() != want {
		t.Errorf("summary: %+v", p.Summary())
	}
	d := made(t, "shop", "web", 0, `clusters: {fields: [{key: continent, operator: In, values: [EU]}]}
fallback: [{names: [a, b, c, d, e]}, {labels: {matchLabels: {x: z}}, exclude: [f]}]`)
	if d.Strategy != v1alpha1.DivideEven || !d.Failover.Enabled || d.Failover.After != 0 || d.Failover.UnschedulableAfter != 5*time.Minute || d.Rollout != nil {
		t.Errorf("defaults: %+v", d)
	}
	if want := (v1alpha1.PolicySummary{Selects: "everything", Strategy: "Even", Clusters: "continent in (EU), then a,b,c,+2, then x in (z) not f"}); d.Summary() != want {
		t.Errorf("summary: %+v", d.Summary())
	}
	none := policy.NoPolicy()
	if none.Strategy != d.Strategy || none.Failover != d.Failover || !none.Allowed(clusters()).Everywhere {
		t.Errorf("no policy is not the defaults: %+v", none)
	}
}

// TestErrors has what the CRD lets through, or an older hub did.
func TestErrors(t *testing.T) {
	for spec, want := range map[string]string{
		`select: {kinds: [{apiVersion: a/b/c, kind: X}]}`:                                        "spec.select.kinds[0].apiVersion: ",
		`select: {labels: {matchLabels: {a b: c}}}`:                                              "spec.select.labels.matchLabels: ",
		`select: {labels: {matchExpressions: [{key: a, operator: Is}]}}`:                         "spec.select.labels.matchExpressions[0].operator: ",
		`select: {labels: {matchExpressions: [{key: a, operator: In}]}}`:                         "spec.select.labels.matchExpressions[0]: ",
		`clusters: {fields: [{key: colour, operator: In, values: [x]}]}`:                         "spec.clusters.fields[0].key: ",
		`clusters: {fields: [{key: zone, operator: Exists}]}`:                                    "spec.clusters.fields[0].operator: ",
		`clusters: {labels: {matchLabels: {a b: c}}}`:                                            "spec.clusters.labels.matchLabels: ",
		`fallback: [{names: [a]}]`:                                                               "spec.fallback: ",
		"clusters: {names: [a]}\nfallback: [{labels: {matchLabels: {a b: c}}}]":                  "spec.fallback[0].labels.matchLabels: ",
		`division: {limits: {a: {min: 2, max: 1}}}`:                                              "spec.division.limits[a]: min 2 is above max 1",
		`division: {limits: {a: {weight: 0}}}`:                                                   "spec.division.limits: the weights must not all be 0",
		`division: {strategy: Weighted}`:                                                         "spec.division.limits: strategy Weighted needs a weight",
		`spread: [{key: zone, atLeast: 2}, {key: topology.kubernetes.io/zone, atLeast: 3}]`:      "spec.spread[1].key: ",
		`failover: {after: 0s}`:                                                                  "spec.failover.after: ",
		`failover: {unschedulableAfter: -1s}`:                                                    "spec.failover.unschedulableAfter: ",
		`rollout: {}`:                                                                            "spec.rollout: either by or groups",
		`rollout: {by: Planet}`:                                                                  "spec.rollout.by: ",
		`rollout: {by: Zone, wait: -1s}`:                                                         "spec.rollout.wait: ",
		`rollout: {by: Zone, progressDeadline: 0s}`:                                              "spec.rollout.progressDeadline: ",
		`rollout: {groups: [{labels: {matchLabels: {a b: c}}}]}`:                                 "spec.rollout.groups[0].labels.matchLabels: ",
		`overrides: [{replicas: 1}, {clusters: {labels: {matchLabels: {a b: c}}}, replicas: 1}]`: "spec.overrides[1].clusters.labels.matchLabels: ",
		`overrides: [{jsonPatch: [{op: add, path: /a}]}]`:                                        "spec.overrides[0].jsonPatch[0]: add needs a value",
		`overrides: [{images: [{registry: mirror}]}]`:                                            `spec.overrides[0].images[0]: registry "mirror"`,
	} {
		p, err := parse(t, "shop", "web", 0, spec)
		if err == nil || p != nil || !strings.HasPrefix(err.Error(), "PlacementPolicy shop/web: "+want) {
			t.Errorf("%s: %v, %v, want %q", spec, p, err, want)
		}
	}
	if _, err := parse(t, "", "web", 0, `namespaces: {labels: {matchLabels: {a b: c}}}`); err == nil || !strings.HasPrefix(err.Error(), "ClusterPlacementPolicy web: spec.namespaces.labels.matchLabels: ") {
		t.Error(err)
	}
}
