package policies

import (
	"fmt"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/policy"
	"github.com/hanse-dev/hanse/internal/propagate/references"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// Defaults is how objects propagate of which nothing says anything else, by resource and group.
type Defaults map[string]string

// Propagation is how a template propagates that a policy applies to, in a Namespace with those labels. What its Namespace says is
// for Secrets and ConfigMaps, and so is Needed: other objects that are needed are so everywhere.
func (d Defaults) Propagation(t *template.Template, applies *policy.Policy, namespace map[string]string) policy.Propagated {
	otherwise := policy.Propagated{How: v1alpha1.PropagateEverywhere}
	if how, says := d[t.Key.GR.String()]; says {
		otherwise = policy.Propagated{How: how, By: "the hub's default for " + t.Key.GR.String()}
	}
	named := references.Named(t.Key.GR)
	if how, says := namespace[v1alpha1.LabelPropagation]; says && named {
		otherwise = policy.Propagated{How: how, By: "Namespace " + t.Key.Namespace}
		if err := policy.ReadPropagation(how); err != nil {
			return policy.Propagated{Problem: fmt.Sprintf("label %s of Namespace %s, so nothing new is placed: %v", v1alpha1.LabelPropagation, t.Key.Namespace, err)}
		}
	}
	out := applies.Propagation(otherwise)
	if out.How == v1alpha1.PropagateNeeded && !named {
		return policy.Propagated{How: v1alpha1.PropagateEverywhere}
	}
	return out
}

// Propagation is how a template propagates that a policy applies to.
func (p *Policies) Propagation(t *template.Template, applies *policy.Policy) policy.Propagated {
	return p.Defaults.Propagation(t, applies, p.namespaces[t.Key.Namespace])
}
