package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	route53test "github.com/hanse-dev/hanse/test/route53"
)

// amazonZone makes a zone of the namespace of its name, that is kept in Route 53 at some URL.
func (f *fed) amazonZone(t *testing.T, name, domain, url string) {
	t.Helper()
	f.setSecret(t, name, map[string]string{"aws_access_key_id": "id", "aws_secret_access_key": "secret"})
	f.create(t, fmt.Sprintf(`
apiVersion: hanse.dev/v1alpha1
kind: DNSZone
metadata: {name: %s}
spec: {domain: %s, namespace: %[1]s, route53: {endpoint: %[3]q, credentialsSecret: %[1]s}}`, name, domain, url))
}

// sets are the values of the record sets of a name and type, by set identifier.
func sets(s *route53test.Server, zone, name, typ string) map[string]route53test.RecordSet {
	found := map[string]route53test.RecordSet{}
	for _, r := range s.Records(zone) {
		if r.Name == name && r.Type == typ {
			found[r.SetIdentifier] = r
		}
	}
	return found
}

// keptInRoute53 has a zone made, with geography in it, and only what is the hub's
// taken away again.
func (f *fed) keptInRoute53(t *testing.T) {
	ns := f.namespace(t, "amazon")
	s := route53test.New(route53test.Options{})
	t.Cleanup(s.Close)
	f.amazonZone(t, "amazon", "amazon.example", s.URL)
	f.create(t, `
apiVersion: hanse.dev/v1alpha1
kind: GlobalRoute
metadata: {name: web, namespace: amazon}
spec:
  hosts: [www.amazon.example]
  endpoints: [{cluster: aws, addresses: [52.1.1.1]}, {cluster: azure, addresses: [52.1.1.2]}]
  routing: {geography: [{continent: EU, clusters: [azure]}], default: [aws]}
  healthCheck: {protocol: None}`)
	f.hostIs(t, ns, "web", "www.amazon.example", true)
	z := f.zoneIs(t, "amazon", "Kept")
	if len(z.Status.NameServers) != 4 || z.Status.HostedZoneID == "" || z.Status.Provider != "Route53" {
		t.Errorf("the zone's status says too little: %+v", z.Status)
	}
	id := strings.TrimPrefix(z.Status.HostedZoneID, "/hostedzone/")
	var europe, rest bool
	for _, r := range sets(s, id, "www.amazon.example.", "A") {
		switch g := r.GeoLocation; {
		case g == nil:
			t.Errorf("a set without a place: %+v", r)
		case g.ContinentCode == "EU":
			europe = len(r.Values) == 1 && r.Values[0] == "52.1.1.2"
		case g.CountryCode == "*":
			rest = len(r.Values) == 1 && r.Values[0] == "52.1.1.1"
		}
	}
	if !europe || !rest {
		t.Errorf("Europe %t, everybody else %t: %+v", europe, rest, s.Records(id))
	}
	mail := route53test.RecordSet{Name: "mail.amazon.example.", Type: "A", Values: route53test.Values{"203.0.113.5"}}
	s.Put(id, mail)
	before := len(s.Records(id))
	must(t, f.at.dynamic.Resource(v1alpha1.Resource("globalroutes")).Namespace(ns).Delete(t.Context(), "web", metav1.DeleteOptions{}))
	eventually(t, soon, func(context.Context) error {
		if left := sets(s, id, "www.amazon.example.", "A"); len(left) > 0 {
			return fmt.Errorf("of %d sets there are %d left: %v", before, len(s.Records(id)), left)
		}
		return nil
	})
	eventually(t, soon, func(context.Context) error {
		if left := s.Records(id); len(left) != 3 { // SOA, NS and the foreign one
			return fmt.Errorf("left are %v", left)
		}
		return nil
	})
	if len(sets(s, id, mail.Name, "A")) != 1 {
		t.Error("a foreign record is gone")
	}
}

// Hosts for a zone whose changes are two batches of a thousand sets.
const (
	manyRoutes   = 12
	hostsOfRoute = 64
	manyForeign  = 20
)

// killedWhileWriting kills the hub when it sends its second batch, which arrives
// nevertheless: after it is back everything is there, and nothing of others is
// gone.
func (f *fed) killedWhileWriting(t *testing.T) {
	ns := f.namespace(t, "many")
	s := &deadly{Server: route53test.New(route53test.Options{}), kill: f.hub.Kill, killed: make(chan error, 1)}
	t.Cleanup(s.Close)
	front := httptest.NewServer(s)
	t.Cleanup(front.Close)
	id := s.AddZone("many.example", false)
	for i := range manyForeign {
		s.Put(id, route53test.RecordSet{Name: fmt.Sprintf("foreign-%d.many.example", i), Type: "A", Values: route53test.Values{"203.0.113.5"}})
	}
	for r := range manyRoutes {
		var hosts []string
		for h := range hostsOfRoute {
			hosts = append(hosts, fmt.Sprintf("h%d-%d.many.example", r, h))
		}
		f.create(t, fmt.Sprintf(`
apiVersion: hanse.dev/v1alpha1
kind: GlobalRoute
metadata: {name: r%d, namespace: many}
spec:
  hosts: [%s]
  endpoints: [{cluster: aws, addresses: [52.1.1.1]}]
  routing: {order: [aws]}
  healthCheck: {protocol: None}`, r, strings.Join(hosts, ", ")))
	}
	// The hub makes a zone of its own first, which gives way.
	f.zoneIs(t, "many.example", "Served")
	f.amazonZone(t, "many", "many.example", front.URL)
	select {
	case err := <-s.killed:
		must(t, err)
	case <-time.After(soon):
		t.Fatal("it sends no second batch")
	}
	must(t, f.hub.Start(t.Context()))
	must(t, f.connect())
	eventually(t, soon, func(context.Context) error {
		ours, foreign := 0, 0
		for _, r := range s.Records(id) {
			switch {
			case r.Type == "A" && strings.HasPrefix(r.Name, "foreign-"):
				foreign++
			case r.Type == "A":
				ours++
			}
		}
		if ours != manyRoutes*hostsOfRoute || foreign != manyForeign {
			return fmt.Errorf("there are %d records of %d, and %d foreign ones of %d", ours, manyRoutes*hostsOfRoute, foreign, manyForeign)
		}
		return nil
	})
	f.hostIs(t, ns, "r0", "h0-0.many.example", true)
	f.zoneIs(t, "many", "Kept")
}

// deadly is a Route 53 that kills its client with the second batch of changes.
type deadly struct {
	*route53test.Server
	kill    func(context.Context) error
	killed  chan error
	batches atomic.Int32
}

func (d *deadly) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if r.Method == http.MethodPost && strings.HasSuffix(strings.TrimSuffix(r.URL.Path, "/"), "/rrset") && d.batches.Add(1) == 2 {
		err := d.kill(context.WithoutCancel(r.Context()))
		d.Server.ServeHTTP(w, r)
		d.killed <- err
		return
	}
	d.Server.ServeHTTP(w, r)
}
