package admission

import (
	"context"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	rbacregistry "k8s.io/kubernetes/pkg/registry/rbac/validation"
	"sigs.k8s.io/yaml"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// asker is an authorizer that knows rights as right.String has them, and counts what it is asked.
type asker struct {
	allowed map[string]bool
	asked   int
}

func (f *asker) Authorize(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	f.asked++
	r := right{verb: a.GetVerb(), resource: schema.GroupResource{Group: a.GetAPIGroup(), Resource: a.GetResource()}, namespace: a.GetNamespace(), name: a.GetName()}
	if a.IsResourceRequest() && a.GetUser().GetName() == "ann" && f.allowed[r.String()] {
		return authorizer.DecisionAllow, "", nil
	}
	return authorizer.DecisionNoOpinion, "", nil
}

// plugin is one whose ann has rights, and may get pods everywhere by RBAC.
func plugin(t *testing.T, rights ...string) (*Plugin, *asker) {
	t.Helper()
	made, err := New(nil)
	if err != nil {
		t.Fatal(err)
	}
	p, f := made.(*Plugin), &asker{allowed: map[string]bool{}}
	for _, r := range rights {
		f.allowed[r] = true
	}
	if p.ValidateInitialization() == nil {
		t.Error("it would run without an authorizer")
	}
	p.SetUnconditionalAuthorizer(f)
	mapper := meta.NewDefaultRESTMapper([]schema.GroupVersion{{Version: "v1"}, {Group: "apps", Version: "v1"}, {Group: rbacGroup, Version: "v1"}})
	for _, gvk := range []schema.GroupVersionKind{
		{Group: "apps", Version: "v1", Kind: "Deployment"}, {Version: "v1", Kind: "ConfigMap"}, {Version: "v1", Kind: "Secret"},
		{Group: rbacGroup, Version: "v1", Kind: "Role"}, {Group: rbacGroup, Version: "v1", Kind: "RoleBinding"},
	} {
		mapper.Add(gvk, meta.RESTScopeNamespace)
	}
	p.SetRESTMapper(mapper)
	p.rules, _ = rbacregistry.NewTestRuleResolver(nil, nil,
		[]*rbacv1.ClusterRole{{ObjectMeta: metav1.ObjectMeta{Name: "pods"}, Rules: []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"get"}}}}},
		[]*rbacv1.ClusterRoleBinding{{Subjects: []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacGroup, Name: "ann"}}, RoleRef: rbacv1.RoleRef{APIGroup: rbacGroup, Kind: "ClusterRole", Name: "pods"}}})
	p.residencies = func(context.Context) ([]unstructured.Unstructured, error) { return nil, nil }
	if err := p.ValidateInitialization(); err != nil {
		t.Error(err)
	}
	return p, f
}

func parse(t *testing.T, document string) *unstructured.Unstructured {
	t.Helper()
	if document == "" {
		return nil
	}
	u := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(document), &u.Object); err != nil {
		t.Fatal(err)
	}
	return u
}

// write is ann's request to have after where before was, if there is any.
func write(resource schema.GroupVersionResource, subresource string, before, after metav1.Object) admission.Attributes {
	var object, old runtime.Object
	operation := admission.Create
	if u, ok := before.(*unstructured.Unstructured); before != nil && (!ok || u != nil) {
		old, operation = before.(runtime.Object), admission.Update
	}
	object = after.(runtime.Object)
	return admission.NewAttributesRecord(object, old, object.GetObjectKind().GroupVersionKind(), after.GetNamespace(), after.GetName(), resource, subresource,
		operation, nil, false, &user.DefaultInfo{Name: "ann"})
}

// expect compares what a plugin says with the words that it should; no words: nothing.
func expect(t *testing.T, err error, words ...string) {
	t.Helper()
	if (err != nil) != (len(words) > 0) {
		t.Errorf("refused: %v, expected %q", err, words)
		return
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%v does not say %q", err, word)
		}
	}
}

func namespaced(spec string) string {
	return "apiVersion: hanse.dev/v1alpha1\nkind: PlacementPolicy\nmetadata: {name: p, namespace: shop}\nspec: " + spec
}

func clusterWide(spec string) string {
	return "apiVersion: hanse.dev/v1alpha1\nkind: ClusterPlacementPolicy\nmetadata: {name: p}\nspec: " + spec
}

