// Package route53 keeps zones in Amazon Route 53.
//
// While the hub is there it writes what steer.Choose says now. Route 53's own
// health checks, of which each set may have one, matter while the hub is away:
// then an unhealthy set is passed over, a place falls back to the next larger one
// (state, country, continent, everywhere), a primary to its secondary. How many
// checks there are is limited by the account; a zone has them only if
// Config.HealthChecks says so.
package route53

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	api "github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"
	"github.com/aws/smithy-go"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/internal/dns/provider"
)

// Config of a Zone.
type Config struct {
	// Domain with or without a final dot.
	Domain string
	// Owner is in the records of the registry, in the identifiers of sets and of
	// health checks.
	Owner string
	// HostedZoneID; empty: the one public zone of this name.
	HostedZoneID string
	// Endpoint is the URL of the API; empty: Amazon's.
	Endpoint string
	// AccessKeyID and the rest; empty: those of the environment, as the SDK finds
	// them.
	AccessKeyID, SecretAccessKey, SessionToken string
	// HealthChecks lets Route 53 probe addresses too.
	HealthChecks bool
	// Pace is shared by the zones of an account; nil: a NewPace of its own.
	Pace *Pace
	// MaxBackoff is the longest wait between two tries; 0: 20 s.
	MaxBackoff time.Duration
	Clock      clock.Clock
}

// Zone is a hosted zone. It implements provider.Provider, Tidier and Settler; its
// methods are called one at a time.
type Zone struct {
	clock        clock.PassiveClock
	client       *api.Client
	domain       string // with a final dot
	owner        string
	givenID      string
	healthChecks bool

	id          string // without /hostedzone/; empty until Ensure
	nameServers []string
	checks      checks
	unsettled   []string // IDs of changes that may not have arrived everywhere
}

// attempts is how often a request is tried when it is throttled or lost.
const attempts = 8

// requestTimeout is for one try.
const requestTimeout = 30 * time.Second

// New connects to nothing yet. Errors are those of the environment's settings.
func New(ctx context.Context, c Config) (*Zone, error) {
	if c.Pace == nil {
		c.Pace = NewPace(requestsPerSecond, c.Clock)
	}
	if c.MaxBackoff == 0 {
		c.MaxBackoff = 20 * time.Second
	}
	options := []func(*config.LoadOptions) error{
		config.WithRegion("us-east-1"), // Route 53 is global and signed for here
		config.WithHTTPClient(awshttp.NewBuildableClient().WithTimeout(requestTimeout)),
		config.WithRetryer(func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) {
				o.MaxAttempts, o.MaxBackoff, o.RateLimiter = attempts, c.MaxBackoff, ratelimit.None
			})
		}),
	}
	if c.AccessKeyID != "" {
		options = append(options, config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(c.AccessKeyID, c.SecretAccessKey, c.SessionToken)))
	}
	settings, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("the settings of the AWS SDK in the hub's environment cannot be used: %w", err)
	}
	client := api.NewFromConfig(settings, func(o *api.Options) {
		o.HTTPClient = paced{c.Pace, o.HTTPClient}
		if c.Endpoint != "" {
			o.BaseEndpoint = aws.String(c.Endpoint)
		}
	})
	return &Zone{client: client, clock: c.Clock, domain: strings.ToLower(strings.TrimSuffix(c.Domain, ".")) + ".", owner: c.Owner,
		givenID: strings.TrimPrefix(c.HostedZoneID, "/hostedzone/"), healthChecks: c.HealthChecks, checks: newChecks()}, nil
}

// Name of the provider.
func (z *Zone) Name() string { return "Route53" }

// Ensure finds the hosted zone, or creates it. It asks only once it has none.
func (z *Zone) Ensure(ctx context.Context, create bool) (provider.Zone, error) {
	if z.id == "" {
		if err := z.find(ctx, create); err != nil {
			return provider.Zone{}, err
		}
	}
	return provider.Zone{ID: z.id, NameServers: z.nameServers}, nil
}

func (z *Zone) find(ctx context.Context, create bool) error {
	id := z.givenID
	if id == "" {
		ids, err := z.list(ctx)
		switch {
		case err != nil:
			return z.explain("list the hosted zones", err)
		case len(ids) > 1:
			return fmt.Errorf("there are %d public hosted zones for %s in Route 53: %s. Try: name one in spec.route53.hostedZoneID", len(ids), z.plain(), strings.Join(ids, ", "))
		case len(ids) == 0 && create:
			return z.create(ctx)
		case len(ids) == 0:
			return fmt.Errorf("there is no hosted zone for %s in Route 53: %w", z.plain(), provider.ErrNoZone)
		}
		id = ids[0]
	}
	out, err := z.client.GetHostedZone(ctx, &api.GetHostedZoneInput{Id: &id})
	if missing := (*types.NoSuchHostedZone)(nil); errors.As(err, &missing) {
		return fmt.Errorf("there is no hosted zone %s in Route 53. Try: leave spec.route53.hostedZoneID empty to have one found or created: %w", id, provider.ErrNoZone)
	} else if err != nil {
		return z.explain("read the hosted zone "+id, err)
	}
	if name := normal(aws.ToString(out.HostedZone.Name)); name != z.domain {
		return fmt.Errorf("the hosted zone %s in Route 53 is for %s, not for %s. Try: correct spec.route53.hostedZoneID or spec.domain", id, strings.TrimSuffix(name, "."), z.plain())
	}
	z.found(id, out.DelegationSet)
	return nil
}

