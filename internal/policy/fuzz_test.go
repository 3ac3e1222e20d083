package policy_test

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-dev/hanse/internal/policy"
)

// FuzzParse: whatever is stored as a policy, it is understood, or held with a reason, and never a panic.
func FuzzParse(f *testing.F) {
	for _, spec := range []string{
		`{"clusters":{"names":["aws"],"fields":[{"key":"region","operator":"In","values":["eu-1"]}]},"spread":[{"by":"Region","maxSkew":1}]}`,
		`{"select":{"kinds":[{"apiVersion":"v1","kind":"Secret"}]},"failover":{"after":"1d"}}`,
		`{"division":{"strategy":"Weighted","limits":{"*":{"weight":2,"min":-1,"max":3}}},"tolerations":[{"operator":"Exists"}]}`,
		`{"overrides":[{"images":[{"image":"a/b:c"}],"jsonPatch":[{"op":"add","path":"/x","value":1}],"when":{"names":["aws"]}}]}`,
		`[]`, `7`, `null`,
	} {
		for _, head := range []string{`"kind":"PlacementPolicy","metadata":{"name":"a","namespace":"b"}`, `"kind":"ClusterPlacementPolicy","metadata":{"name":"a"}`} {
			f.Add(`{"apiVersion":"hanse.dev/v1alpha1",` + head + `,"spec":` + spec + `,"status":{"inEffect":{"generation":1,"spec":` + spec + `}}}`)
		}
	}
	clusters := []policy.Cluster{{Name: "aws", Provider: "aws", Region: "eu-1", Zones: []string{"a"}, Labels: map[string]string{"pci": "true"}}, {Name: "azure"}}
	f.Fuzz(func(t *testing.T, text string) {
		u := &unstructured.Unstructured{}
		if u.UnmarshalJSON([]byte(text)) != nil || u.IsList() {
			return
		}
		policy.LastRead(u.DeepCopy())
		p, err := policy.Parse(u)
		if (p == nil) == (err == nil) {
			t.Fatalf("%v and %v", p, err)
		}
		if err != nil {
			if p = policy.Held(u, err); p.WhyHeld() == "" {
				t.Fatalf("it is not understood, and not held: %v", err)
			}
		}
		p.Allowed(clusters).Names()
		p.Numbers([]string{"aws", "azure"})
		p.Overrides(&clusters[0])
		_, _, _ = p.String(), p.Version(), p.Summary()
	})
}
