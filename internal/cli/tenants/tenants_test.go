package tenants

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/kubernetes/fake"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/cli/hubtest"
	"github.com/hanse-dev/hanse/internal/tenancy"
	"github.com/hanse-dev/hanse/internal/tenancy/model"
)

func later() *clocktesting.FakePassiveClock {
	return clocktesting.NewFakePassiveClock(time.Date(2027, 1, 2, 0, 0, 0, 0, time.UTC))
}

func org(s genericiooptions.IOStreams) *cobra.Command   { return NewOrgCommand(s, later()) }
func space(s genericiooptions.IOStreams) *cobra.Command { return NewWorkspaceCommand(s, later()) }

const group = "/apis/hanse.dev/v1alpha1/"

// stored is a hub with one object, which it keeps as it is written.
func stored(t *testing.T, resource, name string, object any) (*hubtest.Hub, func() string) {
	t.Helper()
	h := hubtest.New(t)
	at, last := group+resource+"/"+name, ""
	h.Answer("GET "+at, object)
	write := func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // it is the test's own
		last = string(body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body)
	}
	h.Handle("PUT "+at, write)
	h.Handle("POST "+group+resource, write)
	return h, func() string {
		var u struct {
			Spec json.RawMessage `json:"spec"`
		}
		_ = json.Unmarshal([]byte(last), &u) // nothing was written
		return string(u.Spec)
	}
}

func acme() *v1alpha1.Organization {
	return &v1alpha1.Organization{
		TypeMeta: metav1.TypeMeta{APIVersion: "hanse.dev/v1alpha1", Kind: "Organization"}, ObjectMeta: metav1.ObjectMeta{Name: "acme", ResourceVersion: "7"},
		Spec: v1alpha1.OrganizationSpec{
			Members: []v1alpha1.OrganizationMember{
				{Subject: v1alpha1.Subject{Kind: "User", Name: "ann"}, Role: "Owner"}, {Subject: v1alpha1.Subject{Kind: "Group", Name: "leads"}, Role: "Admin"}, {Subject: v1alpha1.Subject{Kind: "User", Name: "bob"}, Role: "Member"},
			},
			Invitations: []v1alpha1.OrganizationInvitation{{Name: "i", Role: "Member", TokenHash: model.HashToken("x"), ExpiresAt: metav1.NewTime(later().Now().Add(time.Hour))}},
		},
		Status: v1alpha1.OrganizationStatus{Namespaces: []string{"a", "b", "c", "d"}, Conditions: []metav1.Condition{{Type: "Ready", Status: "False", Message: "no room"}}},
	}
}

func TestOrganizations(t *testing.T) {
	for line, want := range map[string]struct{ out, spec, fails string }{
		"create acme --owner ann --namespaces a,b --provider azure": {out: "organization/acme created\n", spec: `{"clusters":{"fields":[{"key":"provider","operator":"In","values":["azure"]}]},"members":[{"kind":"User","name":"ann","role":"Owner"}],"namespaces":["a","b"]}`},
		"create acme --owner-group leads --dry-run=client":          {out: "organization/acme created (dry run)\n"},
		"create acme":                        {fails: "without an owner"},
		"create":                             {fails: "exactly one organization"},
		"add acme --user eve --role boss":    {fails: `there is no role "boss". Try: --role owner`},
		"add acme --role owner":              {fails: "a user or a group"},
		"add acme --user eve --group g":      {fails: "a user or a group"},
		"add acme --user eve --role AUDITOR": {out: "user eve is Auditor of organization/acme\n", spec: `"name":"eve","role":"Auditor"}]`},
		"add acme --user bob --role admin":   {out: "user bob is Admin of organization/acme\n", spec: `{"kind":"Group","name":"leads","role":"Admin"},{"kind":"User","name":"bob","role":"Admin"}]`},
		"remove acme --user bob":             {out: "user bob removed from organization/acme\n", spec: `"invitations":[`},
		"remove acme --user nobody":          {fails: "user nobody is not in organization acme by name"},
		"remove acme --user bob --dry-run=x": {fails: "unknown --dry-run=x"},
		"show nobody":                        {fails: "there is no organization nobody, or you may not see it"},
		"show acme -o json":                  {out: `"name": "acme"`},
		"show acme":                          {out: "Namespaces:   a, b, c, d\n"},
		"invite acme --ttl 0s":               {fails: "--ttl=0s: an invitation may be good for up to 30 days"},
	} {
		t.Run(line, func(t *testing.T) {
			h, spec := stored(t, "organizations", "acme", acme())
			out, _, err := h.Run(t, org, "", strings.Fields(line)...)
			check(t, out, spec(), err, want.out, want.spec, want.fails)
		})
	}
	// Whoever removes an admin withdraws what invitations there are.
	h, spec := stored(t, "organizations", "acme", acme())
	if _, _, err := h.Run(t, org, "", "remove", "acme", "--group", "leads"); err != nil || strings.Contains(spec(), "invitations") {
		t.Errorf("%v, %s", err, spec())
	}
}

