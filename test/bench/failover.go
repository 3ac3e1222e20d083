package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/miekg/dns"
	"k8s.io/apimachinery/pkg/util/wait"
)

const (
	failovers    = 3
	probedRoutes = 1000
	probedTeams  = 20 // namespaces that the routes are in: each may have 512 probes
	probedPlaces = 10
	probedFor    = 30 * time.Second
	probesSettle = 10 * time.Second
	// fromFrance is a network that the example's route gives to azure.
	fromFrance = "80.10.0.0"
	benchHost  = "www.devfest.example"
)

// failover measures what a user of the demo's hostname waits for when what it leads to is lost, and what probing costs
// the hub.
func (b *bench) failover(ctx context.Context) (err error) {
	b.progress("failover")
	d := &demoFederation{b: b, dir: filepath.Join(b.dir, "failover")}
	defer func() {
		down, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_, downErr := runHanse(down, b.hanse, "demo", "down", "--dir", d.dir)
		err = errors.Join(err, downErr)
	}()
	if _, err := runHanse(ctx, b.hanse, "demo", "--detach", "--dir", d.dir); err != nil {
		return err
	}
	if err := d.find(ctx); err != nil {
		return err
	}
	endpoints, err := d.worst(ctx, d.loseEndpoints)
	if err != nil {
		return fmt.Errorf("losing endpoints: %w", err)
	}
	balancer, err := d.worst(ctx, d.loseBalancer)
	if err != nil {
		return fmt.Errorf("losing a load balancer: %w", err)
	}
	b.report.add(
		row{Group: "failover", Name: "last ready endpoint of a cluster deleted → changed answer (worst of 3)", Value: endpoints.Seconds(), Unit: "s", Target: 1},
		row{Group: "failover", Name: "load balancer killed → changed answer, interval 2 s, threshold 2 (worst of 3)", Value: balancer.Seconds(), Unit: "s", Target: 5},
	)
	return d.probing(ctx)
}

// demoFederation is a demo, and where its name server is.
type demoFederation struct {
	b      *bench
	dir    string
	server string
	azure  string // the address of azure's Ingress
}

func (d *demoFederation) kubectl(ctx context.Context, where string, args ...string) ([]byte, error) {
	return runHanse(ctx, d.b.hanse, append([]string{"kubectl", "--kubeconfig", filepath.Join(d.dir, "kubeconfig"), "--context", where}, args...)...)
}

// find asks where the name server listens, shortens the health check, and waits until France is answered with azure.
func (d *demoFederation) find(ctx context.Context) error {
	listener, err := d.kubectl(ctx, "federation", "get", "dnszone", "devfest.example", "-o", "jsonpath={.status.listeners[0]}")
	if err != nil {
		return err
	}
	d.server = string(listener)
	address, err := d.kubectl(ctx, "azure", "get", "ingress", "traefik", "-o", "jsonpath={.status.loadBalancer.ingress[0].ip}")
	if err != nil {
		return err
	}
	d.azure = string(address)
	if _, err := d.kubectl(ctx, "federation", "patch", "globalroute", "devfest", "--type=merge", "-p",
		`{"spec":{"healthCheck":{"interval":"2s","timeout":"1s","down":2,"up":1}}}`); err != nil {
		return err
	}
	return d.answered(ctx, true)
}

// answered waits until France is answered with azure, or not.
func (d *demoFederation) answered(ctx context.Context, azure bool) error {
	return wait.PollUntilContextTimeout(ctx, 2*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		q := new(dns.Msg).SetQuestion(benchHost+".", dns.TypeA)
		q.SetEdns0(1232, false)
		q.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: 24, Address: net.ParseIP(fromFrance)}}
		m, err := dns.ExchangeContext(ctx, q, d.server)
		if err != nil {
			return false, fmt.Errorf("asking %s: %w", d.server, err)
		}
		return (len(m.Answer) == 1 && strings.HasSuffix(m.Answer[0].String(), "\t"+d.azure)) == azure, nil
	})
}

// worst runs a failure several times: from when it has happened to the changed answer.
func (d *demoFederation) worst(ctx context.Context, lose func(context.Context) (restore func(context.Context) error, err error)) (time.Duration, error) {
	var worst time.Duration
	for range failovers {
		restore, err := lose(ctx)
		if err != nil {
			return 0, err
		}
		began := time.Now()
		if err := d.answered(ctx, false); err != nil {
			return 0, err
		}
		worst = max(worst, time.Since(began))
		if err := restore(ctx); err != nil {
			return 0, err
		}
		if err := d.answered(ctx, true); err != nil {
			return 0, err
		}
	}
	return worst, nil
}

// loseEndpoints deletes azure's pods, which have nowhere else to go. The clock starts when they are deleted; that their
// endpoints are gone some milliseconds later is in the figure.
func (d *demoFederation) loseEndpoints(ctx context.Context) (func(context.Context) error, error) {
	const nodes = "--selector=topology.kubernetes.io/region=westeurope"
	if _, err := d.kubectl(ctx, "azure", "cordon", nodes); err != nil {
		return nil, err
	}
	_, err := d.kubectl(ctx, "azure", "delete", "pods", "--all", "--wait=false")
	return func(ctx context.Context) error {
		_, err := d.kubectl(ctx, "azure", "uncordon", nodes)
		return err
	}, err
}

