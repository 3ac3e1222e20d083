package schedule

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestQueueIsAHeap hands out replicas in classes of an even division, some to members that
// have units in several classes. The queue must find the units that a heap would find.
func TestQueueIsAHeap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fast := drawRun(t)
		slow := &run{strategy: Evenly, workspace: &workspace{members: slices.Clone(fast.members), units: slices.Clone(fast.units)}, classes: fast.classes}
		candidates := make([]int32, len(fast.units))
		for i := range candidates {
			candidates[i] = int32(i)
		}
		queues, heaps := fast.queueClasses(candidates), slow.queueClasses(candidates)
		for i := range heaps {
			q := &heaps[i].units
			q.waiting, q.others = nil, &heap[turn]{items: q.waiting, before: func(a, b *turn) bool { return a.compare(b) < 0 }}
			q.others.init()
		}
		for _, at := range rapid.SliceOfN(rapid.IntRange(0, len(queues)-1), 1, 60).Draw(t, "classes") {
			found, want := fast.freshen(&queues[at]), slow.freshen(&heaps[at])
			if found != want || found && queues[at].top != heaps[at].top {
				t.Fatalf("class %d: %t %+v, a heap says %t %+v", at, found, queues[at].top, want, heaps[at].top)
			}
			if found {
				fast.place(&fast.units[queues[at].top.unit], 1)
				slow.place(&slow.units[heaps[at].top.unit], 1)
			}
		}
	})
}

// drawRun is members with some replicas, in groups, and units of theirs in classes, all
// with little room.
func drawRun(t *rapid.T) *run {
	r := &run{strategy: Evenly, workspace: &workspace{}, classes: int32(rapid.IntRange(1, 3).Draw(t, "classes"))}
	few := func(name string) int64 { return rapid.Int64Range(0, 4).Draw(t, name) }
	for i := range rapid.Int32Range(1, 9).Draw(t, "members") {
		m := member{n: few("replicas"), most: 2 + 2*few("most"), rank: uint64(few("rank")), group: int32(few("group") / 3), units: int32(len(r.units))}
		for range rapid.IntRange(1, 3).Draw(t, "units") {
			r.units = append(r.units, unit{member: i, site: int32(len(r.units)), class: rapid.Int32Range(0, r.classes-1).Draw(t, "class"),
				group: m.group, rank: m.rank, seen: m.n, score: few("score") / 3, room: 3 * few("room")})
		}
		m.until = int32(len(r.units))
		r.members = append(r.members, m)
	}
	return r
}
