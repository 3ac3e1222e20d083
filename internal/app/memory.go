package app

import (
	"context"
	"math"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"time"
)

// A hub that has started, or has just brought out a thousand objects, has much memory
// that nothing is in any more. Go's runtime collects it when as much again is
// allocated, which at an idle hub is minutes later, and gives it back to the system
// ever more slowly. So once little happens, it is given back at once. That costs one
// collection, some tenths of a second of one core.
const (
	// memoryLook is how often the hub looks at its memory.
	memoryLook = 5 * time.Second
	// idleAllocations is how much a second an idle hub allocates at most, in bytes.
	idleAllocations = 16 << 20
	// worthReturning is which part of the memory has to be free: one of so many.
	worthReturning = 5
)

// memory is what the runtime says of itself, in bytes.
type memory struct {
	allocated uint64 // since the start
	live      uint64 // at the end of the last collection
	inUse     uint64 // live, and what was allocated since
	unused    uint64 // free, and not given back
	total     uint64 // taken from the system, and not given back
	fixed     uint64 // that of total which is no heap: stacks, above all
	pieces    uint64 // free in parts of the heap that are in use
}

func readMemory() memory {
	samples := []metrics.Sample{
		{Name: "/gc/heap/allocs:bytes"},
		{Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
	}
	metrics.Read(samples)
	m := memory{
		allocated: samples[0].Value.Uint64(), live: samples[1].Value.Uint64(), inUse: samples[2].Value.Uint64(),
		unused: samples[3].Value.Uint64(), total: samples[4].Value.Uint64() - samples[5].Value.Uint64(),
	}
	m.pieces = samples[6].Value.Uint64()
	m.fixed = m.total - min(m.total, m.inUse+m.unused+m.pieces)
	return m
}

// What a collection leaves free is free in pieces: after a burst of writes the heap is a half larger than what is in it, and with
// gcPercent on top the hub took three times as much as it needs. So all that the runtime takes has a limit, which it keeps by
// collecting a little more often as it comes near. What collecting does not help is on top: stacks, and so much that is free
// in pieces that the limit would otherwise have it collect all the time.
const (
	// limitLook is how often the limit is set: what is live grows by less than itself meanwhile.
	limitLook = time.Second
	// leastLimit is what a hub may have at any rate.
	leastLimit = 400 << 20
	// piecesFor is over how many looks that much was free in pieces, and was not used again.
	piecesFor = 10
)

// limit is how much all that the runtime takes may be, in bytes, if that much was free in pieces for a while.
func (m memory) limit(pieces uint64) int64 {
	return int64(m.fixed + max(leastLimit-min(leastLimit, m.fixed), 2*m.live, m.live+m.live/2+pieces))
}

// limitMemory keeps the limit until ctx ends, unless the environment sets one. Blocks.
func limitMemory(ctx context.Context) {
	if debug.SetMemoryLimit(-1) != math.MaxInt64 {
		return
	}
	defer debug.SetMemoryLimit(math.MaxInt64)
	tick := time.NewTicker(limitLook)
	defer tick.Stop()
	var pieces []uint64
	for {
		m := readMemory()
		pieces = append(pieces[max(0, len(pieces)-piecesFor+1):], m.pieces)
		debug.SetMemoryLimit(m.limit(slices.Min(pieces)))
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// returnable says whether memory is to be given back, after one look and another.
func returnable(before, now memory) bool {
	if now.allocated-before.allocated > idleAllocations*uint64(memoryLook/time.Second) {
		return false
	}
	garbage := now.inUse - min(now.live, now.inUse)
	return (garbage+now.unused)*worthReturning > now.total
}

// returnMemory gives memory back while the hub is idle. Blocks until ctx ends.
func returnMemory(ctx context.Context) {
	tick := time.NewTicker(memoryLook)
	defer tick.Stop()
	before := readMemory()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := readMemory()
		if returnable(before, now) {
			debug.FreeOSMemory()
			now = readMemory()
		}
		before = now
	}
}
