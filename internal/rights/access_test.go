package rights

import (
	"errors"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"pgregory.net/rapid"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/kinds"
)

func drawAccess(t *rapid.T) Access {
	a := Access{Full: rapid.Bool().Draw(t, "full"), RBAC: rapid.Bool().Draw(t, "rbac")}
	if !a.Full {
		a.Namespaces = rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"shop", "web"}), 0, 2, rapid.ID[string]).Draw(t, "namespaces")
	}
	return a
}

// may says whether rules give a right to any object of a resource.
func may(rules []rbacv1.PolicyRule, verb string, gr schema.GroupResource) bool {
	return slices.ContainsFunc(rules, func(r rbacv1.PolicyRule) bool {
		return slices.Contains(r.Verbs, verb) && slices.Contains(r.APIGroups, gr.Group) && slices.Contains(r.Resources, gr.Resource) && len(r.ResourceNames) == 0
	})
}

// TestRulesAreWhatIsSaid: an account may write exactly what Kind says, where Namespaces says; nobody but one with all rights may escalate or bind
// what they like, nobody impersonates, and there is no wildcard.
func TestRulesAreWhatIsSaid(t *testing.T) {
	var all []schema.GroupResource
	for _, r := range kinds.MemberRules() {
		for _, resource := range r.Resources {
			if gr := (schema.GroupResource{Group: r.APIGroups[0], Resource: resource}); slices.Contains(r.Verbs, "delete") {
				all = append(all, gr)
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		a := drawAccess(t)
		everywhere, inNamespaces := a.Rules(), a.InNamespaces()
		gr := rapid.SampledFrom(all).Draw(t, "resource")
		want := a.Kind(gr) && (len(a.Namespaces) == 0)
		if got := may(everywhere, "create", gr); got != want {
			t.Fatalf("%s: may create %s everywhere: %t, want %t", a, gr, got, want)
		}
		if len(a.Namespaces) > 0 {
			if got, want := may(inNamespaces, "create", gr), a.Kind(gr) && !kinds.ClusterScoped(gr); got != want {
				t.Fatalf("%s: may create %s in its namespaces: %t, want %t", a, gr, got, want)
			}
			if may(everywhere, "get", secrets()) || may(everywhere, "list", secrets()) {
				t.Fatalf("%s: may read all Secrets", a)
			}
		}
		for _, r := range append(slices.Clone(everywhere), inNamespaces...) {
			for _, verb := range r.Verbs {
				escalates := verb == "escalate" || verb == "bind" && len(r.ResourceNames) == 0
				if verb == "*" || strings.HasPrefix(verb, "impersonate") || escalates && (!a.Full || !a.RBAC) {
					t.Fatalf("%s: may %s %v", a, verb, r.Resources)
				}
			}
			if slices.Contains(r.Resources, "*") || slices.Contains(r.APIGroups, "*") {
				t.Fatalf("%s: may %v %v of %v", a, r.Verbs, r.Resources, r.APIGroups)
			}
		}
		if !a.Custom() && a.Kind(schema.GroupResource{Group: "example.com", Resource: "widgets"}) {
			t.Fatalf("%s: custom resources are said to be written", a)
		}
		if (a.Limits() == "") != (a.Full && a.RBAC) {
			t.Fatalf("%s: limits are %q", a, a.Limits())
		}
	})
}

func TestMissing(t *testing.T) {
	bound := Access{RBAC: true, Namespaces: []string{"shop"}}
	for name, c := range map[string]struct {
		a             Access
		gr            string
		ns, name, say string
	}{
		"all":                      {All(), "clusterroles.rbac.authorization.k8s.io", "", "a", ""},
		"a Deployment":             {Access{RBAC: true}, "deployments.apps", "shop", "a", ""},
		"a Namespace":              {Access{}, "namespaces", "", "shop", ""},
		"a ClusterRole":            {Access{RBAC: true}, "clusterroles.rbac.authorization.k8s.io", "", "a", "may not write clusterroles.rbac"},
		"a Role":                   {Access{Full: true}, "roles.rbac.authorization.k8s.io", "shop", "a", "without RBAC"},
		"a custom resource":        {Access{RBAC: true}, "widgets.example.com", "shop", "a", "--role full"},
		"in its namespace":         {bound, "secrets", "shop", "a", ""},
		"in another":               {bound, "secrets", "web", "a", "no namespace but shop"},
		"another Namespace":        {bound, "namespaces", "", "web", "with web among its --namespaces"},
		"its Namespace":            {bound, "namespaces", "", "shop", ""},
		"a volume in no namespace": {bound, "persistentvolumes", "", "a", "may not write persistentvolumes"},
	} {
		t.Run(name, func(t *testing.T) {
			got := c.a.Missing("aws", schema.ParseGroupResource(c.gr), c.ns, c.name)
			if (got == "") != (c.say == "") || !strings.Contains(got, c.say) || got != "" && !strings.Contains(got, "Try: hanse join aws") {
				t.Errorf("said %q, want %q", got, c.say)
			}
		})
	}
}

// TestClustersOfEarlierVersionsHaveAllRights, as there was one role only.
func TestClustersOfEarlierVersionsHaveAllRights(t *testing.T) {
	if a := Read(v1alpha1.ClusterAccess{}); !a.Equal(All()) {
		t.Errorf("%s", a)
	}
}

func TestRefused(t *testing.T) {
	forbidden := func(why string) error {
		return apierrors.NewForbidden(schema.GroupResource{Resource: "roles"}, "a", errors.New(why))
	}
	for name, c := range map[string]struct {
		err  error
		want string // empty: it is something else
	}{
		"no right":       {forbidden(`User "system:serviceaccount:hanse-system:hanse-hub" cannot create resource "roles" in API group "" in the namespace "shop"`), "up to date"},
		"escalation":     {forbidden(`user "system:serviceaccount:hanse-system:hanse-hub" (groups=["a"]) is attempting to grant RBAC permissions not currently held: {}`), "--role full"},
		"the guard":      {forbidden(`ValidatingAdmissionPolicy 'hanse-hub-guard' with binding 'hanse-hub-guard' denied request: the hub's account touches nothing`), "hanse-hub-guard"},
		"a quota":        {forbidden("exceeded quota: small, requested: pods=1"), ""},
		"Pod Security":   {forbidden(`violates PodSecurity "restricted:latest"`), ""},
		"another policy": {forbidden(`ValidatingAdmissionPolicy 'theirs' with binding 'theirs' denied request: no`), ""},
		"something else": {errors.New("connection refused"), ""},
	} {
		if advice, refused := Refused("aws", c.err); refused != (c.want != "") || !strings.Contains(advice, c.want) {
			t.Errorf("%s: %t, %q", name, refused, advice)
		}
	}
}
