package attack

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/tenancy/model"
)

// tenants are two organizations: each with an owner, an admin, an editor in its one workspace, and a namespace. The first has
// bounds: azure alone, and a quota.
type tenants struct {
	acme, bolt, acmeNS, boltNS string
	owner, admin, editor       *person // of acme
	other                      *person // the owner of bolt
}

func (f *fed) tenants(t *testing.T, word string) *tenants {
	t.Helper()
	n := &tenants{acme: word + "-acme", bolt: word + "-bolt", acmeNS: word + "-shop", boltNS: word + "-pay"}
	n.owner, n.admin, n.editor, n.other = f.person(t, "owner"), f.person(t, "admin"), f.person(t, "editor"), f.person(t, "other")
	must(t, f.admin.create(t, fmt.Sprintf(`apiVersion: hanse.dev/v1alpha1
kind: Organization
metadata: {name: %s}
spec:
  namespaces: [%s]
  members: [{kind: User, name: %s, role: Owner}, {kind: User, name: %s, role: Admin}]
---
apiVersion: hanse.dev/v1alpha1
kind: Organization
metadata: {name: %s}
spec:
  namespaces: [%s]
  members: [{kind: User, name: %s, role: Owner}]
---
apiVersion: hanse.dev/v1alpha1
kind: Workspace
metadata: {name: %s}
spec:
  organization: %s
  namespaces: {names: [%s]}
  clusters: {names: [azure]}
  quota: {hard: {pods: "10"}}
  access: [{kind: User, name: %s, role: Edit}]
---
apiVersion: hanse.dev/v1alpha1
kind: Workspace
metadata: {name: %s}
spec:
  organization: %s
  namespaces: {names: [%s]}`, n.acme, n.acmeNS, n.owner.name, n.admin.name, n.bolt, n.boltNS, n.other.name, n.acme, n.acme, n.acmeNS, n.editor.name, n.bolt, n.bolt, n.boltNS)))
	t.Cleanup(func() { // namespaces that the hub made stay, in life
		for _, name := range []string{n.acmeNS, n.boltNS} {
			_ = f.admin.CoreV1().Namespaces().Delete(context.Background(), name, metav1.DeleteOptions{})
		}
	})
	secrets, organizations := may("get", "secrets"), func(name string) rbacv1.PolicyRule { return may("get", "organizations.hanse.dev", name) }
	eventually(t, func(ctx context.Context) error { return n.owner.can(ctx, n.acmeNS, secrets) })
	eventually(t, func(ctx context.Context) error { return n.admin.can(ctx, n.acmeNS, secrets) })
	eventually(t, func(ctx context.Context) error { return n.editor.can(ctx, n.acmeNS, secrets) })
	eventually(t, func(ctx context.Context) error { return n.other.can(ctx, n.boltNS, secrets) })
	eventually(t, func(ctx context.Context) error {
		return n.owner.can(ctx, "", may("update", "workspaces.hanse.dev", n.acme))
	})
	eventually(t, func(ctx context.Context) error { return n.admin.can(ctx, "", organizations(n.acme)) })
	eventually(t, func(ctx context.Context) error { return n.other.can(ctx, "", organizations(n.bolt)) })
	return n
}

// patch sends a merge patch.
func (p *person) patch(ctx context.Context, resource, name, patch string, subresources ...string) error {
	_, err := p.dynamic.Resource(v1alpha1.Resource(resource)).Patch(ctx, name, types.MergePatchType, []byte(patch), metav1.PatchOptions{}, subresources...)
	return err
}

