package placement

import (
	"context"
	"strconv"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
)

// journalSize is how many changes are remembered for watches that resume. It covers a client's pause of some seconds
// under the fastest stream of changes; whoever is further behind lists again.
const journalSize = 16384

// journal numbers the changes of a Source: these numbers are the resource versions. They start at the microsecond at
// which the journal did, so that no client takes those of a former process for its own.
type journal struct {
	source Source

	mu    sync.Mutex
	floor uint64                 // the number before that of log[0]
	log   []types.NamespacedName // what has changed, oldest first
	last  map[types.NamespacedName]uint64
	more  chan struct{} // closed, and replaced, with each change
}

// newJournal follows source until ctx ends; it begins at a moment.
func newJournal(ctx context.Context, source Source, now time.Time) *journal {
	j := &journal{
		source: source,
		floor:  uint64(now.UnixMicro()),
		last:   map[types.NamespacedName]uint64{},
		more:   make(chan struct{}),
	}
	changes := source.Subscribe(ctx)
	go func() {
		for key := range changes {
			j.record(key)
		}
	}()
	return j
}

func (j *journal) record(key types.NamespacedName) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.log = append(j.log, key)
	j.last[key] = j.head()
	if len(j.log) >= 2*journalSize {
		j.forget(len(j.log) - journalSize)
	}
	close(j.more)
	j.more = make(chan struct{})
}

// forget drops the oldest n changes.
func (j *journal) forget(n int) {
	j.floor += uint64(n)
	for _, key := range j.log[:n] {
		if j.last[key] <= j.floor {
			delete(j.last, key)
		}
	}
	j.log = append([]types.NamespacedName(nil), j.log[n:]...)
}

// head is the number of the latest change. The caller holds mu.
func (j *journal) head() uint64 { return j.floor + uint64(len(j.log)) }

// version is the number of the latest change of all.
func (j *journal) version() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.head()
}

// versionOf is the number of the latest change of one Placement, or that of the oldest remembered.
func (j *journal) versionOf(key types.NamespacedName) uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return max(j.last[key], j.floor)
}

// change is a Placement and the number of its latest change.
type change struct {
	key     types.NamespacedName
	version uint64
}

// since returns what has changed after a version, each Placement once, in the order of their latest changes, the version
// reached with that, and a channel that is closed when there is more. The error is 410 Gone when the journal does not
// reach back that far, or has not come that far.
func (j *journal) since(version uint64) ([]change, uint64, <-chan struct{}, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if version < j.floor || version > j.head() {
		return nil, 0, nil, apierrors.NewResourceExpired("too old resource version: " + format(version) + " (" + format(j.floor) + ")")
	}
	var changes []change
	for i, key := range j.log[version-j.floor:] {
		if n := version + uint64(i) + 1; n == j.last[key] {
			changes = append(changes, change{key: key, version: n})
		}
	}
	return changes, j.head(), j.more, nil
}

func format(version uint64) string { return strconv.FormatUint(version, 10) }
