package globaldns

import (
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	mdns "github.com/miekg/dns"
	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/hanse-dev/hanse/internal/cli/hubtest"
	"github.com/hanse-dev/hanse/internal/dns"
)

// verbs is hanse dns a day after the zones of these tests were made.
func verbs(s genericiooptions.IOStreams) *cobra.Command {
	return NewCommand(s, clocktesting.NewFakePassiveClock(time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)))
}

// a line and what comes of it: parts of what is said, or of the error.
type example struct{ line, out, errOut, error string }

func try(t *testing.T, h *hubtest.Hub, examples ...example) {
	t.Helper()
	for _, c := range examples {
		t.Run(c.line, func(t *testing.T) {
			t.Helper()
			out, errOut, err := h.Run(t, verbs, "", strings.Fields(c.line)...)
			if out != c.out {
				t.Errorf("printed is\n%s\nwant\n%s", out, c.out)
			}
			if errOut != c.errOut {
				t.Errorf("said is %q, want %q", errOut, c.errOut)
			}
			if (err == nil) != (c.error == "") || err != nil && !strings.Contains(err.Error(), c.error) {
				t.Errorf("error %v, want %q", err, c.error)
			}
		})
	}
}

func TestQuery(t *testing.T) {
	h := hubtest.New(t)
	e := dns.Explanation{Name: "www.example.com", Host: "*.example.com", Route: "shop/web", Zone: "example.com", TTL: 30, Why: "it is near",
		From:     dns.From{Asked: "1.1.1.1", Country: "AU", Continent: "OC", Network: "1.1.1.0/24"},
		Answers:  []dns.Answer{{Weight: 2, Clusters: []string{"aws"}, Addresses: []string{"10.0.0.1"}}, {Weight: 1, Clusters: []string{"azure"}}},
		Clusters: []dns.ClusterView{{Name: "aws", Healthy: true, Inside: "Ready", Outside: "Ready"}, {Name: "azure", Inside: "NoEndpoints", Outside: "-"}}}
	var asked string
	h.Handle("GET "+dns.PathQuery, func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.RawQuery
		hubtest.Respond(w, http.StatusOK, e)
	})
	try(t, h,
		example{line: "query www.example.com --from 1.1.1.1", out: `www.example.com for 1.1.1.1 (AU, OC, and all of 1.1.1.0/24)
  aws: 10.0.0.1 (weight 2)
  azure: - (weight 1)
because: it is near
route: shop/web (-), host *.example.com, zone example.com, TTL 30 s

CLUSTER   HEALTHY   INSIDE        OUTSIDE
aws       true      Ready         Ready
azure     false     NoEndpoints   -
`},
		example{line: "query www.example.com -o jsonpath={.name},{.answers[*].clusters},{.from.country}", out: `www.example.com,["aws"] ["azure"],AU`},
		example{line: "query www.example.com -o go-template={{.why}}", out: "it is near"},
		example{line: "query www.example.com -o name", error: `suitable for the output format "name"`},
		example{line: "query", error: "hanse dns query requires exactly one hostname. Try: hanse dns query www.example.com --from Paris"},
		example{line: "query a b", error: "requires exactly one hostname"})
	if _, _, err := hubtest.Run(t, verbs, "", "querry"); err == nil || err.Error() != `unknown command "querry" for hanse dns. Try: hanse dns query` {
		t.Errorf("querry: %v", err)
	}
	if asked != "from=&name=www.example.com" {
		t.Errorf("asked is %s", asked)
	}
	for _, c := range []struct {
		from dns.From
		want string
	}{
		{dns.From{}, "an unknown place"},
		{dns.From{Asked: "x"}, "x (location unknown)"},
		{dns.From{Asked: "US-NY", Subdivision: "US-NY", Country: "US", Continent: "NA"}, "US-NY (US-NY, US, NA)"},
	} {
		if got := whereabouts(c.from); got != c.want {
			t.Errorf("%+v is %s, want %s", c.from, got, c.want)
		}
	}
	e.Answers = nil
	if out, _, err := h.Run(t, verbs, "", "query", "www.example.com"); err != nil || !strings.Contains(out, "\n  no address\n") {
		t.Errorf("%s, %v", out, err)
	}
	refusing := hubtest.New(t)
	refusing.Refuse("GET "+dns.PathQuery, http.StatusNotFound, "no zone has x. Try: hanse dns zones")
	refusing.Refuse("GET "+dns.PathExport, http.StatusNotFound, "there is no zone x")
	try(t, refusing,
		example{line: "query x", error: "no zone has x. Try: hanse dns zones"},
		example{line: "export x", error: "there is no zone x"},
		example{line: "about", error: "answers 404 Not Found to /hanse/dns/about. Try: the same version"})
}