// TestTenantsHaveNothingOfEachOther: an organization's owner has no right in another.
func TestTenantsHaveNothingOfEachOther(t *testing.T) {
	t.Parallel()
	f := suite
	n := f.tenants(t, "others")
	ctx := t.Context()
	organizations, workspaces := n.owner.dynamic.Resource(v1alpha1.Resource("organizations")), n.owner.dynamic.Resource(v1alpha1.Resource("workspaces"))
	_, err := organizations.Get(ctx, n.acme, metav1.GetOptions{})
	must(t, err)
	_, err = organizations.Get(ctx, n.bolt, metav1.GetOptions{})
	refused(t, err, "cannot get resource")
	_, err = organizations.List(ctx, metav1.ListOptions{})
	refused(t, err, "cannot list resource")
	_, err = workspaces.Get(ctx, n.bolt, metav1.GetOptions{})
	refused(t, err, "cannot get resource")
	_, err = n.owner.CoreV1().Secrets(n.boltNS).List(ctx, metav1.ListOptions{})
	refused(t, err, "cannot list resource")
	refused(t, n.owner.patch(ctx, "workspaces", n.bolt, `{"spec":{"access":[{"kind":"User","name":"`+n.owner.name+`","role":"Admin"}]}}`), "cannot patch resource")
	refused(t, n.owner.patch(ctx, "organizations", n.bolt, `{"spec":{"members":[{"kind":"User","name":"`+n.owner.name+`","role":"Owner"}]}}`), "cannot patch resource")
	refused(t, workspaces.Delete(ctx, n.bolt, metav1.DeleteOptions{}), "cannot delete resource")
	mine := `apiVersion: hanse.dev/v1alpha1
kind: Workspace
metadata: {name: others-sneaked}
spec: {organization: ` + n.bolt + `}`
	refused(t, n.owner.create(t, mine), "grant organizations.hanse.dev "+n.bolt)
	must(t, n.owner.create(t, strings.Replace(mine, n.bolt, n.acme, 1)))
	eventually(t, func(ctx context.Context) error {
		return n.owner.can(ctx, "", may("patch", "workspaces.hanse.dev", "others-sneaked"))
	})
	refused(t, n.owner.patch(ctx, "workspaces", "others-sneaked", `{"spec":{"organization":"`+n.bolt+`"}}`), "stays in its organization")
	if r := f.hanse(t, n.owner, "org", "list"); r.Code != 0 || !strings.Contains(r.Stdout, n.acme) || strings.Contains(r.Stdout, n.bolt) {
		t.Errorf("hanse org list: %s", r)
	}
	if r := f.hanse(t, n.owner, "org", "show", n.bolt); r.Code == 0 {
		t.Errorf("hanse org show: %s", r)
	}
}

// TestNobodyGivesByAnOrganizationWhatTheyDoNotHave: rights that one does not have, to oneself or to others.
func TestNobodyGivesByAnOrganizationWhatTheyDoNotHave(t *testing.T) {
	t.Parallel()
	f := suite
	n := f.tenants(t, "grants")
	ctx := t.Context()
	// An admin of the organization is no owner, nor an administrator of the hub.
	refused(t, n.admin.patch(ctx, "organizations", n.acme, `{"spec":{"members":[{"kind":"User","name":"`+n.admin.name+`","role":"Owner"}]}}`), "own organizations.hanse.dev "+n.acme)
	binding := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "more"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: n.admin.name}}}
	_, err := n.admin.RbacV1().RoleBindings(n.acmeNS).Create(ctx, binding, metav1.CreateOptions{})
	refused(t, err, "attempting to grant RBAC permissions not currently held")
	binding.RoleRef.Name, binding.Name = "edit", model.PrefixWorkspace+"edit"
	_, err = n.admin.RbacV1().RoleBindings(n.acmeNS).Create(ctx, binding, metav1.CreateOptions{})
	refused(t, err, "Try: change that")
	for _, name := range []string{"system:masters", "hanse:admins", "system:authenticated"} {
		refused(t, n.admin.patch(ctx, "workspaces", n.acme, `{"spec":{"access":[{"kind":"Group","name":"`+name+`","role":"Admin"}]}}`), "are nobody's")
	}
	// Who edits in the workspace sees it, and no more.
	refused(t, n.editor.patch(ctx, "workspaces", n.acme, `{"spec":{"access":[{"kind":"User","name":"`+n.editor.name+`","role":"Admin"}]}}`), "cannot patch resource")
	// Who may write the objects and nothing else gives nothing.
	clerk := f.person(t, "clerk", everywhere(may("create,update,patch,get", "organizations.hanse.dev,workspaces.hanse.dev")))
	refused(t, clerk.patch(ctx, "workspaces", n.acme, `{"spec":{"access":[{"kind":"User","name":"`+clerk.name+`","role":"View"}]}}`), "View", "owner or admin of organization "+n.acme)
	refused(t, clerk.patch(ctx, "organizations", n.acme, `{"spec":{"members":[{"kind":"User","name":"`+clerk.name+`","role":"Member"}]}}`), "organizations.hanse.dev "+n.acme)
	refused(t, clerk.create(t, "apiVersion: hanse.dev/v1alpha1\nkind: Organization\nmetadata: {name: grants-own}\nspec: {members: [{kind: User, name: "+clerk.name+", role: Owner}]}"), "own organizations.hanse.dev")
	// Who has the right may.
	must(t, n.admin.patch(ctx, "workspaces", n.acme, `{"spec":{"access":[{"kind":"User","name":"`+n.editor.name+`","role":"Admin"}]}}`))
	eventually(t, func(ctx context.Context) error {
		return n.editor.can(ctx, "", may("update", "workspaces.hanse.dev", n.acme))
	})
	eventually(t, func(ctx context.Context) error {
		return n.editor.can(ctx, n.acmeNS, may("create", "rolebindings.rbac.authorization.k8s.io"))
	})
	// … and the workspace's admin gives what they have.
	must(t, n.editor.patch(ctx, "workspaces", n.acme, `{"spec":{"access":[{"kind":"User","name":"`+n.editor.name+`","role":"Admin"},{"kind":"User","name":"grants-new","role":"Edit"}]}}`))
}

