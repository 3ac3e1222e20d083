package decide

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

// enforcedOnAzure is a ClusterPlacementPolicy that lets nothing be anywhere else.
func enforcedOnAzure() *unstructured.Unstructured {
	p := policyManifest("azure-only", at(5), 1, map[string]any{"mode": "Enforced", "clusters": map[string]any{"names": []any{"azure"}}})
	p.SetKind("ClusterPlacementPolicy")
	p.SetNamespace("")
	return p
}

// TestNothingIsMadeWhereAnEnforcedPolicyBarsIt, whatever a tenant's policies and annotations say.
func TestNothingIsMadeWhereAnEnforcedPolicyBarsIt(t *testing.T) {
	nowhere := map[string]any{"clusters": map[string]any{"names": []any{"atlantis"}}}
	for name, tenants := range map[string]struct {
		spec        map[string]any
		annotations map[string]string
	}{
		"no policy":                     {},
		"an empty policy":               {spec: map[string]any{}},
		"a policy for another":          {spec: onlyAWS()},
		"a policy for none":             {spec: nowhere},
		"a division":                    {annotations: map[string]string{"hanse.dev/division": `{"aws":8}`}},
		"a division that is held":       {spec: nowhere, annotations: map[string]string{"hanse.dev/division": `{"aws":8}`}},
		"preferences":                   {annotations: map[string]string{"hanse.dev/preferences": `{"clusters":{"aws":{"minReplicas":8}}}`}},
		"preferences of Federation v1":  {annotations: map[string]string{"federation.kubernetes.io/deployment-preferences": `{"clusters":{"aws":{"minReplicas":8}}}`}},
		"the selector of Federation v1": {annotations: map[string]string{"federation.alpha.kubernetes.io/cluster-selector": `[]`}},
	} {
		r := newRig(deployments())
		r.clusters(ready("aws", 0), ready("azure", 0))
		r.apply(policyOf(enforcedOnAzure()))
		if tenants.spec != nil {
			r.apply(policyOf(policyManifest("p", at(6), 1, tenants.spec)))
		}
		a := r.deployment("web", 2000, 8, tenants.annotations)
		w := a.For("aws", r.w.facts)
		if !w.Barred || a.For("azure", r.w.facts).Barred {
			t.Errorf("%s: barred in aws %t", name, w.Barred)
		}
		if a.Decision.Problem == "" && a.Shares["aws"].Replicas > 0 {
			t.Errorf("%s: aws is given %v", name, a.Decision)
		}
	}
}

// TestAnEnforcedPolicyMovesWhatIsElsewhere, also when it comes later.
func TestAnEnforcedPolicyMovesWhatIsElsewhere(t *testing.T) {
	r := newRig(secrets())
	r.clusters(ready("aws", 0), ready("azure", 0))
	r.apply(policyOf(policyManifest("p", at(6), 1, map[string]any{})))
	key := r.secret("key")
	if len(key.Shares) != 2 {
		t.Fatalf("it is in %v", key.Shares)
	}
	r.apply(policyOf(enforcedOnAzure()))
	if _, still := r.w.at(key.Key).Shares["aws"]; still {
		t.Error("it stays in aws")
	}
	r.apply(PoliciesChanged{Gone: []types.UID{"uid-azure-only"}})
	if len(r.w.at(key.Key).Shares) != 2 {
		t.Error("it does not come back")
	}
}
