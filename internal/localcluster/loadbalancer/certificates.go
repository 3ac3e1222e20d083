package loadbalancer

import (
	"crypto/tls"
	"fmt"
	"net"
	"sync"

	"github.com/hanse-dev/hanse/internal/pki"
)

// Issuer signs certificates: the cluster's authority.
type Issuer interface {
	Issue(pki.Request) (certPEM, keyPEM []byte, err error)
}

// maxCertificates bounds the memory that clients can make us use by asking for ever new names.
const maxCertificates = 256

// certificates makes a certificate for whatever name a client asks for.
type certificates struct {
	issuer Issuer
	mu     sync.Mutex
	made   map[string]*tls.Certificate
}

func (c *certificates) config() *tls.Config {
	return &tls.Config{GetCertificate: c.get, NextProtos: []string{"h2", "http/1.1"}, MinVersion: tls.VersionTLS12}
}

func (c *certificates) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := hostname(hello.ServerName)
	if name == "" { // asked for by address
		host, _, err := net.SplitHostPort(hello.Conn.LocalAddr().String())
		if err != nil {
			return nil, err
		}
		name = host
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if cert, ok := c.made[name]; ok {
		return cert, nil
	}
	certPEM, keyPEM, err := c.issuer.Issue(pki.Request{CommonName: commonName(name), Hosts: []string{name}})
	if err != nil {
		return nil, fmt.Errorf("certificate for %s: %w", name, err)
	}
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("certificate for %s: %w", name, err)
	}
	if len(c.made) >= maxCertificates {
		clear(c.made)
	}
	c.made[name] = &cert
	return &cert, nil
}

// commonName has a limit of 64 characters in X.509; clients go by the alternative names.
func commonName(name string) string { return name[:min(len(name), 64)] }
