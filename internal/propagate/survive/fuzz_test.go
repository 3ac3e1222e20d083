package survive

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// FuzzRead: whatever is stored as an Ingress or a PodDisruptionBudget is read, and a budget wants no less than none.
func FuzzRead(f *testing.F) {
	f.Add(`{"apiVersion":"networking.k8s.io/v1","kind":"Ingress","metadata":{"name":"a"},"spec":{"rules":[null,{"host":"x","http":{"paths":[7,{"backend":{"service":{"name":"web"}}}]}}]}}`)
	f.Add(`{"apiVersion":"policy/v1","kind":"PodDisruptionBudget","metadata":{"name":"a"},"spec":{"minAvailable":"150%","maxUnavailable":-1,"selector":{"matchLabels":{"a":"b"}}}}`)
	f.Add(`{"apiVersion":"policy/v1","kind":"PodDisruptionBudget","metadata":{"name":"a"},"spec":{"maxUnavailable":9223372036854775807,"selector":{}}}`)
	f.Fuzz(func(t *testing.T, text string) {
		u := &unstructured.Unstructured{}
		if u.UnmarshalJSON([]byte(text)) != nil || u.IsList() {
			return
		}
		read, _ := template.Read(schema.GroupResource{Group: "policy", Resource: "poddisruptionbudgets"}, u, nil, nil)
		a := &decide.Assignment{Template: read}
		readIngress(a)
		if b, ok := readBudget(a); ok {
			if n, ok := b.wants(10); ok && n < 0 {
				t.Errorf("it wants %d of 10", n)
			}
		}
	})
}
