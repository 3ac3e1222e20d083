package policies

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/policy"
	"github.com/hanse-dev/hanse/internal/propagate/references"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// Defaults is how objects propagate of which nothing says anything else, by resource and group.
type Defaults map[string]string

// ParseDefaults reads settings such as secrets=Needed, of resources named as secrets or widgets.example.com.
func ParseDefaults(settings []string) (Defaults, error) {
	var d Defaults
	for _, s := range settings {
		resource, how, _ := strings.Cut(s, "=")
		gr := schema.ParseGroupResource(resource)
		err := policy.ReadPropagation(how)
		switch {
		case gr.Resource == "" || gr.Resource != strings.ToLower(gr.Resource) || strings.ContainsAny(resource, "/ *"):
			return nil, fmt.Errorf("%q does not name a resource. Try: secrets=Needed, or widgets.example.com=None", s)
		case err != nil:
			return nil, fmt.Errorf("%s: %w", s, err)
		case how == v1alpha1.PropagateNeeded && !references.Named(gr):
			return nil, fmt.Errorf("%s: only secrets and configmaps are named by other objects. Try: %s=%s or %s=%s", s, resource, v1alpha1.PropagateEverywhere, resource, v1alpha1.PropagateNone)
		case how == v1alpha1.PropagateNone && (gr == template.Namespaces() || gr == template.CRDs()):
			return nil, fmt.Errorf("%s: nothing can be in a cluster without them. Try: a policy for what is in them", s)
		}
		if other, twice := d[gr.String()]; twice && other != how {
			return nil, fmt.Errorf("%s: it is also set to %s. Try: one of them", s, other)
		}
		if d == nil {
			d = Defaults{}
		}
		d[gr.String()] = how
	}
	return d, nil
}

// Propagation is how a template propagates that a policy applies to, in a Namespace with those labels. What its Namespace says is
// for Secrets and ConfigMaps, and so is Needed: other objects that are needed are so everywhere.
func (d Defaults) Propagation(t *template.Template, applies *policy.Policy, namespace map[string]string) policy.Propagated {
	otherwise := policy.Propagated{How: v1alpha1.PropagateEverywhere}
	if how, says := d[t.Key.GR.String()]; says {
		otherwise = policy.Propagated{How: how, By: "the hub's default for " + t.Key.GR.String()}
	}
	named := references.Named(t.Key.GR)
	if how := namespace[v1alpha1.LabelPropagation]; how != "" && named {
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
