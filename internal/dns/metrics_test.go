package dns

import (
	"context"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/guard"
	"github.com/hanse-dev/hanse/internal/metrics"
)

// Queries by UDP, TCP and of zones that are not there are seen in a scrape, as is how zones are.
func TestMetrics(t *testing.T) {
	c, _ := newTestOf(t, Config{Clock: clock.RealClock{}, Listen: []string{"127.0.0.1:0"}})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); c.loop.run(ctx) }()
	defer func() { cancel(); <-done }()
	ready, refused := dnsZone("example.org", nil), dnsZone("example.org", func(z *v1alpha1.DNSZone) { z.Name = "same"; z.CreationTimestamp = metav1.Now() })
	apimeta.SetStatusCondition(&ready.Status.Conditions, metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: "Served"})
	c.caches.change(func(d *dirty) {
		c.caches.zones["example.org"], c.caches.zones["same"] = ready, refused
		d.zones = true
	})
	if listening := c.Metrics().Listening; listening != nil {
		t.Error("it listens before there is anything to be answered")
	}
	c.loop.database(embedded(t), nil)
	at := bound(t, c)
	ask := func(network, name string) {
		t.Helper()
		m := new(dns.Msg)
		m.SetQuestion(name, dns.TypeSOA)
		if _, _, err := (&dns.Client{Net: network}).Exchange(m, at); err != nil {
			t.Fatal(err)
		}
	}
	ask("udp", "example.org.")
	ask("tcp", "example.org.")
	ask("udp", "example.net.")
	s := c.Metrics()
	if s.Zones["example.org."]["NOERROR"] != 2 || s.Outside["REFUSED"] != 1 || s.TCP != 1 || s.Listening == nil || !*s.Listening {
		t.Errorf("%+v", s)
	}
	if len(s.DNSZones) != 2 || !s.DNSZones["example.org"].Ready || s.DNSZones["same"].Ready || s.DNSZones["same"].Domain != "example.org." {
		t.Errorf("%+v", s.DNSZones)
	}
	// Two DNSZones of one domain, which anybody who may make DNSZones can make, must not spoil a scrape.
	registry := prometheus.NewPedanticRegistry()
	all, err := metrics.New(registry)
	if err != nil {
		t.Fatal(err)
	}
	all.DNS.Source(c.Metrics)
	if _, err := registry.Gather(); err != nil {
		t.Error(err)
	}
}

// bound waits until the name server answers, and returns where.
func bound(t *testing.T, c *Controller) string {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(10 * time.Second); ; {
		if at, _, _ := c.listener.state(); len(at) > 0 {
			return at[0]
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("the name server does not answer")
		}
	}
}

func TestRcodeNames(t *testing.T) {
	for rcode, want := range map[int]string{dns.RcodeSuccess: "NOERROR", dns.RcodeServerFailure: "SERVFAIL", dns.RcodeBadVers: "BADVERS", 12: "Other"} {
		if got := rcodeName(rcode); got != want {
			t.Errorf("%d: %s, want %s", rcode, got, want)
		}
	}
}

// A panic over what members say is counted.
func TestPanicOfAPassIsCounted(t *testing.T) {
	c, _ := newTest(t)
	counted := 0
	ctx := guard.WithCounter(t.Context(), func(component string) {
		if component == "dns" {
			counted++
		}
	})
	ending, cancel := context.WithCancel(ctx)
	cancel()
	c.loop.crashed(ending, guard.Run(func() error { panic("nonsense") }))
	if counted != 1 {
		t.Errorf("%d panics counted", counted)
	}
}