const (
	deployments = "select: {kinds: [{apiVersion: apps/v1, kind: Deployment}]}"
	label       = "{labels: {set: {a: b}}}"
)

func TestPolicies(t *testing.T) {
	for name, c := range map[string]struct {
		before, after string
		rights        []string
		subresource   string
		refusal       []string
	}{
		"without overrides":                         {after: namespaced("{clusters: {names: [aws]}}")},
		"of a kind":                                 {after: namespaced("{" + deployments + ", overrides: [" + label + "]}"), refusal: []string{`"ann" may not update deployments.apps in namespace shop`, "rolebindings"}},
		"of a kind that she may update":             {after: namespaced("{" + deployments + ", overrides: [" + label + "]}"), rights: []string{"update deployments.apps in namespace shop"}},
		"of a kind by the override":                 {after: namespaced("{overrides: [{kinds: [{apiVersion: apps/v1, kind: Deployment}], labels: {set: {a: b}}}]}"), rights: []string{"update deployments.apps in namespace shop"}},
		"of a kind that is not selected":            {after: namespaced("{select: {kinds: [{apiVersion: v1, kind: ConfigMap}]}, overrides: [{kinds: [{apiVersion: apps/v1, kind: Deployment}], labels: {set: {a: b}}}]}")},
		"of a kind without images":                  {after: namespaced("{select: {kinds: [{apiVersion: v1, kind: ConfigMap}]}, overrides: [{images: [{tag: a}]}]}")},
		"the second override":                       {after: namespaced("{select: {kinds: [{apiVersion: apps/v1, kind: Deployment}, {apiVersion: v1, kind: ConfigMap}]}, overrides: [{images: [{tag: a}]}, " + label + "]}"), rights: []string{"update deployments.apps in namespace shop"}, refusal: []string{"spec.overrides[1]", "update configmaps in namespace shop"}},
		"of all kinds":                              {after: namespaced("{overrides: [" + label + "]}"), rights: []string{"update deployments.apps in namespace shop"}, refusal: []string{"update *.* in namespace shop", "spec.select.kinds or spec.overrides[0].kinds"}},
		"of all kinds, all of which she may update": {after: namespaced("{overrides: [" + label + "]}"), rights: []string{"update *.* in namespace shop"}},
		"of a guarded kind":                         {after: namespaced("{select: {kinds: [{apiVersion: v1, kind: Secret}]}, overrides: [" + label + "]}"), rights: []string{"update secrets in namespace shop", "update *.* in namespace shop"}, refusal: []string{"a Secret, which a PlacementPolicy does not", "ClusterPlacementPolicy"}},
		"of a guarded kind, everywhere":             {after: clusterWide("{select: {kinds: [{apiVersion: v1, kind: Secret}]}, overrides: [" + label + "]}"), rights: []string{"update secrets in all namespaces"}},
		"everywhere":                                {after: clusterWide("{" + deployments + ", overrides: [" + label + "]}"), rights: []string{"update deployments.apps in namespace shop"}, refusal: []string{"update deployments.apps in all namespaces", "ClusterRoleBinding"}},
		"of all kinds everywhere":                   {after: clusterWide("{overrides: [" + label + "]}"), rights: []string{"update *.* in all namespaces"}, refusal: []string{"escalate roles.rbac.authorization.k8s.io"}},
		"of a kind that nobody serves":              {after: namespaced("{select: {kinds: [{apiVersion: example.com/v1, kind: Vault}]}, overrides: [" + label + "]}"), refusal: []string{"update *.example.com in namespace shop"}},
		"unchanged":                                 {before: namespaced("{overrides: [" + label + "]}"), after: namespaced("{overrides: [" + label + "]}")},
		"its status":                                {after: namespaced("{overrides: [" + label + "]}"), subresource: "status"},
		"moved elsewhere":                           {before: namespaced("{" + deployments + ", overrides: [" + label + "]}"), after: namespaced("{" + deployments + ", clusters: {names: [aws]}, overrides: [" + label + "]}"), refusal: []string{"update deployments.apps in namespace shop"}},
		"one by name":                               {after: namespaced("{select: {names: [web], kinds: [{apiVersion: apps/v1, kind: Deployment}]}, overrides: [" + label + "]}"), rights: []string{"update deployments.apps web in namespace shop"}},
		"another by name":                           {after: namespaced("{select: {names: [web, api], kinds: [{apiVersion: apps/v1, kind: Deployment}]}, overrides: [" + label + "]}"), rights: []string{"update deployments.apps web in namespace shop"}, refusal: []string{"deployments.apps api"}},
		"a duration that the hub does not read":     {after: namespaced("{failover: {after: 1d}}"), refusal: []string{"1d"}},
		"a selector that the hub does not read":     {after: namespaced("{select: {labels: {matchLabels: {'a b': c}}}}"), refusal: []string{"spec.select.labels"}},
		"what it does not read, as it was":          {before: namespaced("{failover: {after: 1d}}"), after: namespaced("{failover: {after: 1d}}")},
		"an override that makes no sense":           {after: clusterWide("{" + deployments + ", overrides: [{strategicMerge: {status: {}}}]}"), rights: []string{"update deployments.apps in all namespaces"}, refusal: []string{"status cannot be overridden"}},
		"rules of one who may update roles":         {after: clusterWide("{select: {kinds: [{apiVersion: rbac.authorization.k8s.io/v1, kind: Role}]}, overrides: [{strategicMerge: {rules: [{apiGroups: [''], resources: [secrets], verbs: [get]}]}}]}"), rights: []string{"update roles.rbac.authorization.k8s.io in all namespaces"}, refusal: []string{"not currently held", "secrets"}},
		"rules that she has":                        {after: clusterWide("{select: {kinds: [{apiVersion: rbac.authorization.k8s.io/v1, kind: Role}]}, overrides: [{strategicMerge: {rules: [{apiGroups: [''], resources: [pods], verbs: [get]}]}}]}"), rights: []string{"update roles.rbac.authorization.k8s.io in all namespaces"}},
		"rules of one who may escalate":             {after: clusterWide("{select: {kinds: [{apiVersion: rbac.authorization.k8s.io/v1, kind: Role}]}, overrides: [" + label + "]}"), rights: []string{"update roles.rbac.authorization.k8s.io in all namespaces", "escalate roles.rbac.authorization.k8s.io in all namespaces"}},
		"subjects":                                  {after: clusterWide("{select: {kinds: [{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding}]}, overrides: [" + label + "]}"), rights: []string{"update rolebindings.rbac.authorization.k8s.io in all namespaces", "bind clusterroles.rbac.authorization.k8s.io in all namespaces"}, refusal: []string{"bind roles"}},
	} {
		t.Run(name, func(t *testing.T) {
			p, _ := plugin(t, c.rights...)
			after := parse(t, c.after)
			resource := v1alpha1.Resource("placementpolicies")
			if after.GetKind() == "ClusterPlacementPolicy" {
				resource = v1alpha1.Resource("clusterplacementpolicies")
			}
			err := p.Validate(t.Context(), write(resource, c.subresource, parse(t, c.before), after), nil)
			expect(t, err, c.refusal...)
		})
	}
}

