package capacity_test

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"pgregory.net/rapid"

	"github.com/hanse-dev/hanse/internal/capacity"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// drawNodes is nodes of few sizes, in few zones.
func drawNodes(t *rapid.T) []*corev1.Node {
	nodes := make([]*corev1.Node, rapid.IntRange(1, 100).Draw(t, "nodes"))
	for i := range nodes {
		nodes[i] = newNode(fmt.Sprintf("node-%d", i), rapid.SampledFrom([]string{"1", "2"}).Draw(t, "zone"))
		nodes[i].Status.Allocatable[corev1.ResourceCPU] = *resource.NewMilliQuantity(rapid.Int64Range(0, 9000).Draw(t, "cpu"), resource.DecimalSI)
	}
	return nodes
}

// What is taken off is what was asked for, as long as it fits, and a view that has lent its
// domains is as before.
func TestTakeTakesWhatFits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		request := schedule.Resources{MilliCPU: rapid.Int64Range(1, 3000).Draw(t, "request"), Pods: 1}
		v := capacity.NewView(drawNodes(t), nil)
		fit := func(domains []schedule.Domain) (n int64) {
			for _, d := range domains {
				for i := range d.Nodes {
					n += int64(d.Nodes[i].Count) * request.Fit(&d.Nodes[i].Free)
				}
			}
			return n
		}
		p, err := capacity.NewProfile(&corev1.PodSpec{}, 0)
		if err != nil {
			t.Fatal(err)
		}
		room := v.Room(p, nil)
		before := fit(room)
		asked := rapid.Int32Range(0, 500).Draw(t, "asked")
		after, left := capacity.Take(room, &request, asked)
		if taken := int64(asked - left); left > 0 && fit(after) > 0 || taken > before {
			t.Fatalf("of %d that fit %d were taken, %d did not fit, and now %d would", before, taken, left, fit(after))
		} else if got := fit(after); got > before-taken {
			t.Fatalf("of %d that fit %d were taken, and %d still fit", before, taken, got)
		}
		if fit(room) != before || fit(v.Room(p, nil)) != before {
			t.Fatal("what was free before is another")
		}
	})
}

// However many sizes of nodes there are, what is said to fit does, and a domain is described
// by few groups.
func TestRoomPromisesNoMoreThanThereIs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		nodes := drawNodes(t)
		p, err := capacity.NewProfile(&corev1.PodSpec{}, 0)
		if err != nil {
			t.Fatal(err)
		}
		request := schedule.Resources{MilliCPU: rapid.Int64Range(1, 3000).Draw(t, "request"), Pods: 1}
		var truth, said int64
		for _, n := range nodes {
			free := schedule.NewResources(n.Status.Allocatable)
			truth += request.Fit(&free)
		}
		for _, d := range capacity.NewView(nodes, nil).Room(p, nil) {
			count := int32(0)
			for i := range d.Nodes {
				count += d.Nodes[i].Count
				said += int64(d.Nodes[i].Count) * request.Fit(&d.Nodes[i].Free)
			}
			if len(d.Nodes) > 64 {
				t.Fatalf("%d groups for %d nodes", len(d.Nodes), count)
			}
		}
		if said > truth || len(nodes) <= 64 && said < truth {
			t.Fatalf("%d fit, and it is said %d do", truth, said)
		}
	})
}
