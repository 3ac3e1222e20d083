package e2e

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/test/federation"
)

// Networks in three countries, as ECS shows them to the name server.
const (
	fromParis     = "80.10.0.0"
	fromNewYork   = "8.8.8.0"
	fromSingapore = "165.21.0.0"
)

// shop is an application in every cluster, with an Ingress that wants to be
// global.
const shop = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: 6
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: web}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: edge, namespace: shop}
spec: {type: LoadBalancer, selector: {app: web}, ports: [{port: 8080}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, namespace: shop, annotations: {hanse.dev/global: "true", external-dns.kubernetes.io/ttl: "5"}}
spec:
  rules:
  - host: www.shop.example
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
`

// TestGlobalDNS goes through the life of a global hostname, with real clusters
// that lose what it leads to.
func TestGlobalDNS(t *testing.T) {
	f := own(t, "dns", federation.MemberSpec{Name: "america", Provider: "aws", Nodes: 1},
		federation.MemberSpec{Name: "europa", Provider: "azure", Nodes: 1},
		federation.MemberSpec{Name: "asia", Provider: "google", Nodes: 1, Proxied: true})
	f.namespace(t, "shop")
	f.create(t, shop)
	t.Run("nearest", func(t *testing.T) { f.nearestAnswers(t) })
	t.Run("federation v1", func(t *testing.T) { f.federationNames(t) })
	t.Run("endpoints lost", func(t *testing.T) { f.endpointsLost(t) })
	t.Run("cut off", func(t *testing.T) { f.cutOff(t) })
	t.Run("cluster lost", func(t *testing.T) { f.clusterLost(t) })
	t.Run("host taken", func(t *testing.T) { f.hostTaken(t) })
	t.Run("hub killed", func(t *testing.T) { f.hubKilledServing(t) })
	t.Run("not global any more", func(t *testing.T) { f.notGlobalAnyMore(t) })
}

// ask asks the hub's name server for the addresses of a name, as a resolver in a
// network would.
func (f *fed) ask(ctx context.Context, name, network string) (*dns.Msg, []string, error) {
	zones, err := f.at.dynamic.Resource(v1alpha1.Resource("dnszones")).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, nil, err
	}
	for i := range zones.Items {
		z, err := as[v1alpha1.DNSZone](&zones.Items[i])
		if err != nil {
			return nil, nil, err
		}
		if len(z.Status.Listeners) == 0 || !dns.IsSubDomain(z.Spec.Domain+".", name+".") {
			continue
		}
		q := new(dns.Msg).SetQuestion(name+".", dns.TypeA)
		q.SetEdns0(1232, false)
		q.IsEdns0().Option = append(q.IsEdns0().Option, &dns.EDNS0_SUBNET{
			Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: 24, Address: net.ParseIP(network),
		})
		answer, err := dns.ExchangeContext(ctx, q, z.Status.Listeners[0])
		if err != nil {
			return nil, nil, err
		}
		return answer, addressesOf(answer), nil
	}
	return nil, nil, fmt.Errorf("no zone that is served has %s", name)
}

func addressesOf(m *dns.Msg) []string {
	var all []string
	for _, rr := range m.Answer {
		if a, ok := rr.(*dns.A); ok {
			all = append(all, a.A.String())
		}
	}
	slices.Sort(all)
	return all
}

// answers is nil if somebody in a network is given these clusters' Ingresses.
func (f *fed) answers(ctx context.Context, name, network string, clusters ...string) error {
	var want []string
	for _, c := range clusters {
		i, err := f.in[c].NetworkingV1().Ingresses("shop").Get(ctx, "web", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if len(i.Status.LoadBalancer.Ingress) != 1 {
			return fmt.Errorf("%s has given the Ingress no address", c)
		}
		want = append(want, i.Status.LoadBalancer.Ingress[0].IP)
	}
	return f.answersAddresses(ctx, name, network, want)
}

func (f *fed) answersAddresses(ctx context.Context, name, network string, want []string) error {
	m, have, err := f.ask(ctx, name, network)
	if err != nil {
		return err
	}
	slices.Sort(want)
	if m.Rcode != dns.RcodeSuccess || !m.Authoritative || !slices.Equal(have, want) {
		return fmt.Errorf("%s asked from %s is %s %v, want %v", name, network, dns.RcodeToString[m.Rcode], have, want)
	}
	return nil
}

func (f *fed) nearestAnswers(t *testing.T) {
	for network, cluster := range map[string]string{fromParis: "europa", fromNewYork: "america", fromSingapore: "asia"} {
		eventually(t, soon, func(ctx context.Context) error { return f.answers(ctx, "www.shop.example", network, cluster) })
	}
	m, _, err := f.ask(t.Context(), "www.shop.example", fromParis)
	must(t, err)
	if ttl := m.Answer[0].Header().Ttl; ttl != 5 {
		t.Errorf("the TTL is %d, the annotation says 5", ttl)
	}
	if s, ok := m.IsEdns0().Option[0].(*dns.EDNS0_SUBNET); !ok || s.SourceScope == 0 {
		t.Errorf("no scope: %v", m.IsEdns0())
	}
	eventually(t, soon, func(ctx context.Context) error { return f.routeReady(ctx, "ingress-web", "3/3") })
	got := f.hanse(t, "dns", "query", "www.shop.example", "--from", "Paris", "--kubeconfig", f.hub.Kubeconfig())
	for _, want := range []string{"(FR, EU)", "europa: 127.", "because: preferred for EU", "TTL 5 s"} {
		if !strings.Contains(got.Stdout, want) {
			t.Errorf("hanse dns query does not say %q:\n%s", want, got)
		}
	}
}

func (f *fed) route(ctx context.Context, name string) (*v1alpha1.GlobalRoute, error) {
	u, err := f.at.dynamic.Resource(v1alpha1.Resource("globalroutes")).Namespace("shop").Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	return as[v1alpha1.GlobalRoute](u)
}

func (f *fed) routeReady(ctx context.Context, name, healthy string) error {
	r, err := f.route(ctx, name)
	if err != nil {
		return err
	}
	if r.Status.Summary.Healthy != healthy {
		return fmt.Errorf("%s of the clusters are healthy, want %s: %+v", r.Status.Summary.Healthy, healthy, r.Status.Clusters)
	}
	return nil
}

// federationNames are those of Federation v1 for a Service of type LoadBalancer.
func (f *fed) federationNames(t *testing.T) {
	f.create(t, `
apiVersion: hanse.dev/v1alpha1
kind: DNSZone
metadata: {name: fed}
spec: {domain: fed.example, federation: myfed}`)
	addresses := func(ctx context.Context, cluster string) ([]string, error) {
		s, err := f.in[cluster].CoreV1().Services("shop").Get(ctx, "edge", metav1.GetOptions{})
		if err != nil {
			return nil, err
		}
		if len(s.Status.LoadBalancer.Ingress) == 0 {
			return nil, fmt.Errorf("%s has given Service edge no address", cluster)
		}
		return []string{s.Status.LoadBalancer.Ingress[0].IP}, nil
	}
	for region, cluster := range map[string]string{"us-east-1": "america", "westeurope": "europa"} {
		eventually(t, soon, func(ctx context.Context) error {
			want, err := addresses(ctx, cluster)
			if err != nil {
				return err
			}
			return f.answersAddresses(ctx, "edge.shop.myfed.svc."+region+".fed.example", fromParis, want)
		})
	}
}

// endpointsLost takes the pods away from a cluster whose load balancer goes on
// answering.
func (f *fed) endpointsLost(t *testing.T) {
	ctx := t.Context()
	europa := f.in["europa"]
	must(t, europa.schedulable(ctx, false))
	must(t, europa.CoreV1().Pods("shop").DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{}))
	eventually(t, soon, func(ctx context.Context) error { return f.answers(ctx, "www.shop.example", fromParis, "america") })
	eventually(t, soon, func(ctx context.Context) error {
		return f.at.hasEvent(ctx, "shop", "ClusterDown", "GlobalRoute", "ingress-web")
	})
	// A name of Federation v1 leads to the next level instead.
	eventually(t, soon, func(ctx context.Context) error {
		m, _, err := f.ask(ctx, "edge.shop.myfed.svc.westeurope.fed.example", fromParis)
		if err != nil {
			return err
		}
		if len(m.Answer) == 0 || m.Answer[0].Header().Rrtype != dns.TypeCNAME {
			return fmt.Errorf("no CNAME: %v", m.Answer)
		}
		return nil
	})
	must(t, europa.schedulable(ctx, true))
	eventually(t, soon, func(ctx context.Context) error { return f.answers(ctx, "www.shop.example", fromParis, "europa") })
}

// cutOff is the hub's own loss of a member that clients still reach.
func (f *fed) cutOff(t *testing.T) {
	asia := f.member("asia")
	asia.Proxy.Break(federation.Fault{Reset: true})
	f.clusterIs(t, "asia", v1alpha1.ReasonNetworkUnreachable)
	eventually(t, soon, func(ctx context.Context) error {
		r, err := f.route(ctx, "ingress-web")
		if err != nil {
			return err
		}
		for _, c := range r.Status.Clusters {
			if c.Name == "asia" && c.Inside.State == v1alpha1.HealthUnknown && c.Outside.State == v1alpha1.HealthUp && c.Healthy {
				return nil
			}
		}
		return fmt.Errorf("asia is not judged by its probes: %+v", r.Status.Clusters)
	})
	must(t, f.answers(t.Context(), "www.shop.example", fromSingapore, "asia"))
	asia.Proxy.Heal()
	f.clusterIs(t, "asia", v1alpha1.ReasonReachable)
}

// clusterLost ends a member with its load balancer, then all of them.
func (f *fed) clusterLost(t *testing.T) {
	ctx := t.Context()
	// The derived route becomes one of the user's, with shorter thresholds.
	for _, args := range [][]string{
		{"label", "globalroute", "ingress-web", v1alpha1.LabelDerivedFrom + "-"},
		{"patch", "globalroute", "ingress-web", "--type=merge", "-p", `{"spec":{"healthCheck":{"interval":"1s","down":2}}}`},
	} {
		if r := f.kubectl(t, append([]string{"-n", "shop"}, args...)...); r.Code != 0 {
			t.Fatal(r)
		}
	}
	want := map[string][]string{}
	for _, c := range []string{"america", "europa", "asia"} {
		i, err := f.in[c].NetworkingV1().Ingresses("shop").Get(ctx, "web", metav1.GetOptions{})
		must(t, err)
		want[c] = []string{i.Status.LoadBalancer.Ingress[0].IP}
	}
	europa := f.member("europa")
	must(t, europa.Kill(ctx))
	eventually(t, soon, func(ctx context.Context) error {
		return f.answersAddresses(ctx, "www.shop.example", fromParis, want["america"])
	})
	for _, c := range []string{"america", "asia"} {
		must(t, f.member(c).Kill(ctx))
	}
	eventually(t, soon, func(ctx context.Context) error {
		return f.answersAddresses(ctx, "www.shop.example", fromParis, slices.Concat(want["america"], want["europa"], want["asia"]))
	})
	for _, m := range f.members {
		must(t, m.Start(ctx))
	}
	eventually(t, 2*soon, func(ctx context.Context) error { return f.answers(ctx, "www.shop.example", fromParis, "europa") })
}

// hostTaken is a second route for a host: the older keeps it.
func (f *fed) hostTaken(t *testing.T) {
	f.create(t, `
apiVersion: hanse.dev/v1alpha1
kind: GlobalRoute
metadata: {name: thief, namespace: shop}
spec: {hosts: [www.shop.example], endpoints: [{cluster: america, addresses: [192.0.2.66]}]}`)
	eventually(t, soon, func(ctx context.Context) error {
		r, err := f.route(ctx, "thief")
		if err != nil {
			return err
		}
		for _, c := range r.Status.Conditions {
			if c.Type == v1alpha1.ConditionAccepted && c.Reason == "HostTaken" && strings.Contains(c.Message, "shop/ingress-web") {
				return nil
			}
		}
		return fmt.Errorf("the route does not say that its host is taken: %+v", r.Status.Conditions)
	})
	must(t, f.answers(t.Context(), "www.shop.example", fromParis, "europa"))
}

// hubKilledServing kills the hub: its name server is back with the same answers and a
// higher serial.
func (f *fed) hubKilledServing(t *testing.T) {
	ctx := t.Context()
	before := f.serial(ctx, t)
	f.killHub(t)
	must(t, f.connect())
	eventually(t, soon, func(ctx context.Context) error { return f.answers(ctx, "www.shop.example", fromParis, "europa") })
	if after := f.serial(ctx, t); after <= before {
		t.Errorf("the serial was %d and is %d", before, after)
	}
}

func (f *fed) serial(ctx context.Context, t *testing.T) (serial uint32) {
	t.Helper()
	eventually(t, soon, func(context.Context) error {
		u, err := f.at.dynamic.Resource(v1alpha1.Resource("dnszones")).Get(ctx, "shop.example", metav1.GetOptions{})
		if err != nil {
			return err
		}
		z, err := as[v1alpha1.DNSZone](u)
		if err != nil {
			return err
		}
		if len(z.Status.Listeners) == 0 {
			return fmt.Errorf("the zone is not served: %+v", z.Status)
		}
		m, err := dns.ExchangeContext(ctx, new(dns.Msg).SetQuestion("shop.example.", dns.TypeSOA), z.Status.Listeners[0])
		if err != nil {
			return err
		}
		if len(m.Answer) != 1 {
			return fmt.Errorf("no SOA record: %v", m)
		}
		serial = m.Answer[0].(*dns.SOA).Serial
		return nil
	})
	return serial
}

// notGlobalAnyMore takes the routes away: the zone that was made for them goes, too.
func (f *fed) notGlobalAnyMore(t *testing.T) {
	for _, args := range [][]string{
		{"annotate", "ingress", "web", v1alpha1.AnnotationGlobal + "-"}, {"delete", "globalroute", "thief", "ingress-web"},
	} {
		if r := f.kubectl(t, append([]string{"-n", "shop"}, args...)...); r.Code != 0 {
			t.Fatal(r)
		}
	}
	eventually(t, soon, func(ctx context.Context) error {
		list, err := f.at.dynamic.Resource(v1alpha1.Resource("dnszones")).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		if len(list.Items) != 1 || list.Items[0].GetName() != "fed" {
			return fmt.Errorf("there are %d zones, want that of Federation v1's names alone", len(list.Items))
		}
		return nil
	})
}
