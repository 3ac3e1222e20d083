package zone

import (
	"net/netip"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// tallyOf is what the answer about a name is counted by.
func tallyOf(t *testing.T, s *Snapshot, name string) *Tally {
	t.Helper()
	wire, ok := wireName(name)
	if !ok {
		t.Fatal(name)
	}
	message := append(make([]byte, 12, 1232), wire...)
	q := Query{Name: []byte(wire), Type: dns.TypeA, Client: netip.MustParseAddr("192.0.2.1"), Limit: 1232}
	var a Answer
	s.Append(append(message, 0, 1, 0, 1), &q, &a)
	return a.Tally
}

func TestTallyAddsUp(t *testing.T) {
	var tally Tally
	var wg sync.WaitGroup
	for worker := range uint32(20) {
		wg.Go(func() {
			for range 100 {
				tally.Add(worker, dns.RcodeNameError)
				tally.Add(worker, 16)
			}
		})
	}
	wg.Wait()
	if sum := tally.Sum(); sum[dns.RcodeNameError] != 2000 || sum[16] != 2000 || sum[0] != 0 {
		t.Error(sum)
	}
	tally.Add(0, -1)
	tally.Add(0, 4095) // neither occurs, and neither may be out of bounds
}

// A zone's tally outlasts snapshots, as long as the zone is in them.
func TestTallyOfAZone(t *testing.T) {
	org, com := example(t, "www A 192.0.2.1"), example(t, "www A 192.0.2.1")
	com.Name, com.SOA.Hdr.Name, com.NS = "example.com.", "example.com.", nil
	com.Records = parse(t, "www.example.com. A 192.0.2.1")
	first := Build(nil, nil, []Zone{org, com})
	a := tallyOf(t, first, "www.example.org.")
	if a == nil || a != tallyOf(t, first, "nothing.example.org.") || a == tallyOf(t, first, "www.example.com.") {
		t.Fatal("not one tally for each zone")
	}
	if tallyOf(t, first, "www.example.net.") != nil {
		t.Error("a name in no zone of ours has a tally")
	}
	a.Add(1, dns.RcodeSuccess)
	second := Build(first, nil, []Zone{org})
	if tallyOf(t, second, "www.example.org.") != a {
		t.Error("a new snapshot counts from zero")
	}
	if all := second.Responses(); len(all) != 1 || all["example.org."][dns.RcodeSuccess] != 1 {
		t.Error(all)
	}
	third := Build(Build(second, nil, nil), nil, []Zone{org})
	if all := third.Responses(); all["example.org."][dns.RcodeSuccess] != 0 {
		t.Error("a zone that was gone goes on counting")
	}
}
