package attack

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// Names in the DNS. To be protected are the names of other teams and of the zones
// themselves; what only the hub can reach; the hub's sockets and its time. The attacker has
// the role edit in a namespace: GlobalRoutes, Ingresses and Services there, and nothing else.

// named is a GlobalRoute with hosts, at an address that nobody has.
func named(ns, name string, hosts ...string) string {
	return fmt.Sprintf(`
apiVersion: hanse.dev/v1alpha1
kind: GlobalRoute
metadata: {name: %s, namespace: %s}
spec:
  hosts: [%s]
  endpoints: [{cluster: aws, addresses: [%s]}]
  healthCheck: {protocol: None}`, name, ns, `"`+strings.Join(hosts, `","`)+`"`, addressOf(ns))
}

// addressOf tells namespaces' answers apart.
func addressOf(ns string) string {
	sum := 0
	for _, c := range ns {
		sum = (sum*31 + int(c)) % 250
	}
	return fmt.Sprintf("198.51.100.%d", sum+1)
}

// zoned is a DNSZone, with further lines of its spec.
func zoned(name, domain, spec string) string {
	return fmt.Sprintf("apiVersion: hanse.dev/v1alpha1\nkind: DNSZone\nmetadata: {name: %s}\nspec:\n  domain: %s\n%s", name, domain, spec)
}

func (f *fed) globalRoute(ctx context.Context, ns, name string) (*v1alpha1.GlobalRoute, error) {
	u, err := f.admin.dynamic.Resource(v1alpha1.Resource("globalroutes")).Namespace(ns).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	unstructured.RemoveNestedField(u.Object, "spec") // which may be one that cannot be read
	r := &v1alpha1.GlobalRoute{}
	return r, runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, r)
}

// routeAccepted waits until a route is accepted, or is refused for a reason with words.
func (f *fed) routeAccepted(t *testing.T, ns, name, reason string, words ...string) {
	t.Helper()
	eventually(t, func(ctx context.Context) error {
		r, err := f.globalRoute(ctx, ns, name)
		if err != nil {
			return err
		}
		c := meta.FindStatusCondition(r.Status.Conditions, v1alpha1.ConditionAccepted)
		if c == nil || c.ObservedGeneration != r.Generation || c.Reason != reason {
			return fmt.Errorf("GlobalRoute %s/%s: %+v, want %s; hosts %+v", ns, name, c, reason, r.Status.Hosts)
		}
		for _, w := range words {
			if !strings.Contains(c.Message, w) {
				return fmt.Errorf("%q does not say %q", c.Message, w)
			}
		}
		return nil
	})
}

// resolves are the addresses that the hub's name server answers a name with.
func (f *fed) resolves(ctx context.Context, name string) ([]string, error) {
	zones, err := f.admin.dynamic.Resource(v1alpha1.Resource("dnszones")).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	for i := range zones.Items {
		listeners, _, _ := unstructured.NestedStringSlice(zones.Items[i].Object, "status", "listeners")
		if len(listeners) == 0 {
			continue
		}
		m, err := dns.ExchangeContext(ctx, new(dns.Msg).SetQuestion(name+".", dns.TypeA), listeners[0])
		if err != nil {
			return nil, err
		}
		var all []string
		for _, rr := range m.Answer {
			if a, ok := rr.(*dns.A); ok {
				all = append(all, a.A.String())
			}
		}
		slices.Sort(all)
		return all, nil
	}
	return nil, fmt.Errorf("the hub serves no zone")
}

// answers waits until a name has these addresses.
func (f *fed) answers(t *testing.T, name string, want ...string) {
	t.Helper()
	eventually(t, func(ctx context.Context) error {
		if got, err := f.resolves(ctx, name); err != nil || !slices.Equal(got, want) {
			return fmt.Errorf("%s is %v (%w), want %v", name, got, err, want)
		}
		return nil
	})
}

