package hubs

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"k8s.io/client-go/transport"

	"github.com/hanse-dev/hanse/internal/controlplane/datadir"
)

// Keys beside what Kubernetes keeps in etcd, which is below /registry.
const (
	recordKey = "hanse/keys"
	hubsKey   = "hanse/hubs/"
)

const (
	// Lease is for how long a hub counts as running that says nothing more.
	Lease = 15 * time.Second
	// patience bounds one request to etcd.
	patience = 5 * time.Second
)

// Record is what the database says of its keys.
type Record struct {
	Keys datadir.Fingerprint `json:"keys"`
	// Rotation is the replacement of the encryption key that is under way.
	Rotation *Rotation `json:"rotation,omitempty"`
	// revision is that of the record when it was read; 0: there is none.
	revision int64
}

// Revision tells a record from those before and after it; 0: it is not stored yet.
func (rec Record) Revision() int64 { return rec.revision }

// Stage is how far a rotation has come.
type Stage string

// The stages, in their order. Each begins when all hubs that run have what the one before it brought.
const (
	// Requested: somebody wants the key replaced.
	Requested Stage = "Requested"
	// Added: there is a new key, by which nothing is written yet.
	Added Stage = "Added"
	// Rewriting: the new key writes, and what others wrote is written again.
	Rewriting Stage = "Rewriting"
	// Retiring: nothing needs the old keys, which are removed.
	Retiring Stage = "Retiring"
)

// Rotation replaces the key that encrypts the database. It is in the database, so that any hub goes on with it.
type Rotation struct {
	Stage Stage `json:"stage"`
	// Since is when the stage began.
	Since time.Time `json:"since"`
	// Key is the name of the new key; empty: keys are not the hub's to change, and what is there is written again.
	Key string `json:"key,omitempty"`
	// Encrypt are the resources to be encrypted afterwards.
	Encrypt []string `json:"encrypt,omitempty"`
}

// Hub is one that runs.
type Hub struct {
	// ID is that of its data directory.
	ID string `json:"id"`
	// Addresses are URLs at which others may reach it.
	Addresses []string `json:"addresses"`
	// Keys are those by which its API server reads and writes now.
	Keys datadir.Fingerprint `json:"keys"`

	since int64
}

// Registry is the part of a database that is about hubs.
type Registry struct {
	etcd  *clientv3.Client
	lease clientv3.LeaseID
	// said is what Announce said last, with that lease.
	said []byte
}

// TLS are files by which an etcd is reached; each may be empty.
type TLS struct{ CA, Cert, Key string }

// Open makes a client of an etcd. It blocks for no answer.
func Open(endpoints []string, files TLS) (*Registry, error) {
	tlsConfig, err := transport.TLSConfigFor(&transport.Config{TLS: transport.TLSConfig{CAFile: files.CA, CertFile: files.Cert, KeyFile: files.Key}})
	if err != nil {
		return nil, fmt.Errorf("the files for etcd: %w. Try: correct --etcd-cafile, --etcd-certfile and --etcd-keyfile", err)
	}
	etcd, err := clientv3.New(clientv3.Config{Endpoints: endpoints, TLS: tlsConfig, DialTimeout: patience, Logger: zap.NewNop()})
	if err != nil {
		return nil, fmt.Errorf("making a client of etcd: %w", err)
	}
	return &Registry{etcd: etcd}, nil
}

// Close ends the client; what was registered runs out.
func (r *Registry) Close() error { return r.etcd.Close() }

// Record reads what the database says of its keys; known is false if it says nothing yet.
func (r *Registry) Record(ctx context.Context) (rec Record, known bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	found, err := r.etcd.Get(ctx, recordKey)
	if err != nil {
		return rec, false, fmt.Errorf("reading the keys' fingerprint in etcd: %w", err)
	}
	if len(found.Kvs) == 0 {
		return rec, false, nil
	}
	if err := json.Unmarshal(found.Kvs[0].Value, &rec); err != nil {
		return rec, false, fmt.Errorf("the key %s in etcd is not readable: %w. Try: restore etcd from a backup", recordKey, err)
	}
	rec.revision = found.Kvs[0].ModRevision
	return rec, true, nil
}

