package rights

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	apiservercel "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/cel/environment"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// guard is the policy, as an API server evaluates it.
type guard struct {
	validator validating.Validator
}

func newGuard(t *testing.T) *guard {
	t.Helper()
	policy, binding := Guard()
	if binding.Spec.PolicyName != policy.Name || len(binding.Spec.ValidationActions) != 1 {
		t.Fatalf("the binding is %+v", binding.Spec)
	}
	compiler, err := cel.NewCompositedCompiler(environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion()))
	if err != nil {
		t.Fatal(err)
	}
	options := cel.OptionalVariableDeclarations{HasAuthorizer: true}
	for _, v := range policy.Spec.Variables {
		result := compiler.CompileAndStoreVariable(&validating.Variable{Name: v.Name, Expression: v.Expression}, options, environment.StoredExpressions)
		if result.Error != nil {
			t.Fatalf("variable %s: %v", v.Name, result.Error)
		}
	}
	var conditions []cel.ExpressionAccessor
	for i := range policy.Spec.Validations {
		v := &policy.Spec.Validations[i]
		accessor := &validating.ValidationCondition{Expression: v.Expression, Message: v.Message, Reason: v.Reason}
		if result := compiler.CompileCELExpression(accessor, options, environment.StoredExpressions); result.Error != nil {
			t.Fatalf("%s: %v", v.Message, result.Error)
		}
		conditions = append(conditions, accessor)
	}
	none := compiler.CompileCondition(nil, options, environment.StoredExpressions)
	return &guard{
		validator: validating.NewValidator(compiler.CompileCondition(conditions, options, environment.StoredExpressions), nil, none, none, policy.Spec.FailurePolicy, nil),
	}
}

// asked is a request of the account's.
type asked struct {
	operation         admission.Operation
	resource          string // GROUP/RESOURCE[/SUBRESOURCE]
	namespace, name   string
	object, oldObject string // JSON, but for the name
	unmarkedNamespace bool   // its namespace is not marked as the hub's
}

// refuses is what the policy refuses a request with, empty if it lets it through.
func (g *guard) refuses(t *testing.T, a asked) string {
	t.Helper()
	parts := strings.Split(a.resource, "/")
	gvr := schema.GroupVersionResource{Group: parts[0], Version: "v1", Resource: parts[1]}
	gvk := gvr.GroupVersion().WithKind("Kind")
	read := func(text string) runtime.Object {
		if text == "" {
			return nil
		}
		u := &unstructured.Unstructured{}
		if err := json.Unmarshal([]byte(text), &u.Object); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		u.SetGroupVersionKind(gvk)
		u.SetName(a.name)
		u.SetNamespace(a.namespace)
		return u
	}
	sub := ""
	if len(parts) > 2 {
		sub = parts[2]
	}
	object, old := read(a.object), read(a.oldObject)
	attr := admission.NewAttributesRecord(object, old, gvk, a.namespace, a.name, gvr, sub, a.operation, nil, false, &user.DefaultInfo{Name: "system:serviceaccount:hanse-system:hanse-hub"})
	versioned := &admission.VersionedAttributes{Attributes: attr, VersionedKind: gvk, VersionedObject: admission.NewLazyObject(object), VersionedOldObject: admission.NewLazyObject(old)}
	var ns *corev1.Namespace
	if a.namespace != "" {
		ns = &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: a.namespace, Labels: map[string]string{v1alpha1.LabelManaged: "true"}}}
		if a.unmarkedNamespace {
			ns.Labels = nil
		}
	}
	result := g.validator.Validate(context.Background(), gvr, versioned, nil, ns, apiservercel.RuntimeCELCostBudget, nil)
	var said []string
	for _, d := range result.Decisions {
		if d.Action != validating.ActionAdmit {
			said = append(said, d.Message)
		}
	}
	return strings.Join(said, "; ")
}

func metadataOf(labels, annotations string, rest ...string) string {
	return fmt.Sprintf(`{"metadata":{"labels":{%s},"annotations":{%s}}%s}`, labels, annotations, strings.Join(append([]string{""}, rest...), ","))
}