// list gives the IDs of all public zones of this name.
func (z *Zone) list(ctx context.Context) ([]string, error) {
	var ids []string
	in := &api.ListHostedZonesByNameInput{DNSName: &z.domain}
	for {
		out, err := z.client.ListHostedZonesByName(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, h := range out.HostedZones {
			if normal(aws.ToString(h.Name)) != z.domain {
				return ids, nil // sorted: those of the name come first
			}
			if h.Config == nil || !h.Config.PrivateZone {
				ids = append(ids, strings.TrimPrefix(aws.ToString(h.Id), "/hostedzone/"))
			}
		}
		if !out.IsTruncated {
			return ids, nil
		}
		if out.NextHostedZoneId == nil || aws.ToString(in.HostedZoneId) == *out.NextHostedZoneId {
			return nil, errors.New("a list says that there is more, but not where")
		}
		in.DNSName, in.HostedZoneId = out.NextDNSName, out.NextHostedZoneId
	}
}

// create makes the zone. The reference is the same each time, so that an answer
// that was lost, or a hub that was killed, leaves one zone. A zone that was made so
// and deleted since may keep its reference: a second one counts the days.
func (z *Zone) create(ctx context.Context) error {
	reference := "hanse-" + short(z.owner, z.domain)
	for _, r := range []string{reference, reference + z.clock.Now().UTC().Format("-2006-01-02")} {
		out, err := z.client.CreateHostedZone(ctx, &api.CreateHostedZoneInput{Name: &z.domain, CallerReference: &r,
			HostedZoneConfig: &types.HostedZoneConfig{Comment: aws.String("Kept by Hanse, owner " + z.owner)}})
		if err == nil {
			z.found(strings.TrimPrefix(aws.ToString(out.HostedZone.Id), "/hostedzone/"), out.DelegationSet)
			return nil
		}
		if taken := (*types.HostedZoneAlreadyExists)(nil); !errors.As(err, &taken) {
			return z.explain("create a hosted zone for "+z.plain(), err)
		}
		if ids, err := z.list(ctx); err != nil {
			return z.explain("list the hosted zones", err)
		} else if len(ids) > 0 {
			return z.find(ctx, false) // it was created although the answer was lost
		}
	}
	return fmt.Errorf("a hosted zone for %s cannot be created in Route 53, which still remembers one that was deleted. Try: create it there and name it in spec.route53.hostedZoneID", z.plain())
}

func (z *Zone) found(id string, d *types.DelegationSet) {
	z.id = id
	if d != nil {
		z.nameServers = d.NameServers
	}
}

// plain is the domain as users write it.
func (z *Zone) plain() string { return strings.TrimSuffix(z.domain, ".") }

// explain makes an error of the API one that says what to do.
func (z *Zone) explain(what string, err error) error {
	var e smithy.APIError
	if errors.As(err, &e) {
		switch e.ErrorCode() {
		case "AccessDenied", "AccessDeniedException":
			return fmt.Errorf("the credentials may not %s in Route 53. Try: allow it in their IAM policy: %w", what, err)
		case "InvalidClientTokenId", "SignatureDoesNotMatch", "UnrecognizedClientException", "ExpiredToken":
			return fmt.Errorf("the credentials for Route 53 are not valid. Try: renew those in the Secret of spec.route53.credentialsSecret: %w", err)
		case "TooManyHealthChecks":
			return fmt.Errorf("the account has as many health checks as it may have. Try: raise its limit in AWS, or set spec.route53.healthChecks to false: %w", err)
		case "NoSuchHostedZone":
			z.id = "" // look for it again
		}
	}
	var batch *types.InvalidChangeBatch
	if errors.As(err, &batch) && len(batch.Messages) > 0 {
		return fmt.Errorf("could not %s in Route 53: %s: %w", what, batch.Messages[0], err)
	}
	return fmt.Errorf("could not %s in Route 53: %w", what, err)
}

// short is a few characters that stand for parts.
func short(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:8])
}

// paced is an HTTP client that waits its turn.
type paced struct {
	pace *Pace
	next aws.HTTPClient
}

func (p paced) Do(r *http.Request) (*http.Response, error) {
	if err := p.pace.wait(r.Context()); err != nil {
		return nil, err
	}
	return p.next.Do(r)
}
