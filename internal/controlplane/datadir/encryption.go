package datadir

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/util/errors"
	apiserverv1 "k8s.io/apiserver/pkg/apis/apiserver/v1"
	"sigs.k8s.io/yaml"

	"github.com/hanse-dev/hanse/internal/pki"
)

// PathEncryption is where a hub tells how its database is encrypted.
const PathEncryption = "/hanse/encryption"

// DefaultEncrypted are the resources that are encrypted unless somebody says otherwise, and those that always are.
func DefaultEncrypted() []string { return []string{"secrets"} }

// encryption is an EncryptionConfiguration of the hub's own: one set of keys, the first of which encrypts.
type encryption struct {
	keys []apiserverv1.Key
	// resources are written encrypted; those in reads are not, and can be read either way.
	resources, reads []string
}

// loadOwn reads the hub's own EncryptionConfiguration.
func (d *Dir) loadOwn() (e encryption, err error) {
	if !d.ownEncryption {
		return e, fmt.Errorf("the encryption keys are in %s, which is not the hub's own. Try: change them there", d.encryption)
	}
	config, err := loadEncryption(d.encryption)
	if err != nil {
		return e, err
	}
	for _, group := range config.Resources {
		into := &e.resources
		for i, p := range group.Providers {
			if p.Identity != nil && i == 0 {
				into = &e.reads
			}
			if p.Secretbox != nil && len(e.keys) == 0 {
				e.keys = p.Secretbox.Keys
			}
		}
		*into = append(*into, group.Resources...)
	}
	if len(e.keys) == 0 {
		return e, fmt.Errorf("%s has no key. Try: restore it from a backup", d.encryption)
	}
	return e, nil
}

// saveOwn writes the EncryptionConfiguration. What is in plain text can be read, as an earlier version wrote it.
func (d *Dir) saveOwn(e encryption) error {
	plain := apiserverv1.ProviderConfiguration{Identity: &apiserverv1.IdentityConfiguration{}}
	encrypted := apiserverv1.ProviderConfiguration{Secretbox: &apiserverv1.SecretboxConfiguration{Keys: e.keys}}
	var groups []apiserverv1.ResourceConfiguration
	if len(e.resources) > 0 {
		groups = append(groups, apiserverv1.ResourceConfiguration{Resources: e.resources, Providers: []apiserverv1.ProviderConfiguration{encrypted, plain}})
	}
	if len(e.reads) > 0 {
		groups = append(groups, apiserverv1.ResourceConfiguration{Resources: e.reads, Providers: []apiserverv1.ProviderConfiguration{plain, encrypted}})
	}
	config := apiserverv1.EncryptionConfiguration{Resources: groups}
	config.APIVersion, config.Kind = apiserverv1.SchemeGroupVersion.String(), "EncryptionConfiguration"
	data, err := yaml.Marshal(config)
	if err != nil {
		return fmt.Errorf("encoding the encryption keys: %w", err)
	}
	if old, err := os.ReadFile(d.encryption); err == nil && bytes.Equal(old, data) {
		return nil
	}
	if err := pki.WriteFile(d.encryption, data); err != nil {
		return Explain(filepath.Dir(d.encryption), err)
	}
	return nil
}

// newEncryptionKey draws a key whose name is after those of all others.
func newEncryptionKey(others []apiserverv1.Key) (apiserverv1.Key, error) {
	last := 0
	for _, k := range others {
		if n, err := strconv.Atoi(strings.TrimPrefix(k.Name, "key")); err == nil {
			last = max(last, n)
		}
	}
	secret := make([]byte, 32)
	if _, err := rand.Read(secret); err != nil {
		return apiserverv1.Key{}, fmt.Errorf("drawing the encryption key: %w", err)
	}
	return apiserverv1.Key{Name: fmt.Sprint("key", last+1), Secret: base64.StdEncoding.EncodeToString(secret)}, nil
}

