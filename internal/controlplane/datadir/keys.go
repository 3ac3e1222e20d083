package datadir

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	apiserverv1 "k8s.io/apiserver/pkg/apis/apiserver/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/hanse-dev/hanse/internal/pki"
)

// Keys are the files of a data directory that all hubs on one database have alike, by their names in it: without them a hub
// could not read what another one wrote, nor would its clients trust it. Whoever has them is every user of the hub.
type Keys map[string][]byte

const (
	serviceAccountKey = "pki/service-account.key"
	authorityState    = "pki/ca-rotation.json"
	nextAuthorityCert = "pki/ca-next.crt"
	nextAuthorityKey  = "pki/ca-next.key"
)

// keyFiles are the names of Keys, in the order in which they are written: the certificate of the authority says that all else
// is there.
func keyFiles() []string {
	return []string{encryptionFile, serviceAccountKey, nextAuthorityKey, nextAuthorityCert, authorityState, authorityKey, authorityCert}
}

// HasKeys says whether the directory has any keys, so that none are made or brought over unasked.
func (d *Dir) HasKeys() (bool, error) {
	for _, name := range []string{encryptionFile, serviceAccountKey, authorityKey, authorityCert} {
		if name == encryptionFile && !d.ownEncryption {
			continue
		}
		_, err := os.Stat(d.keyPath(name))
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return err == nil, err
		}
	}
	return false, nil
}

// Keys reads those that the directory has. A file of somebody else's is not handed on.
func (d *Dir) Keys() (Keys, error) {
	d.keys.Lock()
	defer d.keys.Unlock()
	k := Keys{}
	for _, name := range keyFiles() {
		if name == encryptionFile && !d.ownEncryption {
			continue
		}
		data, err := os.ReadFile(d.keyPath(name))
		switch {
		case err == nil:
			k[name] = data
		case !errors.Is(err, fs.ErrNotExist):
			return nil, Explain(d.path, err)
		}
	}
	return k, nil
}

// ReplaceKeys has the directory hold these keys and no others. If it is interrupted it is done again.
func (d *Dir) ReplaceKeys(k Keys) error {
	d.keys.Lock()
	defer d.keys.Unlock()
	if len(k[authorityCert]) == 0 || len(k[authorityKey]) == 0 || len(k[serviceAccountKey]) == 0 {
		return errors.New("the keys of another hub are not complete. Try: again, with a new token")
	}
	if d.ownEncryption && len(k[encryptionFile]) == 0 {
		return errors.New("the other hub has an --encryption-provider-config. Try: the same file for this hub")
	}
	for _, name := range keyFiles() {
		data, given := k[name]
		if name == encryptionFile && !d.ownEncryption {
			continue // this hub's is somebody else's file
		}
		err := os.Remove(d.keyPath(name))
		if given {
			err = pki.WriteFile(d.keyPath(name), data)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return Explain(d.path, err)
		}
	}
	return nil
}

// keyPath is where a file of Keys is.
func (d *Dir) keyPath(name string) string {
	if name == encryptionFile {
		return d.encryption
	}
	return d.Path(name)
}

// AuthorityPEM is what clients of the hub trust.
func (d *Dir) AuthorityPEM() ([]byte, error) { return os.ReadFile(d.Path(authorityCert)) }

// ClientTLS is how the program itself is known to an API server with the same authority.
func (d *Dir) ClientTLS() rest.TLSClientConfig {
	return rest.TLSClientConfig{CAFile: d.Path(authorityCert), CertFile: d.Path(serverPair + ".crt"), KeyFile: d.Path(serverPair + ".key")}
}

// EncryptionKey says which key it is, and nothing of what it is.
type EncryptionKey struct {
	// Name is what values in the database begin with that it encrypted.
	Name string `json:"name"`
	ID   string `json:"id"`
}

func (k EncryptionKey) String() string { return k.Name + " (" + k.ID + ")" }

// Fingerprint says which keys there are.
type Fingerprint struct {
	// Encryption are the keys that the database is read with, the one that it is written with first.
	Encryption []EncryptionKey `json:"encryption"`
	// Resources are written encrypted; Reads are not, and may be encrypted nevertheless.
	Resources []string `json:"resources"`
	Reads     []string `json:"reads,omitempty"`
	// Authorities are the hashes of those that are trusted, the one that signs first.
	Authorities []string `json:"authorities"`
	// ServiceAccount is the key that signs service accounts' tokens.
	ServiceAccount string `json:"serviceAccount"`
}

// Missing names what is in f and not in have.
func (f Fingerprint) Missing(have Fingerprint) (missing []string) {
	for _, k := range f.Encryption {
		if !slices.Contains(have.Encryption, k) {
			missing = append(missing, "the encryption key "+k.String())
		}
	}
	for _, r := range slices.Concat(f.Resources, f.Reads) {
		if !slices.Contains(have.Resources, r) && !slices.Contains(have.Reads, r) {
			missing = append(missing, "the encryption of "+r)
		}
	}
	if f.ServiceAccount != have.ServiceAccount {
		missing = append(missing, "the signing key of service accounts ("+f.ServiceAccount+")")
	}
	// An authority that is only trusted is not missed by the database; the one that signs has to be one of those that are.
	if len(f.Authorities) > 0 && (len(have.Authorities) == 0 || !slices.Contains(f.Authorities, have.Authorities[0])) {
		missing = append(missing, "the certificate authority "+f.Authorities[0])
	}
	return missing
}

// Equal says whether f and other are the same keys, to the same ends.
func (f Fingerprint) Equal(other Fingerprint) bool {
	return slices.Equal(f.Encryption, other.Encryption) && slices.Equal(f.Resources, other.Resources) && slices.Equal(f.Reads, other.Reads) &&
		slices.Equal(f.Authorities, other.Authorities) && f.ServiceAccount == other.ServiceAccount
}

