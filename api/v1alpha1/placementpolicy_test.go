package v1alpha1_test

import (
	"context"
	"os"
	"strings"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/install"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	crdvalidation "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"
)

// readCRD is a CRD of this package as an API server holds it.
func readCRD(t *testing.T, plural string) *apiextensions.CustomResourceDefinition {
	t.Helper()
	raw, err := os.ReadFile("crds/hanse.dev_" + plural + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	var external apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(raw, &external); err != nil {
		t.Fatal(err)
	}
	scheme := runtime.NewScheme()
	install.Install(scheme)
	scheme.Default(&external)
	external.Status.StoredVersions = []string{external.Spec.Versions[0].Name}
	var crd apiextensions.CustomResourceDefinition
	if err := scheme.Convert(&external, &crd, nil); err != nil {
		t.Fatal(err)
	}
	return &crd
}

// TestCRDs has an API server's checks of a CRD, the budgets of its rules among
// them.
func TestCRDs(t *testing.T) {
	for _, plural := range []string{"clusters", "placements", "globalroutes", "dnszones", "placementpolicies", "clusterplacementpolicies"} {
		for _, err := range crdvalidation.ValidateCustomResourceDefinition(t.Context(), readCRD(t, plural)) {
			t.Errorf("%s: %v", plural, err)
		}
	}
}

// checker checks objects as an API server does when they are written.
type checker struct {
	structural *schema.Structural
	openapi    validation.SchemaValidator
	rules      *cel.Validator
}

func newChecker(t *testing.T, plural string) *checker {
	t.Helper()
	crd := readCRD(t, plural)
	props := crd.Spec.Validation
	if props == nil {
		props = crd.Spec.Versions[0].Schema
	}
	structural, err := schema.NewStructural(props.OpenAPIV3Schema)
	if err != nil {
		t.Fatal(err)
	}
	openapi, _, err := validation.NewSchemaValidator(props.OpenAPIV3Schema)
	if err != nil {
		t.Fatal(err)
	}
	return &checker{structural, openapi, cel.NewValidator(structural, true, celconfig.PerCallLimit)}
}

func (c *checker) check(ctx context.Context, t *testing.T, object string) field.ErrorList {
	t.Helper()
	raw, err := yaml.YAMLToJSON([]byte(object))
	if err != nil {
		t.Fatalf("%v in\n%s", err, object)
	}
	var obj map[string]any
	if err := json.Unmarshal(raw, &obj); err != nil {
		t.Fatal(err)
	}
	errs := validation.ValidateCustomResource(nil, obj, c.openapi)
	errs = append(errs, listtype.ValidateListSetsAndMaps(nil, c.structural, obj)...)
	if len(errs) > 0 {
		return errs
	}
	errs, _ = c.rules.Validate(ctx, nil, c.structural, obj, nil, celconfig.RuntimeCELCostBudget)
	return errs
}

func policyYAML(kind, spec string) string {
	return "apiVersion: hanse.dev/v1alpha1\nkind: " + kind + "\nmetadata: {name: web}\nspec:\n  " +
		strings.ReplaceAll(strings.TrimSpace(spec), "\n", "\n  ") + "\n"
}

func TestValidPolicies(t *testing.T) {
	c, cc := newChecker(t, "placementpolicies"), newChecker(t, "clusterplacementpolicies")
	for _, spec := range validSpecs() {
		for _, err := range c.check(t.Context(), t, policyYAML("PlacementPolicy", spec)) {
			t.Errorf("%v in\n%s", err, spec)
		}
		for _, err := range cc.check(t.Context(), t, policyYAML("ClusterPlacementPolicy", spec)) {
			t.Errorf("%v in\n%s", err, spec)
		}
	}
	object := policyYAML("ClusterPlacementPolicy", "namespaces: {names: [shop], labels: {matchLabels: {tier: gold}}, exclude: [test]}\nselect: {names: [web]}")
	for _, err := range cc.check(t.Context(), t, object) {
		t.Error(err)
	}
}

func TestInvalidPolicies(t *testing.T) {
	c := newChecker(t, "placementpolicies")
	for _, bad := range invalidSpecs() {
		expectError(t, c, policyYAML("PlacementPolicy", bad.spec), bad)
	}
}

func TestInvalidClusterPolicies(t *testing.T) {
	c := newChecker(t, "clusterplacementpolicies")
	for _, bad := range invalidSpecs() { // all of a PlacementPolicy's holds
		expectError(t, c, policyYAML("ClusterPlacementPolicy", bad.spec), bad)
	}
	for _, bad := range []invalid{
		{"namespaces: {}", "spec.namespaces", "namespaces must have names, labels or exclude"},
		{"namespaces: {names: [Shop]}", "spec.namespaces.names[0]", ""},
		{"namespaces: {names: [shop, shop]}", "spec.namespaces.names[1]", "Duplicate value"},
		{"namespaces: {labels: {matchLabels: {a/b/c: x}}}", "spec.namespaces.labels.matchLabels", ""},
	} {
		expectError(t, c, policyYAML("ClusterPlacementPolicy", bad.spec), bad)
	}
}

func expectError(t *testing.T, c *checker, object string, bad invalid) {
	t.Helper()
	errs := c.check(t.Context(), t, object)
	for _, err := range errs {
		if err.Field == bad.field && strings.Contains(err.Error(), bad.message) {
			return
		}
	}
	t.Errorf("no error at %s with %q but %v, for\n%s", bad.field, bad.message, errs, object)
}

// TestEveryRuleHasACase: each rule of the schema refuses one of the objects.
func TestEveryRuleHasACase(t *testing.T) {
	c := newChecker(t, "placementpolicies")
	var said strings.Builder
	for _, bad := range invalidSpecs() {
		for _, err := range c.check(t.Context(), t, policyYAML("PlacementPolicy", bad.spec)) {
			said.WriteString(err.Detail + "\n")
		}
	}
	rules := messages(c.structural)
	if len(rules) < 30 {
		t.Fatalf("only %d rules found", len(rules))
	}
	for _, message := range rules {
		if !strings.Contains(said.String(), message+"\n") {
			t.Errorf("no object is refused with %q", message)
		}
	}
}

// messages are those of the rules of a schema and of all below it.
func messages(s *schema.Structural) []string {
	var all []string
	for _, rule := range s.XValidations {
		all = append(all, rule.Message)
	}
	for _, below := range s.Properties {
		all = append(all, messages(&below)...)
	}
	if s.Items != nil {
		all = append(all, messages(s.Items)...)
	}
	if s.AdditionalProperties != nil && s.AdditionalProperties.Structural != nil {
		all = append(all, messages(s.AdditionalProperties.Structural)...)
	}
	return all
}
