package tenancy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/endpoints/request"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/tenancy/model"
)

// hub is fakes of a hub's clients, and a Controller that sees what is in them when a test says so.
type hub struct {
	t       *testing.T
	c       *Controller
	clock   *clocktesting.FakeClock
	client  *fake.Clientset
	dynamic *dynamicfake.FakeDynamicClient
}

func newHub(t *testing.T, objects ...runtime.Object) *hub {
	t.Helper()
	lists := map[schema.GroupVersionResource]string{
		v1alpha1.Resource("organizations"): "OrganizationList", v1alpha1.Resource("workspaces"): "WorkspaceList", v1alpha1.Resource("residencies"): "ResidencyList",
	}
	h := &hub{t: t, clock: clocktesting.NewFakeClock(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)), client: fake.NewClientset(), dynamic: dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), lists)}
	h.c = newController(nil, h.client, h.dynamic, h.clock)
	for _, o := range objects {
		h.put(o)
	}
	return h
}

// put stores an object, or replaces it.
func (h *hub) put(o runtime.Object) {
	h.t.Helper()
	if n, ok := o.(*corev1.Namespace); ok {
		if _, err := h.client.CoreV1().Namespaces().Create(h.t.Context(), n, metav1.CreateOptions{}); err != nil {
			h.t.Fatal(err)
		}
		return
	}
	kind := map[bool]string{true: "Organization", false: "Workspace"}
	_, isOrganization := o.(*v1alpha1.Organization)
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		h.t.Fatal(err)
	}
	u := &unstructured.Unstructured{Object: fields}
	u.SetAPIVersion(v1alpha1.GroupVersion().String())
	u.SetKind(kind[isOrganization])
	if u.GetUID() == "" {
		u.SetUID(types.UID(u.GetKind() + "-" + u.GetName()))
	}
	r := v1alpha1.Resource(strings.ToLower(u.GetKind()) + "s")
	_ = h.dynamic.Tracker().Delete(r, "", u.GetName()) // there may be none
	if err := h.dynamic.Tracker().Create(r, u, ""); err != nil {
		h.t.Fatal(err)
	}
}

// see has the Controller see what is there.
func (h *hub) see() {
	h.t.Helper()
	ctx, c := h.t.Context(), h.c
	c.organizations, c.workspaces = h.all("organizations"), h.all("workspaces")
	c.namespaces = map[string]*corev1.Namespace{}
	namespaces, err := h.client.CoreV1().Namespaces().List(ctx, metav1.ListOptions{})
	h.must(err)
	for i := range namespaces.Items {
		c.namespaces[namespaces.Items[i].Name] = &namespaces.Items[i]
	}
	made := metav1.ListOptions{LabelSelector: v1alpha1.LabelTenancy + "=true"}
	roles, err := h.client.RbacV1().ClusterRoles().List(ctx, made)
	h.must(err)
	c.roles.live = byKey(roles.Items, func(o *rbacv1.ClusterRole) *rbacv1.ClusterRole { return o })
	everywhere, err := h.client.RbacV1().ClusterRoleBindings().List(ctx, made)
	h.must(err)
	c.clusterWide.live = byKey(everywhere.Items, func(o *rbacv1.ClusterRoleBinding) *rbacv1.ClusterRoleBinding { return o })
	bindings, err := h.client.RbacV1().RoleBindings("").List(ctx, made)
	h.must(err)
	c.bindings.live = byKey(bindings.Items, func(o *rbacv1.RoleBinding) *rbacv1.RoleBinding { return o })
	quotas, err := h.client.CoreV1().ResourceQuotas("").List(ctx, made)
	h.must(err)
	c.quotas.live = byKey(quotas.Items, func(o *corev1.ResourceQuota) *corev1.ResourceQuota { return o })
	c.residencies.live = map[types.NamespacedName]*unstructured.Unstructured{}
	for name, u := range h.all("residencies") {
		c.residencies.live[types.NamespacedName{Name: name}] = u
	}
}

