package controlplane

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"k8s.io/apiserver/pkg/server/options/encryptionconfig"
	"k8s.io/apiserver/pkg/storage/value"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/internal/controlplane/datadir"
	"github.com/hanse-dev/hanse/internal/controlplane/hubs"
	"github.com/hanse-dev/hanse/internal/trouble"
)

// keysEvery is how often a hub says that it runs, and looks whether the database's keys have changed.
const keysEvery = 2 * time.Second

// keys keeps a hub's keys those of its database.
type keys struct {
	dir      *datadir.Dir
	registry *hubs.Registry
	self     hubs.Hub
	clock    clock.WithTicker
	// leading: of the hubs that run this one has done so for longest, and all have the same keys. It takes the steps of what
	// changes them.
	leading atomic.Bool
	// agreed is the revision of the record that this hub's keys were last those of; 0: none yet.
	agreed int64
	// loaded is the hash of the encryption configuration that the API server was last known to use.
	loaded   string
	rewriter rewriter
	failing  trouble.Log[string]
	// problem is why the last look failed; empty: it did not.
	problem atomic.Pointer[string]
}

// leads says whether this control plane may take steps that others have to follow. One that shares its database with nobody may.
func (k *keys) leads() bool { return k == nil || k.leading.Load() }

// prepareKeys makes sure of all keys and certificates, before anything is served by them. A hub on a database that was written
// with other keys is refused, and has made none.
func (c *ControlPlane) prepareKeys(ctx context.Context, cfg Config, issuance datadir.Issuance, etcd, addresses []string) (err error) {
	if cfg.Role != Hub {
		c.credentials, _, err = c.dir.Credentials(issuance)
		return err
	}
	registry, err := hubs.Open(etcd, hubs.TLS(cfg.EtcdTLS))
	if err != nil {
		return err
	}
	c.keys = &keys{dir: c.dir, registry: registry, clock: cfg.Clock, self: hubs.Hub{Addresses: addresses}, rewriter: rewriter{clock: cfg.Clock}}
	if err := cfg.Encryption.place(c.dir); err != nil {
		return err
	}
	if c.keys.self.ID, err = c.dir.ID(); err != nil {
		return err
	}
	record, known, err := registry.Record(ctx)
	if err != nil {
		return err
	}
	if err := c.keys.obtain(ctx, cfg.Join, record, known); err != nil {
		return err
	}
	// Where no other hub can be on the database, a step that was due while this one was off is taken now.
	alone := len(cfg.EtcdServers) == 0
	issuance.Rotate = issuance.Rotate && alone
	if c.credentials, _, err = c.dir.Credentials(issuance); err != nil {
		return err
	}
	if _, err := c.dir.EnsureEncryption(cfg.Encryption.Resources); err != nil {
		return err
	}
	if c.keys.loaded, err = c.dir.EncryptionHash(); err != nil {
		return err
	}
	if !known {
		return c.keys.first(ctx)
	}
	if alone {
		err = c.keys.stepped(ctx, record)
	}
	return err
}

// stepped has the database name what a step of a start has changed; all else was settled before.
func (k *keys) stepped(ctx context.Context, record hubs.Record) error {
	have, err := k.dir.Fingerprint()
	if err != nil || have.Equal(record.Keys) {
		return err
	}
	return k.claim(ctx, record, have)
}

// obtain brings the keys of the database into a directory that has none, and refuses one that has others.
func (k *keys) obtain(ctx context.Context, from hubs.Invited, record hubs.Record, known bool) error {
	has, err := k.dir.HasKeys()
	if err != nil {
		return datadir.Explain(k.dir.Path(), err)
	}
	if !has && from.Given() {
		brought, err := from.Bring(ctx)
		if err != nil {
			return err
		}
		if err := k.dir.ReplaceKeys(brought); err != nil {
			return err
		}
		has = true
	}
	if !known {
		return nil
	}
	if !has {
		return record.Refusal(datadir.Fingerprint{}, k.dir.Path())
	}
	have, err := k.dir.Fingerprint()
	if err != nil {
		return err
	}
	if have.Equal(record.Keys) {
		return nil
	}
	if k.follow(ctx, record) == nil {
		if have, err = k.dir.Fingerprint(); err != nil {
			return err
		}
	}
	if known, err := k.withoutUnused(ctx, record, have); err != nil {
		return err
	} else if err := known.Refusal(have, k.dir.Path()); err != nil {
		return err
	}
	return k.dir.Conform(record.Keys)
}

// first has the database name this hub's keys, unless another hub was quicker or there is something that they do not decrypt.
func (k *keys) first(ctx context.Context) error {
	if err := k.readable(ctx); err != nil {
		return err
	}
	have, err := k.dir.Fingerprint()
	if err != nil {
		return err
	}
	saved, err := k.registry.Save(ctx, hubs.Record{Keys: have})
	if err != nil || saved {
		return err
	}
	record, _, err := k.registry.Record(ctx)
	if err != nil {
		return err
	}
	return record.Refusal(have, k.dir.Path())
}

// errEnough ends a look at the database.
var errEnough = errors.New("that is enough")

