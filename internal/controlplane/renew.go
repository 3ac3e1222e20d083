package controlplane

import (
	"context"
	"time"

	"github.com/hanse-dev/hanse/internal/controlplane/datadir"
)

// renewEvery is how often a running control plane looks at its certificates. It costs a millisecond, and is short against the
// life of the shortest.
const renewEvery = 15 * time.Second

func (c Config) issuance(address string, hosts []string) datadir.Issuance {
	p := c.Role.profile()
	return datadir.Issuance{
		Context: c.Name, Address: address, Hosts: hosts, Now: c.Clock.Now,
		Life: c.CertificateLife, AdminLife: c.AdminLife, Revocable: p.revocable, Rotate: p.rotate,
	}
}

// renew replaces what needs it, until ctx ends. Whoever uses the files reads them again: the API server and the signer of
// certificates when they change, clients within five minutes, which is little against the third of a life that is left. What
// fails is tried again, and no reason to end.
func (c *ControlPlane) renew(ctx context.Context, cfg Config, issuance datadir.Issuance) error {
	ticker := cfg.Clock.NewTicker(renewEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C():
		}
		issuance.Rotate = cfg.Role.profile().rotate && c.keys.leads()
		_, renewed, err := c.dir.Credentials(issuance)
		if cfg.Renewed != nil {
			cfg.Renewed(renewed, err)
		}
	}
}