func byKey[V any, T metav1.Object](items []V, of func(*V) T) map[types.NamespacedName]T {
	out := map[types.NamespacedName]T{}
	for i := range items {
		o := of(&items[i])
		out[keyOf(o)] = o
	}
	return out
}

func (h *hub) all(resource string) map[string]*unstructured.Unstructured {
	h.t.Helper()
	out := map[string]*unstructured.Unstructured{}
	list, err := h.dynamic.Resource(v1alpha1.Resource(resource)).List(h.t.Context(), metav1.ListOptions{})
	h.must(err)
	for i := range list.Items {
		out[list.Items[i].GetName()] = &list.Items[i]
	}
	return out
}

func (h *hub) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// settle makes passes until one has nothing to do, ten at most, and returns how many wrote.
func (h *hub) settle() (passes int) {
	h.t.Helper()
	for passes = range 10 {
		before := h.writes()
		h.see()
		h.c.pass(h.t.Context())
		if h.writes() == before {
			return passes
		}
	}
	h.t.Fatal("it does not settle")
	return 0
}

func (h *hub) writes() (n int) {
	for _, a := range append(h.client.Actions(), h.dynamic.Actions()...) {
		if a.GetVerb() != "list" && a.GetVerb() != "get" {
			n++
		}
	}
	return n
}

func (h *hub) subjects(namespace, name string) (out []string) {
	h.t.Helper()
	b, err := h.client.RbacV1().RoleBindings(namespace).Get(h.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		return nil
	}
	for _, s := range b.Subjects {
		out = append(out, s.Name)
	}
	return out
}

func (h *hub) condition(resource, name, kind string) metav1.Condition {
	h.t.Helper()
	var o struct {
		Status struct {
			Conditions []metav1.Condition `json:"conditions"`
		} `json:"status"`
	}
	u, err := h.dynamic.Resource(v1alpha1.Resource(resource)).Get(h.t.Context(), name, metav1.GetOptions{})
	h.must(err)
	h.must(decode(u, &o))
	if c := meta.FindStatusCondition(o.Status.Conditions, kind); c != nil {
		return *c
	}
	return metav1.Condition{}
}

func acme(members ...v1alpha1.OrganizationMember) *v1alpha1.Organization {
	return &v1alpha1.Organization{ObjectMeta: metav1.ObjectMeta{Name: "acme"}, Spec: v1alpha1.OrganizationSpec{Members: append(members, is("ann", v1alpha1.RoleOwner)), Namespaces: []string{"shop", "pay"}}}
}

func is(name, role string) v1alpha1.OrganizationMember {
	return v1alpha1.OrganizationMember{Subject: v1alpha1.Subject{Kind: "User", Name: name}, Role: role}
}

func workspace(name string, namespaces []string, editors ...string) *v1alpha1.Workspace {
	ws := &v1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	ws.Spec.Organization, ws.Spec.Namespaces.Names = "acme", namespaces
	ws.Spec.Clusters = &v1alpha1.ClusterSelector{Names: []string{"azure"}}
	ws.Spec.Quota = &v1alpha1.WorkspaceQuota{Hard: corev1.ResourceList{"pods": resource.MustParse("5")}}
	for _, e := range editors {
		ws.Spec.Access = append(ws.Spec.Access, v1alpha1.WorkspaceAccess{Kind: "User", Name: e, Role: v1alpha1.RoleEdit})
	}
	return ws
}

