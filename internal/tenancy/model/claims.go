package model

import (
	"cmp"
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// claims say whose each Namespace is.
type claims struct {
	// organizations and workspaces by age, then name.
	organizations []*v1alpha1.Organization
	workspaces    []*v1alpha1.Workspace
	// byName has the organizations, members the workspaces of each by age, too many also for those beyond MaxWorkspaces.
	byName  map[string]*v1alpha1.Organization
	members map[string][]*v1alpha1.Workspace
	tooMany map[string]bool

	// organization and workspace that a Namespace belongs to.
	organization, workspace map[string]string
	// claimed are the namespaces that a workspace claims, whoever has them; cut are workspaces that claim too many.
	claimed map[string][]string
	cut     map[string]bool
}

// claim is one that somebody has on a namespace.
type claim struct {
	organization, workspace string // the latter may be empty
	had                     bool   // the namespace was given already
	object                  metav1.Object
}

// settle decides whose each Namespace is: whose it was, then the older's, then by name. An Organization whose workspace has a
// namespace has it, too.
func settle(w World) *claims {
	c := &claims{
		organizations: byAge(w.Organizations), workspaces: byAge(w.Workspaces),
		byName: map[string]*v1alpha1.Organization{}, members: map[string][]*v1alpha1.Workspace{}, tooMany: map[string]bool{},
		organization: map[string]string{}, workspace: map[string]string{}, claimed: map[string][]string{}, cut: map[string]bool{},
	}
	all := map[string][]claim{}
	for _, o := range c.organizations {
		c.byName[o.Name] = o
		for _, n := range spoken(o.Spec.Namespaces, o.Status.Namespaces, w.UnreadOrganizations[o.Name]) {
			all[n] = append(all[n], claim{organization: o.Name, had: slices.Contains(o.Status.Namespaces, n), object: o})
		}
	}
	for _, ws := range c.workspaces {
		of := ws.Spec.Organization
		if len(c.members[of]) == MaxWorkspaces {
			c.tooMany[ws.Name] = true
			continue
		}
		c.members[of] = append(c.members[of], ws)
		c.claimed[ws.Name] = c.claimsOf(w, ws)
		for _, n := range c.claimed[ws.Name] {
			all[n] = append(all[n], claim{organization: of, workspace: ws.Name, had: slices.Contains(ws.Status.Namespaces, n), object: ws})
		}
	}
	for n, of := range all {
		slices.SortFunc(of, first)
		c.organization[n] = of[0].organization
		for _, one := range of {
			if one.organization == of[0].organization && one.workspace != "" {
				c.workspace[n] = one.workspace
				break
			}
		}
	}
	return c
}

// spoken is what a spec says that can be claimed, or had, of one that is not understood.
func spoken(spec, had []string, unread bool) []string {
	if unread {
		spec = had
	}
	return slices.DeleteFunc(slices.Clone(spec), Reserved)
}

// claimsOf are the namespaces that a workspace wants: those that it names, those that it has, and those that it selects.
func (c *claims) claimsOf(w World, ws *v1alpha1.Workspace) []string {
	out := spoken(ws.Spec.Namespaces.Names, ws.Status.Namespaces, w.UnreadWorkspaces[ws.Name])
	if ws.Spec.Namespaces.Labels == nil {
		return out
	}
	selector := selectorOf(ws.Spec.Namespaces.Labels)
	selected := slices.Sorted(maps.Keys(w.Namespaces))
	slices.SortStableFunc(selected, func(a, b string) int { // what it has comes first, if it is too many
		return boolean(slices.Contains(ws.Status.Namespaces, b)) - boolean(slices.Contains(ws.Status.Namespaces, a))
	})
	for _, n := range selected {
		if Reserved(n) || slices.Contains(out, n) || !selector.Matches(labels.Set(w.Namespaces[n].Labels)) {
			continue
		}
		if len(out) >= MaxNamespaces {
			c.cut[ws.Name] = true
			break
		}
		out = append(out, n)
	}
	return out
}

// selectorOf is a selector as Kubernetes has it; nothing, if it is none.
func selectorOf(s *v1alpha1.Selector) labels.Selector {
	in := &metav1.LabelSelector{MatchLabels: map[string]string{}}
	for k, v := range s.MatchLabels {
		in.MatchLabels[k] = string(v)
	}
	for _, r := range s.MatchExpressions {
		values := make([]string, 0, len(r.Values))
		for _, v := range r.Values {
			values = append(values, string(v))
		}
		in.MatchExpressions = append(in.MatchExpressions, metav1.LabelSelectorRequirement{Key: r.Key, Operator: metav1.LabelSelectorOperator(r.Operator), Values: values})
	}
	out, err := metav1.LabelSelectorAsSelector(in)
	if err != nil || out.Empty() {
		return labels.Nothing()
	}
	return out
}

// byAge sorts objects by age, then name.
func byAge[T metav1.Object](all []T) []T {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b T) int { return older(a, b) })
	return all
}

func older(a, b metav1.Object) int {
	x, y := a.GetCreationTimestamp(), b.GetCreationTimestamp()
	return cmp.Or(x.Compare(y.Time), cmp.Compare(a.GetName(), b.GetName()))
}

func first(a, b claim) int {
	return cmp.Or(boolean(b.had)-boolean(a.had), older(a.object, b.object), cmp.Compare(a.workspace, b.workspace))
}

func boolean(b bool) int {
	if b {
		return 1
	}
	return 0
}
