package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Certificates are the metrics of the hub's own certificates.
type Certificates struct {
	gathered[map[string]Certificate]
}

// Certificate is one of the hub's own.
type Certificate struct {
	Expires time.Time
	// Renews is when the hub is to replace it; a zero time: it does not.
	Renews time.Time
}

func newCertificates(r *registrar) *Certificates {
	c := &Certificates{gathered[map[string]Certificate]{hub: r.hub}}
	expiry := c.desc("certificate_expiry_timestamp_seconds",
		"Unix time at which the hub's own certificate expires. The hub renews it before.", "certificate")
	renewal := c.desc("certificate_renewal_timestamp_seconds",
		"Unix time at which the hub renews its own certificate, with a third of its life left.", "certificate")
	c.collect = func(certificates map[string]Certificate, emit emit) {
		for name, certificate := range certificates {
			emit(expiry, prometheus.GaugeValue, unix(certificate.Expires), name)
			if !certificate.Renews.IsZero() {
				emit(renewal, prometheus.GaugeValue, unix(certificate.Renews), name)
			}
		}
	}
	r.add(c)
	return c
}

// Source says whom to ask at each scrape about each certificate. Their names are constants of the caller's.
func (c *Certificates) Source(source func() map[string]Certificate) {
	if c != nil {
		c.set(source)
	}
}