func TestItMakesWhatItMeans(t *testing.T) {
	h := newHub(t, acme(), workspace("web", []string{"shop"}, "bob"))
	h.settle()
	if got := h.subjects("shop", "hanse:workspace:edit"); !slices.Equal(got, []string{"bob"}) {
		t.Errorf("edit: %v", got)
	}
	if got := h.subjects("pay", "hanse:organization:admin"); !slices.Equal(got, []string{"ann"}) {
		t.Errorf("admin: %v", got)
	}
	if _, err := h.client.CoreV1().ResourceQuotas("shop").Get(t.Context(), "hanse-workspace", metav1.GetOptions{}); err != nil {
		t.Error(err)
	}
	for _, kind := range []string{v1alpha1.ConditionAccepted, v1alpha1.ConditionReady} {
		if c := h.condition("workspaces", "web", kind); c.Status != metav1.ConditionTrue {
			t.Errorf("%+v", c)
		}
	}
	if passes := h.settle(); passes != 0 {
		t.Errorf("%d passes write, and nothing has changed", passes)
	}
	// What somebody else does to it is put right.
	b, err := h.client.RbacV1().RoleBindings("shop").Get(t.Context(), "hanse:workspace:edit", metav1.GetOptions{})
	h.must(err)
	b.Subjects[0].Name = "eve"
	_, err = h.client.RbacV1().RoleBindings("shop").Update(t.Context(), b, metav1.UpdateOptions{})
	h.must(err)
	h.must(h.client.RbacV1().ClusterRoles().Delete(t.Context(), "hanse:organization:acme:owner", metav1.DeleteOptions{}))
	foreign := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "theirs"}}
	forged := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "forged", Labels: map[string]string{v1alpha1.LabelTenancy: "true"}}}
	for _, o := range []*rbacv1.RoleBinding{foreign, forged} {
		_, err = h.client.RbacV1().RoleBindings("shop").Create(t.Context(), o, metav1.CreateOptions{})
		h.must(err)
	}
	h.settle()
	if got := h.subjects("shop", "hanse:workspace:edit"); !slices.Equal(got, []string{"bob"}) {
		t.Errorf("edit: %v", got)
	}
	if _, err := h.client.RbacV1().ClusterRoles().Get(t.Context(), "hanse:organization:acme:owner", metav1.GetOptions{}); err != nil {
		t.Error(err)
	}
	if _, err := h.client.RbacV1().RoleBindings("shop").Get(t.Context(), "theirs", metav1.GetOptions{}); err != nil {
		t.Errorf("what is not the hub's is deleted: %v", err)
	}
	if _, err := h.client.RbacV1().RoleBindings("shop").Get(t.Context(), "forged", metav1.GetOptions{}); err == nil {
		t.Error("what looks like the hub's and means nothing stays")
	}
	// Without the organization there are no rights, and the bounds hold.
	h.must(h.dynamic.Tracker().Delete(v1alpha1.Resource("organizations"), "", "acme"))
	h.settle()
	if got := h.subjects("shop", "hanse:workspace:edit"); got != nil {
		t.Errorf("edit: %v", got)
	}
	if h.all("residencies")["workspace.web.clusters"] == nil {
		t.Error("the bound is gone")
	}
	if _, err := h.client.CoreV1().Namespaces().Get(t.Context(), "shop", metav1.GetOptions{}); err != nil {
		t.Errorf("a Namespace is deleted: %v", err)
	}
}

// TestBoundsComeFirst: while the hub cannot write a Residency, nobody gets rights in what it is to bound.
func TestBoundsComeFirst(t *testing.T) {
	h := newHub(t, acme(), workspace("web", []string{"shop"}, "bob"), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "pay"}})
	fails := true
	h.dynamic.PrependReactor("create", "residencies", func(clienttesting.Action) (bool, runtime.Object, error) {
		return fails, nil, errors.New("out of order")
	})
	h.see()
	if n := h.c.pass(t.Context()); !n.failed {
		t.Error("it does not try again")
	}
	if got := h.subjects("shop", "hanse:workspace:edit"); got != nil {
		t.Errorf("edit without a bound: %v", got)
	}
	if c := h.condition("workspaces", "web", v1alpha1.ConditionReady); c.Status != metav1.ConditionFalse || c.Message != "out of order" {
		t.Errorf("%+v", c)
	}
	if got := h.subjects("pay", "hanse:organization:admin"); got == nil {
		t.Error("what has nothing to do with it is not made")
	}
	fails = false
	h.settle()
	if got := h.subjects("shop", "hanse:workspace:edit"); !slices.Equal(got, []string{"bob"}) {
		t.Errorf("edit: %v", got)
	}
}

