package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/hanse-dev/hanse/internal/process"
)

const (
	// readyPoll is how often something that is starting is asked: a hundredth
	// of what a start takes.
	readyPoll = 50 * time.Millisecond
	// hubTimeout is ten times what the hub needs on two cores that four
	// starting API servers share.
	hubTimeout = 2 * time.Minute
	// logTail is how many lines of a log an error shows.
	logTail = 5
)

// startHub runs hanse server and returns when it is ready. One that runs
// already is taken as it is.
func (d *Demo) startHub(ctx context.Context) (*rest.Config, error) {
	if err := os.MkdirAll(d.at.process(), 0o700); err != nil {
		return nil, fmt.Errorf("cannot start the hub: %w", err)
	}
	child, err := process.Start(ctx, process.Spec{
		Argv: []string{
			d.options.Executable, "server", "--data-dir", d.at.hubData(),
			"--listen", "127.0.0.1:" + strconv.Itoa(d.options.Port), "--dns-listen", dnsAddress(),
			"--dns-zones-under", strings.Join(nobodysDomains(), ","),
			"--probe-networks", "127.0.0.0/8", // where local clusters' load balancers are
			// The demo's kubeconfig is a copy of the hub's, and may be used for days.
			"--admin-kubeconfig-validity", "8760h",
		},
		LogFile: d.at.hubLog(),
		PIDFile: d.at.hubPID(),
	})
	var ended <-chan struct{}
	switch {
	case err == nil:
		ended = child.Done()
	case !errors.Is(err, process.ErrRunning):
		return nil, fmt.Errorf("cannot start the hub: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, hubTimeout)
	defer cancel()
	for {
		cfg, reason := d.hubReady(ctx)
		if reason == nil {
			return cfg, nil
		}
		select {
		case <-ended:
			return nil, fmt.Errorf("the hub has ended while it was starting:\n%s", tail(d.at.hubLog(), logTail))
		case <-ctx.Done():
			return nil, fmt.Errorf("the hub is not ready: %w. Its log is %s", reason, d.at.hubLog())
		case <-time.After(readyPoll):
		}
	}
}

// nobodysDomains are those that are reserved for examples, tests and use inside (RFC 2606,
// RFC 6761, RFC 8375): to make zones of them by itself takes nothing from anybody.
func nobodysDomains() []string {
	return []string{"example", "example.com", "example.net", "example.org", "test", "internal", "home.arpa", "localhost"}
}

// dnsAddress is where the hub answers DNS: at the port that documents name, or any
// where that is taken, as by another demo.
func dnsAddress() string {
	const usual = "127.0.0.1:5353"
	udp, err := net.ListenPacket("udp", usual)
	if err != nil {
		return "127.0.0.1:0"
	}
	defer udp.Close()
	tcp, err := net.Listen("tcp", usual)
	if err != nil {
		return "127.0.0.1:0"
	}
	defer tcp.Close()
	return usual
}

// hubReady returns how to reach the hub, or why it is not ready.
func (d *Demo) hubReady(ctx context.Context) (*rest.Config, error) {
	cfg, err := clientcmd.BuildConfigFromFlags("", d.at.hubConfig())
	if err != nil {
		return nil, err
	}
	cfg.QPS = -1
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return nil, err
	}
	return cfg, client.RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
}

// tail is the last lines of a file, as far as there is one.
func tail(file string, lines int) []byte {
	data, err := os.ReadFile(file)
	if err != nil {
		return []byte("(there is no log: " + err.Error() + ")")
	}
	all := bytes.Split(bytes.TrimSpace(data), []byte("\n"))
	return bytes.Join(all[max(0, len(all)-lines):], []byte("\n"))
}
