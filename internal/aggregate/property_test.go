package aggregate_test

import (
	"fmt"
	"reflect"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/kubectl/pkg/polymorphichelpers"
	"pgregory.net/rapid"

	"github.com/hanse-dev/hanse/internal/aggregate"
)

// drawMembers gives a workload of the kind to up to four clusters. The counts
// in a member's status keep the order that the API demands.
func drawMembers(t *rapid.T, kind string, spec map[string]any) []aggregate.MemberStatus {
	var members []aggregate.MemberStatus
	for i := range rapid.IntRange(1, 4).Draw(t, "members") {
		share := rapid.Int32Range(0, 3).Draw(t, "share")
		m := aggregate.MemberStatus{
			Cluster: fmt.Sprintf("c%d", i), Generation: 2, ObservedGeneration: 2,
			Synced: rapid.IntRange(0, 9).Draw(t, "synced") > 0, Reachable: true, Replicas: &share, Spec: map[string]any{},
		}
		if rapid.IntRange(0, 9).Draw(t, "lag") == 0 {
			m.ObservedGeneration = 1
		}
		for k, v := range spec {
			m.Spec[k] = v
		}
		m.Spec["replicas"] = int64(share)
		// Nearly done more often than not, or nothing would ever be.
		count := func(name string, most int64) int64 {
			n := min(int64(share), most)
			if rapid.IntRange(0, 5).Draw(t, name+" off") == 0 {
				n = rapid.Int64Range(0, most).Draw(t, name)
			}
			return n
		}
		replicas := count("replicas", 5)
		ready := count("ready", replicas)
		updated := count("updated", replicas)
		m.Status = map[string]any{
			"observedGeneration": m.ObservedGeneration, "replicas": replicas, "updatedReplicas": updated,
			"readyReplicas": ready, "availableReplicas": count("available", ready),
		}
		switch kind {
		case "StatefulSet":
			m.Status["currentRevision"] = rapid.SampledFrom([]string{"a", "a", "a", "b"}).Draw(t, "current")
			m.Status["updateRevision"] = rapid.SampledFrom([]string{"a", "a", "a", "b"}).Draw(t, "update")
		case "DaemonSet":
			m.Replicas = nil
			m.Status = map[string]any{
				"observedGeneration": m.ObservedGeneration, "desiredNumberScheduled": int64(share), "currentNumberScheduled": int64(share),
				"updatedNumberScheduled": min(updated, int64(share)), "numberReady": min(ready, int64(share)), "numberAvailable": min(ready, int64(share)),
			}
		}
		members = append(members, m)
	}
	return members
}

// done is kubectl rollout status's verdict.
func done(t *rapid.T, gk schema.GroupKind, o map[string]any) bool {
	viewer, err := polymorphichelpers.StatusViewerFor(gk)
	if err != nil {
		t.Fatal(err)
	}
	_, done, err := viewer.Status(&unstructured.Unstructured{Object: o}, 0)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// TestRolloutIsDoneWhenAndOnlyWhenItIsInAllClusters asks kubectl about each
// member's object and about the hub's.
func TestRolloutIsDoneWhenAndOnlyWhenItIsInAllClusters(t *testing.T) {
	rolling := map[string]any{"updateStrategy": map[string]any{"type": "RollingUpdate"}}
	partitioned := map[string]any{"updateStrategy": map[string]any{"type": "RollingUpdate", "rollingUpdate": map[string]any{"partition": int64(0)}}}
	for _, tt := range []struct {
		name, kind string
		spec       map[string]any
	}{
		{"Deployment", "Deployment", nil},
		{"StatefulSet", "StatefulSet", rolling},
		{"StatefulSet with a partition", "StatefulSet", partitioned},
		{"DaemonSet", "DaemonSet", rolling},
	} {
		t.Run(tt.name, func(t *testing.T) {
			gk := schema.GroupKind{Group: "apps", Kind: tt.kind}
			rapid.Check(t, func(t *rapid.T) {
				members := drawMembers(t, tt.kind, tt.spec)
				hubSpec := map[string]any{}
				for k, v := range tt.spec {
					hubSpec[k] = v
				}
				all := true
				var total int64
				for _, m := range members {
					total += int64(*orZero(m.Replicas))
					all = all && m.Synced && done(t, gk, map[string]any{
						"metadata": map[string]any{"generation": m.Generation}, "spec": m.Spec, "status": m.Status,
					})
				}
				hubSpec["replicas"] = total
				hub := map[string]any{"metadata": map[string]any{"generation": int64(5)}, "spec": hubSpec, "status": map[string]any{"observedGeneration": int64(4)}}
				hub["status"] = aggregate.Status(gk, hub, members)
				if got := done(t, gk, hub); got != all {
					t.Fatalf("done at the hub: %t, in all clusters: %t\n%v", got, all, hub["status"])
				}
			})
		})
	}
}

func orZero(n *int32) *int32 {
	if n == nil {
		return new(int32)
	}
	return n
}

// TestMovedReplicasAreNotDoneTooEarly: replicas move from cluster to cluster
// without a change at the hub, which has observed its generation long ago.
func TestMovedReplicasAreNotDoneTooEarly(t *testing.T) {
	for _, kind := range []string{"Deployment", "StatefulSet"} {
		gk := schema.GroupKind{Group: "apps", Kind: kind}
		spec := map[string]any{"updateStrategy": map[string]any{"type": "RollingUpdate"}}
		rapid.Check(t, func(t *rapid.T) {
			members := drawMembers(t, kind, spec)
			var total int64
			lacking := false
			for _, m := range members {
				total += int64(*m.Replicas)
				field := map[string]string{"Deployment": "updatedReplicas", "StatefulSet": "readyReplicas"}[kind]
				lacking = lacking || m.Status[field].(int64) < int64(*m.Replicas)
			}
			hub := map[string]any{
				"metadata": map[string]any{"generation": int64(5)},
				"spec":     map[string]any{"replicas": total, "updateStrategy": spec["updateStrategy"]},
				"status":   map[string]any{"observedGeneration": int64(5)},
			}
			hub["status"] = aggregate.Status(gk, hub, members)
			if lacking && done(t, gk, hub) {
				t.Fatalf("done although a cluster lacks replicas: %v", hub["status"])
			}
		})
	}
}

func TestNumbersSumUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members := drawMembers(t, "Deployment", nil)
		var total int64
		for _, m := range members {
			total += int64(*m.Replicas)
		}
		hub := map[string]any{"metadata": map[string]any{"generation": int64(1)}, "spec": map[string]any{"replicas": total}}
		got := aggregate.Status(schema.GroupKind{Group: "apps", Kind: "Deployment"}, hub, members)
		number := func(field string) int64 { n, _ := got[field].(int64); return n }
		for _, field := range []string{"replicas", "updatedReplicas", "readyReplicas", "availableReplicas"} {
			var sum int64
			lacking := false
			for _, m := range members {
				sum += m.Status[field].(int64)
				lacking = lacking || m.Status[field].(int64) < int64(*m.Replicas)
			}
			if n := number(field); n > sum || (n != sum && (!lacking || field == "replicas")) || (lacking && field != "replicas" && n >= total) {
				t.Fatalf("%s is %d, the sum is %d of %d, lacking: %t", field, n, sum, total, lacking)
			}
		}
		if number("availableReplicas") > number("readyReplicas") || number("readyReplicas") > number("replicas") || number("updatedReplicas") > number("replicas") {
			t.Fatalf("the API server would refuse %v", got)
		}
	})
}

func TestObservedGenerationIsNeitherAheadNorBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		generation := rapid.Int64Range(1, 5).Draw(t, "generation")
		before := rapid.Int64Range(0, generation).Draw(t, "observed before")
		members := drawMembers(t, "Deployment", nil)
		hub := map[string]any{
			"metadata": map[string]any{"generation": generation},
			"status":   map[string]any{"observedGeneration": before},
		}
		want := generation
		for _, m := range members {
			if !m.Synced || m.ObservedGeneration < m.Generation {
				want = before
			}
		}
		for _, gk := range []schema.GroupKind{{Group: "apps", Kind: "Deployment"}, {Group: "example.com", Kind: "Cache"}} {
			if got, _ := aggregate.Status(gk, hub, members)["observedGeneration"].(int64); got != want {
				t.Fatalf("%s: got %d, want %d", gk, got, want)
			}
		}
	})
}

func TestOrderOfMembersDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members := drawMembers(t, "StatefulSet", nil)
		hub := map[string]any{"metadata": map[string]any{"generation": int64(1)}, "spec": map[string]any{"replicas": int64(4)}}
		shuffled := rapid.Permutation(members).Draw(t, "shuffled")
		for _, gk := range kinds() {
			if a, b := aggregate.Status(gk, hub, members), aggregate.Status(gk, hub, shuffled); !reflect.DeepEqual(a, b) {
				t.Fatalf("%s: %v and %v", gk, a, b)
			}
		}
	})
}

// kinds is one of each that is treated in a way of its own.
func kinds() []schema.GroupKind {
	return []schema.GroupKind{
		{Group: "apps", Kind: "Deployment"}, {Group: "apps", Kind: "ReplicaSet"}, {Group: "apps", Kind: "StatefulSet"},
		{Group: "apps", Kind: "DaemonSet"}, {Kind: "ReplicationController"}, {Group: "batch", Kind: "Job"},
		{Group: "batch", Kind: "CronJob"}, {Kind: "Service"}, {Group: "networking.k8s.io", Kind: "Ingress"},
		{Kind: "PersistentVolumeClaim"}, {Group: "policy", Kind: "PodDisruptionBudget"},
		{Group: "autoscaling", Kind: "HorizontalPodAutoscaler"}, {Kind: "Pod"}, {Kind: "Namespace"},
		{Group: "example.com", Kind: "Cache"},
	}
}

func BenchmarkStatus(b *testing.B) {
	for _, n := range []int{3, 30} {
		b.Run(fmt.Sprintf("Deployment/members=%d", n), func(b *testing.B) {
			share := int32(2)
			var members []aggregate.MemberStatus
			for i := range n {
				members = append(members, aggregate.MemberStatus{
					Cluster: fmt.Sprintf("c%02d", i), Replicas: &share, Generation: 1, ObservedGeneration: 1, Synced: true, Reachable: true,
					Spec: map[string]any{"replicas": int64(2)},
					Status: map[string]any{
						"observedGeneration": int64(1), "replicas": int64(2), "updatedReplicas": int64(2), "readyReplicas": int64(2), "availableReplicas": int64(2),
						"conditions": []any{
							map[string]any{"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable", "message": "ok", "lastTransitionTime": "2026-01-01T10:00:00Z", "lastUpdateTime": "2026-01-01T10:00:00Z"},
							map[string]any{"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable", "message": "ok", "lastTransitionTime": "2026-01-01T10:00:00Z", "lastUpdateTime": "2026-01-01T10:00:00Z"},
						},
					},
				})
			}
			hub := map[string]any{"metadata": map[string]any{"generation": int64(1)}, "spec": map[string]any{"replicas": int64(2 * n)}}
			b.ReportAllocs()
			for b.Loop() {
				aggregate.Status(schema.GroupKind{Group: "apps", Kind: "Deployment"}, hub, members)
			}
		})
	}
}