// TestNamesHaveOwners: an editor takes the zone's own name, a name server's, www, a name with
// records, one under another team's wildcard, one below another team's host.
func TestNamesHaveOwners(t *testing.T) {
	t.Parallel()
	f := suite
	bank, evil := f.namespace(t, "names-bank"), f.namespace(t, "names-evil")
	owner, editor := f.person(t, "owner", as("edit", bank)), f.person(t, "editor", as("edit", evil))
	must(t, f.admin.create(t, zoned("names-own", "own-names.example", "  namespace: names-bank\n")))
	must(t, f.admin.create(t, zoned("names-shared", "shared-names.example", `  allowedRoutes:
    namespaces: {from: All}
    hosts: ["*.shared-names.example"]
  records: [{name: fixed, type: A, values: [192.0.2.1]}]
`)))
	must(t, owner.create(t, named(bank, "web", "www.own-names.example", "pay.shared-names.example", "*.team.shared-names.example")))
	f.routeAccepted(t, bank, "web", "Accepted")
	for name, c := range map[string]struct{ host, reason, says string }{
		"another-zone": {"x.own-names.example", v1alpha1.ReasonNotAllowedByZone, "Whoever may update that DNSZone"},
		"www":          {"www.own-names.example", v1alpha1.ReasonNotAllowedByZone, "names-own"},
		"apex":         {"shared-names.example", v1alpha1.ReasonNotAllowedByZone, "kubectl edit dnszone names-shared"},
		"name-server":  {"ns1.shared-names.example", v1alpha1.ReasonNameReserved, "name server"},
		"records":      {"fixed.shared-names.example", v1alpha1.ReasonNameReserved, "records of its own"},
		"wildcard":     {"x.team.shared-names.example", v1alpha1.ReasonHostTaken, "belongs to GlobalRoute names-bank/web"},
		"below":        {"_acme-challenge.pay.shared-names.example", v1alpha1.ReasonNotAllowedByZone, "Try: "},
		"below-host":   {"login.pay.shared-names.example", v1alpha1.ReasonHostTaken, "names-bank/web"},
		"over":         {"*.shared-names.example", v1alpha1.ReasonHostTaken, "names-bank/web"},
		"challenge":    {"_acme-challenge.shared-names.example", v1alpha1.ReasonNotAllowedByZone, "Try: "},
	} {
		must(t, editor.create(t, named(evil, name, c.host)))
		f.routeAccepted(t, evil, name, c.reason, c.host, c.says)
	}
	must(t, editor.create(t, named(evil, "mine", "mine.shared-names.example")))
	f.routeAccepted(t, evil, "mine", "Accepted")
	f.answers(t, "mine.shared-names.example", addressOf(evil))
	f.answers(t, "www.own-names.example", addressOf(bank))
	f.answers(t, "x.team.shared-names.example", addressOf(bank))
	f.answers(t, "fixed.shared-names.example", "192.0.2.1")
	f.answers(t, "login.pay.shared-names.example")
	f.answers(t, "shared-names.example")
	// Nor is there another way to any of it.
	refused(t, editor.create(t, zoned("mine", "own-names.example", "  namespace: names-evil\n")), "cannot create resource")
	_, err := editor.dynamic.Resource(v1alpha1.Resource("globalroutes")).Namespace(evil).Patch(t.Context(), "mine", types.MergePatchType,
		[]byte(`{"status":{"lastValid":{"hosts":["www.own-names.example"]}}}`), metav1.PatchOptions{}, "status")
	refused(t, err, "globalroutes/status")
	_, err = editor.CoreV1().ConfigMaps(v1alpha1.SystemNamespace).List(t.Context(), metav1.ListOptions{})
	refused(t, err, "cannot list resource")
}

// TestNoZonesOfOthersDomains: an editor has the hub make a zone for a domain that is
// somebody else's.
func TestNoZonesOfOthersDomains(t *testing.T) {
	t.Parallel()
	f := suite
	first, evil := f.namespace(t, "zones-first"), f.namespace(t, "zones-evil")
	owner, editor := f.person(t, "owner", as("edit", first)), f.person(t, "editor", as("edit", evil))
	must(t, editor.create(t, named(evil, "corp", "www.corp.com", "example", "*.example")))
	f.routeAccepted(t, evil, "corp", v1alpha1.ReasonNoMatchingZone, "www.corp.com", "may create DNSZones", "names")
	must(t, owner.create(t, named(first, "web", "www.zones-first.example")))
	f.routeAccepted(t, first, "web", "Accepted")
	f.answers(t, "www.zones-first.example", addressOf(first))
	must(t, editor.create(t, named(evil, "web", "api.zones-first.example", "zones-first.example")))
	f.routeAccepted(t, evil, "web", v1alpha1.ReasonNotAllowedByZone, "api.zones-first.example")
	zones, err := f.admin.dynamic.Resource(v1alpha1.Resource("dnszones")).List(t.Context(), metav1.ListOptions{})
	must(t, err)
	for i := range zones.Items {
		if domain, _, _ := unstructured.NestedString(zones.Items[i].Object, "spec", "domain"); domain == "corp.com" || domain == "example" || domain == "com" {
			t.Errorf("the hub has made a zone of %s", domain)
		}
	}
}

