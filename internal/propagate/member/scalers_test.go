package member

import (
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

const (
	web       = "/apis/apps/v1/namespaces/shop/deployments/web"
	webScaler = "/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers/web"
)

// scaleWeb is an autoscaler that somebody in the member makes for web.
func scaleWeb(obj map[string]any) {
	obj["apiVersion"], obj["kind"] = "autoscaling/v2", "HorizontalPodAutoscaler"
	obj["metadata"] = map[string]any{"name": "web", "namespace": "shop"}
	obj["spec"] = map[string]any{"minReplicas": int64(5), "maxReplicas": int64(8),
		"scaleTargetRef": map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}}
}

func scaledTo(n int64) func(map[string]any) {
	return func(obj map[string]any) { obj["spec"].(map[string]any)["replicas"] = n }
}

func replicasIn(obj map[string]any) int64 {
	spec, _ := obj["spec"].(map[string]any)
	n, _ := spec["replicas"].(int64)
	return n
}

// TestTheHubsShareReturnsWithoutTheAutoscaler: what an autoscaler in the member had set
// is put back once when it is gone, whether the hub saw it go or not.
func TestTheHubsShareReturnsWithoutTheAutoscaler(t *testing.T) {
	for name, again := range map[string]bool{"seen": false, "away meanwhile": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMemberAPI(t)
			h := newHub()
			member, leave := m.joined(t, h, "aws")
			defer func() { leave() }()
			key := h.put(deployments(), deploymentOf(2))
			h.waitForState(t, member, key, v1alpha1.StateSynced)
			m.change(webScaler, scaleWeb)
			waitFor(t, "the autoscaler to be known", func() bool {
				owned, _ := member.engaged().scalers.owns(schema.GroupKind{Group: "apps", Kind: "Deployment"}, "shop", "web")
				return owned
			})
			m.change(web, scaledTo(5))
			waitFor(t, "its number to be known", func() bool {
				rec := member.get(key)
				return rec.seen.replicas != nil && *rec.seen.replicas == 5 && rec.left.hash == rec.seen.hash
			})
			if n := m.wrote("PATCH " + web); n != 0 {
				t.Fatalf("the autoscaler's number was written over %d times", n)
			}
			if again {
				leave()
				m.remove(webScaler)
				leave = m.engage(t, member)
			} else {
				m.remove(webScaler)
			}
			waitFor(t, "the hub's share", func() bool { return replicasIn(m.get(web)) == 2 })
			h.waitForState(t, member, key, v1alpha1.StateSynced)
			if n := m.wrote("PATCH " + web); n != 1 {
				t.Errorf("%d writes", n)
			}
		})
	}
}
