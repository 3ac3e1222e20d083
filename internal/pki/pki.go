// Package pki makes and keeps the certificates and keys of a control plane:
// one certificate authority per data directory, the certificates that it signs,
// and plain keys. Everything is kept in files of mode 0600 and found again by the
// next start. What expires is replaced in time, the authority by a successor that
// is trusted before it signs.
package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const (
	authorityLife = 10 * 365 * 24 * time.Hour
	// LeafLife is how long a certificate lives whose Request does not say. It is short
	// enough for a stolen key to lose its worth, and renewal needs nobody.
	LeafLife = 365 * 24 * time.Hour
	// clockSkew is how much earlier than now a certificate starts to be valid,
	// for clients whose clocks are behind.
	clockSkew = time.Hour
)

// RenewalTime is when a certificate of this package is to be replaced: at a third of its life left.
func RenewalTime(c *x509.Certificate) time.Time {
	return c.NotAfter.Add(-c.NotAfter.Sub(c.NotBefore.Add(clockSkew)) / 3)
}

// Authority is a certificate authority with its key.
type Authority struct {
	cert *x509.Certificate
	key  crypto.Signer
	// trusted is cert and whatever else clients are to trust, cert first.
	trusted []*x509.Certificate
	now     func() time.Time
}

// Request says what a certificate is for. With Hosts (names or IP addresses) it
// is a server's, without it is a client's; CommonName is the user and
// Organizations are the groups as which Kubernetes knows the client.
type Request struct {
	CommonName    string
	Organizations []string
	Hosts         []string
	// Life is how long the certificate is valid; 0: LeafLife.
	Life time.Duration
}

// EnsureAuthority loads the authority from the two files or, when neither the
// certificate nor anything signed by it can exist yet, creates it. Of the certificates
// in certFile the one that keyFile is the key of signs, all are trusted. A certificate
// without its key is an error: a new authority would lock out every client. now is the
// clock by which certificates begin and end.
func EnsureAuthority(certFile, keyFile, commonName string, now func() time.Time) (*Authority, error) {
	if _, err := os.Stat(certFile); errors.Is(err, fs.ErrNotExist) {
		if err := createAuthority(certFile, keyFile, commonName, now); err != nil {
			return nil, err
		}
	}
	return LoadAuthority(certFile, keyFile, now)
}

// LoadAuthority is EnsureAuthority for an authority that exists. It writes nothing.
func LoadAuthority(certFile, keyFile string, now func() time.Time) (*Authority, error) {
	certs, err := ReadCertificates(certFile)
	if err != nil {
		return nil, fmt.Errorf("reading the certificate authority: %w", err)
	}
	key, err := readKey(keyFile)
	if err != nil {
		return nil, fmt.Errorf("loading the certificate authority %s: %w", certFile, err)
	}
	i := slices.IndexFunc(certs, func(c *x509.Certificate) bool {
		public, ok := c.PublicKey.(*ecdsa.PublicKey)
		return ok && public.Equal(key.Public())
	})
	if i < 0 {
		return nil, fmt.Errorf("the key %s is not of the certificate authority %s", keyFile, certFile)
	}
	return &Authority{cert: certs[i], key: key, trusted: slices.Concat(certs[i:i+1], certs[:i], certs[i+1:]), now: now}, nil
}

// createAuthority writes a new authority. The certificate goes last: its presence says that the pair is complete.
func createAuthority(certFile, keyFile, commonName string, now func() time.Time) error {
	key, keyPEM, err := newKey()
	if err != nil {
		return err
	}
	template, err := newTemplate(commonName, nil, now(), authorityLife)
	if err != nil {
		return err
	}
	template.IsCA = true
	template.BasicConstraintsValid = true
	template.KeyUsage |= x509.KeyUsageCertSign
	certPEM, err := sign(template, template, key.Public(), key)
	if err != nil {
		return err
	}
	if err := WriteFile(keyFile, keyPEM); err != nil {
		return err
	}
	return WriteFile(certFile, certPEM)
}

// CertificatePEM is what clients trust: the authority's own certificate, and while it is being replaced its predecessor's or
// successor's after it.
func (a *Authority) CertificatePEM() []byte { return EncodeCertificates(a.trusted...) }

// Hashes are those of the public keys of all that is trusted, the authority's own first, as kubeadm writes them.
func (a *Authority) Hashes() []string {
	var all []string
	for _, c := range a.trusted {
		all = append(all, Hash(c))
	}
	return all
}