func check(t *testing.T, out, spec string, err error, wantOut, wantSpec, fails string) {
	t.Helper()
	if (err != nil) != (fails != "") || err != nil && !strings.Contains(err.Error(), fails) {
		t.Errorf("it fails with %v, expected %q", err, fails)
	}
	if !strings.Contains(out, wantOut) {
		t.Errorf("it prints %q, expected %q", out, wantOut)
	}
	if !strings.Contains(spec, wantSpec) || wantSpec == "" && spec != "" {
		t.Errorf("it writes %s, expected %s", spec, wantSpec)
	}
}

func TestWorkspaces(t *testing.T) {
	web := &v1alpha1.Workspace{TypeMeta: metav1.TypeMeta{APIVersion: "hanse.dev/v1alpha1", Kind: "Workspace"}, ObjectMeta: metav1.ObjectMeta{Name: "web"}}
	web.Spec.Organization = "acme"
	web.Spec.Access = []v1alpha1.WorkspaceAccess{{Kind: "User", Name: "bob", Role: "View"}}
	for line, want := range map[string]struct{ out, spec, fails string }{
		"create web --organization acme --namespaces a --quota pods=5": {out: "workspace/web created\n", spec: `{"namespaces":{"names":["a"]},"organization":"acme","quota":{"hard":{"pods":"5"}}}`},
		"create web": {fails: "a workspace is in an organization"},
		"create web --organization acme --quota pods=x": {fails: "--quota=pods=x is no quota"},
		"grant web --user bob --role edit":              {out: "user bob has Edit in workspace/web\n", spec: `"access":[{"kind":"User","name":"bob","role":"Edit"}]`},
		"grant web --members":                           {out: "every member of its organization has View in workspace/web\n", spec: `{"kind":"Organization","name":"acme","role":"View"}]`},
		"grant web --members --user bob":                {fails: "--members is all members"},
		"grant web":                                     {fails: "or --members"},
		"grant web --user eve --role owner":             {fails: "there is no role"},
		"revoke web --user bob":                         {out: "user bob revoked from workspace/web\n", spec: `{"namespaces":{},"organization":"acme"}`},
		"revoke web --user eve":                         {fails: "user eve has no access to workspace web by name"},
		"show web":                                      {out: "Clusters:       all\n"},
		"delete nothing":                                {fails: "there is no workspace nothing"},
	} {
		t.Run(line, func(t *testing.T) {
			h, spec := stored(t, "workspaces", "web", web)
			out, _, err := h.Run(t, space, "", strings.Fields(line)...)
			check(t, out, spec(), err, want.out, want.spec, want.fails)
		})
	}
}