// EnsureEncryption returns the path of the EncryptionConfiguration with the key
// of this directory, which is made once: without it no Secret can be read again.
// resources are encrypted, from the first start on; later they are what hanse
// encryption rotate says.
func (d *Dir) EnsureEncryption(resources []string) (string, error) {
	if _, err := os.Stat(d.encryption); err == nil {
		return d.encryption, d.checkResources(resources)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", Explain(d.path, err)
	}
	if len(resources) == 0 {
		resources = DefaultEncrypted()
	}
	key, err := newEncryptionKey(nil)
	if err != nil {
		return "", err
	}
	return d.encryption, d.saveOwn(encryption{keys: []apiserverv1.Key{key}, resources: resources})
}

// checkResources refuses resources that were asked for and are not those that are encrypted.
func (d *Dir) checkResources(asked []string) error {
	if len(asked) == 0 || !d.ownEncryption {
		return nil
	}
	e, err := d.loadOwn()
	if err != nil {
		return err
	}
	if have := slices.Sorted(slices.Values(e.resources)); !slices.Equal(have, asked) {
		return fmt.Errorf("--encrypt=%s is for a hub's first start; this one encrypts %s. Try: without --encrypt, and then hanse encryption rotate --encrypt %s",
			strings.Join(asked, ","), strings.Join(have, ","), strings.Join(asked, ","))
	}
	return nil
}

// AddEncryptionKey adds a key by which nothing is written yet, and has resources readable by it that will be. known are the keys
// that others have: if there is another one already, from an attempt that was interrupted, that is it.
func (d *Dir) AddEncryptionKey(known []EncryptionKey, resources []string) (name string, err error) {
	e, err := d.loadOwn()
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(e.keys, func(k apiserverv1.Key) bool {
		return !slices.ContainsFunc(known, func(other EncryptionKey) bool { return other.Name == k.Name })
	})
	if i < 0 {
		key, err := newEncryptionKey(e.keys)
		if err != nil {
			return "", err
		}
		e.keys, i = append(e.keys, key), len(e.keys)
	}
	for _, r := range resources {
		if !slices.Contains(e.resources, r) && !slices.Contains(e.reads, r) {
			e.reads = append(e.reads, r)
		}
	}
	return e.keys[i].Name, d.saveOwn(e)
}

// PromoteEncryptionKey has a key write, and resources be written by it. What is encrypted no longer can still be read.
func (d *Dir) PromoteEncryptionKey(name string, resources []string) error {
	e, err := d.loadOwn()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(e.keys, func(k apiserverv1.Key) bool { return k.Name == name })
	if i < 0 {
		return fmt.Errorf("there is no key %s in %s. Try: restore the file from a backup", name, d.encryption)
	}
	e.keys = slices.Concat(e.keys[i:i+1], e.keys[:i], e.keys[i+1:])
	e.reads = slices.DeleteFunc(slices.Concat(e.resources, e.reads), func(r string) bool { return slices.Contains(resources, r) })
	e.resources = resources
	return d.saveOwn(e)
}

// RetireEncryptionKeys leaves the key that writes alone.
func (d *Dir) RetireEncryptionKeys() error {
	e, err := d.loadOwn()
	if err != nil {
		return err
	}
	e.keys, e.reads = e.keys[:1], nil
	return d.saveOwn(e)
}

// conformEncryption has the directory's own keys be used as f says, and drops those that f does not name: nothing was ever written
// by them, or nothing is any more.
func (d *Dir) conformEncryption(f Fingerprint) error {
	if !d.ownEncryption {
		return nil
	}
	e, err := d.loadOwn()
	if err != nil {
		return err
	}
	var keys []apiserverv1.Key
	for _, want := range f.Encryption {
		for _, k := range e.keys {
			if secret, err := base64.StdEncoding.DecodeString(k.Secret); err == nil && k.Name == want.Name {
				if id, err := identify(secret); err == nil && id == want.ID {
					keys = append(keys, k)
				}
			}
		}
	}
	if len(keys) != len(f.Encryption) {
		return nil // some are missing: another hub has them
	}
	return d.saveOwn(encryption{keys: keys, resources: f.Resources, reads: f.Reads})
}

// OwnEncryption says whether the encryption keys are the hub's own.
func (d *Dir) OwnEncryption() bool { return d.ownEncryption }

