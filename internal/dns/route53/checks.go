package route53

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"

	"github.com/hanse-dev/hanse/internal/dns/provider"
)

// spec is what a health check does, as JSON in provider.Set.Health. Several lines
// are a calculated check: healthy while one of them is.
type spec struct {
	Type     string
	Address  string `json:",omitempty"`
	Port     int32
	Host     string `json:",omitempty"`
	Path     string `json:",omitempty"`
	Text     string `json:",omitempty"`
	Interval int32
	Down     int32
	// Other is what somebody has changed that we never set.
	Other string `json:",omitempty"`
}

func (s spec) String() string {
	b, err := json.Marshal(s)
	if err != nil {
		return err.Error() // cannot be: there are only strings and numbers
	}
	return string(b)
}

// checks are the health checks that are ours, in this zone.
type checks struct {
	byID   map[string]string // spec
	bySpec map[string]string // ID
}

func newChecks() checks { return checks{byID: map[string]string{}, bySpec: map[string]string{}} }

func (c checks) add(id, spec string) { c.byID[id], c.bySpec[spec] = spec, id }

// spec of a check by ID; one that is not ours has a spec that no set wants.
func (c checks) spec(id string) string {
	if s, ok := c.byID[id]; ok {
		return s
	}
	return "check " + id
}

// prefix of the caller references of our checks: whose a check is is known from
// the moment that it exists, and listing is enough to see it.
func (z *Zone) prefix() string { return "hanse-" + short(z.owner, z.id) + "-" }

// readChecks lists our health checks.
func (z *Zone) readChecks(ctx context.Context) error {
	found := newChecks()
	configs := map[string]*types.HealthCheckConfig{}
	in := &api.ListHealthChecksInput{}
	for {
		out, err := z.client.ListHealthChecks(ctx, in)
		if err != nil {
			return err
		}
		for _, h := range out.HealthChecks {
			if strings.HasPrefix(aws.ToString(h.CallerReference), z.prefix()) && h.HealthCheckConfig != nil {
				configs[aws.ToString(h.Id)] = h.HealthCheckConfig
			}
		}
		if !out.IsTruncated {
			break
		}
		if out.NextMarker == nil || aws.ToString(in.Marker) == *out.NextMarker {
			return errors.New("the list says that there is more, but not where")
		}
		in = &api.ListHealthChecksInput{Marker: out.NextMarker}
	}
	for _, calculated := range []bool{false, true} { // children first
		for _, id := range slices.Sorted(maps.Keys(configs)) {
			if c := configs[id]; (c.Type == types.HealthCheckTypeCalculated) == calculated {
				found.add(id, found.describe(c))
			}
		}
	}
	z.checks = found
	return nil
}

// describe is the spec of a check.
func (c checks) describe(h *types.HealthCheckConfig) string {
	var other []string
	for what, is := range map[string]bool{"inverted": aws.ToBool(h.Inverted), "disabled": aws.ToBool(h.Disabled)} {
		if is {
			other = append(other, what)
		}
	}
	slices.Sort(other)
	if h.Type == types.HealthCheckTypeCalculated {
		var lines []string
		for _, child := range h.ChildHealthChecks {
			lines = append(lines, c.spec(child))
		}
		slices.Sort(lines)
		if aws.ToInt32(h.HealthThreshold) != 1 {
			other = append(other, fmt.Sprint("threshold ", aws.ToInt32(h.HealthThreshold)))
		}
		return strings.Join(append(lines, other...), "\n")
	}
	return spec{Type: strings.TrimSuffix(string(h.Type), "_STR_MATCH"), Address: aws.ToString(h.IPAddress), Port: aws.ToInt32(h.Port),
		Host: aws.ToString(h.FullyQualifiedDomainName), Path: aws.ToString(h.ResourcePath), Text: aws.ToString(h.SearchString),
		Interval: aws.ToInt32(h.RequestInterval), Down: aws.ToInt32(h.FailureThreshold), Other: strings.Join(other, ",")}.String()
}

// ensureChecks creates the health checks that changes need and there are not, and
// gives why, by spec, for those that cannot be.
func (z *Zone) ensureChecks(ctx context.Context, changes []provider.Change) map[string]error {
	failed := map[string]error{}
	for _, c := range changes {
		for _, s := range c.Steps {
			if s.New == nil || s.New.Health == "" || failed[s.New.Health] != nil || z.checks.bySpec[s.New.Health] != "" {
				continue
			}
			if err := z.ensureCheck(ctx, s.New.Health); err != nil {
				failed[s.New.Health] = err
			}
		}
	}
	return failed
}

