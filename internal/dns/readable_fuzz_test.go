package dns

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-dev/hanse/internal/dns/route"
)

// FuzzReadable: what is stored as a route or a zone is understood, or the last that was is in effect; what is in effect is
// always valid.
func FuzzReadable(f *testing.F) {
	for _, spec := range []string{
		`{"hosts":["www.example"],"routing":{"policy":"Weighted","weights":{"aws":1}},"healthCheck":{"interval":"1d"}}`,
		`{"hosts":["*.example",""],"endpoints":[{"cluster":"aws","addresses":["::1","x"]}],"ttl":-1}`,
		`{"domain":"example","records":[{"name":"@","type":"A","values":["1.2.3"]}],"allowedRoutes":{"namespaces":{"from":"Selector"}}}`,
		`{"domain":7}`, `"x"`, `null`,
	} {
		for _, kind := range []string{"GlobalRoute", "DNSZone"} {
			f.Add(`{"apiVersion":"hanse.dev/v1alpha1","kind":"` + kind + `","metadata":{"name":"a","namespace":"b"},"spec":` + spec + `,"status":{"lastValid":` + spec + `}}`)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		u := &unstructured.Unstructured{}
		if u.UnmarshalJSON([]byte(text)) != nil || u.IsList() {
			return
		}
		if r, why := readRoute(u.DeepCopy(), nil); r != nil && why == "" {
			if err := route.Validate(&r.Spec); err != nil {
				t.Errorf("a route is in effect that is not valid: %v", err)
			}
		}
		if z, why := readZone(u.DeepCopy(), nil); z == nil && why != "" {
			t.Errorf("no zone, and yet %s", why)
		}
	})
}
