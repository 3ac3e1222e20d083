package fleet

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/fleet/join"
)

const rbacPath = "/apis/rbac.authorization.k8s.io/v1/"

// rulesOf are those of a role in a cluster.
func (f *fakeAPI) rulesOf(t *testing.T, path string) []rbacv1.PolicyRule {
	t.Helper()
	data, err := json.Marshal(f.get(path))
	if err != nil {
		t.Fatal(err)
	}
	var role rbacv1.ClusterRole
	if err := json.Unmarshal(data, &role); err != nil {
		t.Fatal(err)
	}
	return role.Rules
}

func gives(rules []rbacv1.PolicyRule, verb, resource string) bool {
	return slices.ContainsFunc(rules, func(r rbacv1.PolicyRule) bool {
		return slices.Contains(r.Verbs, verb) && slices.Contains(r.Resources, resource) && len(r.ResourceNames) == 0
	})
}

func (f *federation) joinAs(t *testing.T, change func(*join.Options)) *v1alpha1.Cluster {
	t.Helper()
	o := f.options()
	change(&o)
	result, err := join.Run(t.Context(), clock.RealClock{}, o)
	if err != nil {
		t.Fatal(err)
	}
	return result.Cluster
}

func (f *federation) says(kind string) string {
	status, reason, message := f.condition(kind)
	return status + " " + reason + ": " + message
}

// TestWhatAJoinGives: by default what an auditor would give; a join again without a word about it changes nothing, and one with
// less takes away what is too much.
func TestWhatAJoinGives(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	f.member.has("shop", "")
	const role, small = rbacPath + "clusterroles/hanse-hub", rbacPath + "clusterroles/hanse-hub:namespaced"
	says := func(want v1alpha1.ClusterAccess, c *v1alpha1.Cluster) {
		t.Helper()
		if fmt.Sprint(c.Spec.Access) != fmt.Sprint(want) {
			t.Errorf("the Cluster says %+v, want %+v", c.Spec.Access, want)
		}
	}
	c := f.joinAs(t, func(*join.Options) {})
	says(v1alpha1.ClusterAccess{Role: "Namespaced", RBAC: "Propagated", Guard: "Enforced"}, c)
	rules := f.member.rulesOf(t, role)
	if gives(rules, "escalate", "clusterroles") || gives(rules, "create", "clusterroles") || gives(rules, "create", "customresourcedefinitions") || !gives(rules, "create", "deployments") {
		t.Errorf("by default it may %v", rules)
	}
	if said := f.says(v1alpha1.ConditionRestricted); !strings.HasPrefix(said, "True Namespaced: ") || !strings.Contains(said, "custom resources") || !strings.Contains(said, "hanse-hub-guard") {
		t.Errorf("said: %s", said)
	}

	c = f.joinAs(t, func(o *join.Options) { o.Role = v1alpha1.RoleFull })
	says(v1alpha1.ClusterAccess{Role: "Full", RBAC: "Propagated", Guard: "Enforced"}, c)
	if rules := f.member.rulesOf(t, role); !gives(rules, "escalate", "clusterroles") {
		t.Errorf("with all rights it may %v", rules)
	}
	f.eventually(t, "it is said", func() bool {
		return strings.Contains(f.says(v1alpha1.ConditionRestricted), "is an administrator of the cluster")
	})
	says(c.Spec.Access, f.joinAs(t, func(*join.Options) {}))

	// What the hub gave itself goes when it is to have less.
	f.member.put(rbacPath+"clusterroles/hanse-hub:example.com", map[string]any{"kind": "ClusterRole", "apiVersion": "rbac.authorization.k8s.io/v1", "metadata": map[string]any{"name": "hanse-hub:example.com"}})
	f.member.put(rbacPath+"clusterrolebindings/hanse-hub:example.com", map[string]any{"kind": "ClusterRoleBinding", "apiVersion": "rbac.authorization.k8s.io/v1", "metadata": map[string]any{"name": "hanse-hub:example.com"}})
	c = f.joinAs(t, func(o *join.Options) {
		o.Role, o.Namespaces, o.NoRBAC, o.NoGuard = v1alpha1.RoleNamespaced, []string{"shop", "new"}, true, true
	})
	says(v1alpha1.ClusterAccess{Role: "Namespaced", RBAC: "None", Namespaces: []string{"shop", "new"}, Guard: "None"}, c)
	if rules := f.member.rulesOf(t, role); gives(rules, "get", "secrets") || gives(rules, "create", "deployments") || !gives(rules, "get", "pods") {
		t.Errorf("in all namespaces it may %v", rules)
	}
	if rules := f.member.rulesOf(t, small); !gives(rules, "create", "secrets") || gives(rules, "create", "roles") {
		t.Errorf("in its namespaces it may %v", rules)
	}
	for path, want := range map[string]bool{
		rbacPath + "namespaces/shop/rolebindings/hanse-hub": true, rbacPath + "namespaces/new/rolebindings/hanse-hub": true, "/api/v1/namespaces/new": true,
		rbacPath + "clusterroles/hanse-hub:example.com": false, rbacPath + "clusterrolebindings/hanse-hub:example.com": false,
		"/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/hanse-hub-guard": false,
	} {
		if there := f.member.get(path) != nil; there != want {
			t.Errorf("%s is there: %t, want %t", path, there, want)
		}
	}
	if allow := c.Spec.Namespaces.Allow; !slices.Contains(allow, "shop") || !slices.Contains(allow, "new") {
		t.Errorf("allowed are %v", allow)
	}
}

// TestJoinWithoutTheRightToMakeAPolicy says so, and joins.
func TestJoinWithoutTheRightToMakeAPolicy(t *testing.T) {
	t.Parallel()
	for name, code := range map[string]int{"not allowed": http.StatusForbidden, "not served": http.StatusNotFound} {
		t.Run(name, func(t *testing.T) {
			f := newFederation(t)
			f.member.setIntercept(func(r *http.Request) int {
				if strings.Contains(r.URL.Path, "/validatingadmissionpolicies") {
					return code
				}
				return 0
			})
			var said []string
			c := f.joinAs(t, func(o *join.Options) { o.Progress = func(s string) { said = append(said, s) } })
			if c.Spec.Access.Guard != v1alpha1.GuardNone || !strings.Contains(strings.Join(said, "\n"), "no policy bounds the hub's account") {
				t.Errorf("%+v; said %q", c.Spec.Access, said)
			}
		})
	}
}

func TestRightsThatMakeNoSense(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	for want, change := range map[string]func(*join.Options){
		"is for all namespaces": func(o *join.Options) { o.Role, o.Namespaces = v1alpha1.RoleFull, []string{"shop"} },
		"cannot be the name":    func(o *join.Options) { o.Namespaces = []string{"team-*"} },
	} {
		o := f.options()
		change(&o)
		if _, err := join.DryRun(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "Try: ") {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// TestAPolicyThatIsNotInEffect is no guard, and is not said to be one.
func TestAPolicyThatIsNotInEffect(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	f.member.unguarded = true
	var said []string
	c := f.joinAs(t, func(o *join.Options) { o.Progress = func(s string) { said = append(said, s) } })
	if c.Spec.Access.Guard != v1alpha1.GuardNone || !strings.Contains(strings.Join(said, "\n"), "not in effect") {
		t.Errorf("%+v; said %q", c.Spec.Access, said)
	}
}
