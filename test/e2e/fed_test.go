package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/test/federation"
)

// fed is a running federation.
type fed struct {
	name    string
	home    *federation.Home
	hub     *federation.Hub
	members []*federation.Member

	at     *clients            // the hub
	in     map[string]*clients // the members, by name, reached directly
	mapper *restmapper.DeferredDiscoveryRESTMapper
}

// clients reach one API server as its administrator.
type clients struct {
	name string
	kubernetes.Interface
	dynamic dynamic.Interface
	config  *rest.Config
}

func newClients(name string, cfg *rest.Config, err error) (*clients, error) {
	if err != nil {
		return nil, err
	}
	quick := rest.CopyConfig(cfg)
	quick.ContentType = "application/vnd.kubernetes.protobuf"
	typed, err := kubernetes.NewForConfig(quick)
	if err != nil {
		return nil, err
	}
	dyn, err := dynamic.NewForConfig(cfg)
	return &clients{name: name, Interface: typed, dynamic: dyn, config: cfg}, err
}

func (f *fed) connect() error {
	cfg, err := f.hub.Config()
	if f.at, err = newClients("hub", cfg, err); err != nil {
		return err
	}
	f.mapper = restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(f.at.Discovery()))
	f.in = map[string]*clients{}
	for _, m := range f.members {
		cfg, err := m.Config()
		if f.in[m.Name], err = newClients(m.Name, cfg, err); err != nil {
			return err
		}
	}
	return nil
}

func (f *fed) member(name string) *federation.Member {
	for _, m := range f.members {
		if m.Name == name {
			return m
		}
	}
	panic("no member " + name)
}

// shared is the federation of tests that break nothing.
func shared(t *testing.T) *fed { return use(t, suite.shared) }

func use(t *testing.T, get func() (*fed, error)) *fed {
	t.Helper()
	f, err := get()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			if log, err := os.ReadFile(f.hub.Log()); err == nil {
				t.Logf("the hub's log ends: %s", log[max(0, len(log)-3000):])
			}
		}
	})
	return f
}

// own starts a federation for one test, which may do with it what it likes.
func own(t *testing.T, name string, specs ...federation.MemberSpec) *fed {
	t.Helper()
	f := use(t, func() (*fed, error) { return start(suite.home, name, specs...) })
	t.Cleanup(func() { f.end() })
	return f
}

func (f *fed) end() {
	ctx := context.Background()
	if f.hub.PID() != 0 {
		_ = f.hub.Kill(ctx) // it is not needed any more, the guard ends it otherwise
	}
	for _, m := range f.members {
		_, _ = f.home.Run(ctx, "local", "delete", m.Name, "--dir", f.home.Dir)
		if m.Proxy != nil {
			m.Proxy.Close()
		}
	}
}

// poll is how often a condition is looked at.
const poll = 100 * time.Millisecond

// soon is for what takes a moment on an idle machine; tests wait that long only
// when they fail.
const soon = 90 * time.Second

// eventually waits until cond returns nil. When the deadline passes, the test
// fails with what cond said last.
func eventually(t *testing.T, deadline time.Duration, cond func(ctx context.Context) error) {
	t.Helper()
	if err := await(t.Context(), deadline, cond); err != nil {
		t.Fatal(err)
	}
}

func await(ctx context.Context, deadline time.Duration, cond func(ctx context.Context) error) error {
	last := errors.New("nothing was seen")
	var next time.Time
	err := wait.PollUntilContextTimeout(ctx, poll, deadline, true, func(ctx context.Context) (bool, error) {
		began := time.Now()
		if began.Before(next) {
			return false, nil
		}
		err := cond(ctx)
		// A condition that takes long does not take the machine from what it is
		// waiting for.
		next = time.Now().Add(5 * time.Since(began))
		if ctx.Err() == nil {
			last = err
		}
		return err == nil, nil
	})
	if err != nil {
		return fmt.Errorf("not within %s: %w", deadline, last)
	}
	return nil
}

// resource says where objects of a kind are served at the hub.
func (f *fed) resource(gvk schema.GroupVersionKind) (*meta.RESTMapping, error) {
	m, err := f.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if meta.IsNoMatchError(err) {
		f.mapper.Reset()
		m, err = f.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	}
	return m, err
}

// namespace makes a namespace at the hub that goes with the test.
func (f *fed) namespace(t *testing.T, name string) string {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if _, err := f.at.CoreV1().Namespaces().Create(t.Context(), ns, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = f.at.CoreV1().Namespaces().Delete(context.Background(), name, metav1.DeleteOptions{}) // the federation ends soon anyway
	})
	return name
}

// placement is what the hub says about an object, nil if it says nothing.
func (f *fed) placement(ctx context.Context, ns, name string) (*v1alpha1.Placement, error) {
	u, err := f.at.dynamic.Resource(v1alpha1.Resource("placements")).Namespace(ns).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	return as[v1alpha1.Placement](u)
}

func (f *fed) cluster(ctx context.Context, name string) (*v1alpha1.Cluster, error) {
	u, err := f.at.dynamic.Resource(v1alpha1.Resource("clusters")).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	return as[v1alpha1.Cluster](u)
}

func as[T any](u *unstructured.Unstructured) (*T, error) {
	out := new(T)
	return out, runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, out)
}

// clusterIs waits until the Ready condition of a cluster has that reason.
func (f *fed) clusterIs(t *testing.T, name, reason string) {
	t.Helper()
	eventually(t, soon, func(ctx context.Context) error { return f.hasReason(ctx, name, reason) })
}

func (f *fed) hasReason(ctx context.Context, name, reason string) error {
	c, err := f.cluster(ctx, name)
	if err != nil {
		return err
	}
	ready := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionReady)
	if ready == nil || ready.Reason != reason {
		return fmt.Errorf("cluster %s: %+v, want reason %s", name, ready, reason)
	}
	return nil
}

// hanse runs the binary against the federation's hub.
func (f *fed) hanse(t *testing.T, args ...string) federation.Result {
	t.Helper()
	result, err := f.home.Run(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// objects are the hub's of the kind of o, in its namespace.
func (f *fed) objects(t *testing.T, o *unstructured.Unstructured) dynamic.ResourceInterface {
	t.Helper()
	m, err := f.resource(o.GroupVersionKind())
	if err != nil {
		t.Fatal(err)
	}
	return f.at.dynamic.Resource(m.Resource).Namespace(o.GetNamespace())
}

// condition says whether a condition of a cluster has that status.
func (f *fed) condition(ctx context.Context, cluster, typ string, status metav1.ConditionStatus) error {
	c, err := f.cluster(ctx, cluster)
	if err != nil {
		return err
	}
	if !meta.IsStatusConditionPresentAndEqual(c.Status.Conditions, typ, status) {
		return fmt.Errorf("cluster %s: condition %s is %+v, want %s", cluster, typ, meta.FindStatusCondition(c.Status.Conditions, typ), status)
	}
	return nil
}