// TestOnlyTheHubSaysWhatWasInEffect: by the status, or with a policy that is made from a backup.
func TestOnlyTheHubSaysWhatWasInEffect(t *testing.T) {
	before, after := parse(t, namespaced("{}")), parse(t, namespaced("{}"))
	after.Object["status"] = map[string]any{"inEffect": map[string]any{"generation": int64(1), "spec": map[string]any{}}}
	p, _ := plugin(t, "update *.* in namespace shop", "update placementpolicies.hanse.dev in namespace shop")
	policies := v1alpha1.Resource("placementpolicies")
	expect(t, p.Validate(t.Context(), write(policies, "status", before, after), nil), "nobody else may write it")
	expect(t, p.Validate(t.Context(), write(policies, "status", after, before), nil), "nobody else may write it")
	expect(t, p.Validate(t.Context(), write(policies, "status", after, after), nil))
	hub := &user.DefaultInfo{Name: "system:hanse", Groups: []string{user.SystemPrivilegedGroup}}
	expect(t, p.Validate(t.Context(), admission.NewAttributesRecord(after, before, after.GroupVersionKind(), "shop", "p", policies, "status", admission.Update, nil, false, hub), nil))
}

func TestClusters(t *testing.T) {
	cluster := func(spec string) *unstructured.Unstructured {
		return parse(t, "apiVersion: hanse.dev/v1alpha1\nkind: Cluster\nmetadata: {name: aws}\nspec: "+spec)
	}
	const way = "endpoint: 'https://a', credentialSecret: cluster-aws, uid: u"
	clusters := v1alpha1.Resource("clusters")
	before := cluster("{" + way + "}")
	for name, c := range map[string]struct {
		before, after *unstructured.Unstructured
		rights        []string
		refusal       []string
	}{
		"a new one":                      {after: before, refusal: []string{"create secrets in namespace hanse-system", "hanse join"}},
		"a new one, by who may":          {after: before, rights: []string{"create secrets in namespace hanse-system"}},
		"cordoned":                       {before: before, after: cluster("{" + way + ", unschedulable: true}")},
		"another endpoint":               {before: before, after: cluster("{endpoint: 'https://b', credentialSecret: cluster-aws, uid: u}"), refusal: []string{"spec.endpoint: ", "update secrets cluster-aws in namespace hanse-system"}},
		"another CA":                     {before: before, after: cluster("{" + way + ", caBundle: AAAA}"), refusal: []string{"spec.caBundle: "}},
		"another server name":            {before: before, after: cluster("{" + way + ", tlsServerName: b}"), refusal: []string{"spec.tlsServerName: "}},
		"another Secret":                 {before: before, after: cluster("{endpoint: 'https://a', credentialSecret: cluster-azure, uid: u}"), rights: []string{"update secrets cluster-aws in namespace hanse-system"}, refusal: []string{"update secrets cluster-azure"}},
		"another endpoint, by who may":   {before: before, after: cluster("{endpoint: 'https://b', credentialSecret: cluster-aws, uid: u}"), rights: []string{"update secrets cluster-aws in namespace hanse-system"}},
		"one that the hub cannot decode": {before: before, after: cluster("{" + way + ", taints: [{key: a, effect: NoExecute, timeAdded: yesterday}]}"), refusal: []string{"would not understand"}},
		"one whose status is written":    {before: before, after: before},
	} {
		t.Run(name, func(t *testing.T) {
			p, _ := plugin(t, c.rights...)
			expect(t, p.Validate(t.Context(), write(clusters, "", c.before, c.after), nil), c.refusal...)
		})
	}
}