func TestAnInvitationIsShownOnce(t *testing.T) {
	h, spec := stored(t, "organizations", "acme", acme())
	out, errOut, err := h.Run(t, org, "", "invite", "acme", "--role", "member", "--ttl", "2h")
	token := strings.TrimSpace(out)
	if err != nil || model.OrganizationOf(token) != "acme" || strings.Contains(errOut, token) {
		t.Fatalf("%q %q %v", out, errOut, err)
	}
	if !strings.Contains(spec(), `"expiresAt":"2027-01-02T02:00:00Z"`) || !strings.Contains(spec(), model.HashToken(token)) || strings.Contains(spec(), token) {
		t.Errorf("it writes %s", spec())
	}
	h.Handle("POST "+tenancy.PathJoin, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // it is the test's own
		if string(body) != `{"Token":"`+token+`"}` {
			t.Errorf("it sends %s", body)
		}
		hubtest.Respond(w, http.StatusOK, tenancy.Joined{Organization: "acme", User: "eve", Role: "Member"})
	})
	out, _, err = h.Run(t, org, "", "join", token)
	check(t, out, "", err, "user eve is Member of organization/acme\n", "", "")
}

// TestWhoMaySeeSomeListsThese: RBAC lets nobody list what they may see by name.
func TestWhoMaySeeSomeListsThese(t *testing.T) {
	h, _ := stored(t, "organizations", "acme", acme())
	h.Handle("GET "+group+"organizations", func(w http.ResponseWriter, _ *http.Request) {
		hubtest.Respond(w, http.StatusForbidden, metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Reason: metav1.StatusReasonForbidden, Code: 403})
	})
	h.Answer("POST /apis/authorization.k8s.io/v1/selfsubjectrulesreviews", map[string]any{"status": map[string]any{"resourceRules": []any{
		map[string]any{"verbs": []any{"get"}, "apiGroups": []any{"hanse.dev"}, "resources": []any{"organizations"}, "resourceNames": []any{"acme", "gone"}},
		map[string]any{"verbs": []any{"get"}, "apiGroups": []any{"hanse.dev"}, "resources": []any{"workspaces"}, "resourceNames": []any{"web"}},
	}}})
	out, _, err := h.Run(t, org, "", "list")
	if err != nil || !strings.Contains(out, "acme   3         0            a,b,c and 1 more   False   ") || !strings.Contains(out, "no room") {
		t.Errorf("%q, %v", out, err)
	}
}

func TestWhoCan(t *testing.T) {
	made := func(workspace string) map[string]string {
		l := map[string]string{v1alpha1.LabelTenancy: "true", v1alpha1.LabelOrganization: "acme"}
		if workspace != "" {
			l[v1alpha1.LabelWorkspace] = workspace
		}
		return l
	}
	rule := func(verb, resource string, names ...string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{Verbs: []string{verb}, APIGroups: []string{""}, Resources: []string{resource}, ResourceNames: names}
	}
	subject := func(kind, name string) rbacv1.Subject { return rbacv1.Subject{Kind: kind, Name: name} }
	binding := func(name, kind, role string, labels map[string]string, subjects ...rbacv1.Subject) runtime.Object {
		return &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, Labels: labels}, RoleRef: rbacv1.RoleRef{Kind: kind, Name: role}, Subjects: subjects}
	}
	client := fake.NewClientset(
		&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "edit"}, Rules: []rbacv1.PolicyRule{rule("get", "secrets"), rule("get", "pods/log")}},
		&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "all"}, Rules: []rbacv1.PolicyRule{{Verbs: []string{"*"}, APIGroups: []string{"*"}, Resources: []string{"*"}}}},
		&rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "one"}, Rules: []rbacv1.PolicyRule{rule("get", "secrets", "key")}},
		&rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "root"}, RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: "all"}, Subjects: []rbacv1.Subject{subject("Group", "roots")}},
		&rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "dangling"}, RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: "gone"}, Subjects: []rbacv1.Subject{subject("User", "ann")}},
		binding("hanse:workspace:edit", "ClusterRole", "edit", made("web"), subject("User", "bob"), subject("Group", "devs")),
		binding("hanse:organization:admin", "ClusterRole", "all", made(""), subject("User", "ann")),
		binding("copied", "ClusterRole", "edit", map[string]string{v1alpha1.LabelOrganization: "acme"}, subject("ServiceAccount", "ci")),
		binding("one", "Role", "one", nil, subject("User", "cat")),
	)
	ask := func(q question, only *person) (lines []string) {
		w := walk{client: client, question: q, only: only, roles: map[string][]rbacv1.PolicyRule{}}
		all, err := w.grants(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range all {
			lines = append(lines, g.Name+" "+g.Role+" "+g.By)
		}
		return lines
	}
	secrets := schema.GroupResource{Resource: "secrets"}
	for name, c := range map[string]struct {
		q    question
		only *person
		want []string
	}{
		"in a namespace":    {question{verb: "get", resource: secrets, namespace: "shop"}, nil, []string{"devs ClusterRole/edit workspace web of organization acme", "roots ClusterRole/all ", "system:serviceaccount:shop:ci ClusterRole/edit ", "ann ClusterRole/all organization acme", "bob ClusterRole/edit workspace web of organization acme"}},
		"one by name":       {question{verb: "get", resource: secrets, namespace: "shop", name: "key"}, &person{"cat", nil}, []string{"cat Role/one "}},
		"another by name":   {question{verb: "get", resource: secrets, namespace: "shop", name: "other"}, &person{"cat", nil}, nil},
		"all by names":      {question{verb: "get", resource: secrets, namespace: "shop"}, &person{"cat", nil}, nil},
		"everywhere":        {question{verb: "get", resource: secrets}, nil, []string{"roots ClusterRole/all "}},
		"by a group":        {question{verb: "get", resource: secrets, namespace: "shop"}, &person{"eve", []string{"devs"}}, []string{"devs ClusterRole/edit workspace web of organization acme"}},
		"a service account": {question{verb: "get", resource: secrets, namespace: "shop"}, &person{"system:serviceaccount:shop:ci", nil}, []string{"system:serviceaccount:shop:ci ClusterRole/edit "}},
		"a subresource":     {question{verb: "get", resource: schema.GroupResource{Resource: "pods"}, subresource: "log", namespace: "shop"}, &person{"bob", nil}, []string{"bob ClusterRole/edit workspace web of organization acme"}},
		"not a subresource": {question{verb: "get", resource: schema.GroupResource{Resource: "pods"}, namespace: "shop"}, &person{"bob", nil}, nil},
		"another group":     {question{verb: "get", resource: schema.GroupResource{Group: "x", Resource: "secrets"}, namespace: "shop"}, &person{"bob", nil}, nil},
	} {
		if got := ask(c.q, c.only); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, expected %q", name, got, c.want)
		}
	}
}

