package dns

import (
	"context"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/dns/provider"
	"github.com/hanse-dev/hanse/internal/dns/rfc2136"
	"github.com/hanse-dev/hanse/internal/dns/route53"
)

// newProvider makes the way to a zone that is kept elsewhere. It does not ask
// anybody yet.
func (c *Controller) newProvider(ctx context.Context, z *v1alpha1.DNSZone) (provider.Provider, error) {
	if z.Spec.RFC2136 != nil {
		key, err := c.caches.tsig(z.Spec.RFC2136.Key)
		if err != nil {
			return nil, err
		}
		cfg := rfc2136.Config{Domain: z.Spec.Domain, Server: z.Spec.RFC2136.Server}
		if key != nil {
			cfg.Key = &rfc2136.Key{Name: key.Name, Algorithm: key.Algorithm, Secret: key.Secret}
		}
		return rfc2136.New(cfg)
	}
	s := z.Spec.Route53
	cfg := route53.Config{
		Domain: z.Spec.Domain, Owner: c.owner(z), HostedZoneID: s.HostedZoneID, Endpoint: s.Endpoint,
		HealthChecks: s.HealthChecks == nil || *s.HealthChecks, Pace: c.pace(s.CredentialsSecret),
	}
	if s.CredentialsSecret != "" {
		var err error
		if cfg.AccessKeyID, err = c.caches.secret(s.CredentialsSecret, "aws_access_key_id"); err != nil {
			return nil, err
		}
		if cfg.SecretAccessKey, err = c.caches.secret(s.CredentialsSecret, "aws_secret_access_key"); err != nil {
			return nil, err
		}
		cfg.SessionToken, _ = c.caches.secret(s.CredentialsSecret, "aws_session_token") // only temporary credentials have one
	}
	return route53.New(ctx, cfg)
}

// pace is what the zones of one account share: Amazon counts requests by account.
func (c *Controller) pace(credentials string) *route53.Pace {
	c.elsewhere.mu.Lock()
	defer c.elsewhere.mu.Unlock()
	p := c.elsewhere.paces[credentials]
	if p == nil {
		p = route53.NewPace(0)
		c.elsewhere.paces[credentials] = p
	}
	return p
}