// TestANamespaceThatMovesIsBoundedThroughout: from one workspace to another, it is in one of their Residencies at any time.
func TestANamespaceThatMovesIsBoundedThroughout(t *testing.T) {
	h := newHub(t, acme(), workspace("one", []string{"shop"}), workspace("two", []string{"pay"}))
	h.settle()
	check := func(clienttesting.Action) (bool, runtime.Object, error) {
		var in []string
		for _, u := range h.tracked() {
			names, _, _ := unstructured.NestedStringSlice(u.Object, "spec", "namespaces")
			in = append(in, names...)
		}
		if !slices.Contains(in, "shop") || !slices.Contains(in, "pay") {
			t.Errorf("bounded: %v", in)
		}
		return false, nil, nil
	}
	h.dynamic.PrependReactor("*", "*", check)
	h.client.PrependReactor("*", "*", check)
	one, two := workspace("one", []string{"pay"}), workspace("two", []string{"shop"})
	h.put(one)
	h.put(two)
	h.settle()
	names, _, _ := unstructured.NestedStringSlice(h.all("residencies")["workspace.one.clusters"].Object, "spec", "namespaces")
	if !slices.Equal(names, []string{"pay"}) {
		t.Errorf("in the end: %v", names)
	}
}

// tracked are the Residencies, without an action that is seen.
func (h *hub) tracked() (out []*unstructured.Unstructured) {
	for _, name := range []string{"workspace.one.clusters", "workspace.two.clusters"} {
		if o, err := h.dynamic.Tracker().Get(v1alpha1.Resource("residencies"), "", name); err == nil {
			out = append(out, o.(*unstructured.Unstructured))
		}
	}
	return out
}

func TestAnObjectOfThatNameThatIsNotTheHubs(t *testing.T) {
	h := newHub(t, acme(), workspace("web", []string{"shop"}, "bob"))
	_, err := h.client.RbacV1().RoleBindings("shop").Create(t.Context(), &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "hanse:workspace:edit"}}, metav1.CreateOptions{})
	h.must(err)
	for range 3 {
		h.see()
		h.c.pass(t.Context())
	}
	if c := h.condition("workspaces", "web", v1alpha1.ConditionReady); c.Status != metav1.ConditionFalse || !strings.Contains(c.Message, "was not made by the hub. Try: delete it") {
		t.Errorf("%+v", c)
	}
	if got := h.subjects("shop", "hanse:workspace:edit"); got != nil {
		t.Errorf("somebody else's binding is taken over: %v", got)
	}
}

// TestWhatIsNotUnderstoodStays: rights and bounds, as they were.
func TestWhatIsNotUnderstoodStays(t *testing.T) {
	h := newHub(t, acme(), workspace("web", []string{"shop"}, "bob"))
	h.settle()
	u, err := h.dynamic.Resource(v1alpha1.Resource("workspaces")).Get(t.Context(), "web", metav1.GetOptions{})
	h.must(err)
	u.Object["spec"].(map[string]any)["access"] = "everybody"
	h.must(h.dynamic.Tracker().Update(v1alpha1.Resource("workspaces"), u, ""))
	h.settle()
	if got := h.subjects("shop", "hanse:workspace:edit"); !slices.Equal(got, []string{"bob"}) {
		t.Errorf("edit: %v", got)
	}
	if h.all("residencies")["workspace.web.clusters"] == nil {
		t.Error("the bound is gone")
	}
	if c := h.condition("workspaces", "web", v1alpha1.ConditionAccepted); c.Reason != v1alpha1.ReasonNotUnderstood {
		t.Errorf("%+v", c)
	}
}

