package controlplane

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/storage/mvcc"

	"github.com/hanse-dev/hanse/internal/lineage"
)

// Revisions, and with them resourceVersions, must only rise, also when the data
// directory is put back as it was a week ago: whoever watches with a version of
// the week that is lost would otherwise get nothing, and not learn of it, until
// the database has caught up with that version, and then miss what came before.
// Nothing in a directory tells that it is a copy. So the hub sets the revision
// forward at each start, to the number of microseconds since 1970. A database
// writes far less than once in a microsecond, so that is more than any revision
// that it has ever had, in this copy or another. What is older is marked as
// compacted: a watch with an older version is answered "410 Expired", and lists
// again, as it does after any restart of an API server, whose cache of changes
// begins with the start.

// clockBack is how far the revision is set forward when the clock says less than
// the database: it is, or was, wrong.
const clockBack = 1_000_000_000

// endsKey is beside what Kubernetes keeps in etcd, which is below /registry. Its
// value has the last revision before each time that it was set forward.
const endsKey = "hanse/ends"

// ends is the value of endsKey.
type ends struct {
	// Ends is in order, at most lineage.MaxEnds of the last.
	Ends []uint64 `json:"ends"`
}

// floor is what the revision is set forward to.
func floor(revision int64, now time.Time) int64 {
	if to := now.UnixMicro(); to > revision {
		return to
	}
	return revision + clockBack
}

// setForward sets the revision forward and returns all the revisions at which
// that was done, this one last. It has to be called when etcd has applied its
// log, and before anybody is served. If it is interrupted it is done again at
// the next start, with nothing but one more end.
func (db *database) setForward(ctx context.Context, now time.Time) ([]uint64, error) {
	server := db.server.Server
	past, err := db.readEnds(ctx)
	if err != nil {
		return nil, err
	}
	past.Ends = append(past.Ends, uint64(server.KV().Rev()))
	past.Ends = past.Ends[max(0, len(past.Ends)-lineage.MaxEnds):]
	value, err := json.Marshal(past)
	if err != nil {
		return nil, fmt.Errorf("encoding etcd's revisions: %w", err)
	}
	if _, err := server.Put(ctx, &pb.PutRequest{Key: []byte(endsKey), Value: value}); err != nil {
		return nil, fmt.Errorf("recording etcd's revision: %w", err)
	}
	to := floor(server.KV().Rev(), now)
	// This is what etcdutl does after a restore, but to a running store: below a
	// log that is not applied yet, the revisions that its entries refer to would
	// change.
	server.KV().Commit()
	tx := server.Backend().BatchTx()
	tx.LockOutsideApply()
	mvcc.UnsafeSetScheduledCompact(tx, to)
	tx.Unlock()
	server.Backend().ForceCommit()
	if err := server.KV().Restore(server.Backend()); err != nil {
		return nil, fmt.Errorf("setting etcd's revision forward: %w", err)
	}
	if got := server.KV().Rev(); got < to {
		return nil, fmt.Errorf("etcd's revision is %d, want %d or more", got, to)
	}
	return past.Ends, nil
}

// readEnds reads what setForward has recorded until now.
func (db *database) readEnds(ctx context.Context) (past ends, err error) {
	found, err := db.server.Server.Range(ctx, &pb.RangeRequest{Key: []byte(endsKey)})
	if err != nil {
		return past, fmt.Errorf("reading etcd's revisions: %w", err)
	}
	if len(found.Kvs) == 0 {
		return past, nil
	}
	if err := json.Unmarshal(found.Kvs[0].Value, &past); err != nil {
		return past, errors.Join(fmt.Errorf("the key %s in etcd is not readable", endsKey), err)
	}
	return past, nil
}