// EncryptionHash is how the API server knows an EncryptionConfiguration that it has read.
func (d *Dir) EncryptionHash() (string, error) {
	data, err := os.ReadFile(d.encryption)
	if err != nil {
		return "", Explain(filepath.Dir(d.encryption), err)
	}
	return fmt.Sprintf("sha256:%x", sha256.Sum256(data)), nil
}

// EncryptedPrefix is how each value in the database begins that is written now by the key that writes; empty: it is not encrypted.
func (d *Dir) EncryptedPrefix() (string, error) {
	config, err := loadEncryption(d.encryption)
	if err != nil {
		return "", err
	}
	for _, group := range config.Resources {
		for _, p := range group.Providers[:min(1, len(group.Providers))] {
			switch {
			case p.KMS != nil && p.KMS.APIVersion == "v2":
				return "k8s:enc:kms:v2:" + p.KMS.Name + ":", nil
			case p.KMS != nil:
				return "k8s:enc:kms:v1:" + p.KMS.Name + ":", nil
			case p.Secretbox != nil:
				return "k8s:enc:secretbox:v1:" + p.Secretbox.Keys[0].Name + ":", nil
			case p.AESGCM != nil:
				return "k8s:enc:aesgcm:v1:" + p.AESGCM.Keys[0].Name + ":", nil
			case p.AESCBC != nil:
				return "k8s:enc:aescbc:v1:" + p.AESCBC.Keys[0].Name + ":", nil
			}
		}
	}
	return "", nil
}

// RotationRequest is what hanse encryption rotate leaves for the hub.
type RotationRequest struct {
	// Encrypt are the resources to be encrypted afterwards; none: those that are.
	Encrypt   []string  `json:"encrypt,omitempty"`
	Requested time.Time `json:"requested"`
}

const rotationRequest = "config/encryption-rotate.json"

var resourceName = regexp.MustCompile(`^[a-z][a-z0-9-]*(\.[a-z0-9.-]+)?$`)

// Encrypted checks a list of resources and sorts it. Secrets are always in it.
func Encrypted(resources []string) ([]string, error) {
	var wrong []error
	for _, r := range resources {
		if !resourceName.MatchString(r) {
			wrong = append(wrong, fmt.Errorf("--encrypt: %q is not a resource. Try: its name and group, as configmaps or widgets.example.com; each has to be named", r))
		}
	}
	if len(resources) > 0 && !slices.Contains(resources, "secrets") {
		wrong = append(wrong, fmt.Errorf("--encrypt=%s leaves Secrets in plain text. Try: --encrypt secrets,%s", strings.Join(resources, ","), strings.Join(resources, ",")))
	}
	return slices.Compact(slices.Sorted(slices.Values(resources))), apierrors.NewAggregate(wrong)
}

// RequestEncryption has the encryption keys of the data directory in path replaced by the hub that has the directory, or will
// have it.
func RequestEncryption(path string, r RotationRequest) error {
	if _, err := os.Stat(filepath.Join(path, authorityCert)); errors.Is(err, fs.ErrNotExist) {
		return noDirectory(path)
	}
	file := filepath.Join(path, rotationRequest)
	if _, err := os.Stat(file); err == nil {
		return fmt.Errorf("this was asked for already, and the hub of %s has not begun. Try: start it, or see its log", path)
	}
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return pki.WriteFile(file, append(data, '\n'))
}

// RotationRequest is what somebody has asked for, nil if nobody has.
func (d *Dir) RotationRequest() (*RotationRequest, error) {
	data, err := os.ReadFile(d.Path(rotationRequest))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, Explain(d.path, err)
	}
	r := &RotationRequest{}
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("%s is not readable: %w. Try: remove it, and hanse encryption rotate again", d.Path(rotationRequest), err)
	}
	if r.Encrypt, err = Encrypted(r.Encrypt); err != nil {
		return nil, fmt.Errorf("%s: %w", d.Path(rotationRequest), err)
	}
	return r, nil
}

// RotationBegun forgets the request.
func (d *Dir) RotationBegun() error {
	if err := os.Remove(d.Path(rotationRequest)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Explain(d.path, err)
	}
	return nil
}
