package template_test

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// FuzzRead: any object that an API server could store is a template, and the same object is the same for whatever decides.
func FuzzRead(f *testing.F) {
	f.Add("apps", "deployments", `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"a","namespace":"b","uid":"u","annotations":{"hanse.dev/division":"{\"aws\":1}","hanse.dev/rollout-state":"{}","hanse.dev/replicas":"follow"}},"spec":{"replicas":-1,"template":{"spec":{"containers":[{"resources":{"requests":{"cpu":"1"}}}],"affinity":{"podAntiAffinity":7},"topologySpreadConstraints":[null]}}}}`)
	f.Add("batch", "jobs", `{"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"a"},"spec":{"completions":"x","parallelism":9e18,"template":[]},"status":{"conditions":[{"type":"Complete","status":true}]}}`)
	f.Add("autoscaling", "horizontalpodautoscalers", `{"apiVersion":"autoscaling/v2","kind":"HorizontalPodAutoscaler","metadata":{"name":"a","annotations":{"hanse.dev/autoscale":"divide"}},"spec":{"scaleTargetRef":{"kind":1},"minReplicas":5,"maxReplicas":2}}`)
	f.Add("", "namespaces", `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"a","deletionTimestamp":"x"}}`)
	f.Fuzz(func(t *testing.T, group, resource, text string) {
		u := &unstructured.Unstructured{}
		if u.UnmarshalJSON([]byte(text)) != nil || u.IsList() {
			return
		}
		gr, hash := schema.GroupResource{Group: group, Resource: resource}, func(map[string]any) uint64 { return 1 }
		a, err := template.Read(gr, u.DeepCopy(), hash, nil)
		if a == nil {
			t.Fatalf("no template: %v", err)
		}
		_, _, _, _ = a.StaysPut(), a.Finished(), a.Completions(), a.Under(nil)
		b, _ := template.Read(gr, u.DeepCopy(), hash, a)
		if !template.SameInput(a, b) {
			t.Errorf("the same object is another input: %+v and %+v", a, b)
		}
		if key, ok := template.ParseKey(a.Key.String()); ok && key != a.Key {
			t.Errorf("%s is read as %s", a.Key, key)
		}
	})
}
