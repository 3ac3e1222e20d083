package dns

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-dev/hanse/internal/dns/geo"
	"github.com/hanse-dev/hanse/internal/dns/residence"
	"github.com/hanse-dev/hanse/internal/dns/steer"
)

func residencyOf(name string, generation int64, spec map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "hanse.dev/v1alpha1", "kind": "Residency",
		"metadata": map[string]any{"name": name, "uid": "uid-" + name, "generation": generation}, "spec": spec,
	}}
}

func inContinent(continent string) map[string]any {
	return map[string]any{"fields": []any{map[string]any{"key": "continent", "operator": "In", "values": []any{continent}}}}
}

// declaredCluster is a Cluster whose place was declared at the hub, except for google's, of which only its nodes say it.
func declaredCluster(name, provider, region string) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "hanse.dev/v1alpha1", "kind": "Cluster", "metadata": map[string]any{"name": name, "uid": "uid-" + name},
		"spec":   map[string]any{"endpoint": "https://example.com", "credentialSecret": name, "uid": name},
		"status": map[string]any{"provider": provider, "region": region},
	}}
	if name != "google" {
		_ = unstructured.SetNestedField(u.Object, provider, "spec", "provider")
		_ = unstructured.SetNestedField(u.Object, region, "spec", "region")
	}
	return u
}

// outside are the clusters that what is in a namespace is kept out of.
func outside(k *caches, namespace string) string {
	r := k.Residence(namespace)
	if r == nil {
		return "none"
	}
	var names []string
	for _, c := range k.Clusters() {
		if r.Outside[c.Name] != "" {
			names = append(names, c.Name)
		}
	}
	return strings.Join(names, ",")
}

func TestResidence(t *testing.T) {
	c, _ := newTest(t)
	k := c.caches
	clusters, residencies := c.clusterSink(func() {}), c.residencySink(func() {})
	clusters.Replace([]*unstructured.Unstructured{
		declaredCluster("aws", "aws", "us-east-1"), declaredCluster("azure", "azure", "westeurope"), declaredCluster("google", "google", "europe-west1"),
	})
	if got := outside(k, "shop"); got != "none" {
		t.Errorf("nobody restricts it, and it is kept out of %s", got)
	}
	residencies.Replace([]*unstructured.Unstructured{residencyOf("eu", 1, map[string]any{"namespaces": []any{"shop"}, "clusters": inContinent("EU")})})
	if got := outside(k, "shop"); got != "aws,google" { // that google is in Europe says google alone
		t.Errorf("kept out of %s", got)
	}
	if got := outside(k, "other"); got != "none" {
		t.Errorf("another namespace is kept out of %s", got)
	}
	residencies.Apply(residencyOf("eu", 2, map[string]any{"namespaces": []any{"shop"}, "clusters": map[string]any{"labels": map[string]any{"matchLabels": int64(1)}}}))
	if got := outside(k, "shop"); got != "aws,google" {
		t.Errorf("once it is not valid: kept out of %s", got)
	}
	residencies.Apply(residencyOf("labelled", 1, map[string]any{
		"namespaceSelector": map[string]any{"matchLabels": map[string]any{"tier": "us"}}, "clusters": inContinent("NA")}))
	if got := outside(k, "us"); got != "aws,azure,google" {
		t.Errorf("before its Namespace was read: kept out of %s", got)
	}
	c.namespaceSink(func() {}).Replace([]*corev1.Namespace{
		{ObjectMeta: metav1.ObjectMeta{Name: "us", Labels: map[string]string{"tier": "us"}}}, {ObjectMeta: metav1.ObjectMeta{Name: "shop"}}, {ObjectMeta: metav1.ObjectMeta{Name: "other"}}})
	if got := outside(k, "us") + " " + outside(k, "other"); got != "azure,google none" {
		t.Errorf("by labels: kept out of %s", got)
	}
	clusters.Apply(declaredCluster("aws", "aws", "eu-west-1"))
	if got := outside(k, "shop"); got != "google" {
		t.Errorf("once aws is declared to be in Europe: kept out of %s", got)
	}
	residencies.Replace(nil)
	if got := outside(k, "shop"); got != "none" {
		t.Errorf("once it is deleted: kept out of %s", got)
	}
}

// TestServingOfSeveralResidencies: all of them have to let a cluster answer.
func TestServingOfSeveralResidencies(t *testing.T) {
	c, _ := newTest(t)
	c.clusterSink(func() {}).Replace([]*unstructured.Unstructured{declaredCluster("aws", "aws", "us-east-1"), declaredCluster("azure", "azure", "westeurope")})
	everywhere := map[string]any{"exclude": []any{"nobody"}}
	c.residencySink(func() {}).Replace([]*unstructured.Unstructured{
		residencyOf("a", 1, map[string]any{"namespaces": []any{"shop"}, "clusters": everywhere, "serving": []any{
			map[string]any{"continents": []any{"EU"}, "clusters": inContinent("EU")}, map[string]any{"clusters": everywhere}}}),
		residencyOf("b", 1, map[string]any{"namespaces": []any{"shop"}, "clusters": everywhere, "serving": []any{
			map[string]any{"countries": []any{"US"}, "clusters": map[string]any{"names": []any{"aws"}}}, map[string]any{"continents": []any{"EU"}, "clusters": everywhere}}}),
	})
	h := steer.Host{Policy: steer.All, Serving: c.caches.Residence("shop").Serving}
	for _, name := range []string{"aws", "azure"} {
		h.Clusters = append(h.Clusters, steer.Cluster{Name: name, Up: true, Hostname: name + ".example.com."})
	}
	for place, want := range map[geo.Place]string{
		{Continent: "EU", Country: "FR"}: "azure", {Continent: "NA", Country: "US"}: "aws", {Continent: "AS", Country: "JP"}: "", {}: "",
	} {
		got := ""
		for _, choice := range steer.Choose(&h, place) {
			for _, i := range choice.Clusters {
				got += h.Clusters[i].Name
			}
		}
		if got != want {
			t.Errorf("%+v is answered with %q, want %q", place, got, want)
		}
	}
}

// TestOthersServeWhatMayAnswerAnybody: they are not trusted to tell clients apart.
func TestOthersServeWhatMayAnswerAnybody(t *testing.T) {
	serving := &steer.Serving{Terms: []steer.Term{{Of: "r", Rules: []steer.ServingRule{{Continents: []string{"EU"}, Clusters: []string{"azure"}}, {Clusters: []string{"aws", "azure"}}}}}}
	in := []steer.Host{{Serving: serving, Clusters: []steer.Cluster{{Name: "aws", Hostname: "a."}, {Name: "azure", Hostname: "b."}}}, {Clusters: []steer.Cluster{{Name: "aws", Hostname: "a."}}}}
	out := residence.ForAll(in)
	if out[0].Clusters[0].Reachable() || !out[0].Clusters[1].Reachable() || out[0].Serving != nil || !out[1].Clusters[0].Reachable() {
		t.Errorf("%+v", out)
	}
	if !in[0].Clusters[0].Reachable() {
		t.Error("what the hub serves was changed")
	}
}
