package admission

import (
	"context"
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

func residencyNamed(t *testing.T, name, spec string) unstructured.Unstructured {
	t.Helper()
	return *parse(t, "apiVersion: hanse.dev/v1alpha1\nkind: Residency\nmetadata: {name: "+name+"}\nspec: "+spec)
}

const (
	europeOnly = "{namespaceSelector: {matchLabels: {tier: eu}}, clusters: {fields: [{key: region, operator: In, values: [westeurope]}]}}"
	byNameOnly = "{namespaces: [shop], clusters: {names: [azure]}, serving: [{clusters: {labels: {matchLabels: {serves: all}}}}]}"
)

func namespaceWith(labels map[string]string) *corev1.Namespace {
	return &corev1.Namespace{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"}, ObjectMeta: metav1.ObjectMeta{Name: "shop", Labels: labels}}
}

// TestNobodyLeavesAResidencyByLabels who may not release, by whatever subresource.
func TestNobodyLeavesAResidencyByLabels(t *testing.T) {
	eu, other := namespaceWith(map[string]string{"tier": "eu"}), namespaceWith(map[string]string{"tier": "us"})
	also := namespaceWith(map[string]string{"tier": "eu", "team": "a"})
	namespaces := corev1.SchemeGroupVersion.WithResource("namespaces")
	for name, c := range map[string]struct {
		before, after *corev1.Namespace
		rights        []string
		refusal       []string
	}{
		"out":                 {before: eu, after: other, rights: []string{"restrict residencies.hanse.dev eu"}, refusal: []string{"take the namespace out of Residency eu", `"ann" may not release residencies.hanse.dev eu`, "Try: an administrator"}},
		"out, by who may":     {before: eu, after: other, rights: []string{"release residencies.hanse.dev eu"}},
		"in":                  {before: other, after: eu, rights: []string{"release residencies.hanse.dev eu"}, refusal: []string{"put the namespace under Residency eu", "restrict residencies.hanse.dev eu"}},
		"in, by who may":      {before: other, after: eu, rights: []string{"restrict residencies.hanse.dev eu"}},
		"a label besides":     {before: eu, after: also},
		"the same":            {before: eu, after: eu},
		"made under one":      {after: eu},
		"made beside all":     {after: other},
		"out of one by names": {before: namespaceWith(nil), after: namespaceWith(map[string]string{"a": "b"})},
	} {
		for _, subresource := range []string{"", "status", "finalize"} {
			t.Run(name+" "+subresource, func(t *testing.T) {
				p, _ := plugin(t, c.rights...)
				p.residencies = func(context.Context) ([]unstructured.Unstructured, error) {
					return []unstructured.Unstructured{residencyNamed(t, "eu", europeOnly), residencyNamed(t, "names", byNameOnly)}, nil
				}
				var before metav1.Object
				if c.before != nil {
					before = c.before
				}
				expect(t, p.Validate(t.Context(), write(namespaces, subresource, before, c.after), nil), c.refusal...)
			})
		}
	}
	p, _ := plugin(t, "release residencies.hanse.dev eu")
	p.residencies = func(context.Context) ([]unstructured.Unstructured, error) { return nil, errors.New("cannot be listed") }
	expect(t, p.Validate(t.Context(), write(namespaces, "", eu, other), nil), "cannot be listed")
	hub := &user.DefaultInfo{Name: "system:hanse", Groups: []string{user.SystemPrivilegedGroup}}
	expect(t, p.Validate(t.Context(), admission.NewAttributesRecord(other, eu, eu.GroupVersionKind(), "", "shop", namespaces, "", admission.Update, nil, false, hub), nil))
}

// TestAResidencyThatIsNotUnderstoodIsLeftByNobody: it selects what it did, or what it may.
func TestAResidencyThatIsNotUnderstoodIsLeftByNobody(t *testing.T) {
	unread := residencyNamed(t, "eu", "{namespaceSelector: {matchLabels: {tier: eu}}, clusters: {labels: {matchLabels: 1}}}")
	p, _ := plugin(t)
	p.residencies = func(context.Context) ([]unstructured.Unstructured, error) {
		return []unstructured.Unstructured{unread}, nil
	}
	out := write(corev1.SchemeGroupVersion.WithResource("namespaces"), "", namespaceWith(map[string]string{"tier": "eu"}), namespaceWith(nil))
	expect(t, p.Validate(t.Context(), out, nil), "release residencies.hanse.dev eu")
}

// TestNobodyDeclaresAClusterIntoAResidency who may not release, but may update or even join Clusters.
func TestNobodyDeclaresAClusterIntoAResidency(t *testing.T) {
	const way = "endpoint: 'https://a', credentialSecret: cluster-c, uid: u"
	cluster := func(name, labels, spec string) *unstructured.Unstructured {
		return parse(t, "apiVersion: hanse.dev/v1alpha1\nkind: Cluster\nmetadata: {name: "+name+", labels: {"+labels+"}}\nspec: {"+way+spec+"}\nstatus: {region: westeurope}")
	}
	join := "create secrets in namespace hanse-system"
	for name, c := range map[string]struct {
		before, after *unstructured.Unstructured
		rights        []string
		refusal       []string
	}{
		"declared to be there":             {before: cluster("c", "", ""), after: cluster("c", "", ", region: westeurope"), refusal: []string{"what is declared of cluster c", "release residencies.hanse.dev eu"}},
		"declared to be there, by who may": {before: cluster("c", "", ""), after: cluster("c", "", ", region: westeurope"), rights: []string{"release residencies.hanse.dev eu"}},
		"declared to be elsewhere":         {before: cluster("c", "", ", region: westeurope"), after: cluster("c", "", ", region: eastus")},
		"labelled as if it were":           {before: cluster("c", "", ""), after: cluster("c", "topology.kubernetes.io/region: westeurope", "")},
		"another change":                   {before: cluster("c", "", ", region: westeurope"), after: cluster("c", "", ", region: westeurope, unschedulable: true")},
		"joined as if it were there":       {after: cluster("c", "", ", region: westeurope"), rights: []string{join}, refusal: []string{"release residencies.hanse.dev eu"}},
		"joined elsewhere":                 {after: cluster("c", "", ", region: eastus"), rights: []string{join}},
		"joined by a name that it allows":  {after: cluster("azure", "", ""), rights: []string{join}, refusal: []string{"release residencies.hanse.dev names"}},
		"to answer whom it may not":        {before: cluster("azure", "", ""), after: cluster("azure", "serves: all", ""), refusal: []string{"release residencies.hanse.dev names"}},
	} {
		t.Run(name, func(t *testing.T) {
			p, _ := plugin(t, c.rights...)
			p.residencies = func(context.Context) ([]unstructured.Unstructured, error) {
				return []unstructured.Unstructured{residencyNamed(t, "eu", europeOnly), residencyNamed(t, "names", byNameOnly)}, nil
			}
			expect(t, p.Validate(t.Context(), write(v1alpha1.Resource("clusters"), "", c.before, c.after), nil), c.refusal...)
		})
	}
}

func TestResidenciesThatTheHubDoesNotRead(t *testing.T) {
	residencies := v1alpha1.Resource("residencies")
	p, _ := plugin(t)
	good := residencyNamed(t, "eu", europeOnly)
	expect(t, p.Validate(t.Context(), write(residencies, "", nil, &good), nil))
	for spec, word := range map[string]string{
		"{clusters: {names: [a]}}": "must say which namespaces are meant",
		"{namespaces: [shop]}":     "spec.clusters: must have",
		"{namespaces: [shop], clusters: {fields: [{key: planet, operator: In, values: [mars]}]}}":                  "spec.clusters.fields[0].key",
		"{namespaces: [shop], clusters: {names: [a]}, serving: [{clusters: {labels: {matchLabels: {'a b': c}}}}]}": "spec.serving[0].clusters.labels",
		"{namespaceSelector: {matchExpressions: [{key: a, operator: In}]}, clusters: {names: [a]}}":                "spec.namespaceSelector",
		"{namespaces: [shop], clusters: {names: 7}}":                                                               "cannot",
	} {
		r := residencyNamed(t, "eu", spec)
		expect(t, p.Validate(t.Context(), write(residencies, "", nil, &r), nil), word)
	}
	claiming := residencyNamed(t, "eu", europeOnly)
	claiming.Object["status"] = map[string]any{"inEffect": map[string]any{"generation": int64(1)}}
	expect(t, p.Validate(t.Context(), write(residencies, "status", &good, &claiming), nil), "nobody else may write it")
}
