package policy

import (
	"fmt"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// Propagated is whether an object goes to members, and who says so.
type Propagated struct {
	// How is one of the Propagate… constants.
	How string
	// By is who says so, for people; empty: nobody, it is as ever.
	By string
	// Problem is why nobody knows; empty: somebody does.
	Problem string
}

// ReadPropagation says what is wrong with a value; nil: it is one of the Propagate… constants.
func ReadPropagation(value string) error {
	if narrowness(value) == 0 {
		return fmt.Errorf("%q is not known. Try: %s, %s or %s", value, v1alpha1.PropagateEverywhere, v1alpha1.PropagateNeeded, v1alpha1.PropagateNone)
	}
	return nil
}

// narrowness is higher the fewer members have an object, 0 for what is not known.
func narrowness(how string) int {
	switch how {
	case v1alpha1.PropagateEverywhere:
		return 1
	case v1alpha1.PropagateNeeded:
		return 2
	case v1alpha1.PropagateNone:
		return 3
	}
	return 0
}

func (p *Policy) readPropagation(value string) error {
	if value == "" {
		return nil
	}
	if err := ReadPropagation(value); err != nil {
		return fmt.Errorf("spec.propagation: %w", err)
	}
	p.propagation = value
	return nil
}

// Propagation is how an object propagates that p applies to. otherwise is how it would without any policy: a
// ClusterPlacementPolicy may say anything else, unless it is enforced. That, and a policy of the object's namespace, only
// narrows.
func (p *Policy) Propagation(otherwise Propagated) Propagated {
	if p == nil {
		return otherwise
	}
	out := otherwise
	if p.propagation != "" && p.Namespace == "" && !p.isEnforced {
		out = Propagated{How: p.propagation, By: p.String()}
	}
	out = p.narrow(out)
	for _, e := range p.enforced {
		out = e.narrow(out)
	}
	return out
}

func (p *Policy) narrow(how Propagated) Propagated {
	if narrowness(p.propagation) <= narrowness(how.How) {
		return how
	}
	by := p.String()
	if p.isEnforced {
		by += ", which is enforced"
	}
	return Propagated{How: p.propagation, By: by}
}