func TestWholeRules(t *testing.T) {
	for change, whole := range map[string]bool{
		"{strategicMerge: {rules: []}}":                                                     true,
		"{strategicMerge: {Rules: []}}":                                                     false,
		"{strategicMerge: {rules: [], metadata: {labels: {a: b}}}}":                         false,
		"{strategicMerge: {$patch: replace, rules: []}}":                                    false,
		"{strategicMerge: {aggregationRule: {}}}":                                           false,
		"{strategicMerge: {rules: [{verbs: [get], unknown: x}]}}":                           false,
		"{strategicMerge: {rules: [{apiGroups: ['*'], apigroups: []}]}}":                    false,
		"{labels: {set: {a: b}}}":                                                           false,
		"{annotations: {set: {a: b}}}":                                                      false,
		"{jsonPatch: [{op: test, path: /rules/0/verbs, value: [get]}]}":                     true,
		"{jsonPatch: [{op: remove, path: /rules/0}]}":                                       true,
		"{jsonPatch: [{op: remove, path: /rules/0/resourceNames}]}":                         false,
		"{jsonPatch: [{op: add, path: /rules/-, value: {verbs: [get]}}]}":                   true,
		"{jsonPatch: [{op: replace, path: /rules, value: [{verbs: [get]}]}]}":               true,
		"{jsonPatch: [{op: replace, path: /rules, value: {verbs: [get]}}]}":                 false,
		"{jsonPatch: [{op: copy, from: /rules/0/verbs, path: /rules/1/verbs}]}":             false,
		"{jsonPatch: [{op: copy, from: /rules/0, path: /rules/-}]}":                         false,
		"{jsonPatch: [{op: add, path: /aggregationRule, value: {}}]}":                       false,
		"{jsonPatch: [{op: add, path: /metadata/labels/x, value: y}]}":                      false,
		"{jsonPatch: [{op: add, path: /rules/-, value: {}}, {op: remove, path: /rules/x}]}": false,
	} {
		var o v1alpha1.Override
		if err := yaml.Unmarshal([]byte(change), &o); err != nil {
			t.Fatal(err)
		}
		if _, is := wholeRules(&o); is != whole {
			t.Errorf("%s: whole %t", change, is)
		}
	}
}

