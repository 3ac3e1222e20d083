package rights

import (
	"fmt"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/kinds"
)

// Access is what the hub's account may do in a member. It does not change.
type Access struct {
	// Full: it may write every kind that is propagated; else those in namespaces, and Namespaces.
	Full bool
	// RBAC: it may write roles and bindings.
	RBAC bool
	// Namespaces are all that it may write in; none: any.
	Namespaces []string
}

// Read is what a Cluster says. One that says nothing joined when there was one role only, that of all rights.
func Read(a v1alpha1.ClusterAccess) Access {
	return Access{Full: a.Role != v1alpha1.RoleNamespaced, RBAC: a.RBAC != v1alpha1.RBACNone, Namespaces: a.Namespaces}
}

// All is every right.
func All() Access { return Access{Full: true, RBAC: true} }

// Equal says whether both are the same.
func (a Access) Equal(b Access) bool {
	return a.Full == b.Full && a.RBAC == b.RBAC && slices.Equal(a.Namespaces, b.Namespaces)
}

// Custom says whether the account can give itself the right to custom resources.
func (a Access) Custom() bool { return a.Full && a.RBAC }

// Bounded says whether the objects of a resource can be read in a.Namespaces only.
func (a Access) Bounded(gr schema.GroupResource) bool {
	return len(a.Namespaces) > 0 && gr == secrets()
}

func secrets() schema.GroupResource { return schema.GroupResource{Resource: "secrets"} }

// Kind says whether the account may write any object of a resource.
func (a Access) Kind(gr schema.GroupResource) bool {
	switch {
	case gr.Group == rbacv1.GroupName && !a.RBAC, !builtIn(gr.Group) && !a.Custom():
		return false
	case a.Full:
		return true
	}
	return !kinds.ClusterScoped(gr) || gr == schema.GroupResource{Resource: "namespaces"}
}

// Missing says why the account may not write an object, and what to try; empty: it may.
func (a Access) Missing(cluster string, gr schema.GroupResource, namespace, name string) string {
	in := namespace
	if gr == (schema.GroupResource{Resource: "namespaces"}) {
		in = name
	}
	switch {
	case !a.Kind(gr):
		return fmt.Sprintf("held: the hub's account in cluster %s may not write %s (%s). Try: hanse join %s again with --role full, by an administrator of that cluster", cluster, gr, a, cluster)
	case in != "" && len(a.Namespaces) > 0 && !slices.Contains(a.Namespaces, in):
		return fmt.Sprintf("held: the hub's account in cluster %s may write in no namespace but %s. Try: hanse join %s again with %s among its --namespaces, by an administrator of that cluster",
			cluster, strings.Join(a.Namespaces, ", "), cluster, in)
	}
	return ""
}

// Refused says whether err is a member's answer that the account has no right to what it asked for, or that the guard does not let it, and
// not that of other admission there. advice is what to try.
func Refused(cluster string, err error) (advice string, refused bool) {
	if !apierrors.IsForbidden(err) {
		return "", false
	}
	text := err.Error()
	switch {
	case strings.Contains(text, "ValidatingAdmissionPolicy '"+GuardName+"'"):
		return "Try: another object; the policy " + GuardName + " in cluster " + cluster + " holds whatever the hub does", true
	case strings.Contains(text, "is attempting to grant RBAC permissions not currently held"):
		return "Try: hanse join " + cluster + " again with --role full, by an administrator of that cluster; the hub then grants what it does not hold", true
	case strings.Contains(text, "\""+account+"\" cannot "):
		return "Try: hanse join " + cluster + " again, by an administrator of that cluster, which brings the hub's rights there up to date", true
	}
	return "", false
}

// String is a in a few words.
func (a Access) String() string {
	s := "role namespaced"
	if a.Full {
		s = "role full"
	}
	if !a.RBAC {
		s += ", without RBAC"
	}
	if len(a.Namespaces) > 0 {
		s += ", in " + strings.Join(a.Namespaces, ", ")
	}
	return s
}

// Limits is what the account cannot do, in words, empty where it can do all.
func (a Access) Limits() string {
	var not []string
	if !a.Full {
		not = append(not, "kinds that are in no namespace, but for Namespaces")
	}
	if !a.RBAC {
		not = append(not, "roles and bindings")
	}
	if !a.Custom() {
		not = append(not, "custom resources")
	}
	if len(a.Namespaces) > 0 {
		not = append(not, "anything outside the namespaces "+strings.Join(a.Namespaces, ", ")+", whose Secrets are the only ones that it reads")
	}
	return strings.Join(not, "; ")
}

// builtIn says whether a group is one of Kubernetes' own, which the rules name from the start.
func builtIn(group string) bool {
	return !strings.Contains(group, ".") || strings.HasSuffix(group, ".k8s.io")
}

