package policies

import (
	"maps"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-dev/hanse/internal/policy"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

func TestParseDefaults(t *testing.T) {
	d, err := ParseDefaults([]string{"secrets=Needed", "configmaps=Everywhere", "widgets.example.com=None", "secrets=Needed"})
	if want := (Defaults{"secrets": "Needed", "configmaps": "Everywhere", "widgets.example.com": "None"}); err != nil || !maps.Equal(d, want) {
		t.Errorf("%v, %v", d, err)
	}
	for setting, want := range map[string]string{
		"secrets":                     `secrets: "" is not known. Try: Everywhere, Needed or None`,
		"secrets=needed":              `"needed" is not known`,
		"=Needed":                     `"=Needed" does not name a resource`,
		"Secret=Needed":               `does not name a resource`,
		"*=None":                      `does not name a resource`,
		"v1/secrets=None":             `does not name a resource`,
		"deployments.apps=Needed":     "only secrets and configmaps are named by other objects. Try: deployments.apps=Everywhere or deployments.apps=None",
		"namespaces=None":             "nothing can be in a cluster without them",
		"secrets=None,secrets=Needed": "is not known", // as one
		"customresourcedefinitions.apiextensions.k8s.io=None": "nothing can be in a cluster without them",
	} {
		if _, err := ParseDefaults([]string{setting}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", setting, err)
		}
	}
	if _, err := ParseDefaults([]string{"secrets=None", "secrets=Needed"}); err == nil || !strings.Contains(err.Error(), "it is also set to None") {
		t.Errorf("twice: %v", err)
	}
}

// TestWhatANamespaceSays is for its Secrets and ConfigMaps, overrules the hub's default, and is held where it makes no sense, which
// no policy changes.
func TestWhatANamespaceSays(t *testing.T) {
	secret, err := template.Read(schema.GroupResource{Resource: "secrets"}, &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Secret",
		"metadata": map[string]any{"name": "web", "namespace": "shop"}}}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	d, label := Defaults{"secrets": "None", "deployments.apps": "None"}, func(how string) map[string]string { return map[string]string{"hanse.dev/propagation": how} }
	for _, c := range []struct {
		t         *template.Template
		namespace map[string]string
		how, by   string
	}{
		{secret, nil, "None", "the hub's default for secrets"},
		{secret, label("Everywhere"), "Everywhere", "Namespace shop"},
		{secret, label("Needed"), "Needed", "Namespace shop"},
		{web(t), label("Everywhere"), "None", "the hub's default for deployments.apps"},
	} {
		if how := d.Propagation(c.t, policy.NoPolicy(), c.namespace); how.How != c.how || how.By != c.by || how.Problem != "" {
			t.Errorf("%s in %v: %+v", c.t.Key, c.namespace, how)
		}
	}
	p := New()
	open := manifest("open", 1)
	open.Object["spec"].(map[string]any)["propagation"] = "Everywhere"
	p.Write(written(open), nil)
	if how := d.Propagation(secret, p.For(secret), label("everywhere")); !strings.Contains(how.Problem, `label hanse.dev/propagation of Namespace shop, so nothing new is placed: "everywhere" is not known`) || how.How != "" {
		t.Errorf("%+v", how)
	}
}
