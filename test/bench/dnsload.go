package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"time"

	"github.com/miekg/dns"
)

// writeQueries writes 100,000 queries as dnsperf -B reads them: for random routes, perhaps each for a random /24.
func writeQueries(file string, routes int, subnets bool) error {
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same load for all
	var all []byte
	for range 100_000 {
		q := subnetQuery(routeName(random.IntN(routes)), random)
		if !subnets {
			q.Extra = nil
		}
		data, err := q.Pack()
		if err != nil {
			return fmt.Errorf("writing queries: %w", err)
		}
		all = append(binary.BigEndian.AppendUint16(all, uint16(len(data))), data...)
	}
	if err := os.WriteFile(file, all, 0o600); err != nil {
		return fmt.Errorf("writing queries: %w", err)
	}
	return nil
}

// load is how a server coped.
type load struct {
	perQuery float64 // nanoseconds of its processor's time
	rate     float64
	lost     int
}

var (
	completed = regexp.MustCompile(`Queries completed:\s+(\d+)`)
	lost      = regexp.MustCompile(`Queries lost:\s+(\d+)`)
	perSecond = regexp.MustCompile(`Queries per second:\s+([\d.]+)`)
)

// measure has dnsperf ask for some seconds.
func measure(ctx context.Context, s *nameServer, file string, seconds int) (load, error) {
	before, err := cpu(s.Process.Pid)
	if err != nil {
		return load{}, err
	}
	out, err := exec.CommandContext(ctx, "taskset", "-c", "1", "dnsperf", "-f", "inet", "-s", "127.0.0.1", "-p", s.port,
		"-d", file, "-B", "-c", "4", "-T", "1", "-l", strconv.Itoa(seconds), "-t", "2", "-q", "128").CombinedOutput()
	if err != nil {
		return load{}, fmt.Errorf("running dnsperf: %w: %s", err, out)
	}
	after, err := cpu(s.Process.Pid)
	if err != nil {
		return load{}, err
	}
	n, err := number64(completed, out)
	if err != nil {
		return load{}, err
	}
	missing, err := number64(lost, out)
	if err != nil {
		return load{}, err
	}
	rate, err := number64(perSecond, out)
	return load{perQuery: float64(after-before) / n, rate: rate, lost: int(missing)}, err
}

func number64(pattern *regexp.Regexp, out []byte) (float64, error) {
	found := pattern.FindSubmatch(out)
	if found == nil {
		return 0, fmt.Errorf("no %s in what dnsperf says: %s", pattern, out)
	}
	return strconv.ParseFloat(string(found[1]), 64)
}

// answers waits until a server answers, and reports its first answer.
func answers(ctx context.Context, s *nameServer) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	client := dns.Client{Timeout: time.Second}
	q := new(dns.Msg)
	q.SetQuestion(routeName(0), dns.TypeA)
	for {
		r, _, err := client.ExchangeContext(ctx, q, net.JoinHostPort("127.0.0.1", s.port))
		if err == nil && len(r.Answer) == 1 {
			return nil
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return fmt.Errorf("the name server at port %s does not answer: %w", s.port, err)
		}
	}
}

// compared is how many networks are asked about, to see that both servers do the same.
const compared = 10_000

// different counts the networks for which two servers differ in their answers, or have a scope that is none.
func different(ctx context.Context, ours, theirs *nameServer) (int, error) {
	random := rand.New(rand.NewPCG(3, 4)) //nolint:gosec // the same networks each time
	n := 0
	for range compared {
		q := subnetQuery(routeName(0), random)
		var answers [2]string
		for i, s := range []*nameServer{ours, theirs} {
			r, err := dns.ExchangeContext(ctx, q, net.JoinHostPort("127.0.0.1", s.port))
			if err != nil {
				return n, fmt.Errorf("asking for a network: %w", err)
			}
			scope := -1
			if opt := r.IsEdns0(); opt != nil && len(opt.Option) == 1 {
				if o, ok := opt.Option[0].(*dns.EDNS0_SUBNET); ok {
					scope = int(o.SourceScope)
				}
			}
			if len(r.Answer) != 1 || scope <= 0 {
				answers[i] = fmt.Sprint("none of ", i)
				continue
			}
			answers[i] = r.Answer[0].String()
		}
		if answers[0] != answers[1] {
			n++
		}
	}
	return n, nil
}

// subnetQuery asks for a random /24.
func subnetQuery(name string, random *rand.Rand) *dns.Msg {
	q := new(dns.Msg)
	q.SetQuestion(name, dns.TypeA)
	q.RecursionDesired = false
	q.SetEdns0(1232, false)
	network := net.IPv4(byte(1+random.IntN(223)), byte(random.IntN(256)), byte(random.IntN(256)), 0)
	q.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: 24, Address: network}}
	return q
}

// startGdnsd runs gdnsd with networks for the places that our rules name.
func startGdnsd(ctx context.Context, dir string, routes int) (*nameServer, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	if err := writeGdnsd(dir, port, routes); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "taskset", "-c", "0", "gdnsd", "-c", dir, "start")
	log, err := os.Create(dir + "/gdnsd.log")
	if err != nil {
		return nil, fmt.Errorf("starting gdnsd: %w", err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting gdnsd: %w", err)
	}
	s := &nameServer{Cmd: cmd, port: port}
	if err := answers(ctx, s); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

// startDNS runs this program as our name server.
func startDNS(ctx context.Context, dir string, routes int) (*nameServer, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	cmd := exec.CommandContext(ctx, "taskset", "-c", "0", self, serveDNS, strconv.Itoa(routes))
	cmd.Stderr = os.Stderr
	input, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("starting the name server: %w", err)
	}
	output, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("starting the name server: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making a place for the name servers: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the name server: %w", err)
	}
	s := &nameServer{Cmd: cmd, input: input, lines: bufio.NewScanner(output)}
	r, err := s.ask("")
	if err == nil {
		_, s.port, err = net.SplitHostPort(r.Address)
	}
	if err == nil {
		err = answers(ctx, s)
	}
	if err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}
