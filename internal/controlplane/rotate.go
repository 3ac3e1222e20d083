package controlplane

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/component-base/metrics/legacyregistry"
	"k8s.io/klog/v2"

	"github.com/hanse-dev/hanse/internal/controlplane/datadir"
	"github.com/hanse-dev/hanse/internal/controlplane/hubs"
)

// rotate takes the step of a rotation of the encryption key that is due, one at most. Files are changed before the database says
// so: what it does not say is taken back by the next look of whoever is interrupted between the two. Only the hub that has run for
// longest takes steps, when all have followed the last one.
func (k *keys) rotate(ctx context.Context, record hubs.Record, oldest, inStep bool) error {
	r := record.Rotation
	if r == nil {
		return k.begin(ctx, record)
	}
	if !oldest || !inStep {
		return nil
	}
	switch r.Stage {
	case hubs.Requested:
		if !k.dir.OwnEncryption() {
			return k.reach(ctx, record, hubs.Rewriting)
		}
		var err error
		if r.Key, err = k.dir.AddEncryptionKey(record.Keys.Encryption, r.Encrypt); err != nil {
			return err
		}
		return k.reach(ctx, record, hubs.Added)
	case hubs.Added:
		if err := k.dir.PromoteEncryptionKey(r.Key, r.Encrypt); err != nil {
			return err
		}
		return k.reach(ctx, record, hubs.Rewriting)
	case hubs.Rewriting:
		if done, err := k.rewriter.rewrite(ctx, slices.Concat(record.Keys.Resources, record.Keys.Reads)); !done || err != nil {
			return err
		}
		if err := k.verify(ctx); err != nil {
			return err // and all of it again
		}
		if k.dir.OwnEncryption() {
			if err := k.dir.RetireEncryptionKeys(); err != nil {
				return err
			}
		}
		return k.reach(ctx, record, hubs.Retiring)
	case hubs.Retiring:
		klog.FromContext(ctx).Info("The encryption key was replaced", "key", record.Keys.Encryption[0].String())
		record.Rotation = nil
		_, err := k.registry.Save(ctx, record)
		return err
	}
	return fmt.Errorf("the rotation of encryption keys has the unknown stage %q. Try: the version of hanse that began it", r.Stage)
}

// begin looks whether somebody wants a rotation.
func (k *keys) begin(ctx context.Context, record hubs.Record) error {
	request, err := k.dir.RotationRequest()
	if request == nil || err != nil {
		return err
	}
	record.Rotation = &hubs.Rotation{Encrypt: request.Encrypt}
	if len(request.Encrypt) == 0 {
		record.Rotation.Encrypt = record.Keys.Resources
	}
	if err := k.reach(ctx, record, hubs.Requested); err != nil {
		return err
	}
	return k.dir.RotationBegun()
}

// reach has the database say that a stage has begun, with the keys that this hub has now.
func (k *keys) reach(ctx context.Context, record hubs.Record, stage hubs.Stage) (err error) {
	if record.Keys, err = k.dir.Fingerprint(); err != nil {
		return err
	}
	record.Rotation.Stage, record.Rotation.Since = stage, k.clock.Now().UTC()
	saved, err := k.registry.Save(ctx, record)
	if err == nil && !saved {
		err = errors.New("another hub has changed keys at the same time")
	}
	if err == nil {
		klog.FromContext(ctx).Info("The replacement of the encryption key goes on", "stage", stage, "key", record.Rotation.Key)
	}
	return err
}

// encrypted is how a value begins that is encrypted, by whatever.
const encrypted = "k8s:enc:"

// verify looks at every value in the database: none is encrypted by another key than the one that writes.
func (k *keys) verify(ctx context.Context) error {
	prefix, err := k.dir.EncryptedPrefix()
	if err != nil {
		return err
	}
	var left int
	var one string
	err = k.registry.Each(ctx, "", func(key string, value []byte) error {
		if by := string(value[:min(len(value), len(prefix))]); strings.HasPrefix(by, encrypted) && by != prefix {
			left, one = left+1, key
		}
		return nil
	})
	if err == nil && left > 0 {
		err = fmt.Errorf("%d values in the database are still encrypted by another key, %s among them", left, one)
	}
	return err
}

// withoutUnused is record without the encryption keys that this hub does not have and that nothing in the database needs any more, as
// when somebody has removed them from a file that is theirs.
func (k *keys) withoutUnused(ctx context.Context, record hubs.Record, have datadir.Fingerprint) (hubs.Record, error) {
	if k.dir.OwnEncryption() {
		return record, nil
	}
	used := map[string]bool{}
	err := k.registry.Each(ctx, "", func(_ string, value []byte) error {
		// k8s:enc:PROVIDER:VERSION:NAME:…
		if parts := strings.SplitN(string(value[:min(len(value), 400)]), ":", 6); len(parts) == 6 && strings.HasPrefix(string(value), encrypted) {
			used[parts[4]] = true
		}
		return nil
	})
	record.Keys.Encryption = slices.DeleteFunc(slices.Clone(record.Keys.Encryption), func(key datadir.EncryptionKey) bool {
		return !used[key.Name] && !slices.Contains(have.Encryption, key)
	})
	return record, err
}

// usesFile says whether the API server reads and writes by the encryption configuration as it is on disk. It reads the file again
// when that changes, and says so in a metric only.
func (k *keys) usesFile() (bool, error) {
	hash, err := k.dir.EncryptionHash()
	if err != nil || hash == k.loaded {
		return err == nil, err
	}
	families, err := legacyregistry.DefaultGatherer.Gather()
	if err != nil {
		return false, fmt.Errorf("reading which encryption keys the API server uses: %w", err)
	}
	for _, family := range families {
		if family.GetName() != "apiserver_encryption_config_controller_last_config_info" {
			continue
		}
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				if label.GetName() == "hash" && label.GetValue() == hash {
					k.loaded = hash
					return true, nil
				}
			}
		}
	}
	return false, nil
}

// Encryption is what there is to know of how the hub's database is encrypted.
func (c *ControlPlane) Encryption(ctx context.Context) (hubs.Report, error) {
	k := c.keys
	record, _, err := k.registry.Record(ctx)
	if err != nil {
		return hubs.Report{}, err
	}
	running, err := k.registry.Hubs(ctx)
	if err != nil {
		return hubs.Report{}, err
	}
	report := hubs.NewReport(record, running, k.dir.OwnEncryption())
	report.Rewritten = k.rewriter.written.Load()
	if said := k.problem.Load(); said != nil {
		report.Problem = *said
	}
	return report, nil
}
