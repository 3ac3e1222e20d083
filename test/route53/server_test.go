package route53test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"
)

func setUp(t *testing.T) (*Server, *route53.Client, string) {
	t.Helper()
	s := New(Options{})
	t.Cleanup(s.Close)
	client := route53.New(route53.Options{Region: "us-east-1", BaseEndpoint: &s.URL, Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider("id", "secret", "")})
	return s, client, s.AddZone("example.org", false)
}

func set(name, typ string, values ...string) *types.ResourceRecordSet {
	r := &types.ResourceRecordSet{Name: &name, Type: types.RRType(typ), TTL: aws.Int64(60)}
	for _, v := range values {
		r.ResourceRecords = append(r.ResourceRecords, types.ResourceRecord{Value: &v})
	}
	return r
}

func with(r *types.ResourceRecordSet, change func(*types.ResourceRecordSet)) *types.ResourceRecordSet {
	change(r)
	return r
}

func geoSet(id, continent, country, state string) *types.ResourceRecordSet {
	return with(set("geo.example.org", "A", "1.2.3.4"), func(r *types.ResourceRecordSet) {
		r.SetIdentifier, r.GeoLocation = &id, &types.GeoLocation{}
		for code, field := range map[string]**string{continent: &r.GeoLocation.ContinentCode, country: &r.GeoLocation.CountryCode, state: &r.GeoLocation.SubdivisionCode} {
			if code != "" {
				*field = &code
			}
		}
	})
}

// TestValidation: what the real one refuses, it refuses, and the whole batch.
func TestValidation(t *testing.T) {
	s, client, id := setUp(t)
	send := func(action types.ChangeAction, sets ...*types.ResourceRecordSet) error {
		batch := &types.ChangeBatch{}
		for _, r := range sets {
			batch.Changes = append(batch.Changes, types.Change{Action: action, ResourceRecordSet: r})
		}
		_, err := client.ChangeResourceRecordSets(t.Context(), &route53.ChangeResourceRecordSetsInput{HostedZoneId: &id, ChangeBatch: batch})
		return err
	}
	if err := send("CREATE", set("www.example.org", "A", "1.2.3.4", "1.2.3.5"), geoSet("eu", "EU", "", ""), set("c.example.org", "CNAME", "x.")); err != nil {
		t.Fatal(err)
	}
	before := len(s.Records(id))
	soa := set("example.org", "SOA")
	for _, r := range s.Records(id) {
		if r.Type == "SOA" {
			soa = with(set("example.org", "SOA", r.Values...), func(s *types.ResourceRecordSet) { s.TTL = r.TTL })
		}
	}
	var many, long []*types.ResourceRecordSet
	for i := range 501 {
		many = append(many, set(fmt.Sprintf("h%d.example.org", i), "A", "1.2.3.4"))
	}
	for i := range 80 {
		long = append(long, set(fmt.Sprintf("t%d.example.org", i), "TXT", `"`+strings.Repeat("x", 198)+`"`))
	}
	for _, c := range []struct {
		action types.ChangeAction
		want   string
		sets   []*types.ResourceRecordSet
	}{
		{"CREATE", "already exists", []*types.ResourceRecordSet{set("www.example.org", "A", "1.2.3.4")}},
		{"DELETE", "was not found", []*types.ResourceRecordSet{set("no.example.org", "A", "1.2.3.4")}},
		{"DELETE", "do not match", []*types.ResourceRecordSet{set("www.example.org", "A", "1.2.3.4")}},
		{"CREATE", "as it conflicts with other records", []*types.ResourceRecordSet{set("www.example.org", "CNAME", "x.")}},
		{"CREATE", "as it conflicts with other records", []*types.ResourceRecordSet{set("c.example.org", "TXT", `"x"`)}},
		{"CREATE", "at apex", []*types.ResourceRecordSet{set("example.org", "CNAME", "x.")}},
		{"CREATE", "not permitted in zone", []*types.ResourceRecordSet{set("www.example.net", "A", "1.2.3.4")}},
		{"CREATE", "other RRSets exist", []*types.ResourceRecordSet{set("geo.example.org", "A", "1.2.3.4")}},
		{"CREATE", "same geolocation", []*types.ResourceRecordSet{geoSet("other", "EU", "", "")}},
		{"CREATE", "excludes CountryCode", []*types.ResourceRecordSet{geoSet("x", "EU", "FR", "")}},
		{"CREATE", "not supported", []*types.ResourceRecordSet{geoSet("x", "", "FR", "IDF")}},
		{"CREATE", "not supported", []*types.ResourceRecordSet{geoSet("x", "", "EH", "")}},
		{"CREATE", "SetIdentifier", []*types.ResourceRecordSet{with(set("w.example.org", "A", "1.2.3.4"), func(r *types.ResourceRecordSet) { r.Weight = aws.Int64(1) })}},
		{"CREATE", "Duplicate", []*types.ResourceRecordSet{set("d.example.org", "A", "1.2.3.4", "1.2.3.4")}},
		{"CREATE", "IllegalIPv4", []*types.ResourceRecordSet{set("good.example.org", "A", "1.2.3.4"), set("d.example.org", "A", "1.2.3")}},
		{"CREATE", "quotation marks", []*types.ResourceRecordSet{set("d.example.org", "TXT", "x")}},
		{"CREATE", "No health check", []*types.ResourceRecordSet{with(set("d.example.org", "A", "1.2.3.4"), func(r *types.ResourceRecordSet) { r.HealthCheckId = aws.String("x") })}},
		{"UPSERT", "Number of records limit of 1000", many},
		{"UPSERT", "Number of characters limit of 32000", append(long, long[0])},
		{"DELETE", "exactly one SOA", []*types.ResourceRecordSet{soa}},
	} {
		err := send(c.action, c.sets...)
		text := fmt.Sprint(err)
		if batch := (*types.InvalidChangeBatch)(nil); errors.As(err, &batch) {
			text = strings.Join(batch.Messages, "\n")
		}
		if err == nil || !strings.Contains(text, c.want) || len(s.Records(id)) != before {
			t.Errorf("%s %s: %s, want %s; %d sets, were %d", c.action, *c.sets[0].Name, text, c.want, len(s.Records(id)), before)
		}
	}
	if err := send("CREATE", many...); err != nil {
		t.Errorf("501 records created, counted once: %v", err)
	}
}