// RoleName is that of the account's ClusterRole, NamespacedName of the one that is bound in single namespaces.
const (
	RoleName       = v1alpha1.ServiceAccount
	NamespacedName = v1alpha1.ServiceAccount + ":namespaced"
)

// Rules are those of the account's ClusterRole, in all namespaces.
func (a Access) Rules() []rbacv1.PolicyRule {
	if a.Full && a.RBAC {
		return kinds.MemberRules()
	}
	rules := filtered(kinds.MemberRules(), func(gr schema.GroupResource) bool {
		switch {
		case gr.Group == rbacv1.GroupName:
			return false
		case a.Full || gr.Resource == "nodes" || gr.Resource == "serviceaccounts/token":
			return true
		}
		return len(a.Namespaces) == 0 && (!kinds.ClusterScoped(gr) || gr.Resource == "namespaces")
	})
	if len(a.Namespaces) > 0 {
		rules = append(rules, a.reading()...)
	} else if a.RBAC {
		rules = append(rules, grants()...)
	}
	return append(rules, ownRules()...)
}

// InNamespaces are the rules of the ClusterRole that is bound in each of a.Namespaces.
func (a Access) InNamespaces() []rbacv1.PolicyRule {
	rules := filtered(kinds.MemberRules(), func(gr schema.GroupResource) bool {
		return gr.Group != rbacv1.GroupName && gr.Resource != "serviceaccounts/token" && !kinds.ClusterScoped(gr)
	})
	rules = slices.DeleteFunc(rules, func(r rbacv1.PolicyRule) bool { return len(r.NonResourceURLs) > 0 })
	if a.RBAC {
		rules = append(rules, grants()...)
	}
	return rules
}

// reading is what an account that is bound to namespaces may do in all: read what decisions depend on, but no Secret, and take over
// the Namespaces that are its.
func (a Access) reading() []rbacv1.PolicyRule {
	read := []string{"get", "list", "watch"}
	var rules []rbacv1.PolicyRule
	for _, r := range filtered(kinds.MemberRules(), func(gr schema.GroupResource) bool {
		return gr.Group != rbacv1.GroupName && gr != secrets() && gr.Resource != "events" && gr.Resource != "serviceaccounts/token" && !kinds.ClusterScoped(gr)
	}) {
		if len(r.NonResourceURLs) == 0 {
			r.Verbs = read
			rules = append(rules, r)
		}
	}
	rules = append(rules,
		rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"namespaces"}, Verbs: read},
		rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"namespaces"}, Verbs: []string{"update", "patch"}, ResourceNames: append([]string{v1alpha1.SystemNamespace}, a.Namespaces...)})
	if a.RBAC {
		rules = append(rules, rbacv1.PolicyRule{APIGroups: []string{rbacv1.GroupName}, Resources: []string{"roles", "rolebindings"}, Verbs: read})
	}
	return rules
}

// grants are the rights to roles and bindings in namespaces, without the right to give what the account does not hold: upstream's
// API server compares. It may bind two of upstream's roles whatever they have.
func grants() []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{
		{APIGroups: []string{rbacv1.GroupName}, Resources: []string{"roles", "rolebindings"}, Verbs: []string{"get", "list", "watch", "create", "update", "patch", "delete"}},
		{APIGroups: []string{rbacv1.GroupName}, Resources: []string{"clusterroles"}, Verbs: []string{"bind"}, ResourceNames: []string{"view", "edit"}},
	}
}

// ownRules are what the account needs to take itself out of a member, and to read what decisions depend on. It can narrow its
// own role, and not widen it.
func ownRules() []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"persistentvolumes"}, Verbs: []string{"get", "list", "watch"}},
		{APIGroups: []string{rbacv1.GroupName}, Resources: []string{"clusterroles"}, Verbs: []string{"get", "update", "patch"}, ResourceNames: []string{RoleName, NamespacedName}},
		{APIGroups: []string{rbacv1.GroupName}, Resources: []string{"clusterrolebindings"}, Verbs: []string{"get", "patch", "delete"}, ResourceNames: []string{RoleName}},
	}
}

// filtered are rules with the resources that are to be kept. Those about no resource stay.
func filtered(rules []rbacv1.PolicyRule, keep func(schema.GroupResource) bool) []rbacv1.PolicyRule {
	var out []rbacv1.PolicyRule
	for _, r := range rules {
		if len(r.NonResourceURLs) > 0 {
			out = append(out, r)
			continue
		}
		r.Resources = slices.DeleteFunc(slices.Clone(r.Resources), func(resource string) bool {
			return !keep(schema.GroupResource{Group: r.APIGroups[0], Resource: resource})
		})
		if len(r.Resources) > 0 {
			out = append(out, r)
		}
	}
	return out
}
