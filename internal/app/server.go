// Package app wires the hub together; it decides nothing itself.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"runtime/debug"
	"time"

	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/internal/admission"
	"github.com/hanse-dev/hanse/internal/attribution"
	"github.com/hanse-dev/hanse/internal/controlplane"
	"github.com/hanse-dev/hanse/internal/controlplane/datadir"
	"github.com/hanse-dev/hanse/internal/controlplane/hubs"
	"github.com/hanse-dev/hanse/internal/dns/grant"
	"github.com/hanse-dev/hanse/internal/policy"
	"github.com/hanse-dev/hanse/internal/propagate/policies"
)

const (
	// hubContext is the name of the hub's context in its kubeconfig.
	hubContext = "federation"
	// startTimeout bounds how long a hub may take to become ready.
	startTimeout = 2 * time.Minute
	// stopTimeout bounds an orderly stop, after which the process just ends:
	// etcd's log makes that safe.
	stopTimeout = 9 * time.Second
	// gcPercent trades memory for processor time; an own GOGC wins. A hub with little
	// in it is far below the limit that limitMemory sets, and collects half as often as with 75.
	gcPercent = 130
)

// ServerOptions are the settings of a hub.
type ServerOptions struct {
	// DataDir is the hub's directory, made when it does not exist.
	DataDir string
	// Listen is HOST:PORT; port 0 is chosen once and kept.
	Listen string
	// EtcdServers are URLs of an outside etcd; empty: it runs in this process.
	EtcdServers []string
	EtcdTLS     controlplane.EtcdTLS
	// Encryption says by what the database is encrypted.
	Encryption controlplane.Encryption
	// Join says where the keys of that etcd are got from.
	Join hubs.Invited
	DNS  DNSOptions
	// FailoverAfter is how long a cluster has to be out of reach for its replicas to
	// fail over to others; 0: never.
	FailoverAfter time.Duration
	// Place is where the hub is, as is declared, by which Residencies say whether it may store what they restrict.
	Place policy.Cluster
	// Propagation is how objects propagate of which nothing says anything else.
	Propagation policies.Defaults
	// FlightBytes bounds what is kept on disk of what was decided, in DataDir/flight; 0: nothing is kept.
	FlightBytes int64
	// OIDC is the identity provider whose users the hub knows; nil: there is none.
	OIDC *datadir.OIDC
	// APIServer are flags of kube-apiserver, of those that controlplane.PassedOn names.
	APIServer map[string]string
	// CertificateLife is how long the hub's own certificates are valid, AdminLife how long admin.kubeconfig is.
	CertificateLife, AdminLife time.Duration
	// TellMembers is what members are told of the author of the write at the hub that led to one there.
	TellMembers attribution.Tell
}

// DNSOptions are the settings of a hub's DNS.
type DNSOptions struct {
	// Listen are HOST:PORT; "off" or none: the hub answers no queries.
	Listen []string
	// Database is the path of an mmdb; empty: the one in the binary.
	Database string
	// Resolver is HOST:PORT; empty: the system's.
	Resolver string
	// RateLimit is how many equal answers a second a network gets; 0: no limit.
	RateLimit int
	// Names are what the administrator says of names.
	Names grant.Terms
	// ProbeNetworks are what may be probed, whatever it is.
	ProbeNetworks []netip.Prefix
}