const (
	zone = `
apiVersion: hanse.dev/v1alpha1
kind: DNSZone
metadata: {name: example.com, creationTimestamp: "2026-01-01T00:00:00Z"}
spec: {domain: example.com}
status:
  provider: hub
  hosts: 2
  serial: 7
  nameServers: [ns1.example.com]
  listeners: ["LISTENER"]
  conditions: [{type: Ready, status: "True", reason: Served}, {type: Delegated, status: "False", reason: NotDelegated, message: it is not delegated}]
`
	route = `
apiVersion: hanse.dev/v1alpha1
kind: GlobalRoute
metadata: {name: web, namespace: shop}
status:
  summary: {hosts: www.example.com, routing: Nearest}
  hosts: [{name: www.example.com, answered: true, message: slow}]
  conditions: [{type: Ready, status: "True", reason: Answered, message: answered}]
  clusters:
  - {name: aws, addresses: [10.0.0.1], hostnames: [lb.example], healthy: true, inside: {state: Ready}, share: "50%"}
  - {name: azure, healthy: false}
`
)

func TestLists(t *testing.T) {
	h := hubtest.New(t)
	try(t, h,
		example{line: "routes", errOut: "There is no GlobalRoute. Try: kubectl annotate ingress NAME hanse.dev/global=true\n"},
		example{line: "zones", errOut: "There is no DNSZone; the first GlobalRoute has one made.\n"},
		example{line: "zones -o name"},
		example{line: "zones all", error: `unknown command "all" for hanse dns zones. Try: hanse dns zones --help`})
	h.Put(t, zone)
	h.Put(t, route)
	h.Put(t, "{apiVersion: hanse.dev/v1alpha1, kind: GlobalRoute, metadata: {name: new, namespace: shop}}")
	try(t, h,
		example{line: "zones", out: `DOMAIN        PROVIDER   HOSTS   SERIAL   READY   DELEGATED   NAMESERVERS       LISTENERS   AGE
example.com   hub        2       7        True    False       ns1.example.com   LISTENER    24h
`},
		example{line: "zones -o name", out: "dnszone.hanse.dev/example.com\n"},
		example{line: "zones -o jsonpath={.kind},{.items[*].kind}", out: "DNSZoneList,DNSZone"},
		example{line: "routes", out: `ROUTE      HOSTS             ROUTING   CLUSTER   ADDRESSES             HEALTHY   INSIDE   OUTSIDE   SHARE
shop/new   -                 -         -         -                     -         -        -         -
shop/web   www.example.com   Nearest   aws       10.0.0.1,lb.example   true      Ready    -         50%
                                       azure     -                     false     -        -         -
`},
		example{line: "routes -o custom-columns=N:.metadata.name", out: "N\nnew\nweb\n"},
		example{line: "routes -o wide", error: `suitable for the output format "wide"`})
}

func TestAboutAndExport(t *testing.T) {
	h := hubtest.New(t)
	h.Answer("GET "+dns.PathAbout, dns.About{Database: "countries", Listeners: []string{"127.0.0.1:5353"}, Error: "the file is gone", Panics: map[string]int{"": 1, "aws": 2}})
	h.Handle("GET "+dns.PathExport, func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(r.URL.Query().Get("zone") + ". SOA\n"))
	})
	try(t, h,
		example{line: "about", out: `name server: 127.0.0.1:5353
geographic data: countries
problem: the file is gone
problem: what somebody says made the hub fail 1 time: see its log
problem: what aws says made the hub fail 2 times: see its log
`},
		example{line: "about -o jsonpath={.listeners[0]},{.panics.aws}", out: "127.0.0.1:5353,2"},
		example{line: "export example.com", out: "example.com. SOA\n"},
		example{line: "export", error: "hanse dns export requires exactly one domain. Try: hanse dns zones"},
		example{line: "export example.com -o json", error: "unknown shorthand flag: 'o'"})
}

