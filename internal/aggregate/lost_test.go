package aggregate_test

import (
	"fmt"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"pgregory.net/rapid"

	"github.com/hanse-dev/hanse/internal/aggregate"
)

// counted is the kinds whose replicas are divided, with the fields that tools compare.
var counted = []schema.GroupKind{
	{Group: "apps", Kind: "Deployment"}, {Group: "apps", Kind: "ReplicaSet"}, {Group: "apps", Kind: "StatefulSet"}, {Kind: "ReplicationController"},
}

func hubObject(total int64) map[string]any {
	return map[string]any{
		"metadata": map[string]any{"generation": int64(5)}, "status": map[string]any{"observedGeneration": int64(4)},
		"spec": map[string]any{"replicas": total, "updateStrategy": map[string]any{"type": "RollingUpdate"}},
	}
}

func field(status map[string]any, name string) int64 {
	n, _ := status[name].(int64)
	return n
}

// TestTheLostAreNotReady: what clusters that are lost said last makes nothing ready,
// makes no number exceed what is wanted, and losing one more makes nothing better.
func TestTheLostAreNotReady(t *testing.T) {
	for _, gk := range counted {
		rapid.Check(t, func(t *rapid.T) {
			members := drawMembers(t, gk.Kind, nil)
			var total, alive, ready, wanted int64
			lost := 0
			for i := range members {
				m := &members[i]
				if rapid.Bool().Draw(t, "lost") {
					m.Lost, m.Reachable = true, false
					lost++
				} else {
					ready += field(m.Status, "readyReplicas")
					alive += max(field(m.Status, "replicas"), int64(*m.Replicas))
				}
				total += int64(*m.Replicas)
				if m.Lost {
					wanted += int64(*m.Replicas)
				}
			}
			status := aggregate.Status(gk, hubObject(total), members)
			if n := field(status, "readyReplicas"); n > ready {
				t.Fatalf("%s: %d are ready, %d in the clusters that are there: %v", gk.Kind, n, ready, status)
			}
			if n := field(status, "replicas"); n > alive+wanted {
				t.Fatalf("%s: %d replicas, of which %d are to be in lost clusters and %d are in others: %v", gk.Kind, n, wanted, alive, status)
			}
			if wanted > 0 && (field(status, "readyReplicas") >= total || field(status, "availableReplicas") >= total) {
				t.Fatalf("%s: all are ready, and %d of them lost: %v", gk.Kind, wanted, status)
			}
			for i := range members {
				if members[i].Lost {
					continue
				}
				members[i].Lost, members[i].Reachable = true, false
				worse := aggregate.Status(gk, hubObject(total), members)
				for _, name := range []string{"replicas", "readyReplicas", "availableReplicas", "updatedReplicas"} {
					if field(worse, name) > field(status, name) {
						t.Fatalf("%s: losing %s, too, raises %s: %v, then %v", gk.Kind, members[i].Cluster, name, status, worse)
					}
				}
				break
			}
		})
	}
}

// TestNobodyWaitsForTheLost that have nothing to run; for those that have, and for those
// that are merely away, kubectl rollout status waits.
func TestNobodyWaitsForTheLost(t *testing.T) {
	for _, kind := range []string{"Deployment", "StatefulSet", "DaemonSet"} {
		gk := schema.GroupKind{Group: "apps", Kind: kind}
		rapid.Check(t, func(t *rapid.T) {
			members := drawMembers(t, kind, map[string]any{"updateStrategy": map[string]any{"type": "RollingUpdate"}})
			var total int64
			for _, m := range members {
				total += int64(*orZero(m.Replicas))
			}
			without := hubObject(total)
			without["status"] = aggregate.Status(gk, without, members)

			share := new(int32)
			if kind == "DaemonSet" {
				share = nil
			}
			ran := rapid.Int64Range(1, 3).Draw(t, "ran")
			gone := aggregate.MemberStatus{
				Cluster: "gone", Replicas: share, Lost: true, Generation: 2, ObservedGeneration: 1, Spec: map[string]any{"replicas": ran},
				Status: map[string]any{
					"observedGeneration": int64(1), "replicas": ran, "readyReplicas": ran, "availableReplicas": ran,
					"desiredNumberScheduled": ran, "currentNumberScheduled": ran, "currentRevision": "old", "updateRevision": "new",
				},
			}
			with := hubObject(total)
			with["status"] = aggregate.Status(gk, with, append(members, gone))
			if a, b := fmt.Sprint(with["status"]), fmt.Sprint(without["status"]); a != b {
				t.Fatalf("%s: with a cluster that is lost and has nothing to run %s, without it %s", kind, a, b)
			}
			if !done(t, gk, without) {
				return
			}
			gone.Lost = false
			with["status"] = aggregate.Status(gk, hubObject(total), append(members, gone))
			if done(t, gk, with) {
				t.Fatalf("%s: one that is merely away is not waited for: %v", kind, with["status"])
			}
			if kind == "DaemonSet" {
				return
			}
			n := int32(1)
			gone.Lost, gone.Replicas, gone.Synced, gone.ObservedGeneration = true, &n, true, 2
			with = hubObject(total + 1)
			with["status"] = aggregate.Status(gk, with, append(members, gone))
			if done(t, gk, with) {
				t.Fatalf("%s: done, and one replica is lost: %v", kind, with["status"])
			}
		})
	}
}