func TestInvitations(t *testing.T) {
	token, late := model.NewToken("acme"), model.NewToken("acme")
	o := acme(is("bob", v1alpha1.RoleMember))
	h := newHub(t)
	invite := func(name, token string, left time.Duration) {
		o.Spec.Invitations = append(o.Spec.Invitations, v1alpha1.OrganizationInvitation{Name: name, Role: v1alpha1.RoleAdmin, TokenHash: model.HashToken(token), ExpiresAt: metav1.NewTime(h.clock.Now().Add(left))})
	}
	invite("good", token, time.Hour)
	invite("late", late, 0)
	h.put(o)
	for name, c := range map[string]struct{ user, token, says string }{
		"expired":                {"cat", late, "not good"},
		"of nobody":              {"cat", model.NewToken("acme"), "not good"},
		"of another":             {"cat", model.NewToken("bolt"), "not good"},
		"a hash":                 {"cat", "acme." + model.HashToken(token), "not good"},
		"a path":                 {"cat", "../x." + strings.TrimPrefix(token, "acme."), "not good"},
		"nothing":                {"cat", "", "not good"},
		"for who is in":          {"bob", token, "already, as Member"},
		"for the hub":            {"hanse:admin", token, "in no organization"},
		"for Kubernetes":         {"system:kube-scheduler", token, "in no organization"},
		"for somebody who is in": {"ann", token, "already, as Owner"},
	} {
		_, err := h.c.Join(t.Context(), c.user, c.token)
		var r refusal
		if !errors.As(err, &r) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	joined, err := h.c.Join(t.Context(), "cat", token)
	if err != nil || joined != (Joined{"acme", "cat", v1alpha1.RoleAdmin}) {
		t.Errorf("%+v, %v", joined, err)
	}
	if _, err := h.c.Join(t.Context(), "dan", token); err == nil {
		t.Error("it is taken twice")
	}
	h.see()
	if n := h.c.pass(t.Context()); n.until != 0 {
		t.Errorf("it waits for %s", n.until)
	}
	var left v1alpha1.Organization
	h.must(decode(h.all("organizations")["acme"], &left))
	if len(left.Spec.Invitations) > 0 || !slices.Contains(left.Spec.Members, is("cat", v1alpha1.RoleAdmin)) {
		t.Errorf("%+v", left.Spec)
	}
	// A pass comes when the next one expires.
	o = acme()
	invite("soon", token, time.Minute)
	h.put(o)
	h.see()
	if n := h.c.pass(t.Context()); n.until != time.Minute {
		t.Errorf("the next look is in %s", n.until)
	}
}

func TestTheEndpoint(t *testing.T) {
	token := model.NewToken("acme")
	o := acme()
	h := newHub(t)
	o.Spec.Invitations = []v1alpha1.OrganizationInvitation{{Name: "i", Role: v1alpha1.RoleMember, TokenHash: model.HashToken(token), ExpiresAt: metav1.NewTime(h.clock.Now().Add(time.Hour))}}
	h.put(o)
	var c *Controller
	handler := Filter(func() *Controller { return c })(http.NotFoundHandler())
	ask := func(method, path, body string) (int, string) {
		r := httptest.NewRequestWithContext(request.WithUser(context.Background(), &user.DefaultInfo{Name: "cat"}), method, path, strings.NewReader(body))
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w.Code, strings.TrimSpace(w.Body.String())
	}
	good := fmt.Sprintf(`{"Token":%q}`, token)
	if code, _ := ask("POST", PathJoin, good); code != http.StatusServiceUnavailable {
		t.Errorf("before it has started: %d", code)
	}
	c = h.c
	for _, bad := range []struct {
		method, path, body string
		code               int
	}{
		{"POST", "/elsewhere", good, 404}, {"GET", PathJoin, "", 405}, {"POST", PathJoin, "{", 400}, {"POST", PathJoin, `{"Token":"` + strings.Repeat("a", 2000) + `"}`, 400}, {"POST", PathJoin, "{}", 403},
	} {
		if code, body := ask(bad.method, bad.path, bad.body); code != bad.code {
			t.Errorf("%s %s %.40s: %d %s", bad.method, bad.path, bad.body, code, body)
		}
	}
	if code, body := ask("POST", PathJoin, good); code != http.StatusOK || body != `{"Organization":"acme","User":"cat","Role":"Member"}` {
		t.Errorf("%d %s", code, body)
	}
}
