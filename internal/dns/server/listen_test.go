package server

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/internal/dns/zone"
)

// A second server at the same port is told so, whether the first has several sockets there or one.
func TestPortInUse(t *testing.T) {
	for _, sockets := range []int{1, 3} {
		_, at := start(t, Config{Sockets: sockets}, exampleZone(t))
		_, err := New(Config{Clock: clock.RealClock{}, Listen: []string{at}, Sockets: sockets}).Listen()
		if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), at+": the port is in use by another program. Try:") {
			t.Errorf("%d sockets: %v", sockets, err)
		}
	}
	udp, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	if _, err := New(Config{Clock: clock.RealClock{}, Listen: []string{udp.LocalAddr().String()}}).Listen(); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("UDP only: %v", err)
	}
}

func TestListenErrors(t *testing.T) {
	for address, want := range map[string]string{
		"127.0.0.1":        "Try: HOST:PORT",
		"127.0.0.1:domain": "is not a port",
		"example.org:53":   "is not an IP address",
		"192.0.2.1:5353":   "does not have the address",
	} {
		if _, err := New(Config{Clock: clock.RealClock{}, Listen: []string{address}}).Listen(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", address, err, want)
		}
	}
}

// Bound to all addresses, it answers from the one that was asked, which a connected client insists on.
func TestAllAddresses(t *testing.T) {
	s := New(Config{Clock: clock.RealClock{}, Listen: []string{":0"}, Sockets: 2})
	s.Swap(zone.Build(nil, nil, []zone.Zone{exampleZone(t)}))
	bound, err := s.Listen()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- s.Serve(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	_, port, err := net.SplitHostPort(bound[0])
	if err != nil {
		t.Fatal(err)
	}
	hosts := []string{"127.0.0.1", "127.0.0.2", "127.1.2.3"}
	if len(bound) == 2 {
		if hosts = append(hosts, "::1"); !strings.HasSuffix(bound[1], "]:"+port) {
			t.Errorf("one port for both families, not %v", bound)
		}
	}
	for _, host := range hosts {
		for _, network := range []string{"udp", "tcp"} {
			if r := ask(t, net.JoinHostPort(host, port), network, "text.example.org.", dns.TypeTXT); len(r.Answer) != 1 {
				t.Errorf("%s by %s: %v", host, network, r)
			}
		}
	}
}

// Snapshots are swapped as fast as it goes, and every query is answered.
func TestSwap(t *testing.T) {
	s, at := start(t, full(), exampleZone(t))
	db := database(t)
	ctx, cancel := context.WithCancel(context.Background())
	var swaps atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			s.Swap(zone.Build(s.Snapshot(), db, []zone.Zone{exampleZone(t)}))
			swaps.Add(1)
		}
	}()
	p := newPeer(t, at)
	q := new(dns.Msg)
	q.SetQuestion("www.example.org.", dns.TypeAAAA)
	for i := range 5000 {
		q.Id = uint16(i)
		if err := p.conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if err := p.conn.WriteMsg(q); err != nil {
			t.Fatal(err)
		}
		if r, err := p.conn.ReadMsg(); err != nil || r.Id != q.Id || len(r.Answer) != 1 {
			t.Fatalf("query %d: %v, %v", i, r, err)
		}
	}
	cancel()
	<-done
	if swaps.Load() < 2 {
		t.Errorf("%d swaps", swaps.Load())
	}
	if n := s.Stats().Rcodes[dns.RcodeSuccess]; n != 5000 {
		t.Errorf("%d answers counted", n)
	}
}

// Connections that say nothing are ended; more than are allowed wait for that.
func TestConnections(t *testing.T) {
	_, at := start(t, Config{Connections: 2, Idle: 50 * time.Millisecond}, exampleZone(t))
	var silent []net.Conn
	for range 3 {
		conn, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		silent = append(silent, conn)
	}
	if r := ask(t, at, "tcp", "text.example.org.", dns.TypeTXT); len(r.Answer) != 1 {
		t.Error(r)
	}
	for _, conn := range silent {
		if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if n, err := conn.Read(make([]byte, 1)); n != 0 || errors.Is(err, syscall.ETIMEDOUT) || err == nil {
			t.Errorf("%d bytes, %v", n, err)
		}
	}
}