// readable tries a Secret of a database that names no keys, because no hub of a version that does so has started on it.
func (k *keys) readable(ctx context.Context) error {
	loading, cancel := context.WithCancel(ctx)
	defer cancel()
	config, err := encryptionconfig.LoadEncryptionConfig(loading, k.dir.EncryptionFile(), false, "")
	if err != nil {
		return fmt.Errorf("the encryption keys in %s: %w. Try: correct the file", k.dir.EncryptionFile(), err)
	}
	by := value.Transformer(nil)
	for resource, transformer := range config.Transformers {
		if resource.Group == "" && resource.Resource == "secrets" {
			by = transformer
		}
	}
	if by == nil {
		return nil
	}
	err = k.registry.Each(ctx, "secrets/", func(key string, stored []byte) error {
		if _, _, err := by.TransformFromStorage(ctx, stored, value.DefaultContext(key)); err != nil {
			return fmt.Errorf("the database has Secrets that the encryption keys in %s do not decrypt. Try: the data directory of the hub that wrote them, or keys from it: hanse admin join-token", k.dir.EncryptionFile())
		}
		return errEnough
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// follow makes this hub's keys those that the database names, with the help of a hub that has them.
func (k *keys) follow(ctx context.Context, record hubs.Record) error {
	running, err := k.registry.Hubs(ctx)
	if err != nil {
		return err
	}
	failures := errors.New("no hub that runs has the keys that the database names")
	for _, other := range running {
		if other.ID == k.self.ID || !other.Keys.Equal(record.Keys) {
			continue
		}
		brought, err := hubs.FromPeer(ctx, k.dir, other)
		if err == nil {
			return k.dir.ReplaceKeys(brought)
		}
		failures = errors.Join(failures, err)
	}
	return failures
}

// run keeps the keys in step until ctx ends.
func (k *keys) run(ctx context.Context) error {
	defer func() {
		leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), partTimeout/2)
		defer cancel()
		_ = errors.Join(k.registry.Leave(leaving), k.registry.Close()) // it runs out anyway
	}()
	ticker := k.clock.NewTicker(keysEvery)
	defer ticker.Stop()
	for {
		log := klog.FromContext(ctx)
		err, said := k.look(ctx), ""
		if err != nil {
			said = err.Error()
		}
		k.problem.Store(&said)
		if err != nil && ctx.Err() == nil {
			k.leading.Store(false)
			k.failing.Failed(log, "", err, "This hub's keys are not in step with the database")
		} else if err == nil {
			k.failing.Worked(log, "", "This hub's keys are in step with the database")
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C():
		}
	}
}

// look says which keys this hub has, takes over those that the database names, and takes the step that is due.
func (k *keys) look(ctx context.Context) error {
	have, err := k.dir.Fingerprint()
	if err != nil {
		return err
	}
	if used, err := k.usesFile(); err != nil {
		return err
	} else if used {
		k.self.Keys = have
	}
	if err := k.registry.Announce(ctx, k.self); err != nil {
		return err
	}
	record, known, err := k.registry.Record(ctx)
	if err != nil {
		return err
	}
	running, err := k.registry.Hubs(ctx)
	if err != nil {
		return err
	}
	oldest := len(running) > 0 && running[0].ID == k.self.ID
	switch {
	case !known:
		return errors.New("etcd no longer says which keys it was written with. Try: restart this hub")
	case have.Equal(record.Keys):
		k.agreed = record.Revision()
	case k.leading.Load() && oldest && record.Revision() == k.agreed: // it has taken a step, such as one of the replacement of its authority
		if err := k.claim(ctx, record, have); err != nil {
			return err
		}
		k.leading.Store(false)
		return nil // the next look sees whether others have followed
	default:
		return k.settle(ctx, record, oldest)
	}
	inStep := !slices.ContainsFunc(running, func(h hubs.Hub) bool { return !h.Keys.Equal(record.Keys) })
	k.leading.Store(oldest && inStep)
	return k.rotate(ctx, record, oldest, inStep)
}

// claim has the database name keys that this hub has changed.
func (k *keys) claim(ctx context.Context, record hubs.Record, have datadir.Fingerprint) error {
	known, err := k.withoutUnused(ctx, record, have)
	if err != nil {
		return err
	}
	if missing := known.Keys.Missing(have); len(missing) > 0 {
		return fmt.Errorf("something in the database needs %s, and this hub no longer has it. Try: put it back, and hanse encryption rotate", strings.Join(missing, ", "))
	}
	record.Keys = have
	if saved, err := k.registry.Save(ctx, record); err != nil || !saved {
		return errors.Join(err, errors.New("another hub has changed keys at the same time"))
	}
	return nil
}

// settle has this hub follow a change of the database's keys. Where no other hub can tell, what this one did before it was
// interrupted is taken back; the rest of it, such as a step that cannot be taken back, counts if it has run for longest.
func (k *keys) settle(ctx context.Context, record hubs.Record, oldest bool) error {
	failed := k.follow(ctx, record)
	if err := k.dir.Conform(record.Keys); err != nil {
		return err
	}
	own := k.dir.OwnEncryption()
	have, err := k.dir.Fingerprint()
	if err != nil || have.Equal(record.Keys) || own && failed == nil {
		return err // the next look says so
	}
	missing := record.Keys.Missing(have)
	follows := !oldest || len(missing) > 0
	if !own { // whoever changed the file that is theirs is asked, not who has run for longest
		failed = errors.New("its --encryption-provider-config is not that of the other hubs. Try: the same file for all")
		follows = k.agreed != 0 && record.Revision() != k.agreed
	}
	if follows {
		return fmt.Errorf("this hub's keys are not those that the database names (missing: %s): %w", cmp.Or(strings.Join(missing, ", "), "none"), failed)
	}
	return k.claim(ctx, record, have)
}

// ServeKeys answers datadir.PathKeys.
func (c *ControlPlane) ServeKeys(w http.ResponseWriter, r *http.Request) {
	hubs.Serve(c.dir, c.now(), w, r)
}
