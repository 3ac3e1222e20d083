package metrics

import "github.com/prometheus/client_golang/prometheus"

// DNSSnapshot is what the hub's DNS has done, and how it is, at one moment. Numbers of what was done only rise.
type DNSSnapshot struct {
	// Zones are those that the hub's own name server serves, by domain with a final dot.
	Zones map[string]DNSResponses
	// Outside are responses to queries for no zone of the hub's.
	Outside DNSResponses
	// DNSZones are all, by name.
	DNSZones map[string]DNSZone
	// TCP and Truncated are how many of the responses went by TCP, and said that the client should come by TCP.
	TCP, Truncated uint64
	// Dropped and Transfers are how many messages had no response, and were zone transfers or signed.
	Dropped, Transfers uint64
	// Listening says whether the name server answers; nil: it is not to.
	Listening *bool
	// Passed and Failed are how many probes of addresses did.
	Passed, Failed uint64
	// Targets is how many addresses are probed, by state in lower case: up, down, unknown.
	Targets map[string]int
}

// DNSResponses are numbers of responses by rcode, as NOERROR.
type DNSResponses map[string]uint64

// DNSZone is how a DNSZone is.
type DNSZone struct {
	Domain string // with a final dot
	Ready  bool   // its condition Ready is True
}

// DNS are the metrics of the hub's DNS.
type DNS struct{ gathered[DNSSnapshot] }

func newDNS(r *registrar) *DNS {
	d := &DNS{gathered[DNSSnapshot]{hub: r.hub}}
	responses := d.desc("dns_responses_total", "Number of responses of the hub's name server, by zone (empty for queries outside all zones) and by rcode.", "zone", "rcode")
	tcp := d.desc("dns_tcp_responses_total", "Number of responses of the hub's name server that went by TCP.")
	truncated := d.desc("dns_truncated_responses_total", "Number of responses of the hub's name server that told the client to ask again by TCP, because of size or the rate limit.")
	dropped := d.desc("dns_dropped_messages_total", "Number of messages that the hub's name server did not respond to: malformed, not a query, or over the rate limit.")
	transfers := d.desc("dns_transfer_messages_total", "Number of zone transfer requests and signed messages that reached the hub's name server.")
	listening := d.desc("dns_listening", "Whether the hub's name server is bound to its addresses and answers.")
	ready := d.desc("dns_zone_ready", "Whether the DNSZone's condition Ready is True: its zone is served, or kept by its provider.", "dnszone", "zone")
	probes := d.desc("dns_probes_total", "Number of probes of the addresses that the hub's DNS answers with, by result: passed or failed.", "result")
	targets := d.desc("dns_probe_targets", "Number of addresses that are probed, by state: up, down or unknown.", "state")
	d.collect = func(s DNSSnapshot, emit emit) {
		count := func(desc *prometheus.Desc, n uint64, labels ...string) {
			emit(desc, prometheus.CounterValue, float64(n), labels...)
		}
		for rcode, n := range s.Outside {
			count(responses, n, "", rcode)
		}
		for zone, all := range s.Zones {
			for rcode, n := range all {
				count(responses, n, zone, rcode)
			}
		}
		count(tcp, s.TCP)
		count(truncated, s.Truncated)
		count(dropped, s.Dropped)
		count(transfers, s.Transfers)
		count(probes, s.Passed, "passed")
		count(probes, s.Failed, "failed")
		if s.Listening != nil {
			emit(listening, prometheus.GaugeValue, truth(*s.Listening))
		}
		for name, z := range s.DNSZones {
			emit(ready, prometheus.GaugeValue, truth(z.Ready), name, z.Domain)
		}
		for state, n := range s.Targets {
			emit(targets, prometheus.GaugeValue, float64(n), state)
		}
	}
	r.add(d)
	return d
}

// Source says whom to ask at each scrape. It must not block for long, and may be called by several goroutines at once.
func (d *DNS) Source(source func() DNSSnapshot) {
	if d != nil {
		d.set(source)
	}
}
