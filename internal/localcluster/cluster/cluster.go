// Package cluster runs one local cluster in this process: the control plane, simulated nodes, and the stand-in for the
// cloud's load balancers.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/hanse-dev/hanse/internal/controlplane"
	"github.com/hanse-dev/hanse/internal/localcluster"
	"github.com/hanse-dev/hanse/internal/localcluster/nodes"
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
	err = run(ctx, spec, out)
	if err == nil {
		return nil
	}
	// Whoever waits for the cluster reads there why it did not come.
	return errors.Join(err, spec.SaveState(localcluster.State{PID: os.Getpid(), Error: err.Error()}))
}

func run(ctx context.Context, spec localcluster.Spec, out io.Writer) (err error) {
	debug.SetGCPercent(gcPercent)
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
	state, err := populate(ctx, spec, plane)
	if err != nil {
		return err
	}
	if err := spec.SaveState(state); err != nil {
		return err
	}
	fmt.Fprintf(out, "cluster %s is ready: %s\n", spec.Name, plane.Address())
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
		Listen:        fmt.Sprintf("127.0.0.1:%d", spec.Port),
		Scheduler:     true,
		UnsafeNoFsync: true, // a killed process loses nothing by it, only a power failure does
		Log:           out,
	}
	if spec.Components == localcluster.APIServer {
		cfg.Controllers = []string{"-*"}
		cfg.Scheduler = false
	}
	return cfg
}

// populate puts into the control plane what makes it a cluster, and returns when all is ready. What it starts ends
// with ctx.
func populate(ctx context.Context, spec localcluster.Spec, plane *controlplane.ControlPlane) (localcluster.State, error) {
	client, err := client(plane.RESTConfig())
	if err != nil {
		return localcluster.State{}, err
	}
	version, err := client.Discovery().ServerVersion()
	if err != nil {
		return localcluster.State{}, fmt.Errorf("ask the API server for its version: %w", err)
	}
	state := localcluster.State{PID: os.Getpid(), Ready: true, Version: version.GitVersion, Server: plane.Address()}
	if spec.Components == localcluster.APIServer {
		return state, nil
	}
	described, err := spec.Pool(version.GitVersion).Nodes()
	if err != nil {
		return state, err
	}
	return state, nodes.Simulate(ctx, client, described)
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

// gcPercent trades CPU for memory: see the measurements in docs.
const gcPercent = 100
