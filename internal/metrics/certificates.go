package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Certificates are the metrics of the hub's own certificates.
type Certificates struct {
	gathered[map[string]time.Time]
}

func newCertificates(r *registrar) *Certificates {
	c := &Certificates{gathered[map[string]time.Time]{hub: r.hub}}
	expiry := c.desc("certificate_expiry_timestamp_seconds",
		"Unix time at which the hub's own certificate expires. The hub renews its certificates when it starts.", "certificate")
	c.collect = func(expires map[string]time.Time, emit emit) {
		for name, t := range expires {
			emit(expiry, prometheus.GaugeValue, unix(t), name)
		}
	}
	r.add(c)
	return c
}

// Source says whom to ask at each scrape when each certificate expires. Their names are constants of the caller's.
func (c *Certificates) Source(source func() map[string]time.Time) {
	if c != nil {
		c.set(source)
	}
}
