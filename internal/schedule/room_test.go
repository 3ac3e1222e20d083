package schedule_test

import (
	"strings"
	"testing"

	"github.com/hanse-dev/hanse/internal/schedule"
)

// roomy is a cluster of one node with that much free.
func roomy(name string, milliCPU int64) schedule.Cluster {
	free := schedule.Resources{MilliCPU: milliCPU, Memory: 8 << 30, Pods: 100}
	return schedule.Cluster{Name: name, Ready: true, Domains: []schedule.Domain{{Free: &free, Nodes: []schedule.NodeGroup{{Count: 1, Free: free}}}}}
}

// TestRebalanceFullClusters divides again what fills the clusters: its own replicas are
// no reason why there is no room for them.
func TestRebalanceFullClusters(t *testing.T) {
	w := schedule.Workload{Key: "deployments.apps/shop/web", Divided: true, Total: 4, Template: plainTemplate(),
		Current: map[string]int32{"aws": 3, "azure": 1}, Policy: &schedule.Policy{Rebalance: true}}
	d := schedule.Schedule(w, []schedule.Cluster{roomy("aws", 0), roomy("azure", 150)})
	if d.String() != "aws=2,azure=2" || d.Unplaced != 0 {
		t.Errorf("divided again as %s, %d not placed", d, d.Unplaced)
	}
}

// TestNoRoomHasNumbers says what is asked for and what there is.
func TestNoRoomHasNumbers(t *testing.T) {
	closed := roomy("google", 0)
	closed.Domains = []schedule.Domain{{Free: &schedule.Resources{}, Closed: "no node is ready"}}
	w := schedule.Workload{Key: "deployments.apps/shop/web", Divided: true, Total: 2, Template: plainTemplate()}
	d := schedule.Schedule(w, []schedule.Cluster{roomy("aws", 150), roomy("azure", 50), closed})
	want := map[string]string{"azure": "no room for cpu 100m, memory 64Mi; a node has at most cpu 50m, memory 8Gi free", "google": "no node is ready"}
	for _, r := range d.Rejected {
		if r.Reason != want[r.Cluster] {
			t.Errorf("%s is rejected because %q, want %q", r.Cluster, r.Reason, want[r.Cluster])
		}
	}
	if len(d.Rejected) != len(want) || !strings.Contains(d.Reason, "3 clusters: no room for cpu 100m, memory 64Mi") {
		t.Errorf("rejected %v, because %q", d.Rejected, d.Reason)
	}
}
