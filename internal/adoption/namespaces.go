package adoption

import (
	"fmt"
	"path"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// Namespaces says in which namespaces of a member the hub writes. It does not change. The zero value denies what a
// Cluster denies that says nothing.
type Namespaces struct{ Allow, Deny []string }

// DefaultNamespaces are those of a Cluster that says nothing, as the API has them.
func DefaultNamespaces() Namespaces {
	return Namespaces{Allow: []string{metav1.NamespaceDefault}, Deny: []string{"kube-*", v1alpha1.SystemNamespace}}
}

// ReadNamespaces is what a Cluster says. A list that is not set is the default; an empty one is empty.
func ReadNamespaces(n v1alpha1.ClusterNamespaces) Namespaces {
	out := DefaultNamespaces()
	if n.Allow != nil {
		out.Allow = plain(n.Allow)
	}
	if n.Deny != nil {
		out.Deny = plain(n.Deny)
	}
	return out
}

func plain(patterns []v1alpha1.NamespacePattern) []string {
	out := make([]string, len(patterns))
	for i, p := range patterns {
		out[i] = string(p)
	}
	return out
}

// Denied says whether the hub never writes in a namespace, whoever made it.
func (n Namespaces) Denied(name string) bool {
	return name == v1alpha1.SystemNamespace || matches(n.Deny, name)
}

// Allowed says whether the hub may take a namespace over that it did not make.
func (n Namespaces) Allowed(name string) bool { return !n.Denied(name) && matches(n.Allow, name) }

// Equal says whether both say the same in the same words.
func (n Namespaces) Equal(m Namespaces) bool {
	return slices.Equal(n.Allow, m.Allow) && slices.Equal(n.Deny, m.Deny)
}

// matches says whether a name is one of the patterns. What is no pattern, which the API refuses, matches nothing.
func matches(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		ok, err := path.Match(pattern, name)
		return ok && err == nil
	})
}

// Denying says that a namespace is denied, and what to try.
func Denying(cluster, name string) string {
	return fmt.Sprintf("held: the Cluster %s denies the hub namespace %s. Try: another namespace; or, for who may change the Cluster, spec.namespaces.deny", cluster, name)
}

// Allowing says how a namespace is allowed.
func Allowing(cluster, name string) string {
	return fmt.Sprintf(`Try: another name; or, for who may change the Cluster, kubectl patch cluster %s --type=json -p '[{"op":"add","path":"/spec/namespaces/allow/-","value":"%s"}]'`, cluster, name)
}
