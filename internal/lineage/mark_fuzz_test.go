package lineage_test

import (
	"encoding/json"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-dev/hanse/internal/lineage"
)

// FuzzReadMark: a member may say anything of whose an object is. A mark that names an object is taken on that one only.
func FuzzReadMark(f *testing.F) {
	f.Add(`{"creationTimestamp":"2026-01-01T00:00:00Z","annotations":{"hanse.dev/origin":"11111111-2222-3333-4444-555555555555/ac24ce3d@1000171/hub-00028/deployments.apps/shop/web"},"managedFields":[{"manager":"hanse","operation":"Update","time":"2026-01-01T00:00:00Z","fieldsV1":{"f:metadata":{"f:annotations":{"f:hanse.dev/origin":{}}}}}]}`)
	f.Add(`{"annotations":{"hanse.dev/origin":7},"managedFields":[null,{"fieldsV1":[]}]}`)
	on := lineage.Object{Resource: schema.GroupResource{Group: "apps", Resource: "deployments"}, Namespace: "shop", Name: "web"}
	f.Fuzz(func(t *testing.T, text string) {
		var metadata map[string]any
		if json.Unmarshal([]byte(text), &metadata) != nil {
			return
		}
		if m, ok := lineage.ReadMark(on, metadata); ok && m.Origin.On != on && (m.Origin.On != lineage.Object{} || !m.Proven) {
			t.Errorf("what is marked as %+v is taken for %+v", m.Origin.On, on)
		}
	})
}
