package propagate

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// scaledBy is a member's object whose replicas a manager has set.
func scaledBy(manager string, replicas int64) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"metadata": map[string]any{"managedFields": []any{map[string]any{
			"manager": manager, "operation": "Update", "fieldsV1": map[string]any{"f:spec": map[string]any{"f:replicas": map[string]any{}}},
		}}},
		"spec": map[string]any{"replicas": replicas},
	}}
}

// TestWhoHasSetTheReplicas tells a number that a member set from one that the hub
// has not replaced so far, with and without what is known of the last write.
func TestWhoHasSetTheReplicas(t *testing.T) {
	for name, c := range map[string]struct {
		manager    string
		there      int32
		share      int32
		left       int32 // what the last write left; -1: not known, the hub was started again
		taken      int32 // -1: never
		autoscaled bool
		own        bool
	}{
		"as it is to be":                             {"kubectl", 3, 3, 3, -1, false, false},
		"scaled in the member":                       {"kubectl", 5, 3, 3, -1, false, true},
		"scaled while the hub was away":              {"kubectl", 5, 3, -1, -1, false, true},
		"scaled again while the hub was away":        {"kubectl", 6, 4, -1, 5, false, true},
		"the hub lowered it and was killed":          {"kubectl", 5, 4, -1, 5, false, false},
		"the hub's own, not replaced so far":         {"hanse", 3, 4, 3, -1, false, false},
		"the hub's own, after a restart":             {"hanse", 3, 4, -1, -1, false, false},
		"scaled again to what was taken over once":   {"kubectl", 5, 4, 4, 5, false, true},
		"an autoscaler's":                            {"kube-controller-manager", 5, 3, 3, -1, true, true},
		"an autoscaler's, lowered":                   {"kube-controller-manager", 2, 3, 3, -1, true, true},
		"the hub gives more to an autoscaler":        {"kube-controller-manager", 3, 5, 3, -1, true, false},
		"an autoscaler does not start from nothing":  {"kube-controller-manager", 0, 1, 1, -1, true, false},
		"an autoscaler's in a cloud that was lost":   {"kube-controller-manager", 5, 0, 5, -1, true, false},
		"more than the maximum that holds for it":    {"kubectl", 9, 3, 3, -1, false, false},
		"autoscaled to more than its maximum allows": {"kube-controller-manager", 9, 3, 3, -1, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(deployments())
			r.clusters(ready("aws", 0), ready("azure", 0))
			annotations := map[string]string{
				v1alpha1.AnnotationReplicas:    v1alpha1.ReplicasMember,
				v1alpha1.AnnotationDivision:    schedule.FormatDivision(map[string]int32{"aws": c.share, "azure": 1}),
				v1alpha1.AnnotationPreferences: `{"clusters":{"aws":{"weight":1,"maxReplicas":8},"*":{"weight":1}}}`,
			}
			if c.taken >= 0 {
				annotations[v1alpha1.AnnotationTaken] = schedule.FormatDivision(map[string]int32{"aws": c.taken})
			}
			tmpl := r.deployment("web", 10, int64(c.share)+1, annotations)
			m := newMember("aws")
			rec := record{seen: observation{uid: "there", replicas: &c.there}, live: scaledBy(c.manager, int64(c.there))}
			if c.left >= 0 {
				rec.left = &left{target: target{share: share{replicas: c.left}}}
			}
			task := &task{session: &session{engine: r.engine, member: m}, key: tmpl.key, template: tmpl, rec: rec}
			if got := task.ownCount(c.autoscaled); got != c.own {
				t.Errorf("%d replicas set by %s are the member's: %v", c.there, c.manager, got)
			}
		})
	}
}

func TestReplicasAnnotationOfAnotherValueIsPassedOver(t *testing.T) {
	r := newRig(deployments())
	r.clusters(ready("aws", 0))
	tmpl := r.deployment("web", 10, 1, map[string]string{v1alpha1.AnnotationReplicas: "mine"})
	if p := tmpl.problem(); tmpl.follows || p.message != `annotation hanse.dev/replicas: "mine" is not known, the only value is "member"` {
		t.Errorf("follows %v, problem %+v", tmpl.follows, p)
	}
}