// Save stores a record that was changed after it was read, or is the first. If another hub was quicker it does not, and says so.
func (r *Registry) Save(ctx context.Context, rec Record) (saved bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	value, err := json.Marshal(rec)
	if err != nil {
		return false, fmt.Errorf("encoding the keys' fingerprint: %w", err)
	}
	answer, err := r.etcd.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(recordKey), "=", rec.revision)).
		Then(clientv3.OpPut(recordKey, string(value))).Commit()
	if err != nil {
		return false, fmt.Errorf("storing the keys' fingerprint in etcd: %w", err)
	}
	return answer.Succeeded, nil
}

// Announce says that a hub runs, and with which keys. It is called again before Lease is over, by one goroutine; what was said ends with
// the lease. As long as nothing changes etcd writes nothing.
func (r *Registry) Announce(ctx context.Context, h Hub) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	value, err := json.Marshal(h)
	if err != nil {
		return fmt.Errorf("encoding what a hub says of itself: %w", err)
	}
	if r.lease != clientv3.NoLease {
		if _, err := r.etcd.KeepAliveOnce(ctx, r.lease); err != nil {
			r.lease = clientv3.NoLease // it has run out, or etcd does not answer
		} else if bytes.Equal(value, r.said) {
			return nil
		}
	}
	if r.lease == clientv3.NoLease {
		lease, err := r.etcd.Grant(ctx, int64(Lease/time.Second))
		if err != nil {
			return fmt.Errorf("announcing this hub in etcd: %w", err)
		}
		r.lease = lease.ID
	}
	if _, err := r.etcd.Put(ctx, hubsKey+h.ID, string(value), clientv3.WithLease(r.lease)); err != nil {
		return fmt.Errorf("announcing this hub in etcd: %w", err)
	}
	r.said = value
	return nil
}

// Leave ends what Announce said, at once.
func (r *Registry) Leave(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, err := r.etcd.Revoke(ctx, r.lease)
	return err
}

// Hubs are those that run, the one that has done so for longest first.
func (r *Registry) Hubs(ctx context.Context) ([]Hub, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	found, err := r.etcd.Get(ctx, hubsKey, clientv3.WithPrefix())
	if err != nil {
		return nil, fmt.Errorf("reading which hubs run: %w", err)
	}
	var all []Hub
	for _, kv := range found.Kvs {
		var h Hub
		if err := json.Unmarshal(kv.Value, &h); err != nil {
			return nil, fmt.Errorf("the key %s in etcd is not readable: %w", kv.Key, err)
		}
		h.since = kv.CreateRevision
		all = append(all, h)
	}
	slices.SortFunc(all, func(a, b Hub) int { return int(a.since - b.since) })
	return all, nil
}

// pageSize is how many values are read at once.
const pageSize = 200

// Each calls do with every key and value that Kubernetes keeps below a prefix of /registry, as they are stored. An error of do
// ends it and is returned.
func (r *Registry) Each(ctx context.Context, prefix string, do func(key string, value []byte) error) error {
	from, end := "/registry/"+prefix, clientv3.GetPrefixRangeEnd("/registry/"+prefix)
	for {
		found, err := r.etcd.Get(ctx, from, clientv3.WithRange(end), clientv3.WithLimit(pageSize))
		if err != nil {
			return fmt.Errorf("reading etcd: %w", err)
		}
		for _, kv := range found.Kvs {
			if err := do(string(kv.Key), kv.Value); err != nil {
				return err
			}
		}
		if !found.More {
			return nil
		}
		from = string(found.Kvs[len(found.Kvs)-1].Key) + "\x00"
	}
}

// Refusal is why a hub with the keys `have` does not start on the database.
func (rec Record) Refusal(have datadir.Fingerprint, dir string) error {
	missing := rec.Keys.Missing(have)
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("the database was written with other keys than those in %s: %s %s missing. %s",
		dir, strings.Join(missing, ", "), plural(missing), advice)
}

func plural(all []string) string {
	if len(all) == 1 {
		return "is"
	}
	return "are"
}

const advice = "Try: an empty --data-dir, with what hanse admin join-token --data-dir DIR prints on the machine of a hub that has the keys; " +
	"or restore the data directory that belongs to the database"
