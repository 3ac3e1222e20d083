package tenancy

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/trouble"
	"github.com/hanse-dev/hanse/internal/watch"
)

const (
	// settle is how long changes are gathered before a pass; it is part of the time until somebody's rights are gone.
	settle = 100 * time.Millisecond
	// retryFirst and retryLast bound how long a pass that failed waits for the next.
	retryFirst, retryLast = 200 * time.Millisecond, 30 * time.Second
)

// Controller keeps what Organizations and Workspaces mean. Make it with New.
type Controller struct {
	clock   clock.WithTickerAndDelayedExecution
	watched rest.Interface
	client  kubernetes.Interface
	dynamic dynamic.Interface
	changed chan struct{}
	trouble trouble.Log[string]

	mu            sync.Mutex // guards all that follows
	organizations map[string]*unstructured.Unstructured
	workspaces    map[string]*unstructured.Unstructured
	namespaces    map[string]*corev1.Namespace

	roles       managed[*rbacv1.ClusterRole]
	clusterWide managed[*rbacv1.ClusterRoleBinding]
	bindings    managed[*rbacv1.RoleBinding]
	quotas      managed[*corev1.ResourceQuota]
	residencies managed[*unstructured.Unstructured]
}

// New makes a Controller for a hub that cfg reaches as its administrator. It asks nothing yet.
func New(cfg *rest.Config, clock clock.WithTickerAndDelayedExecution) (*Controller, error) {
	watched, err := watch.NewClient(cfg)
	if err != nil {
		return nil, fmt.Errorf("make a client for the hub: %w", err)
	}
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("make a client for the hub: %w", err)
	}
	dyn, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("make a client for the hub: %w", err)
	}
	return newController(watched, client, dyn, clock), nil
}

func newController(watched rest.Interface, client kubernetes.Interface, dyn dynamic.Interface, clock clock.WithTickerAndDelayedExecution) *Controller {
	c := &Controller{clock: clock, watched: watched, client: client, dynamic: dyn, changed: make(chan struct{}, 1)}
	c.roles = managed[*rbacv1.ClusterRole]{writer: func(string) writer[*rbacv1.ClusterRole] { return client.RbacV1().ClusterRoles() }, carry: carryRole}
	c.clusterWide = managed[*rbacv1.ClusterRoleBinding]{writer: func(string) writer[*rbacv1.ClusterRoleBinding] { return client.RbacV1().ClusterRoleBindings() }, carry: carryClusterWide}
	c.bindings = managed[*rbacv1.RoleBinding]{writer: func(ns string) writer[*rbacv1.RoleBinding] { return client.RbacV1().RoleBindings(ns) }, carry: carryBinding}
	c.quotas = managed[*corev1.ResourceQuota]{writer: func(ns string) writer[*corev1.ResourceQuota] { return client.CoreV1().ResourceQuotas(ns) }, carry: carryQuota}
	c.residencies = managed[*unstructured.Unstructured]{writer: func(string) writer[*unstructured.Unstructured] {
		return residencies{dyn.Resource(v1alpha1.Resource("residencies"))}
	}, carry: carryResidency}
	return c
}

// Run watches and writes until ctx ends.
func (c *Controller) Run(ctx context.Context) error {
	ctx = klog.NewContext(ctx, klog.FromContext(ctx).WithValues("controller", "tenancy"))
	var all, first sync.WaitGroup
	c.watch(ctx, &all, &first)
	listed := make(chan struct{})
	go func() { first.Wait(); close(listed) }()
	select {
	case <-listed:
		c.passes(ctx)
	case <-ctx.Done():
	}
	all.Wait()
	return nil
}

// passes makes one after the first lists, and one after each change, until ctx ends.
func (c *Controller) passes(ctx context.Context) {
	retry := retryFirst
	for {
		wait := c.pass(ctx)
		var again <-chan time.Time
		switch {
		case wait.failed:
			again = c.clock.After(retry)
			retry = min(2*retry, retryLast)
		case wait.until > 0:
			again = c.clock.After(wait.until)
			retry = retryFirst
		default:
			retry = retryFirst
		}
		select {
		case <-c.changed:
		case <-again:
			continue
		case <-ctx.Done():
			return
		}
		select { // changes come in groups
		case <-c.clock.After(settle):
		case <-ctx.Done():
			return
		}
		select {
		case <-c.changed:
		default:
		}
	}
}

// change is called with every change of what is watched; update has c.mu.
func (c *Controller) change(update func()) {
	c.mu.Lock()
	update()
	c.mu.Unlock()
	select {
	case c.changed <- struct{}{}:
	default:
	}
}