// ensureCheck creates the check for a spec, after its children.
func (z *Zone) ensureCheck(ctx context.Context, health string) error {
	lines := strings.Split(health, "\n")
	if len(lines) == 1 {
		var s spec
		if err := json.Unmarshal([]byte(health), &s); err != nil {
			return fmt.Errorf("health check %q: %w", health, err)
		}
		return z.createCheck(ctx, health, s.config())
	}
	calculated := &types.HealthCheckConfig{Type: types.HealthCheckTypeCalculated, HealthThreshold: aws.Int32(1)}
	for _, line := range lines {
		if z.checks.bySpec[line] == "" {
			if err := z.ensureCheck(ctx, line); err != nil {
				return err
			}
		}
		calculated.ChildHealthChecks = append(calculated.ChildHealthChecks, z.checks.bySpec[line])
	}
	return z.createCheck(ctx, health, calculated)
}

// config is s in the terms of the API.
func (s spec) config() *types.HealthCheckConfig {
	c := &types.HealthCheckConfig{Type: types.HealthCheckType(s.Type), Port: &s.Port, RequestInterval: &s.Interval, FailureThreshold: &s.Down}
	if s.Text != "" {
		c.Type, c.SearchString = types.HealthCheckType(s.Type+"_STR_MATCH"), &s.Text
	}
	if s.Address != "" {
		c.IPAddress = &s.Address
	}
	if s.Host != "" {
		c.FullyQualifiedDomainName = &s.Host
	}
	if s.Path != "" {
		c.ResourcePath = &s.Path
	}
	if s.Type == "HTTPS" {
		c.EnableSNI = aws.Bool(true)
	}
	return c
}

// createCheck creates one, and puts tags on it for people; whose it is, its
// reference says, which is never used twice: Route 53 remembers those of checks
// that were deleted.
func (z *Zone) createCheck(ctx context.Context, health string, c *types.HealthCheckConfig) error {
	reference := z.prefix() + short(health, z.clock.Now().UTC().String())
	out, err := z.client.CreateHealthCheck(ctx, &api.CreateHealthCheckInput{CallerReference: &reference, HealthCheckConfig: c})
	if err != nil {
		return err
	}
	id := aws.ToString(out.HealthCheck.Id)
	z.checks.add(id, health)
	name := strings.TrimSuffix(aws.ToString(c.FullyQualifiedDomainName)+" "+aws.ToString(c.IPAddress), " ")
	_, err = z.client.ChangeTagsForResource(ctx, &api.ChangeTagsForResourceInput{ResourceId: &id, ResourceType: types.TagResourceTypeHealthcheck,
		AddTags: []types.Tag{tag("Name", "hanse "+name), tag("hanse.dev/owner", z.owner), tag("hanse.dev/zone", z.plain())}})
	if err != nil {
		return z.explain("tag the health check "+id, err)
	}
	return nil
}

func tag(key, value string) types.Tag {
	return types.Tag{Key: &key, Value: aws.String(value[:min(len(value), 256)])}
}

// Tidy deletes the health checks that no set uses any more. It waits, by doing
// nothing, until all name servers have the sets as they are now: to those that
// have the old, a check that is gone is unhealthy.
func (z *Zone) Tidy(ctx context.Context, kept []provider.Set) error {
	used := map[string]bool{}
	for _, s := range kept {
		if s.Health == "" {
			continue
		}
		used[z.checks.bySpec[s.Health]] = true
		if raw, ok := s.Raw.(*types.ResourceRecordSet); ok {
			used[aws.ToString(raw.HealthCheckId)] = true
		}
	}
	for id := range maps.Clone(used) { // and the children of those
		for line := range strings.SplitSeq(z.checks.byID[id], "\n") {
			used[z.checks.bySpec[line]] = true
		}
	}
	unused := slices.DeleteFunc(slices.Sorted(maps.Keys(z.checks.byID)), func(id string) bool { return used[id] })
	if len(unused) == 0 {
		return nil
	}
	if settled, err := z.Settled(ctx); err != nil || !settled {
		return err
	}
	slices.SortStableFunc(unused, func(a, b string) int { // parents first: a child in use cannot be deleted
		return strings.Count(z.checks.byID[b], "\n") - strings.Count(z.checks.byID[a], "\n")
	})
	for _, id := range unused {
		_, err := z.client.DeleteHealthCheck(ctx, &api.DeleteHealthCheckInput{HealthCheckId: &id})
		var gone *types.NoSuchHealthCheck
		if err != nil && !errors.As(err, &gone) {
			return z.explain("delete the unused health check "+id, err)
		}
		if s := z.checks.byID[id]; z.checks.bySpec[s] == id {
			delete(z.checks.bySpec, s)
		}
		delete(z.checks.byID, id)
	}
	return nil
}