// TestForeignNamespacesAreNotClaimed: nobody's, the hub's, another organization's.
func TestForeignNamespacesAreNotClaimed(t *testing.T) {
	t.Parallel()
	f := suite
	n := f.tenants(t, "claims")
	ctx := t.Context()
	free := f.namespace(t, "claims-free")
	claims := func(p *person, name string) error {
		return p.patch(ctx, "workspaces", n.acme, `{"spec":{"namespaces":{"names":["`+n.acmeNS+`","`+name+`"]}}}`)
	}
	refused(t, claims(n.owner, n.boltNS), "claim namespaces "+n.boltNS)
	refused(t, claims(n.owner, free), "claim namespaces "+free)
	refused(t, claims(n.owner, "claims-not-there-yet"), "claim namespaces claims-not-there-yet")
	for _, name := range []string{"kube-system", "hanse-system"} {
		refused(t, claims(n.owner, name), "belong to nobody")
		refused(t, claims(f.admin, name), "belong to nobody")
	}
	refused(t, n.owner.patch(ctx, "workspaces", n.acme, `{"spec":{"namespaces":{"labels":{"matchLabels":{"kubernetes.io/metadata.name":"`+n.boltNS+`"}}}}}`), "claim namespaces in all namespaces")
	refused(t, n.owner.patch(ctx, "organizations", n.acme, `{"spec":{"namespaces":["`+n.acmeNS+`","`+n.boltNS+`"]}}`), "claim namespaces "+n.boltNS)
	// Nobody says by the status that it was theirs.
	clerk := f.person(t, "clerk", everywhere(may("get,update,patch", "workspaces.hanse.dev,workspaces/status.hanse.dev")))
	refused(t, clerk.patch(ctx, "workspaces", n.acme, `{"status":{"namespaces":["`+n.boltNS+`"]}}`, "status"), "nobody else may write it")
	// The administrator's mistake does not take it from who had it first, and is said.
	must(t, claims(f.admin, n.boltNS))
	eventually(t, func(ctx context.Context) error {
		return f.condition(ctx, "workspaces", n.acme, v1alpha1.ConditionAccepted, "False", n.boltNS+" belongs to organization "+n.bolt)
	})
	if n.owner.can(ctx, n.boltNS, may("get", "secrets")) == nil {
		t.Error("who came later has it")
	}
	must(t, n.other.can(ctx, n.boltNS, may("get", "secrets")))
}

// condition is an error unless an object has one with this status, and a message with these words.
func (f *fed) condition(ctx context.Context, resource, name, kind, status, words string) error {
	u, err := f.admin.dynamic.Resource(v1alpha1.Resource(resource)).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	all, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
	for _, one := range all {
		c := one.(map[string]any)
		if c["type"] == kind && c["status"] == status && strings.Contains(fmt.Sprint(c["message"]), words) {
			return nil
		}
	}
	return fmt.Errorf("%s %s: %v", resource, name, all)
}