// TestGuard: what the hub does in its daily work goes through, and what only a hub that has been taken over does is refused.
func TestGuard(t *testing.T) {
	g := newGuard(t)
	const managed = `"hanse.dev/managed":"true"`
	plain, ours := `{"metadata":{}}`, metadataOf(managed, "")
	adopted := func(level string) string {
		return metadataOf(managed+level, `"hanse.dev/adopted":"true"`)
	}
	role := func(rule string) string { return metadataOf(managed, "", `"rules":[`+rule+`]`) }
	binding := func(ref, subject string) string {
		return metadataOf(managed, "", `"roleRef":{"kind":"ClusterRole","name":"`+ref+`"}`, `"subjects":[`+subject+`]`)
	}
	someone := `{"kind":"ServiceAccount","name":"web","namespace":"shop"}`
	hub := `{"kind":"ServiceAccount","name":"hanse-hub","namespace":"hanse-system"}`
	const enforce = `,"pod-security.kubernetes.io/enforce":`
	for name, c := range map[string]struct {
		asked
		refused string // a part of the message; empty: it goes through
	}{
		"a ConfigMap":                              {asked{admission.Create, "/configmaps", "shop", "a", ours, "", false}, ""},
		"one in another's namespace":               {asked{admission.Create, "/configmaps", "shop", "a", ours, "", true}, "namespace that is not marked"},
		"one without a mark":                       {asked{admission.Create, "/configmaps", "shop", "a", plain, "", false}, "not marked as its own"},
		"a change of one":                          {asked{admission.Update, "/configmaps", "shop", "a", ours, ours, false}, ""},
		"a change in another's namespace":          {asked{admission.Update, "/configmaps", "shop", "a", ours, ours, true}, "namespace that is not marked"},
		"a change of another's":                    {asked{admission.Update, "/configmaps", "shop", "a", plain, plain, false}, "not marked as its own"},
		"the adoption of one":                      {asked{admission.Update, "/configmaps", "shop", "a", ours, plain, false}, ""},
		"marks taken off, in a released namespace": {asked{admission.Update, "/configmaps", "shop", "a", plain, ours, true}, ""},
		"a deletion":                               {asked{admission.Delete, "/configmaps", "shop", "a", "", ours, false}, ""},
		"a deletion in another's namespace":        {asked{admission.Delete, "/configmaps", "shop", "a", "", ours, true}, ""},
		"a deletion of another's":                  {asked{admission.Delete, "/configmaps", "shop", "a", "", plain, false}, "not marked as its own"},
		"an event":                                 {asked{admission.Create, "/events", "shop", "a", plain, "", false}, ""},
		"a pod in kube-system":                     {asked{admission.Create, "/pods", "kube-system", "a", ours, "", false}, "kube-*"},
		"a Secret in the hub's own namespace":      {asked{admission.Create, "/secrets", "hanse-system", "a", ours, "", false}, "hanse-system"},
		"its own token":                            {asked{admission.Create, "/serviceaccounts/token", "hanse-system", "hanse-hub", `{"metadata":{}}`, "", true}, ""},
		"another's token":                          {asked{admission.Create, "/serviceaccounts/token", "shop", "web", ours, "", false}, "no token but its own"},
		"another's token beside its own":           {asked{admission.Create, "/serviceaccounts/token", "hanse-system", "other", ours, "", false}, "hanse-system"},
		"a note in its namespace":                  {asked{admission.Update, "/namespaces", "", "hanse-system", plain, plain, false}, ""},
		"a service account":                        {asked{admission.Create, "/serviceaccounts", "shop", "web", ours, "", false}, ""},
		"a change of one of its service accounts":  {asked{admission.Update, "/serviceaccounts", "shop", "web", ours, ours, false}, ""},
		"a Secret":                                 {asked{admission.Create, "/secrets", "shop", "a", metadataOf(managed, "", `"type":"Opaque"`), "", false}, ""},
		"a Secret that becomes a token":            {asked{admission.Create, "/secrets", "shop", "a", metadataOf(managed, "", `"type":"kubernetes.io/service-account-token"`), "", false}, "becomes a token"},
		"a bootstrap token":                        {asked{admission.Create, "/secrets", "shop", "a", metadataOf(managed, "", `"type":"bootstrap.kubernetes.io/token"`), "", false}, "becomes a token"},
		"a Namespace":                              {asked{admission.Create, "/namespaces", "", "shop", metadataOf(managed+enforce+`"privileged"`, ""), "", false}, ""},
		"a Namespace of the system's":              {asked{admission.Create, "/namespaces", "", "kube-more", ours, "", false}, "kube-*"},
		"its own Namespace made weaker":            {asked{admission.Update, "/namespaces", "", "shop", metadataOf(managed+enforce+`"privileged"`, ""), metadataOf(managed+enforce+`"baseline"`, ""), false}, ""},
		"an adopted one made weaker":               {asked{admission.Update, "/namespaces", "", "shop", adopted(enforce + `"privileged"`), adopted(enforce + `"baseline"`), false}, "weakens"},
		"one made weaker while it is adopted":      {asked{admission.Update, "/namespaces", "", "shop", adopted(enforce + `"privileged"`), metadataOf(`"pod-security.kubernetes.io/enforce":"restricted"`, ""), false}, "weakens"},
		"an adopted one's label taken off":         {asked{admission.Update, "/namespaces", "", "shop", adopted(""), adopted(enforce + `"baseline"`), false}, "weakens"},
		"an adopted one made stricter":             {asked{admission.Update, "/namespaces", "", "shop", adopted(enforce + `"restricted"`), adopted(enforce + `"baseline"`), false}, ""},
		"an adopted one let go":                    {asked{admission.Update, "/namespaces", "", "shop", metadataOf(`"pod-security.kubernetes.io/enforce":"baseline"`, ""), adopted(enforce + `"baseline"`), false}, ""},
		"an adopted one deleted":                   {asked{admission.Delete, "/namespaces", "", "shop", "", adopted(""), false}, "deletes no Namespace"},
		"default deleted":                          {asked{admission.Delete, "/namespaces", "", "default", "", ours, false}, "deletes no Namespace"},
		"a Role":                                   {asked{admission.Create, "rbac.authorization.k8s.io/roles", "shop", "a", role(`{"verbs":["get"],"apiGroups":["*",""],"resources":["secrets"]}`), "", false}, ""},
		"a role that escalates":                    {asked{admission.Create, "rbac.authorization.k8s.io/clusterroles", "", "a", role(`{"verbs":["get","escalate"],"apiGroups":["rbac.authorization.k8s.io"],"resources":["clusterroles"]}`), "", false}, "escalate"},
		"a role that impersonates":                 {asked{admission.Create, "rbac.authorization.k8s.io/clusterroles", "", "a", role(`{"verbs":["impersonate-on:user-info:get"],"apiGroups":[""],"resources":["pods"]}`), "", false}, "impersonate"},
		"a role with every right":                  {asked{admission.Create, "rbac.authorization.k8s.io/clusterroles", "", "a", role(`{"verbs":["*"],"apiGroups":["*"],"resources":["*"]}`), "", false}, "every right"},
		"a role that gathers others":               {asked{admission.Create, "rbac.authorization.k8s.io/clusterroles", "", "a", metadataOf(managed, "", `"rules":[]`, `"aggregationRule":{}`), "", false}, "gathers"},
		"a binding":                                {asked{admission.Create, "rbac.authorization.k8s.io/rolebindings", "shop", "a", binding("traefik", someone), "", false}, ""},
		"a binding of cluster-admin":               {asked{admission.Create, "rbac.authorization.k8s.io/clusterrolebindings", "", "a", binding("cluster-admin", someone), "", false}, "cluster-admin"},
		"a binding of a role of the system's":      {asked{admission.Create, "rbac.authorization.k8s.io/clusterrolebindings", "", "a", binding("system:node", someone), "", false}, "cluster-admin"},
		"a binding of itself":                      {asked{admission.Create, "rbac.authorization.k8s.io/rolebindings", "shop", "a", binding("edit", hub), "", false}, "nor itself"},
		"more rights for itself":                   {asked{admission.Update, "rbac.authorization.k8s.io/clusterroles", "", "hanse-hub", role(`{"verbs":["*"],"apiGroups":["*"],"resources":["*"]}`), `{"metadata":{},"rules":[]}`, false}, "its own rights"},
		"its own role given to a binding":          {asked{admission.Update, "rbac.authorization.k8s.io/clusterroles", "", "hanse-hub", `{"metadata":{"ownerReferences":[]},"rules":[]}`, `{"metadata":{},"rules":[]}`, false}, ""},
		"its own binding deleted":                  {asked{admission.Delete, "rbac.authorization.k8s.io/clusterrolebindings", "", "hanse-hub", "", plain, false}, ""},
		"custom resources for itself":              {asked{admission.Create, "rbac.authorization.k8s.io/clusterroles", "", "hanse-hub:example.com", `{"metadata":{},"rules":[{"verbs":["get"],"apiGroups":["example.com"],"resources":["widgets"]}]}`, "", false}, ""},
		"others by the name of custom ones":        {asked{admission.Create, "rbac.authorization.k8s.io/clusterroles", "", "hanse-hub:example.com", `{"metadata":{},"rules":[{"verbs":["get"],"apiGroups":["","example.com"],"resources":["nodes"]}]}`, "", false}, "its own rights"},
		"built-in ones as custom ones":             {asked{admission.Create, "rbac.authorization.k8s.io/clusterroles", "", "hanse-hub:rbac.authorization.k8s.io", `{"metadata":{},"rules":[{"verbs":["get"],"apiGroups":["rbac.authorization.k8s.io"],"resources":["roles"]}]}`, "", false}, "its own rights"},
		"the binding of custom resources":          {asked{admission.Create, "rbac.authorization.k8s.io/clusterrolebindings", "", "hanse-hub:example.com", `{"metadata":{},"roleRef":{"name":"hanse-hub:example.com"},"subjects":[` + hub + `]}`, "", false}, ""},
		"another's binding under such a name":      {asked{admission.Create, "rbac.authorization.k8s.io/clusterrolebindings", "", "hanse-hub:example.com", `{"metadata":{},"roleRef":{"name":"cluster-admin"},"subjects":[` + hub + `]}`, "", false}, "its own rights"},
		"a Deployment scaled in place":             {asked{admission.Update, "apps/deployments", "shop", "a", ours, ours, false}, ""},
		"a command in a pod":                       {asked{admission.Connect, "/pods/exec", "shop", "a", `{"metadata":{}}`, "", false}, "not marked as its own"},
	} {
		t.Run(name, func(t *testing.T) {
			said := g.refuses(t, c.asked)
			if (said == "") != (c.refused == "") || !strings.Contains(said, c.refused) {
				t.Errorf("refused with %q, want %q", said, c.refused)
			}
		})
	}
}