// alone is a hub of its own, without members, for what restarts it.
func alone(t *testing.T, name string, flags ...string) *fed {
	t.Helper()
	hub, err := suite.home.NewHub(t.Context(), name, flags...)
	must(t, err)
	f := &fed{home: suite.home, hub: hub}
	must(t, f.connect())
	t.Cleanup(func() { _ = hub.Kill(context.Background()) })
	must(t, f.admin.create(t, `
apiVersion: hanse.dev/v1alpha1
kind: Cluster
metadata: {name: aws}
spec: {endpoint: "https://127.0.0.1:1", credentialSecret: none, uid: aws, provider: aws, region: us-east-1}`))
	return f
}

// TestClaimsOutliveRoutesAndHubs: an editor takes a name by editing a route that is older,
// or in the moment in which its owner's route is made again; the hub is killed in between.
func TestClaimsOutliveRoutesAndHubs(t *testing.T) {
	t.Parallel()
	f := alone(t, "claims")
	bank, evil := f.namespace(t, "bank"), f.namespace(t, "evil")
	owner, editor := f.person(t, "owner", as("edit", bank)), f.person(t, "editor", as("edit", evil))
	must(t, f.admin.create(t, zoned("shared", "shared.example", "  allowedRoutes: {namespaces: {from: All}}\n")))
	must(t, editor.create(t, named(evil, "old", "harmless.shared.example")))
	f.routeAccepted(t, evil, "old", "Accepted")
	must(t, owner.create(t, named(bank, "web", "www.shared.example")))
	f.routeAccepted(t, bank, "web", "Accepted")
	must(t, editor.apply(t, named(evil, "old", "harmless.shared.example", "www.shared.example")))
	restart := func() {
		t.Helper()
		eventually(t, func(ctx context.Context) error { // whatever it has not noted within a second is not to be relied upon
			list, err := f.admin.CoreV1().ConfigMaps(v1alpha1.SystemNamespace).List(ctx, metav1.ListOptions{LabelSelector: "hanse.dev/dns-names=bank"})
			if err == nil && (len(list.Items) != 1 || !strings.Contains(list.Items[0].Data["names.json"], "www.shared.example")) {
				err = fmt.Errorf("nothing is noted: %+v", list.Items)
			}
			return err
		})
		must(t, f.hub.Kill(t.Context()))
		must(t, f.hub.Start(t.Context()))
		must(t, f.connect())
	}
	f.routeAccepted(t, evil, "old", v1alpha1.ReasonHostTaken, "www.shared.example belongs to GlobalRoute bank/web")
	restart()
	f.routeAccepted(t, evil, "old", v1alpha1.ReasonHostTaken, "www.shared.example belongs to GlobalRoute bank/web")
	f.answers(t, "www.shared.example", addressOf(bank))

	routes := f.admin.dynamic.Resource(v1alpha1.Resource("globalroutes")).Namespace(bank)
	must(t, routes.Delete(t.Context(), "web", metav1.DeleteOptions{}))
	f.routeAccepted(t, evil, "old", v1alpha1.ReasonHostTaken, "namespace bank's until not long ago", "ask whoever may update the DNSZone")
	restart()
	f.routeAccepted(t, evil, "old", v1alpha1.ReasonHostTaken, "namespace bank's until not long ago")
	f.answers(t, "www.shared.example")
	must(t, owner.create(t, named(bank, "again", "www.shared.example")))
	f.routeAccepted(t, bank, "again", "Accepted")
	f.answers(t, "www.shared.example", addressOf(bank))

	// Whoever may change the zone may hand the name over at once.
	_, err := f.admin.dynamic.Resource(v1alpha1.Resource("dnszones")).Patch(t.Context(), "shared", types.MergePatchType,
		[]byte(`{"spec":{"namespace":"evil","allowedRoutes":null}}`), metav1.PatchOptions{})
	must(t, err)
	f.routeAccepted(t, bank, "again", v1alpha1.ReasonNotAllowedByZone)
	f.routeAccepted(t, evil, "old", "Accepted")
	f.answers(t, "www.shared.example", addressOf(evil))
}