// TestBoundsOfAWorkspaceAreNotLoosened: not by its people, in any way.
func TestBoundsOfAWorkspaceAreNotLoosened(t *testing.T) {
	t.Parallel()
	f := suite
	n := f.tenants(t, "bounds")
	ctx := t.Context()
	residency := "workspace." + n.acme + ".clusters"
	eventually(t, func(ctx context.Context) error {
		r, err := f.admin.dynamic.Resource(v1alpha1.Resource("residencies")).Get(ctx, residency, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if names, _, _ := unstructured.NestedStringSlice(r.Object, "spec", "namespaces"); len(names) != 1 || names[0] != n.acmeNS {
			return fmt.Errorf("%v", names)
		}
		_, err = f.admin.CoreV1().ResourceQuotas(n.acmeNS).Get(ctx, "hanse-workspace", metav1.GetOptions{})
		return err
	})
	for _, patch := range []string{
		`{"spec":{"clusters":null}}`, `{"spec":{"clusters":{"names":["aws"]}}}`, `{"spec":{"namespaces":null}}`, `{"spec":{"namespaces":{"names":null}}}`,
	} {
		refused(t, n.owner.patch(ctx, "workspaces", n.acme, patch), "residencies.hanse.dev "+residency)
	}
	refused(t, n.owner.dynamic.Resource(v1alpha1.Resource("workspaces")).Delete(ctx, n.acme, metav1.DeleteOptions{}), "residencies.hanse.dev")
	refused(t, n.owner.patch(ctx, "workspaces", n.acme, `{"spec":{"quota":{"hard":{"pods":"1000"}}}}`), "update resourcequotas in namespace "+n.acmeNS)
	refused(t, n.owner.patch(ctx, "workspaces", n.acme, `{"spec":{"quota":null}}`), "update resourcequotas in namespace "+n.acmeNS)
	refused(t, n.owner.CoreV1().ResourceQuotas(n.acmeNS).Delete(ctx, "hanse-workspace", metav1.DeleteOptions{}), "cannot delete resource")
	refused(t, n.owner.dynamic.Resource(v1alpha1.Resource("residencies")).Delete(ctx, residency, metav1.DeleteOptions{}), "cannot delete resource")
	// Whoever deletes the Organization and leaves the Workspace loosens nothing.
	must(t, f.admin.dynamic.Resource(v1alpha1.Resource("organizations")).Delete(ctx, n.acme, metav1.DeleteOptions{}))
	eventually(t, func(ctx context.Context) error {
		return f.condition(ctx, "workspaces", n.acme, v1alpha1.ConditionAccepted, "False", "its bounds hold")
	})
	_, err := f.admin.dynamic.Resource(v1alpha1.Resource("residencies")).Get(ctx, residency, metav1.GetOptions{})
	must(t, err)
	eventually(t, func(ctx context.Context) error {
		if n.editor.can(ctx, n.acmeNS, may("get", "secrets")) == nil {
			return fmt.Errorf("the editor still has rights")
		}
		return nil
	})
}

// TestAnInvitationIsGoodOnce: and for its time, for nobody who has but its hash, and not for who was removed.
func TestAnInvitationIsGoodOnce(t *testing.T) {
	t.Parallel()
	f := suite
	n := f.tenants(t, "invited")
	ctx := t.Context()
	invite := func(p *person, role string) (string, error) {
		r := f.hanse(t, p, "org", "invite", n.acme, "--role", role)
		if r.Code != 0 {
			return "", fmt.Errorf("%s", r)
		}
		return strings.TrimSpace(r.Stdout), nil
	}
	join := func(p *person, token string) error {
		return p.CoreV1().RESTClient().Post().AbsPath("/hanse/organizations/join").Body([]byte(`{"Token":"` + token + `"}`)).Do(ctx).Error()
	}
	if _, err := invite(n.admin, "owner"); err == nil || !strings.Contains(err.Error(), "own organizations.hanse.dev") {
		t.Errorf("an admin invites an owner: %v", err)
	}
	if _, err := invite(n.other, "member"); err == nil {
		t.Error("somebody else's owner invites")
	}
	token, err := invite(n.admin, "member")
	must(t, err)
	u, err := n.owner.dynamic.Resource(v1alpha1.Resource("organizations")).Get(ctx, n.acme, metav1.GetOptions{})
	must(t, err)
	invitations, _, _ := unstructured.NestedSlice(u.Object, "spec", "invitations")
	hash := invitations[0].(map[string]any)["tokenHash"].(string)
	if strings.Contains(fmt.Sprint(u.Object), strings.Split(token, ".")[1]) {
		t.Error("the token is stored")
	}
	thief := f.person(t, "thief")
	for _, stolen := range []string{hash, n.acme + "." + hash, n.acme + ".AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", strings.Replace(token, n.acme, n.bolt, 1), token[:len(token)-2], ""} {
		refusedPlainly(t, join(thief, stolen), "not good")
	}
	// Ten at once: one gets in.
	var wg sync.WaitGroup
	errs := make([]error, 10)
	for i := range errs {
		p := f.person(t, fmt.Sprint("racer-", i))
		wg.Go(func() { errs[i] = join(p, token) })
	}
	wg.Wait()
	in := 0
	for _, err := range errs {
		if err == nil {
			in++
		} else {
			refusedPlainly(t, err, "not good")
		}
	}
	if in != 1 {
		t.Errorf("%d got in by one token", in)
	}
	refusedPlainly(t, join(thief, token), "not good")

	// One that has expired, which the hub has yet to take out, or that says it is good for a year.
	for name, expires := range map[string]time.Time{"late": time.Now().Add(-time.Second), "long": time.Now().Add(365 * 24 * time.Hour)} {
		token := model.NewToken(n.acme)
		must(t, f.admin.patch(ctx, "organizations", n.acme, fmt.Sprintf(`{"spec":{"invitations":[{"name":%q,"role":"Admin","tokenHash":%q,"expiresAt":%q}]}}`, name, model.HashToken(token), expires.UTC().Format(time.RFC3339))))
		refusedPlainly(t, join(thief, token), "not good")
		eventually(t, func(ctx context.Context) error {
			o, err := f.admin.dynamic.Resource(v1alpha1.Resource("organizations")).Get(ctx, n.acme, metav1.GetOptions{})
			if err != nil {
				return err
			}
			if left, _, _ := unstructured.NestedSlice(o.Object, "spec", "invitations"); len(left) > 0 {
				return fmt.Errorf("%v", left)
			}
			return nil
		})
	}

	// An admin who is removed does not come back by an invitation of theirs.
	token, err = invite(n.admin, "admin")
	must(t, err)
	o, err := f.admin.dynamic.Resource(v1alpha1.Resource("organizations")).Get(ctx, n.acme, metav1.GetOptions{})
	must(t, err)
	var members []any
	all, _, _ := unstructured.NestedSlice(o.Object, "spec", "members")
	for _, m := range all {
		if m.(map[string]any)["name"] != n.admin.name {
			members = append(members, m)
		}
	}
	must(t, unstructured.SetNestedSlice(o.Object, members, "spec", "members"))
	_, err = n.owner.dynamic.Resource(v1alpha1.Resource("organizations")).Update(ctx, o, metav1.UpdateOptions{})
	refused(t, err, "may have made invitation", "hanse org remove")
	if r := f.hanse(t, n.owner, "org", "remove", n.acme, "--user", n.admin.name); r.Code != 0 {
		t.Fatalf("hanse org remove: %s", r)
	}
	refusedPlainly(t, join(n.admin, token), "not good")
	// The hub's own names are in no organization.
	token, err = invite(n.owner, "member")
	must(t, err)
	refusedPlainly(t, join(f.named(t, "system:hanse-friend"), token), "in no organization")
}

// TestRemovalEndsWatches: what somebody watches ends within five seconds after they were removed, and so does every right.
func TestRemovalEndsWatches(t *testing.T) {
	t.Parallel()
	f := suite
	n := f.tenants(t, "removed")
	ctx := t.Context()
	open := func(p *person) watch.Interface {
		w, err := p.CoreV1().Secrets(n.acmeNS).Watch(ctx, metav1.ListOptions{})
		must(t, err)
		t.Cleanup(w.Stop)
		return w
	}
	removed, stays := open(n.editor), open(n.owner)
	must(t, n.owner.patch(ctx, "workspaces", n.acme, `{"spec":{"access":null}}`))
	began := time.Now()
	ended := func() {
		for {
			select {
			case _, ok := <-removed.ResultChan():
				if !ok {
					return
				}
			case <-time.After(soon):
				t.Fatalf("the watch goes on")
			}
		}
	}
	ended()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the watch ended after %s", took)
	}
	_, err := n.editor.CoreV1().Secrets(n.acmeNS).Watch(ctx, metav1.ListOptions{})
	refused(t, err, "cannot watch resource")
	_, err = f.admin.CoreV1().Secrets(n.acmeNS).Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "later"}}, metav1.CreateOptions{})
	must(t, err)
	for {
		select {
		case e, ok := <-stays.ResultChan():
			if !ok {
				t.Fatal("the watch of somebody who was not removed has ended")
			}
			if o, err := meta.Accessor(e.Object); err == nil && o.GetName() == "later" {
				return
			}
		case <-time.After(soon):
			t.Fatal("the watch of somebody who was not removed is silent")
		}
	}
}

// refusedPlainly is refused for what is no resource.
func refusedPlainly(t *testing.T, err error, words string) {
	t.Helper()
	if err == nil {
		t.Error("nobody stopped it")
	} else if !strings.Contains(err.Error(), words) {
		t.Errorf("the refusal does not say %q: %v", words, err)
	}
}