// Server runs a hub until ctx ends, which is no error, or a part of it dies.
// Progress goes to log, a line each.
func Server(ctx context.Context, o ServerOptions, log io.Writer) error {
	// Upstream's clients decode what members send in goroutines of their own, which hand
	// panics on unless they are told not to: one member must not end the process of all.
	utilruntime.ReallyCrash = false
	clock := clock.RealClock{}
	began := clock.Now()
	setGCPercent()
	over, stop := context.WithCancel(ctx)
	defer stop()
	go returnMemory(over)
	go limitMemory(over)
	measured, err := newMetrics()
	if err != nil {
		return err
	}

	// The control plane comes first and goes last: everything else is its client.
	starting, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	later := late{clock: clock, people: people{provider: o.OIDC}, audit: o.audited()}
	renewed := &renewals{}
	authors := attribution.NewAuthors(o.TellMembers)
	hub, err := controlplane.Start(starting, controlplane.Config{
		DataDir:     o.DataDir,
		Name:        hubContext,
		Role:        controlplane.Hub,
		Clock:       clock,
		Listen:      o.Listen,
		EtcdServers: o.EtcdServers,
		EtcdTLS:     o.EtcdTLS,
		Join:        o.Join,
		Encryption:  o.Encryption,
		Filter:      later.filter,
		Admission:   []controlplane.AdmissionPlugin{{Name: admission.Name, New: admission.New}},
		Authors:     authors,
		ReadyChecks: []controlplane.ReadyCheck{{Name: "propagation", Check: later.ready}},
		Log:         log,

		OIDC:            o.OIDC,
		Flags:           o.APIServer,
		CertificateLife: o.CertificateLife,
		AdminLife:       o.AdminLife,
		Renewed:         renewed.told,
	})
	if err != nil {
		return interrupted(ctx, err)
	}
	later.people.hub.Store(hub)

	// Then its own kinds and its Namespace, which everything else refers to, and
	// last what speaks to members.
	var members *federation
	err = errors.Join(prepare(starting, hub.RESTConfig()), renewed.record(observed(over, measured, hub.Log()), hub.RESTConfig()))
	if err == nil {
		members, err = newFederation(starting, hub.RESTConfig(), shared{clock: clock, metrics: measured, authors: authors, ends: hub.Ends()}, o)
	}
	if err == nil {
		later.engine.Store(members.engine)
		later.dns.Store(members.dns)
		later.tenancy.Store(members.tenancy)
		members.measure(measured, hub)
		err = serve(observed(ctx, measured, hub.Log()), hub, func(ctx context.Context) error {
			if len(o.EtcdServers) == 0 {
				measured.Hub.Leading(true)
				return members.run(ctx) // the lock on DataDir keeps others away
			}
			later.standby.Store(true)
			turn, err := newLease(hub.RESTConfig(), clock)
			if err != nil {
				return err
			}
			members.fleet.Fence(turn.Held)
			return turn.Lead(ctx, func(ctx context.Context) error {
				later.standby.Store(false)
				measured.Hub.Leading(true)
				return members.run(ctx)
			})
		}, func() {
			fmt.Fprintf(log, "hub ready at %s in %.1f s\nkubeconfig: %s (context %s)\n",
				hub.Address(), clock.Since(began).Seconds(), hub.KubeconfigPath(), hubContext)
		})
	}

	stopping, cancelStop := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancelStop()
	return errors.Join(interrupted(ctx, err), hub.Stop(stopping))
}

// serve runs what makes a control plane a hub, until ctx ends or a part dies.
// Members are let go before it returns, while the API server still answers. It
// calls ready once /readyz is ok.
func serve(ctx context.Context, hub *controlplane.ControlPlane, federate func(context.Context) error, ready func()) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- federate(ctx) }()
	go func() {
		if hub.WaitReady(ctx) == nil {
			ready()
		}
	}()
	select {
	case err := <-done:
		return err
	case <-hub.Done():
		cancel()
		return errors.Join(hub.Err(), <-done)
	}
}

// prepare installs what the hub needs in its own API. Idempotent.
func prepare(ctx context.Context, config *rest.Config) error {
	// First, so that whoever waits for the hub with admin.kubeconfig gets answers.
	if err := ensureAdmins(ctx, config); err != nil {
		return fmt.Errorf("creating the rights of administrators: %w", err)
	}
	if err := installKinds(ctx, config); err != nil {
		return fmt.Errorf("installing the kinds of hanse.dev: %w", err)
	}
	if err := ensureNamespace(ctx, config); err != nil {
		return fmt.Errorf("creating the hub's namespace: %w", err)
	}
	if err := ensureRoles(ctx, config); err != nil {
		return fmt.Errorf("creating the roles for the hub's kinds: %w", err)
	}
	return nil
}

// interrupted drops an error that is only the echo of the end of ctx.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// setGCPercent sets gcPercent unless the environment says otherwise.
func setGCPercent() {
	if old := debug.SetGCPercent(gcPercent); old != 100 {
		debug.SetGCPercent(old)
	}
}