// Fingerprint is that of the keys in the directory, or of the file that stands for its encryption keys.
func (d *Dir) Fingerprint() (f Fingerprint, err error) {
	d.keys.Lock()
	defer d.keys.Unlock()
	if f.Encryption, f.Resources, f.Reads, err = readEncryption(d.encryption); err != nil {
		return f, err
	}
	key, err := os.ReadFile(d.Path(serviceAccountKey))
	if err == nil {
		f.ServiceAccount, err = identify(key)
	}
	if err != nil {
		return f, Explain(d.path, err)
	}
	f.Authorities, err = authorityHashes(d.path)
	return f, err
}

// identify is a name for a secret by which nobody can guess it; it has 256 bits.
func identify(pemOrKey []byte) (string, error) {
	if block, _ := pem.Decode(pemOrKey); block != nil {
		pemOrKey = block.Bytes
	}
	if len(pemOrKey) == 0 {
		return "", errors.New("a key is empty")
	}
	mac := hmac.New(sha256.New, pemOrKey)
	mac.Write([]byte("hanse key"))
	return hex.EncodeToString(mac.Sum(nil)[:8]), nil
}

// authorityHashes are the hashes of the authorities that the data directory in path trusts, the one that signs first.
func authorityHashes(path string) ([]string, error) {
	files := rotating(path)
	ca, err := pki.LoadAuthority(files.Cert, files.Key, nil)
	if err != nil {
		return nil, Explain(path, err)
	}
	return ca.Hashes(), nil
}

// readEncryption says what keys and resources an EncryptionConfiguration names.
func readEncryption(file string) (keys []EncryptionKey, resources, reads []string, err error) {
	config, err := loadEncryption(file)
	if err != nil {
		return nil, nil, nil, err
	}
	for _, group := range config.Resources {
		if len(group.Providers) > 0 && group.Providers[0].Identity != nil {
			reads = append(reads, group.Resources...)
		} else {
			resources = append(resources, group.Resources...)
		}
		for _, p := range group.Providers {
			all, err := keysOf(p)
			if err != nil {
				return nil, nil, nil, fmt.Errorf("%s: %w", file, err)
			}
			for _, k := range all {
				if !slices.Contains(keys, k) {
					keys = append(keys, k)
				}
			}
		}
	}
	slices.Sort(resources)
	slices.Sort(reads)
	return keys, resources, reads, nil
}

func loadEncryption(file string) (*apiserverv1.EncryptionConfiguration, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("the encryption keys: %w. Try: --encryption-dir as this hub had it, or restore the file from a backup", err)
	}
	config := &apiserverv1.EncryptionConfiguration{}
	if err := yaml.UnmarshalStrict(data, config); err != nil {
		return nil, fmt.Errorf("%s is not an EncryptionConfiguration (its text is not shown). Try: restore it from a backup", file)
	}
	return config, nil
}

// keysOf are the keys of one provider. That of a KMS is in the KMS: its name has to do.
func keysOf(p apiserverv1.ProviderConfiguration) (keys []EncryptionKey, err error) {
	if p.KMS != nil {
		return []EncryptionKey{{Name: p.KMS.Name, ID: "kms"}}, nil
	}
	var all []apiserverv1.Key
	switch {
	case p.Secretbox != nil:
		all = p.Secretbox.Keys
	case p.AESGCM != nil:
		all = p.AESGCM.Keys
	case p.AESCBC != nil:
		all = p.AESCBC.Keys
	}
	for _, k := range all {
		secret, err := base64.StdEncoding.DecodeString(k.Secret)
		if err != nil {
			return nil, fmt.Errorf("the key %s is not in base64", k.Name)
		}
		id, err := identify(secret)
		if err != nil {
			return nil, err
		}
		keys = append(keys, EncryptionKey{Name: k.Name, ID: id})
	}
	return keys, nil
}

// EncryptionFile is the EncryptionConfiguration of the API server.
func (d *Dir) EncryptionFile() string { return d.encryption }

// UseEncryptionFile has file, which is somebody else's, stand for the directory's own encryption keys.
func (d *Dir) UseEncryptionFile(file string) error {
	if _, err := loadEncryption(file); err != nil {
		return fmt.Errorf("--encryption-provider-config: %w", err)
	}
	d.encryption, d.ownEncryption = file, false
	return nil
}

// KeepEncryptionIn has the encryption keys kept in another directory, so that whoever gets a copy of the database does not get
// them along. Keys that the data directory has are moved there.
func (d *Dir) KeepEncryptionIn(path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	file := filepath.Join(path, filepath.Base(encryptionFile))
	if file == d.encryption {
		return nil
	}
	if err := moveKeys(d.encryption, file); err != nil {
		return Explain(path, err)
	}
	d.encryption = file
	return nil
}

// moveKeys brings a file to another directory, perhaps on another disk. If it is interrupted it is done again.
func moveKeys(from, to string) error {
	data, err := os.ReadFile(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	there, err := os.ReadFile(to)
	if errors.Is(err, fs.ErrNotExist) {
		err = pki.WriteFile(to, data)
	} else if err == nil && !bytes.Equal(there, data) {
		err = fmt.Errorf("%s and %s are not the same keys. Try: remove the one that this hub has not used", from, to)
	}
	if err != nil {
		return err
	}
	return os.Remove(from)
}

// Conform takes back what this directory has of changes that are not in f, which is what a database says of its keys.
func (d *Dir) Conform(f Fingerprint) error {
	d.keys.Lock()
	defer d.keys.Unlock()
	if err := rotating(d.path).Conform(f.Authorities); err != nil {
		return Explain(d.path, err)
	}
	return d.conformEncryption(f)
}
