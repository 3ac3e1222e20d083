package app

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
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
}

func readMemory() memory {
	samples := []metrics.Sample{
		{Name: "/gc/heap/allocs:bytes"},
		{Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
	}
	metrics.Read(samples)
	return memory{
		allocated: samples[0].Value.Uint64(), live: samples[1].Value.Uint64(), inUse: samples[2].Value.Uint64(),
		unused: samples[3].Value.Uint64(), total: samples[4].Value.Uint64() - samples[5].Value.Uint64(),
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