// loseBalancer kills the process of azure, which is its load balancer too.
func (d *demoFederation) loseBalancer(context.Context) (func(context.Context) error, error) {
	clusters := filepath.Join(d.dir, "clusters")
	data, err := os.ReadFile(filepath.Join(clusters, "local", "azure", "pid"))
	if err != nil {
		return nil, err
	}
	var pid int
	if _, err := fmt.Sscan(string(data), &pid); err != nil {
		return nil, fmt.Errorf("reading azure's process: %w", err)
	}
	return func(ctx context.Context) error {
		_, err := runHanse(ctx, d.b.hanse, "local", "start", "azure", "--dir", clusters)
		return err
	}, syscall.Kill(pid, syscall.SIGKILL)
}

// probing has 1,000 hosts of 20 namespaces probed at 10 addresses each, every 10 s, by HTTP, and looks at what that costs the hub.
func (d *demoFederation) probing(ctx context.Context) error {
	d.b.progress("failover: probing %d hosts at %d addresses", probedRoutes, probedPlaces)
	stop, port, err := answering()
	if err != nil {
		return err
	}
	defer stop()
	file := filepath.Join(d.dir, "routes.yaml")
	if err := os.WriteFile(file, probedManifests(port), 0o600); err != nil {
		return err
	}
	var pid int
	data, err := os.ReadFile(filepath.Join(d.dir, "process", "pid"))
	if err == nil {
		_, err = fmt.Sscan(string(data), &pid)
	}
	if err != nil {
		return fmt.Errorf("reading the hub's process: %w", err)
	}
	before, err := d.used(ctx, pid)
	if err != nil {
		return err
	}
	if _, err := d.kubectl(ctx, "federation", "create", "-f", file); err != nil {
		return err
	}
	err = poll(ctx, time.Second, func() (bool, error) {
		out, err := d.kubectl(ctx, "federation", "get", "globalroutes", "-A", "-o", "jsonpath={range .items[*]}{.status.clusters[*].outside.state}{'\\n'}{end}")
		return strings.Count(string(out), "Up Up Up\n") >= probedRoutes, err
	})
	if err != nil {
		return err
	}
	// The statuses are written; what follows is probes alone.
	if err := pause(ctx, probesSettle); err != nil {
		return err
	}
	after, err := d.used(ctx, pid)
	if err != nil {
		return err
	}
	d.b.report.add(row{Group: "failover", Name: "1,000 hosts × 10 addresses probed every 10 s: the hub's CPU", Value: after - before, Unit: "core", Target: 0.05,
		Detail: map[string]int{"idle hub, millicores": int(1000 * before)}})
	return nil
}

// used is the part of a core that a process uses for a while.
func (d *demoFederation) used(ctx context.Context, pid int) (float64, error) {
	began, err := cpu(pid)
	if err != nil {
		return 0, err
	}
	if err := pause(ctx, probedFor); err != nil {
		return 0, err
	}
	ended, err := cpu(pid)
	return (ended - began).Seconds() / probedFor.Seconds(), err
}

// answering serves HTTP at the addresses that are probed, at one port.
func answering() (stop func(), port int, err error) {
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})}
	for i := range probedPlaces {
		listener, err := net.Listen("tcp", fmt.Sprintf("127.9.0.%d:%d", i+1, port))
		if err != nil {
			return nil, 0, errors.Join(err, server.Close())
		}
		port = listener.Addr().(*net.TCPAddr).Port
		go func() { _ = server.Serve(listener) }()
	}
	return func() { _ = server.Close() }, port, nil
}

// probedManifests are the routes: each host at the same ten addresses of three clusters.
func probedManifests(port int) []byte {
	endpoints := []map[string]any{}
	at := 1
	for cluster, n := range map[string]int{"aws": 4, "azure": 3, "google": 3} {
		var addresses []string
		for range n {
			addresses = append(addresses, fmt.Sprintf("127.9.0.%d", at))
			at++
		}
		endpoints = append(endpoints, map[string]any{"cluster": cluster, "addresses": addresses})
	}
	var out []byte
	for i := range probedTeams {
		out = fmt.Appendf(out, "---\n{apiVersion: v1, kind: Namespace, metadata: {name: probed-%d}}\n", i)
	}
	for i := range probedRoutes {
		team := fmt.Sprintf("probed-%d", i%probedTeams)
		route, _ := json.Marshal(map[string]any{ // strings, numbers and lists: it cannot fail
			"apiVersion": "hanse.dev/v1alpha1", "kind": "GlobalRoute", "metadata": map[string]any{"name": fmt.Sprintf("probed-%d", i), "namespace": team},
			"spec": map[string]any{"hosts": []string{fmt.Sprintf("h%d.%s.example", i, team)}, "endpoints": endpoints,
				"healthCheck": map[string]any{"protocol": "HTTP", "port": port, "interval": "10s"}},
		})
		out = append(append(out, "---\n"...), append(route, '\n')...)
	}
	return out
}