func TestCanSaysNo(t *testing.T) {
	h := hubtest.New(t)
	list := func(kind string) any {
		return map[string]any{"kind": kind, "apiVersion": "rbac.authorization.k8s.io/v1", "items": []any{}}
	}
	h.Answer("GET /apis/rbac.authorization.k8s.io/v1/clusterrolebindings", list("ClusterRoleBindingList"))
	h.Answer("GET /apis/rbac.authorization.k8s.io/v1/namespaces/shop/rolebindings", list("RoleBindingList"))
	h.Handle("GET /apis/rbac.authorization.k8s.io/v1/namespaces/pay/rolebindings", func(w http.ResponseWriter, _ *http.Request) {
		hubtest.Respond(w, http.StatusForbidden, metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Reason: metav1.StatusReasonForbidden, Code: 403})
	})
	for line, want := range map[string][2]string{
		"get deploy -n shop":                     {"", "nobody but system:masters may get deployments.apps in namespace shop. Try: "},
		"get deploy/web -n shop --as bob":        {"", "user bob may not get deployments.apps web in namespace shop. Try: "},
		"get deploy -n shop --as bob -o json":    {`"allowed": false`, "user bob may not"},
		"get deploy -n pay":                      {"", "nothing that you may read says that anybody asked about may get deployments.apps in namespace pay. Try: "},
		"get nothing":                            {"", `the hub has no resource "nothing". Try: `},
		"get":                                    {"", "requires a verb and a resource"},
		"get services --as-group devs -n shop":   {"", "--as-group is groups of a user"},
		"get services --subresource x --as eve ": {"", "user eve may not get services/x. Try: "},
	} {
		out, _, err := h.Run(t, NewCanCommand, "", strings.Fields(line)...)
		if err == nil || !strings.Contains(err.Error(), want[1]) || !strings.Contains(out, want[0]) {
			t.Errorf("%s: %q, %v", line, out, err)
		}
	}
}