func TestMarks(t *testing.T) {
	configMap := func(annotations map[string]string) *corev1.ConfigMap {
		return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "c", Annotations: annotations}}
	}
	configMaps := corev1.SchemeGroupVersion.WithResource("configmaps")
	adopts := map[string]string{v1alpha1.AnnotationConflict: v1alpha1.ConflictAdopt}
	p, f := plugin(t)
	expect(t, p.Validate(t.Context(), write(configMaps, "", nil, configMap(nil)), nil))
	expect(t, p.Validate(t.Context(), write(configMaps, "", nil, configMap(map[string]string{"example.com/a": "b", v1alpha1.AnnotationDivision: "{}"})), nil))
	expect(t, p.Validate(t.Context(), write(configMaps, "", configMap(adopts), configMap(adopts)), nil))
	expect(t, p.Validate(t.Context(), write(configMaps, "", configMap(adopts), configMap(nil)), nil))
	expect(t, p.Validate(t.Context(), write(configMaps, "", nil, configMap(map[string]string{v1alpha1.AnnotationGlobal: "true"})), nil)) // means nothing there
	if f.asked > 0 {
		t.Errorf("objects that steer nothing cost %d questions", f.asked)
	}
	expect(t, p.Validate(t.Context(), write(configMaps, "", configMap(nil), configMap(adopts)), nil), "adopt configmaps c in namespace shop")
	expect(t, p.Validate(t.Context(), write(configMaps, "status", configMap(nil), configMap(map[string]string{v1alpha1.AnnotationDivision: "{}"})), nil), "update configmaps c in namespace shop")
	p, _ = plugin(t, "adopt configmaps c in namespace shop")
	expect(t, p.Validate(t.Context(), write(configMaps, "", configMap(nil), configMap(adopts)), nil))
}

// TestWhoSaysHowANamespacePropagates: whoever may say the same by a policy, also where they take it back, by whatever way.
func TestWhoSaysHowANamespacePropagates(t *testing.T) {
	namespace := func(how string) *corev1.Namespace {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}
		if how != "" {
			ns.Labels = map[string]string{v1alpha1.LabelPropagation: how}
		}
		return ns
	}
	namespaces := corev1.SchemeGroupVersion.WithResource("namespaces")
	const lacks = `label hanse.dev/propagation says which clusters get the Secrets and ConfigMaps of the Namespace, and user "ann" may not create clusterplacementpolicies.hanse.dev`
	for _, subresource := range []string{"", "status", "finalize"} {
		p, _ := plugin(t, "update namespaces shop", "create namespaces")
		expect(t, p.Validate(t.Context(), write(namespaces, subresource, namespace(""), namespace("None")), nil), lacks)
		expect(t, p.Validate(t.Context(), write(namespaces, subresource, namespace("None"), namespace("Needed")), nil), lacks)
		expect(t, p.Validate(t.Context(), write(namespaces, subresource, namespace("None"), namespace("")), nil), lacks)
		expect(t, p.Validate(t.Context(), write(namespaces, subresource, namespace("None"), namespace("None")), nil))
	}
	p, _ := plugin(t)
	expect(t, p.Validate(t.Context(), write(namespaces, "", nil, namespace("Everywhere")), nil), lacks)
	p, _ = plugin(t, "create clusterplacementpolicies.hanse.dev")
	expect(t, p.Validate(t.Context(), write(namespaces, "", nil, namespace("None")), nil))
	expect(t, p.Validate(t.Context(), write(namespaces, "", namespace("None"), namespace("")), nil))
	expect(t, p.Validate(t.Context(), write(namespaces, "", nil, namespace("needed")), nil), `"needed" is not known. Try: Everywhere, Needed or None`)
}

// TestObjectsThatSteerNothingCostNothing: each write at the hub goes through here.
func TestObjectsThatSteerNothingCostNothing(t *testing.T) {
	p, _ := plugin(t)
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "c", Labels: map[string]string{"app": "web"}, Annotations: map[string]string{"example.com/a": "b"}}}
	a := write(corev1.SchemeGroupVersion.WithResource("configmaps"), "", object, object)
	ctx := t.Context()
	if n := testing.AllocsPerRun(100, func() { _ = p.Validate(ctx, a, nil) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
