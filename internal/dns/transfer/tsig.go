package transfer

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // RFC 8945 wants it understood, and HMAC does not depend on collisions
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"sync/atomic"

	"github.com/miekg/dns"
)

// Key is a TSIG key that both sides know.
type Key struct {
	Name string
	// Algorithm is hmac-sha256 (or -sha1, -sha224, -sha384, -sha512).
	Algorithm string
	Secret    string // in base64
}

// keyring is the keys by their names. It is a dns.TsigProvider.
type keyring struct {
	keys atomic.Pointer[map[string]secretKey]
}

type secretKey struct {
	algorithm string
	secret    string // the bytes
}

// set replaces all keys by those of the zones. Keys that cannot be used are left
// out; the error has them all.
func (k *keyring) set(zones []Zone) error {
	keys := map[string]secretKey{}
	var errs []error
	for _, z := range zones {
		if z.Key == nil {
			continue
		}
		name := dns.CanonicalName(z.Key.Name)
		key, err := parseKey(*z.Key)
		if other, ok := keys[name]; ok && other != key && err == nil {
			err = errors.New("another zone's key has that name and differs. Try: give each key a name of its own")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("zone %s cannot be transferred: TSIG key %s: %w", z.Name, z.Key.Name, err))
			continue
		}
		keys[name] = key
	}
	k.keys.Store(&keys)
	return errors.Join(errs...)
}

func parseKey(k Key) (secretKey, error) {
	algorithm := dns.CanonicalName(k.Algorithm)
	if newHash(algorithm) == nil {
		return secretKey{}, fmt.Errorf("the algorithm %q is not known. Try: hmac-sha256", k.Algorithm)
	}
	secret, err := base64.StdEncoding.DecodeString(k.Secret)
	if err != nil || len(secret) == 0 {
		// Without the cause, which would quote the secret.
		return secretKey{}, errors.New("the secret is not in base64. Try: tsig-keygen")
	}
	return secretKey{algorithm, string(secret)}, nil
}

func newHash(algorithm string) func() hash.Hash {
	switch algorithm {
	case dns.HmacSHA1:
		return sha1.New
	case dns.HmacSHA224:
		return sha256.New224
	case dns.HmacSHA256:
		return sha256.New
	case dns.HmacSHA384:
		return sha512.New384
	case dns.HmacSHA512:
		return sha512.New
	}
	return nil
}

// Generate implements dns.TsigProvider.
func (k *keyring) Generate(message []byte, t *dns.TSIG) ([]byte, error) {
	keys := k.keys.Load()
	if keys == nil {
		return nil, dns.ErrSecret
	}
	key, ok := (*keys)[dns.CanonicalName(t.Hdr.Name)]
	if !ok {
		return nil, dns.ErrSecret
	}
	if key.algorithm != dns.CanonicalName(t.Algorithm) {
		return nil, dns.ErrKeyAlg
	}
	mac := hmac.New(newHash(key.algorithm), []byte(key.secret))
	mac.Write(message)
	return mac.Sum(nil), nil
}

// Verify implements dns.TsigProvider. Truncated MACs are not accepted.
func (k *keyring) Verify(message []byte, t *dns.TSIG) error {
	want, err := k.Generate(message, t)
	if err != nil {
		return err
	}
	got, err := hex.DecodeString(t.MAC)
	if err != nil || !hmac.Equal(got, want) {
		return dns.ErrSig
	}
	return nil
}

// knows says whether a zone's key is the one that is in force under its name.
func (k *keyring) knows(key *Key) bool {
	keys := k.keys.Load()
	parsed, err := parseKey(*key)
	return keys != nil && err == nil && (*keys)[dns.CanonicalName(key.Name)] == parsed
}

// tsigError is the error of RFC 8945, section 5.2, for what verifying a request
// has come to; RcodeFormatError if it is none of them.
func tsigError(err error) int {
	switch {
	case err == nil:
		return dns.RcodeSuccess
	case errors.Is(err, dns.ErrSecret), errors.Is(err, dns.ErrKeyAlg):
		return dns.RcodeBadKey
	case errors.Is(err, dns.ErrSig):
		return dns.RcodeBadSig
	case errors.Is(err, dns.ErrTime):
		return dns.RcodeBadTime
	}
	return dns.RcodeFormatError
}