// TestRoutesThatAreNotUnderstood: an editor writes durations that the hub does not
// understand; what was written before they were refused keeps the last valid spec in effect.
func TestRoutesThatAreNotUnderstood(t *testing.T) {
	t.Parallel()
	f := alone(t, "understood")
	ns := f.namespace(t, "shop")
	editor := f.person(t, "editor", as("edit", ns))
	must(t, editor.create(t, named(ns, "web", "www.understood.example")))
	f.answers(t, "www.understood.example", addressOf(ns))
	routes := editor.dynamic.Resource(v1alpha1.Resource("globalroutes")).Namespace(ns)
	check := func(field, value string) error {
		_, err := routes.Patch(t.Context(), "web", types.MergePatchType, fmt.Appendf(nil, `{"spec":{"healthCheck":{%q:%q}}}`, field, value), metav1.PatchOptions{})
		return err
	}
	for _, bad := range []string{"1d", "1 w", "-5s", "5", "1.5s", "", "0s", "2h", "PT5S", "99999999999999999999h", "1h1h1h1h1h"} {
		refused(t, check("interval", bad), "spec.healthCheck")
		refused(t, check("timeout", bad), "spec.healthCheck")
	}
	must(t, check("interval", "1m30s"))
	eventually(t, func(ctx context.Context) error {
		r, err := f.globalRoute(ctx, ns, "web")
		if err == nil && (r.Status.ObservedGeneration != r.Generation || r.Status.LastValid == nil || !strings.Contains(string(r.Status.LastValid.Raw), "1m30s")) {
			err = fmt.Errorf("it is not noted: %+v", r.Status)
		}
		return err
	})
	// A hub of before, with other rules.
	crds := f.admin.dynamic.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
	crd, err := crds.Get(t.Context(), "globalroutes.hanse.dev", metav1.GetOptions{})
	must(t, err)
	versions, _, _ := unstructured.NestedSlice(crd.Object, "spec", "versions")
	field := []string{"schema", "openAPIV3Schema", "properties", "spec", "properties", "healthCheck"}
	version := versions[0].(map[string]any)
	must(t, unstructured.SetNestedMap(version, map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true}, field...))
	must(t, unstructured.SetNestedSlice(crd.Object, versions, "spec", "versions"))
	_, err = crds.Update(t.Context(), crd, metav1.UpdateOptions{})
	must(t, err)
	eventually(t, func(context.Context) error { return check("interval", "1d") })
	f.routeAccepted(t, ns, "web", "Invalid", "what was understood last is in effect")
	f.answers(t, "www.understood.example", addressOf(ns))
	must(t, f.hub.Kill(t.Context()))
	must(t, f.hub.Start(t.Context()))
	must(t, f.connect())
	f.answers(t, "www.understood.example", addressOf(ns))
	f.routeAccepted(t, ns, "web", "Invalid", "what was understood last is in effect")
}

// counting accepts connections on a port of several loopback addresses, and hands them on.
func counting(t *testing.T, addresses []string, handle func(net.Conn)) (port int, count *atomic.Int64) {
	t.Helper()
	count = &atomic.Int64{}
	for _, a := range addresses {
		l, err := net.Listen("tcp4", net.JoinHostPort(a, fmt.Sprint(port)))
		must(t, err)
		t.Cleanup(func() { l.Close() })
		port = l.Addr().(*net.TCPAddr).Port
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				count.Add(1)
				go handle(c)
			}
		}()
	}
	return port, count
}

// probed are GlobalRoutes of one namespace whose author names the addresses.
func probed(ns, name string, port int, healthCheck string, hosts, addresses []string) string {
	return fmt.Sprintf(`
apiVersion: hanse.dev/v1alpha1
kind: GlobalRoute
metadata: {name: %s, namespace: %s}
spec:
  hosts: ["%s"]
  endpoints: [{cluster: aws, addresses: ["%s"]}]
  healthCheck: {port: %d, %s}`, name, ns, strings.Join(hosts, `","`), strings.Join(addresses, `","`), port, healthCheck)
}

