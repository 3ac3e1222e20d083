package external

import (
	"context"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/dns/provider"
	"github.com/hanse-dev/hanse/internal/dns/rfc2136"
	"github.com/hanse-dev/hanse/internal/dns/route53"
)

// provide makes the way to a zone. It does not ask
// anybody yet.
func (e *Zones) provide(ctx context.Context, z *v1alpha1.DNSZone) (provider.Provider, error) {
	if z.Spec.RFC2136 != nil {
		key, err := e.cfg.Credentials.TSIG(z.Spec.RFC2136.Key)
		if err != nil {
			return nil, err
		}
		cfg := rfc2136.Config{Domain: z.Spec.Domain, Server: z.Spec.RFC2136.Server, Clock: e.cfg.Clock}
		if key != nil {
			cfg.Key = &rfc2136.Key{Name: key.Name, Algorithm: key.Algorithm, Secret: key.Secret}
		}
		return rfc2136.New(cfg)
	}
	s := z.Spec.Route53
	cfg := route53.Config{
		Domain: z.Spec.Domain, Owner: e.cfg.owner(z), HostedZoneID: s.HostedZoneID, Endpoint: s.Endpoint,
		HealthChecks: s.HealthChecks == nil || *s.HealthChecks, Pace: e.pace(s.CredentialsSecret), Clock: e.cfg.Clock,
	}
	if s.CredentialsSecret != "" {
		var err error
		if cfg.AccessKeyID, err = e.cfg.Credentials.Secret(s.CredentialsSecret, "aws_access_key_id"); err != nil {
			return nil, err
		}
		if cfg.SecretAccessKey, err = e.cfg.Credentials.Secret(s.CredentialsSecret, "aws_secret_access_key"); err != nil {
			return nil, err
		}
		cfg.SessionToken, _ = e.cfg.Credentials.Secret(s.CredentialsSecret, "aws_session_token") // only temporary credentials have one
	}
	return route53.New(ctx, cfg)
}

// pace is what the zones of one account share: Amazon counts requests by account.
func (e *Zones) pace(credentials string) *route53.Pace {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := e.paces[credentials]
	if p == nil {
		p = route53.NewPace(0, e.cfg.Clock)
		e.paces[credentials] = p
	}
	return p
}
