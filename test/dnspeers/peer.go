// Package dnspeers starts other people's name servers, Knot and BIND, for tests
// of what Hanse says to them: as a secondary that pulls a zone and follows it, or
// as a primary that takes dynamic updates. They are child processes on loopback
// that end with the test.
package dnspeers

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// Config is what a server is to do, with one zone.
type Config struct {
	// Zone is its name.
	Zone string
	// File is the text of a zone file: the server is the zone's primary.
	File string
	// Primary is another server, as IP:PORT: the server is a secondary.
	Primary string
	// Listen is where, as IP:PORT, for both UDP and TCP; empty: FreePort.
	Listen string
	// Key is required of whoever transfers, notifies or updates, and is used
	// towards the Primary; nil: loopback may do so without.
	Key *Key
	// Updates allows RFC 2136 updates, Transfers zone transfers.
	Updates, Transfers bool
}

// Key is a TSIG key (RFC 8945); Secret is in base64.
type Key struct{ Name, Algorithm, Secret string }

// Server is a running name server.
type Server struct {
	Addr string // IP:PORT
	zone string
	key  *Key
	log  *buffer
	stop func()
}

// Log is what the server has said until now.
func (s *Server) Log() string { return s.log.String() }

// Stop kills the server and waits until it is gone. The end of the test does it
// too.
func (s *Server) Stop() { s.stop() }

// Serial asks the server for its zone's serial; false while it has no zone.
func (s *Server) Serial() (uint32, bool) {
	m := new(dns.Msg).SetQuestion(dns.Fqdn(s.zone), dns.TypeSOA)
	r, err := dns.Exchange(m, s.Addr)
	if err != nil || !r.Authoritative || len(r.Answer) == 0 {
		return 0, false
	}
	soa, ok := r.Answer[0].(*dns.SOA)
	if !ok {
		return 0, false
	}
	return soa.Serial, true
}

// Records transfers the server's zone: the SOA first, and once. It needs
// Config.Transfers.
func (s *Server) Records() ([]dns.RR, error) {
	m := new(dns.Msg).SetAxfr(dns.Fqdn(s.zone))
	tr := &dns.Transfer{}
	if s.key != nil {
		name := dns.CanonicalName(s.key.Name)
		m.SetTsig(name, dns.Fqdn(s.key.Algorithm), 300, time.Now().Unix())
		tr.TsigSecret = map[string]string{name: s.key.Secret}
	}
	envelopes, err := tr.In(m, s.Addr)
	if err != nil {
		return nil, err
	}
	var records []dns.RR
	for e := range envelopes {
		err = errors.Join(err, e.Error)
		records = append(records, e.RR...)
	}
	if err != nil {
		return nil, err
	}
	if len(records) < 2 {
		return nil, fmt.Errorf("the transfer of %s has %d records", s.zone, len(records))
	}
	return records[:len(records)-1], nil
}

// Wait waits up to 20 s until a condition holds, and fails the test if it does
// not come to hold.
func Wait(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("20 s have passed without: %s", what)
		}
	}
}

// Require skips the test when a program is not installed, or fails it where
// everything has to be (CI=true), saying how to install it; else it returns the
// program's path.
func Require(t testing.TB, program, debianPackage string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err == nil {
		return path
	}
	sbin := filepath.Join("/usr/sbin", program) // often not in a user's PATH
	if _, err := os.Stat(sbin); err == nil {
		return sbin
	}
	say := t.Skipf
	if os.Getenv("CI") == "true" {
		say = t.Fatalf
	}
	say("%s is not installed. Try: apt-get install %s", program, debianPackage)
	return ""
}

// FreePort returns an address on loopback of which both the UDP and the TCP port
// were free a moment ago.
func FreePort(t testing.TB) string {
	t.Helper()
	for range 20 {
		tcp, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		udp, err := net.ListenPacket("udp", tcp.Addr().String())
		tcp.Close()
		if err == nil {
			udp.Close()
			return tcp.Addr().String()
		}
	}
	t.Fatal("no port was free for both UDP and TCP, 20 times")
	return ""
}

// start runs a server until the end of the test and waits until it answers,
// whatever it answers: a secondary has no zone yet.
func start(t testing.TB, c Config, program string, args ...string) *Server {
	t.Helper()
	s := &Server{Addr: c.Listen, zone: c.Zone, key: c.Key, log: &buffer{}}
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = s.log, s.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // it is killed, so it never ends well
	}()
	s.stop = func() {
		_ = cmd.Process.Kill() // an error says that it has ended already
		<-ended
	}
	t.Cleanup(func() {
		s.stop()
		if t.Failed() {
			t.Logf("%s said:\n%s", filepath.Base(program), s.Log())
		}
	})
	Wait(t, program+" answers", func() bool {
		select {
		case <-ended:
			t.Fatalf("%s has ended:\n%s", program, s.Log())
		default:
		}
		_, err := dns.Exchange(new(dns.Msg).SetQuestion(dns.Fqdn(c.Zone), dns.TypeSOA), s.Addr)
		return err == nil
	})
	return s
}

// buffer collects what a process writes, and may be read meanwhile.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
