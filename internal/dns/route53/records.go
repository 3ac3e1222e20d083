package route53

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"

	"github.com/hanse-dev/hanse/internal/dns/geo"
	"github.com/hanse-dev/hanse/internal/dns/provider"
)

// Read gives all sets of the zone.
func (z *Zone) Read(ctx context.Context) ([]provider.Set, error) {
	if err := z.readChecks(ctx); err != nil {
		return nil, z.explain("list the health checks", err)
	}
	var all []provider.Set
	in := &api.ListResourceRecordSetsInput{HostedZoneId: &z.id}
	for {
		out, err := z.client.ListResourceRecordSets(ctx, in)
		if err != nil {
			return nil, z.explain("list the records of "+z.plain(), err)
		}
		for i := range out.ResourceRecordSets {
			all = append(all, z.read(&out.ResourceRecordSets[i]))
		}
		if !out.IsTruncated {
			break
		}
		next := api.ListResourceRecordSetsInput{HostedZoneId: &z.id, StartRecordName: out.NextRecordName,
			StartRecordType: out.NextRecordType, StartRecordIdentifier: out.NextRecordIdentifier}
		if next.StartRecordName == nil || start(&next) == start(in) {
			return nil, z.explain("list the records of "+z.plain(), errors.New("the list says that there is more, but not where"))
		}
		in = &next
	}
	if !slices.ContainsFunc(all, func(s provider.Set) bool { return s.Type == "SOA" && s.Name == z.domain }) {
		return nil, z.explain("list the records of "+z.plain(), errors.New("the list has no SOA record and cannot be complete"))
	}
	return all, nil
}

// start is where a page begins.
func start(in *api.ListResourceRecordSetsInput) provider.Key {
	return provider.Key{Name: aws.ToString(in.StartRecordName), Type: string(in.StartRecordType), ID: aws.ToString(in.StartRecordIdentifier)}
}

// read is a set of the API in the terms of provider.
func (z *Zone) read(r *types.ResourceRecordSet) provider.Set {
	s := provider.Set{Name: normal(aws.ToString(r.Name)), Type: string(r.Type), ID: aws.ToString(r.SetIdentifier),
		TTL: uint32(min(max(aws.ToInt64(r.TTL), 0), 1<<31)), Raw: r}
	for _, v := range r.ResourceRecords {
		s.Values = append(s.Values, aws.ToString(v.Value))
	}
	slices.Sort(s.Values)
	if r.HealthCheckId != nil {
		s.Health = z.checks.spec(*r.HealthCheckId)
	}
	switch {
	case r.GeoLocation != nil:
		s.Routing = provider.Routing{Kind: provider.Geo, Place: place(r.GeoLocation)}
	case r.Weight != nil:
		s.Routing = provider.Routing{Kind: provider.Weighted, Weight: *r.Weight}
	case r.Failover != "":
		s.Routing = provider.Routing{Kind: provider.Failover, Primary: r.Failover == types.ResourceRecordSetFailoverPrimary}
	case aws.ToBool(r.MultiValueAnswer):
		s.Routing.Kind = provider.Multi
	case r.SetIdentifier != nil:
		s.Routing.Kind = provider.Foreign // by latency, by network, and what is yet to come
	}
	if r.AliasTarget != nil {
		s.Alien = "alias of " + aws.ToString(r.AliasTarget.DNSName)
	}
	return s
}

// write is a set in the terms of the API: as it was read, if it was.
func (z *Zone) write(s *provider.Set) (*types.ResourceRecordSet, error) {
	if raw, ok := s.Raw.(*types.ResourceRecordSet); ok {
		return raw, nil
	}
	r := &types.ResourceRecordSet{Name: aws.String(s.Name), Type: types.RRType(s.Type), TTL: aws.Int64(int64(s.TTL))}
	for _, v := range s.Values {
		r.ResourceRecords = append(r.ResourceRecords, types.ResourceRecord{Value: aws.String(v)})
	}
	if s.ID != "" {
		r.SetIdentifier = aws.String(s.ID)
	}
	switch s.Routing.Kind {
	case provider.Geo:
		r.GeoLocation = location(s.Routing.Place)
	case provider.Weighted:
		r.Weight = aws.Int64(s.Routing.Weight)
	case provider.Failover:
		r.Failover = types.ResourceRecordSetFailoverSecondary
		if s.Routing.Primary {
			r.Failover = types.ResourceRecordSetFailoverPrimary
		}
	case provider.Multi:
		r.MultiValueAnswer = aws.Bool(true)
	}
	if s.Health != "" {
		id, ok := z.checks.bySpec[s.Health]
		if !ok {
			return nil, errNoCheck
		}
		r.HealthCheckId = aws.String(id)
	}
	return r, nil
}

// errNoCheck: a set's health check is not known by ID.
var errNoCheck = errors.New("its health check is not there")

// place is a location in our terms: the most specific field only, as in rules.
func place(g *types.GeoLocation) geo.Place {
	country := aws.ToString(g.CountryCode)
	switch {
	case g.SubdivisionCode != nil:
		return geo.Place{Subdivision: country + "-" + *g.SubdivisionCode}
	case country == "*":
		return geo.Place{}
	case country != "":
		return geo.Place{Country: country}
	default:
		return geo.Place{Continent: aws.ToString(g.ContinentCode)}
	}
}

// location is the inverse of place.
func location(p geo.Place) *types.GeoLocation {
	if country, state, ok := strings.Cut(p.Subdivision, "-"); ok {
		return &types.GeoLocation{CountryCode: &country, SubdivisionCode: &state}
	}
	switch {
	case p.Country != "":
		return &types.GeoLocation{CountryCode: &p.Country}
	case p.Continent != "":
		return &types.GeoLocation{ContinentCode: &p.Continent}
	default:
		return &types.GeoLocation{CountryCode: aws.String("*")}
	}
}

// normal is a name of the API in lower case, with a final dot and without its
// escapes (\052 for *).
func normal(name string) string {
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		if name[i] == '\\' && i+3 < len(name) {
			if n, err := strconv.ParseUint(name[i+1:i+4], 8, 8); err == nil && n > ' ' && n < 0x7f && n != '.' && n != '\\' {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(name[i])
	}
	return strings.ToLower(strings.TrimSuffix(b.String(), ".")) + "."
}
