package aggregate

import (
	"reflect"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// TestTheUseOfAQuotaAddsUp, but for what the hub's own controller counts.
func TestTheUseOfAQuotaAddsUp(t *testing.T) {
	kind := schema.GroupKind{Kind: "ResourceQuota"}
	hub := func(annotations, hard map[string]any) map[string]any {
		return map[string]any{"metadata": map[string]any{"annotations": annotations}, "spec": map[string]any{"hard": hard},
			"status": map[string]any{"hard": hard, "used": map[string]any{"pods": "0", "secrets": "2", "requests.memory": "0"}}}
	}
	members := []MemberStatus{
		{Cluster: "aws", Status: map[string]any{"hard": map[string]any{"pods": "3"}, "used": map[string]any{"pods": "2", "secrets": "9", "requests.cpu": "500m", "requests.memory": "512Mi"}}},
		{Cluster: "azure", Status: map[string]any{"used": map[string]any{"pods": "3", "requests.cpu": "1", "requests.memory": "512Mi"}}},
		{Cluster: "google"},
	}
	hard := map[string]any{"pods": "9", "secrets": "5", "requests.cpu": "4", "requests.memory": "4Gi"}
	got := Status(kind, hub(nil, hard), members)
	want := map[string]any{"hard": hard, "used": map[string]any{"pods": "5", "secrets": "2", "requests.cpu": "1500m", "requests.memory": "1Gi"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	next := hub(nil, hard)
	next["status"] = got
	if again := Status(kind, next, members); !reflect.DeepEqual(again, got) {
		t.Errorf("again: %v", again)
	}
	if got := Status(kind, hub(map[string]any{"hanse.dev/quota": "each"}, hard), members); got != nil {
		t.Errorf("one that each cluster has: %v", got)
	}
	if got := Status(kind, hub(nil, map[string]any{"secrets": "5"}), members); got != nil {
		t.Errorf("nothing that is divided: %v", got)
	}
}
