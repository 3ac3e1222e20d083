// Package pki makes and keeps the certificates and keys of a control plane:
// one certificate authority per data directory, the certificates that it signs,
// and plain keys. Everything is created once, kept in files of mode 0600 and
// found again by the next start.
package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
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
	// leafLife is short enough for a stolen key to lose its worth, and renewal
	// needs nobody: a leaf that has less than renewBefore left is replaced by
	// the next EnsurePair.
	leafLife    = 365 * 24 * time.Hour
	renewBefore = 120 * 24 * time.Hour
	// clockSkew is how much earlier than now a certificate starts to be valid,
	// for clients whose clocks are behind.
	clockSkew = time.Hour
)

// Authority is a certificate authority with its key.
type Authority struct {
	cert    *x509.Certificate
	key     crypto.Signer
	certPEM []byte
	now     func() time.Time
}

// Request says what a certificate is for. With Hosts (names or IP addresses) it
// is a server's, without it is a client's; CommonName is the user and
// Organizations are the groups as which Kubernetes knows the client.
type Request struct {
	CommonName    string
	Organizations []string
	Hosts         []string
}

// EnsureAuthority loads the authority from the two files or, when neither the
// certificate nor anything signed by it can exist yet, creates it. A certificate
// without its key is an error: a new authority would lock out every client. now is the
// clock by which certificates begin and end.
func EnsureAuthority(certFile, keyFile, commonName string, now func() time.Time) (*Authority, error) {
	certPEM, err := os.ReadFile(certFile)
	if errors.Is(err, fs.ErrNotExist) {
		return createAuthority(certFile, keyFile, commonName, now)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the certificate authority: %w", err)
	}
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("loading the certificate authority %s: %w", certFile, err)
	}
	key, ok := pair.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("the key %s cannot sign", keyFile)
	}
	return &Authority{cert: pair.Leaf, key: key, certPEM: certPEM, now: now}, nil
}

func createAuthority(certFile, keyFile, commonName string, now func() time.Time) (*Authority, error) {
	key, keyPEM, err := newKey()
	if err != nil {
		return nil, err
	}
	template, err := newTemplate(commonName, nil, now(), authorityLife)
	if err != nil {
		return nil, err
	}
	template.IsCA = true
	template.BasicConstraintsValid = true
	template.KeyUsage |= x509.KeyUsageCertSign
	certPEM, err := sign(template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	// The certificate goes last: its presence says that the pair is complete.
	if err := writeFile(keyFile, keyPEM); err != nil {
		return nil, err
	}
	if err := writeFile(certFile, certPEM); err != nil {
		return nil, err
	}
	return EnsureAuthority(certFile, keyFile, commonName, now)
}

// CertificatePEM is the authority's own certificate, what clients trust.
func (a *Authority) CertificatePEM() []byte { return slices.Clone(a.certPEM) }

// Issue signs a new certificate and returns it with its key, both in PEM.
func (a *Authority) Issue(r Request) (certPEM, keyPEM []byte, err error) {
	key, keyPEM, err := newKey()
	if err != nil {
		return nil, nil, err
	}
	template, err := newTemplate(r.CommonName, r.Organizations, a.now(), leafLife)
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
// that fits r and will not expire soon, together with its key. A pair that is
// right is left alone, so it may be called again at any time.
func (a *Authority) EnsurePair(certFile, keyFile string, r Request) error {
	if pair, err := tls.LoadX509KeyPair(certFile, keyFile); err == nil && a.fits(pair.Leaf, r) {
		return nil
	}
	certPEM, keyPEM, err := a.Issue(r)
	if err != nil {
		return err
	}
	if err := writeFile(keyFile, keyPEM); err != nil {
		return err
	}
	return writeFile(certFile, certPEM)
}

func (a *Authority) fits(cert *x509.Certificate, r Request) bool {
	if cert.CheckSignatureFrom(a.cert) != nil || cert.NotAfter.Sub(a.now()) < renewBefore {
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
	return writeFile(file, keyPEM)
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

// writeFile replaces file in one step, so that a reader or a crash never sees
// half of it.
func writeFile(file string, data []byte) error {
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
