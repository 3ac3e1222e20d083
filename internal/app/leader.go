package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/klog/v2"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// The hub that propagates renews its lease; another one on the same database
// takes over when it has not been renewed for leaseDuration. The values are
// kube-controller-manager's.
const (
	leaseDuration = 15 * time.Second
	renewDeadline = 10 * time.Second
	retryPeriod   = 2 * time.Second
)

// errLeaseLost ends a hub whose lease another one may have by now.
var errLeaseLost = errors.New("the lease hanse-system/hanse-hub was lost: another hub on the same etcd may propagate now. Try: start this hub again, it waits for its turn")

// led runs do while this hub holds the lease that all hubs on one outside etcd
// share: their API servers all serve, one of them propagates. It blocks until
// ctx ends, do returns, or the lease is lost.
func led(ctx context.Context, hub *rest.Config, do func(context.Context) error) error {
	client, err := kubernetes.NewForConfig(hub)
	if err != nil {
		return fmt.Errorf("make a client for the hub: %w", err)
	}
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("find this machine's name: %w", err)
	}
	electing, cancel := context.WithCancel(ctx)
	defer cancel()
	began := make(chan struct{})
	ended := make(chan error, 1)
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Namespace: v1alpha1.SystemNamespace, Name: "hanse-hub"},
			Client:     client.CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: host + "/" + string(uuid.NewUUID())},
		},
		ReleaseOnCancel: true,
		LeaseDuration:   leaseDuration, RenewDeadline: renewDeadline, RetryPeriod: retryPeriod,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(leading context.Context) {
				close(began)
				defer cancel()
				ended <- do(leading)
			},
			OnStoppedLeading: func() {},
			OnNewLeader:      func(who string) { klog.FromContext(ctx).Info("Leader changed", "leader", who) },
		},
	})
	if err != nil {
		return fmt.Errorf("prepare the lease: %w", err)
	}
	elector.Run(electing)
	select {
	case <-began:
	default:
		return nil // never led
	}
	err = <-ended
	if err == nil && ctx.Err() == nil {
		return errLeaseLost
	}
	return err
}