// TestProbesAreBounded: six routes, each with 64 hosts at 64 addresses that never answer, have
// the hub attack somebody else and run out of sockets.
func TestProbesAreBounded(t *testing.T) {
	t.Parallel()
	f := alone(t, "bounded")
	evil, bank := f.namespace(t, "evil"), f.namespace(t, "bank")
	editor, owner := f.person(t, "editor", as("edit", evil)), f.person(t, "owner", as("edit", bank))
	var addresses, good []string
	for i := range 64 {
		addresses = append(addresses, fmt.Sprintf("127.9.7.%d", i+1))
	}
	good = []string{"127.9.8.1"}
	var mu sync.Mutex
	var held []net.Conn
	t.Cleanup(func() {
		for _, c := range held {
			c.Close()
		}
	})
	port, count := counting(t, addresses, func(c net.Conn) { mu.Lock(); held = append(held, c); mu.Unlock() })
	goodPort, _ := counting(t, good, func(c net.Conn) { c.Close() })
	began := time.Now()
	for i := range 6 {
		var hosts []string
		for j := range 64 {
			hosts = append(hosts, fmt.Sprintf("h%d-%d.evil.example", i, j))
		}
		must(t, editor.create(t, probed(evil, fmt.Sprint("flood-", i), port, `protocol: HTTPS, tlsVerification: None, interval: 1s, timeout: 1s`, hosts, addresses)))
	}
	eventually(t, func(context.Context) error {
		if n := count.Load(); n < 200 {
			return fmt.Errorf("only %d probes yet", n)
		}
		return nil
	})
	must(t, owner.create(t, probed(bank, "web", goodPort, "interval: 1s", []string{"www.bank.example"}, good)))
	eventually(t, func(ctx context.Context) error { // another team's probes are made meanwhile
		r, err := f.globalRoute(ctx, bank, "web")
		if err == nil && (len(r.Status.Clusters) != 1 || r.Status.Clusters[0].Outside.State != v1alpha1.HealthUp) {
			err = fmt.Errorf("%+v", r.Status.Clusters)
		}
		return err
	})
	eventually(t, func(context.Context) error {
		if d := time.Since(began); d < 15*time.Second {
			return fmt.Errorf("too early to judge: %s", d)
		}
		return nil
	})
	if rate := float64(count.Load()) / time.Since(began).Seconds(); rate > 70 {
		t.Errorf("%.0f probes a second for one namespace; 50 are allowed", rate)
	}
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", f.hub.PID()))
	must(t, err)
	if len(files) > 600 {
		t.Errorf("the hub has %d files open", len(files))
	}
	f.routeAccepted(t, evil, "flood-0", "Accepted")
}

// TestProbesReadNothing: an editor reads, by what a health check expects, what only the hub
// can reach; and looks around in networks that are not theirs.
func TestProbesReadNothing(t *testing.T) {
	t.Parallel()
	f := alone(t, "reads", "--probe-networks", "127.9.9.0/24")
	ns := f.namespace(t, "evil")
	editor := f.person(t, "editor", as("edit", ns))
	answer := func(c net.Conn) {
		defer c.Close()
		_, _ = c.Read(make([]byte, 4096))
		_, _ = c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 13\r\nConnection: close\r\n\r\nsecret: 12345"))
	}
	port, _ := counting(t, []string{"127.9.9.1"}, answer)
	insidePort, inside := counting(t, []string{"127.9.10.1"}, answer)
	outside := func(name, state, message string) {
		t.Helper()
		eventually(t, func(ctx context.Context) error {
			r, err := f.globalRoute(ctx, ns, name)
			if err == nil && (len(r.Status.Clusters) != 1 || r.Status.Clusters[0].Outside.State != state || !strings.Contains(r.Status.Clusters[0].Outside.Message, message)) {
				err = fmt.Errorf("%s: %+v, want %s: %s", name, r.Status.Clusters, state, message)
			}
			if err == nil && strings.Contains(fmt.Sprint(r.Status.Clusters[0].Outside.Message, r.Status.Conditions), "200") {
				err = fmt.Errorf("it says what was answered: %+v", r.Status)
			}
			return err
		})
	}
	for name, text := range map[string]string{"right": "secret: 1", "wrong": "secret: 9"} {
		must(t, editor.create(t, probed(ns, name, port, fmt.Sprintf("protocol: HTTP, interval: 1s, down: 1, expectedText: %q", text), []string{name + ".reads.example"}, []string{"127.9.9.1"})))
		outside(name, v1alpha1.HealthUp, "up")
	}
	for name, address := range map[string]string{
		"loopback": "127.9.10.1", "translated": "64:ff9b::7f09:a01", "metadata": "169.254.169.254", "link": "fe80::1", "private": "10.0.0.1", "hub": "127.0.0.1",
	} {
		must(t, editor.create(t, probed(ns, name, insidePort, "interval: 1s, down: 1", []string{name + ".reads.example"}, []string{address})))
		outside(name, v1alpha1.HealthUnknown, "not probed: ")
	}
	if n := inside.Load(); n != 0 {
		t.Errorf("the hub has asked what it must not ask, %d times", n)
	}
	// Who owns the zone may let a private network be probed, and nothing of the hub's.
	must(t, f.admin.create(t, zoned("lab", "lab.example", "  namespace: evil\n  probeNetworks: [10.255.255.0/24, 127.9.10.0/24]\n")))
	must(t, editor.create(t, probed(ns, "lab-own", insidePort, "interval: 1s, down: 1", []string{"own.lab.example"}, []string{"127.9.10.1"})))
	outside("lab-own", v1alpha1.HealthUnknown, "not probed: ")
}
