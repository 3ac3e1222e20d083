// Package cluster runs one local cluster in this process: the control plane, simulated nodes, and the stand-in for the
// cloud's load balancers.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/internal/controlplane"
	"github.com/hanse-dev/hanse/internal/localcluster"
	"github.com/hanse-dev/hanse/internal/localcluster/loadbalancer"
	"github.com/hanse-dev/hanse/internal/localcluster/nodes"
	"github.com/hanse-dev/hanse/internal/pki"
)

// stopTimeout is what an orderly stop may take.
const stopTimeout = 10 * time.Second

// Run runs the cluster whose directory is dir until ctx ends or the control plane fails. What it has to say about itself
// is in the cluster's state and, as lines, on out.
func Run(ctx context.Context, dir string, out io.Writer) error {
	spec, err := localcluster.LoadSpec(dir)
	if err != nil {
		return fmt.Errorf("%s is not the directory of a local cluster: %w. Try: hanse local create NAME", dir, err)
	}
	state, err := spec.LoadState()
	if err != nil {
		return err
	}
	state.PID, state.Ready, state.Error = os.Getpid(), false, ""
	if err = run(ctx, spec, &state, out); err == nil {
		return nil
	}
	// Whoever waits for the cluster reads there why it did not come.
	state.Ready, state.Error = false, err.Error()
	return errors.Join(err, spec.SaveState(state))
}

// run keeps in state what the cluster has had since its last start.
func run(ctx context.Context, spec localcluster.Spec, state *localcluster.State, out io.Writer) (err error) {
	plane, err := controlplane.Start(ctx, config(spec, out))
	if err != nil {
		return err
	}
	defer func() {
		stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		err = errors.Join(err, plane.Stop(stopping))
	}()
	// What follows ends before the control plane does.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := populate(ctx, spec, state, plane); err != nil {
		return err
	}
	state.Ready = true
	if err := spec.SaveState(*state); err != nil {
		return err
	}
	fmt.Fprintf(out, "cluster %s is ready: %s\n", spec.Name, plane.Address())
	// The start leaves garbage that a quiet cluster would keep for long, and several clusters share a machine.
	debug.FreeOSMemory()
	select {
	case <-ctx.Done():
		return nil
	case <-plane.Done():
		return plane.Err()
	}
}

func config(spec localcluster.Spec, out io.Writer) controlplane.Config {
	cfg := controlplane.Config{
		DataDir:       spec.DataDir(),
		Name:          spec.Name,
		Role:          controlplane.Member,
		Clock:         clock.RealClock{},
		Listen:        fmt.Sprintf("127.0.0.1:%d", spec.Port),
		Scheduler:     true,
		UnsafeNoFsync: true, // a killed process loses nothing by it, only a power failure does
		Log:           out,

		EmulatedVersion: spec.EmulatedVersion,
		Audit:           spec.Audit,
	}
	if spec.Components == localcluster.APIServer {
		cfg.Controllers = []string{} // none
		cfg.Scheduler = false
	}
	return cfg
}

// populate puts into the control plane what makes it a cluster, and returns when all is ready. What it starts ends
// with ctx.
func populate(ctx context.Context, spec localcluster.Spec, state *localcluster.State, plane *controlplane.ControlPlane) error {
	client, err := client(plane.RESTConfig())
	if err != nil {
		return err
	}
	version, err := client.Discovery().ServerVersion()
	if err != nil {
		return fmt.Errorf("ask the API server for its version: %w", err)
	}
	state.Version, state.Server = version.GitVersion, plane.Address()
	if spec.Components == localcluster.APIServer {
		return nil
	}
	if err := balance(ctx, spec, state, client); err != nil {
		return err
	}
	described, err := spec.Pool(version.GitVersion).Nodes(clock.RealClock{}.Now())
	if err != nil {
		return err
	}
	return nodes.Simulate(ctx, client, described, clock.RealClock{})
}

// balance starts the load balancers on the network of the last start, if it is still free.
func balance(ctx context.Context, spec localcluster.Spec, state *localcluster.State, client kubernetes.Interface) error {
	network, err := loadbalancer.Claim(state.Network, spec.Dir)
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { network.Close() })
	state.Network = network.String()
	authority, err := pki.EnsureAuthority(filepath.Join(spec.DataDir(), "pki", "ca.crt"), filepath.Join(spec.DataDir(), "pki", "ca.key"), spec.Name, clock.RealClock{}.Now)
	if err != nil {
		return err
	}
	return loadbalancer.Run(ctx, loadbalancer.Config{Client: client, Cluster: spec.Name, Network: network, Issuer: authority})
}

// client speaks protobuf, which costs the API server in this process a third less than JSON.
func client(cfg *rest.Config) (kubernetes.Interface, error) {
	cfg = rest.CopyConfig(cfg)
	cfg.ContentType = "application/vnd.kubernetes.protobuf"
	cfg.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	cfg.UserAgent = "hanse-local"
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("reach the API server: %w", err)
	}
	return client, nil
}
