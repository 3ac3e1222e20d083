package health

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestMain is the server of BenchmarkProbes if it is asked to be one.
func TestMain(m *testing.M) {
	if os.Getenv("HANSE_TEST_SERVER") != "" {
		l, err := net.Listen("tcp4", ":0")
		if err != nil {
			panic(err)
		}
		fmt.Println(l.Addr().(*net.TCPAddr).Port)
		go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok\n") }))
		io.Copy(io.Discard, os.Stdin)
		return
	}
	m.Run()
}

// BenchmarkProbes measures this process's CPU for a probe. The server is another
// process. 1,000 addresses are probed every second, so that, about as with 10,000
// every 10 s, connections are new every 16 probes:
//
//	go test -run '^$' -bench Probes -benchtime 32000x ./internal/dns/health
func BenchmarkProbes(b *testing.B) {
	server := exec.Command(os.Args[0])
	server.Env = append(os.Environ(), "HANSE_TEST_SERVER=1")
	server.Stderr = os.Stderr
	stdin, err := server.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	stdout, err := server.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := server.Start(); err != nil {
		b.Fatal(err)
	}
	defer server.Wait()
	defer stdin.Close()
	var port uint16
	if _, err := fmt.Fscan(stdout, &port); err != nil {
		b.Fatal(err)
	}

	p := New(func(c Check, r Result) {
		if r.State == Down {
			b.Errorf("%v: %+v", c, r)
		}
	}, anywhere())
	var checks []Check
	for i := range 1000 {
		checks = append(checks, Check{
			Protocol: HTTP, Host: "www.devfest.example", Interval: time.Second, Timeout: time.Second,
			Address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 1, byte(i >> 8), byte(i)}), port),
		})
	}
	p.Set(of(checks...))
	before := cpu(b)
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(b.N)*time.Millisecond)
	defer cancel()
	var done sync.WaitGroup
	done.Go(func() { p.Run(ctx) })
	done.Wait()
	used := cpu(b) - before
	b.ReportMetric(float64(used.Microseconds())/float64(b.N), "cpu-µs/probe")
	b.ReportMetric(float64(used)/float64(b.N)/1e6*100, "%core-at-1000/s")
	for _, c := range checks[:10] {
		if r := p.Result(c); b.N > 2000 && (r.State != Up || strings.Contains(r.Message, "expected")) {
			b.Errorf("%+v", r)
		}
	}
}

func cpu(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
