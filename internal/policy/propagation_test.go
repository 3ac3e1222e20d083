package policy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/policy"
)

// TestWhoSaysHowAnObjectPropagates: a default may be overruled by an administrator, and only be narrowed by anybody else.
func TestWhoSaysHowAnObjectPropagates(t *testing.T) {
	says := []string{"", "Everywhere", "Needed", "None"}
	spec := func(how string) string {
		if how == "" {
			return "{}"
		}
		return "{propagation: " + how + "}"
	}
	for _, otherwise := range says[1:] {
		for _, administrator := range says {
			for _, tenant := range append(says, "no policy") {
				for _, enforced := range says {
					all := []*policy.Policy{enforcing(t, "of-all", spec(enforced))}
					in := &v1alpha1.ClusterPlacementPolicy{ObjectMeta: metav1.ObjectMeta{Name: "default"}}
					in.Spec.Propagation = administrator
					byDefault, err := policy.FromClusterPolicy(in)
					if err != nil {
						t.Fatal(err)
					}
					all = append(all, byDefault)
					// The narrowest of those that may narrow what the administrator, or else the default, says.
					holds := otherwise
					narrower := []string{enforced}
					if tenant == "no policy" {
						if administrator != "" {
							holds = administrator
						}
					} else {
						all = append(all, made(t, "shop", "p", 1, spec(tenant)))
						narrower = append(narrower, tenant) // a tenant's policy goes before a default one
					}
					for _, one := range narrower {
						if slices.Index(says, one) > slices.Index(says, holds) {
							holds = one
						}
					}
					how := policy.NewIndex(all).For(deployment("shop", "web", nil)).Propagation(policy.Propagated{How: otherwise, By: "the hub"})
					if how.How != holds {
						t.Errorf("by default %s, the administrator %q, the tenant %q, enforced %q: %s, want %s", otherwise, administrator, tenant, enforced, how.How, holds)
					}
					if how.By == "" {
						t.Errorf("nobody says %s", how.How)
					}
				}
			}
		}
	}
	if how := policy.NoPolicy().Propagation(policy.Propagated{How: "Needed", By: "the hub"}); how.How != "Needed" || how.By != "the hub" {
		t.Errorf("without a policy: %+v", how)
	}
}

// TestAPropagationThatIsNotKnown is a policy that is not valid.
func TestAPropagationThatIsNotKnown(t *testing.T) {
	_, err := readEnforced("p", "{propagation: needed}")
	if want := `spec.propagation: "needed" is not known. Try: Everywhere, Needed or None`; !strings.HasSuffix(fmt.Sprint(err), want) {
		t.Errorf("%v", err)
	}
}