// Hash is that of a certificate's public key, as kubeadm writes it.
func Hash(c *x509.Certificate) string {
	return fmt.Sprintf("sha256:%x", sha256.Sum256(c.RawSubjectPublicKeyInfo))
}

// SignerPEM is the authority's own certificate alone.
func (a *Authority) SignerPEM() []byte { return EncodeCertificates(a.cert) }

// Issue signs a new certificate and returns it with its key, both in PEM.
func (a *Authority) Issue(r Request) (certPEM, keyPEM []byte, err error) {
	key, keyPEM, err := newKey()
	if err != nil {
		return nil, nil, err
	}
	life := r.Life
	if life == 0 {
		life = LeafLife
	}
	template, err := newTemplate(r.CommonName, r.Organizations, a.now(), life)
	if err != nil {
		return nil, nil, err
	}
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if len(r.Hosts) > 0 {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}
	for _, host := range r.Hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	certPEM, err = sign(template, a.cert, key.Public(), a.key)
	return certPEM, keyPEM, err
}

// EnsurePair makes sure that the two files hold a certificate of this authority
// that fits r and has more than a third of its life left, together with its key. A
// pair that is right is left alone, so it may be called again at any time. renewed says
// that it was not. A reader may see the new key with the old certificate for a moment.
func (a *Authority) EnsurePair(certFile, keyFile string, r Request) (renewed bool, err error) {
	if pair, err := tls.LoadX509KeyPair(certFile, keyFile); err == nil && a.fits(pair.Leaf, r) {
		return false, nil
	}
	certPEM, keyPEM, err := a.Issue(r)
	if err != nil {
		return false, err
	}
	if err := WriteFile(keyFile, keyPEM); err != nil {
		return false, err
	}
	return true, WriteFile(certFile, certPEM)
}

func (a *Authority) fits(cert *x509.Certificate, r Request) bool {
	if cert.CheckSignatureFrom(a.cert) != nil || !a.now().Before(RenewalTime(cert)) {
		return false
	}
	if cert.Subject.CommonName != r.CommonName || !slices.Equal(cert.Subject.Organization, r.Organizations) {
		return false
	}
	for _, host := range r.Hosts {
		if cert.VerifyHostname(host) != nil {
			return false
		}
	}
	return true
}

// EnsureKey makes sure that file holds a private key (ECDSA P-256, PEM).
func EnsureKey(file string) error {
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	_, keyPEM, err := newKey()
	if err != nil {
		return err
	}
	return WriteFile(file, keyPEM)
}

func newKey() (crypto.Signer, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("generating a key: %w", err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("encoding a key: %w", err)
	}
	return key, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), nil
}

func newTemplate(commonName string, organizations []string, now time.Time, life time.Duration) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("drawing a serial number: %w", err)
	}
	now = now.UTC()
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: commonName, Organization: organizations},
		NotBefore:    now.Add(-clockSkew),
		NotAfter:     now.Add(life),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}, nil
}

func sign(template, parent *x509.Certificate, public crypto.PublicKey, signer crypto.Signer) ([]byte, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, signer)
	if err != nil {
		return nil, fmt.Errorf("signing the certificate of %q: %w", template.Subject.CommonName, err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}

// ReadCertificates reads the certificates of a file in PEM, of which there is at least one.
func ReadCertificates(file string) ([]*x509.Certificate, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	certs, err := ParseCertificates(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return certs, nil
}

// ParseCertificates are those in PEM, of which there is at least one.
func ParseCertificates(data []byte) (certs []*x509.Certificate, err error) {
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		certs = append(certs, cert)
	}
	if len(certs) == 0 {
		return nil, errors.New("it holds no certificate")
	}
	return certs, nil
}

func readKey(file string) (*ecdsa.PrivateKey, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("%s holds no key", file)
	}
	return x509.ParseECPrivateKey(block.Bytes)
}

// EncodeCertificates is certificates in PEM.
func EncodeCertificates(certs ...*x509.Certificate) []byte {
	var out []byte
	for _, c := range certs {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return out
}

// WriteFile replaces file in one step, so that a reader or a crash never sees
// half of it.
func WriteFile(file string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	temporary, err := os.CreateTemp(filepath.Dir(file), ".new-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temporary.Name()) }()
	_, err = temporary.Write(data)
	if err = errors.Join(err, temporary.Sync(), temporary.Close()); err != nil {
		return err
	}
	return os.Rename(temporary.Name(), file)
}
