package fleet

import (
	"crypto/x509"
	"encoding/pem"
	"time"
)

// measure counts a look at the member.
func (m *member) measure(v verdict, began time.Time) {
	now := m.fleet.clock.Now()
	m.fleet.metrics.Looked(m.name, v.reason, v.ok(), now.Sub(began), now)
}

// bundleExpiry is when the last certificate of a CA bundle expires: from then on no connection is trusted. It is zero
// if there is none that can be read.
func bundleExpiry(bundle []byte) (last time.Time) {
	for {
		var block *pem.Block
		if block, bundle = pem.Decode(bundle); block == nil {
			return last
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err == nil && certificate.NotAfter.After(last) {
			last = certificate.NotAfter
		}
	}
}