// nameServer answers for example.com by UDP and TCP, at the address that it returns.
func nameServer(t *testing.T) string {
	t.Helper()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	udp, err := net.ListenPacket("udp", tcp.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	handler := mdns.HandlerFunc(func(w mdns.ResponseWriter, q *mdns.Msg) {
		answer := new(mdns.Msg).SetReply(q)
		switch q.Question[0].Name {
		case "example.com.":
			answer.Authoritative = true
			fallthrough
		case "borrowed.example.":
			soa, err := mdns.NewRR(q.Question[0].Name + " SOA ns. admin. 1 1 1 1 1")
			if err != nil {
				t.Error(err)
			}
			answer.Answer = []mdns.RR{soa}
		default:
			answer.Rcode = mdns.RcodeRefused
		}
		_ = w.WriteMsg(answer)
	})
	for _, s := range []*mdns.Server{{Listener: tcp, Handler: handler}, {PacketConn: udp, Handler: handler}} {
		started := make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		go func() { _ = s.ActivateAndServe() }()
		<-started
		t.Cleanup(func() { _ = s.Shutdown() })
	}
	return tcp.Addr().String()
}

func TestCheck(t *testing.T) {
	at := nameServer(t)
	h := hubtest.New(t)
	h.Put(t, strings.Replace(zone, "LISTENER", at, 1))
	h.Put(t, route)
	out, errOut, err := h.Run(t, verbs, "", "check")
	for _, want := range []string{
		"ok   zone example.com: served\n", "ok   zone example.com: " + at + " answers by UDP in ", "ok   zone example.com: " + at + " answers by TCP in ",
		"note zone example.com: it is not delegated\n", "ok   route shop/web: answered\n", "note route shop/web: www.example.com: slow\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("there is no %q in\n%s", want, out)
		}
	}
	if err != nil || errOut != "all 4 checks passed\n" {
		t.Errorf("%q, %v", errOut, err)
	}
	try(t, h, example{line: "check -o jsonpath={.checks[*].result}", out: "OK OK OK Note OK Note", errOut: "all 4 checks passed\n"},
		example{line: "check -o wide", error: `suitable for the output format "wide"`})
}

// Whatever is wrong is found, and told of before the command fails.
func TestCheckFails(t *testing.T) {
	at := nameServer(t)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := closed.Addr().String()
	closed.Close()
	another := func(domain, listener string) string {
		return strings.NewReplacer("name: example.com", "name: "+domain, "domain: example.com", "domain: "+domain, "LISTENER", listener).Replace(zone)
	}
	for _, c := range []struct{ manifest, want string }{
		{another("unknown.example", at), "FAIL zone unknown.example: " + at + " answers REFUSED by UDP for its SOA record\n"},
		{another("borrowed.example", at), "FAIL zone borrowed.example: " + at + " is not authoritative for it\n"},
		{another("dead.example", dead), "FAIL zone dead.example: " + dead + " does not answer by TCP: "},
		{another("odd.example", "nowhere"), "FAIL zone odd.example: the address nowhere is not valid: "},
		{another("all.example", "0.0.0.0:53"), "note zone all.example: the name server listens on all addresses (0.0.0.0:53); they are not asked from here\n"},
		{"{apiVersion: hanse.dev/v1alpha1, kind: DNSZone, metadata: {name: new.example}, spec: {domain: new.example}}", "FAIL zone new.example: the hub has not looked at it yet\nnote zone new.example: whether it is delegated has not been checked yet\n"},
		{strings.Replace(another("held.example", at), "conditions: [", "conditions: [{type: DeletionsHeld, status: \"True\", reason: Held, message: 3 records are held}, ", 1), "FAIL zone held.example: 3 records are held\n"},
		{"{apiVersion: hanse.dev/v1alpha1, kind: GlobalRoute, metadata: {name: web, namespace: shop}, status: {conditions: [{type: Ready, status: \"False\", reason: X, message: no cluster}]}}", "FAIL route shop/web: no cluster\n"},
	} {
		h := hubtest.New(t)
		h.Put(t, c.manifest)
		out, _, err := h.Run(t, verbs, "", "check")
		if !strings.Contains(out, c.want) {
			t.Errorf("there is no %q in\n%s", c.want, out)
		}
		if failed := strings.Contains(out, "FAIL"); failed != (err != nil) || err != nil && !strings.HasPrefix(err.Error(), "some checks failed: ") {
			t.Errorf("%v after\n%s", err, out)
		}
	}
}