// TestHealthCheckRules: what of a check cannot be changed, and what no check may be.
func TestHealthCheckRules(t *testing.T) {
	_, client, _ := setUp(t)
	create := func(reference, address string, interval int32) (*string, error) {
		out, err := client.CreateHealthCheck(t.Context(), &route53.CreateHealthCheckInput{CallerReference: &reference, HealthCheckConfig: &types.HealthCheckConfig{
			Type: "TCP", IPAddress: &address, Port: aws.Int32(80), RequestInterval: &interval, FailureThreshold: aws.Int32(3)}})
		if err != nil {
			return nil, err
		}
		return out.HealthCheck.Id, nil
	}
	id, err := create("one", "52.1.1.1", 10)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := create("one", "52.1.1.1", 10); err != nil || *again != *id {
		t.Errorf("the same request again: %v, %v", again, err)
	}
	for address, interval := range map[string]int32{"52.1.1.2": 10, "10.0.0.1": 30, "192.0.2.1": 30, "52.1.1.3": 5} {
		reference := address
		if interval == 10 {
			reference = "one"
		}
		if _, err := create(reference, address, interval); err == nil {
			t.Errorf("%s every %d s was taken", address, interval)
		}
	}
	if _, err := client.UpdateHealthCheck(t.Context(), &route53.UpdateHealthCheckInput{HealthCheckId: id, Port: aws.Int32(81)}); err != nil {
		t.Error(err)
	}
	if _, err := client.DeleteHealthCheck(t.Context(), &route53.DeleteHealthCheckInput{HealthCheckId: id}); err != nil {
		t.Error(err)
	}
	if _, err := create("one", "52.1.1.1", 10); err == nil {
		t.Error("the reference of a deleted check was taken")
	}
}
