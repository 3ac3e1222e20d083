package fleet

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/fleet/access"
	"github.com/hanse-dev/hanse/internal/metrics"
)

// Fleet watches the Clusters of a hub and keeps in touch with each.
type Fleet struct {
	clusterClient *access.ClusterClient
	kube          kubernetes.Interface
	hubUID        string
	prop          Propagator
	clock         clock.Clock
	events        events
	metrics       *metrics.Fleet // nil: nothing is measured
	fence         func() error   // nil: there is none

	clusters cache.Indexer
	secrets  cache.Store
	synced   func() bool // whether clusters holds all of them

	mu      sync.Mutex
	members map[string]*member // by name of the Cluster
	wg      sync.WaitGroup
}

// New makes the Fleet of a hub; hubUID is the UID of the hub's kube-system
// Namespace. Nothing is dialled before Run.
func New(hub *rest.Config, hubUID string, clock clock.Clock, p Propagator) (*Fleet, error) {
	clusters, err := access.NewClusterClient(hub)
	if err != nil {
		return nil, err
	}
	kube, err := kubernetes.NewForConfig(hub)
	if err != nil {
		return nil, fmt.Errorf("cannot make a client for the hub: %w", err)
	}
	return &Fleet{
		clusterClient: clusters, kube: kube, hubUID: hubUID, prop: p,
		clock: clock, members: map[string]*member{},
	}, nil
}

// Measure has the fleet measured by m; it is called before Run.
func (f *Fleet) Measure(m *metrics.Fleet) { f.metrics = m }

// Fence has nothing sent to a member, not a byte, while held returns an error. held is called before each write to a connection
// and must not block; Fence is called before Run.
func (f *Fleet) Fence(held func() error) { f.fence = held }

// Run keeps the members' status true until ctx ends. Then no member is engaged
// any more and nothing of it runs on.
func (f *Fleet) Run(ctx context.Context) error {
	stop, err := f.startEvents(ctx)
	if err != nil {
		return err
	}
	defer stop()
	// Secrets first: a member that is found without its credential would be
	// called denied.
	secrets, secretsCtl := cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: f.listSecrets(),
		ObjectType:    &corev1.Secret{},
		Handler: cache.ResourceEventHandlerFuncs{
			AddFunc:    func(o any) { f.secretChanged(o) },
			UpdateFunc: func(_, o any) { f.secretChanged(o) },
			DeleteFunc: func(o any) { f.secretChanged(o) },
		},
	})
	clusters, clustersCtl := cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: f.listClusters(),
		ObjectType:    &v1alpha1.Cluster{},
		Indexers:      clusterIndex(),
		Handler: cache.ResourceEventHandlerFuncs{
			AddFunc:    func(o any) { f.start(ctx, o.(*v1alpha1.Cluster)) },
			UpdateFunc: func(old, o any) { f.update(ctx, old.(*v1alpha1.Cluster), o.(*v1alpha1.Cluster)) },
			DeleteFunc: func(o any) { f.stop(o) },
		},
	})
	f.secrets, f.clusters, f.synced = secrets, clusters.(cache.Indexer), clustersCtl.HasSynced // as there are Indexers
	f.wg.Go(func() { secretsCtl.RunWithContext(ctx) })
	if !cache.WaitForCacheSync(ctx.Done(), secretsCtl.HasSynced) {
		f.wg.Wait()
		return nil
	}
	clustersCtl.RunWithContext(ctx)
	f.wg.Wait()
	return nil
}

// startEvents makes the recorder of events about Clusters.
func (f *Fleet) startEvents(ctx context.Context) (stop func(), err error) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("cannot register the kinds of hanse.dev: %w", err)
	}
	broadcaster := record.NewBroadcaster(record.WithContext(ctx))
	broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: f.kube.CoreV1().Events("")})
	f.events = events{broadcaster.NewRecorder(scheme, corev1.EventSource{Component: "hanse"})}
	return broadcaster.Shutdown, nil
}

func (f *Fleet) listSecrets() cache.ListerWatcher {
	secrets := f.kube.CoreV1().Secrets(v1alpha1.SystemNamespace)
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return secrets.List(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return secrets.Watch(ctx, o)
		},
	}
}

func (f *Fleet) listClusters() cache.ListerWatcher {
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return f.clusterClient.List(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return f.clusterClient.Watch(ctx, o)
		},
	}
}

// start runs the goroutine of a member, after that of a predecessor of the
// same name has ended.
func (f *Fleet) start(ctx context.Context, c *v1alpha1.Cluster) {
	f.mu.Lock()
	defer f.mu.Unlock()
	before := f.members[c.Name]
	m := newMember(f, c.Name)
	runCtx, cancel := context.WithCancel(ctx)
	m.cancel = cancel
	f.members[c.Name] = m
	f.wg.Go(func() {
		defer close(m.done)
		if before != nil {
			before.cancel()
			<-before.done
		}
		m.run(runCtx)
	})
}

// update wakes a member if its user changed something; what fleet itself
// writes is not news.
func (f *Fleet) update(ctx context.Context, old, c *v1alpha1.Cluster) {
	if old.UID != c.UID {
		f.start(ctx, c)
		return
	}
	if old.Generation != c.Generation || !old.DeletionTimestamp.Equal(c.DeletionTimestamp) ||
		!equality.Semantic.DeepEqual(old.Annotations, c.Annotations) {
		f.wake(c.Name)
	}
}

func (f *Fleet) stop(o any) {
	key, err := cache.DeletionHandlingMetaNamespaceKeyFunc(o)
	if err != nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if m := f.members[key]; m != nil {
		m.cancel()
	}
}

// secretChanged wakes the members whose credential it is.
func (f *Fleet) secretChanged(o any) {
	key, err := cache.DeletionHandlingMetaNamespaceKeyFunc(o)
	if err != nil {
		return
	}
	for _, o := range f.clusters.List() {
		c := o.(*v1alpha1.Cluster)
		if v1alpha1.SystemNamespace+"/"+c.Spec.CredentialSecret == key {
			f.wake(c.Name)
		}
	}
}

// Members are the names of all Clusters, and of those that have left and are not gone yet, in no order.
func (f *Fleet) Members() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Collect(maps.Keys(f.members))
}

// wake has a member looked at now.
func (f *Fleet) wake(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if m := f.members[name]; m != nil {
		m.wake()
	}
}

// cluster is the Cluster as last seen; it must not be modified.
func (f *Fleet) cluster(name string) (*v1alpha1.Cluster, bool) {
	o, ok, err := f.clusters.GetByKey(name)
	if err != nil || !ok {
		return nil, false
	}
	return o.(*v1alpha1.Cluster), true
}

// credential is what the hub has for a Cluster; ok is false if it has none.
func (f *Fleet) credential(c *v1alpha1.Cluster) (cred access.Credential, ok bool) {
	o, ok, err := f.secrets.GetByKey(v1alpha1.SystemNamespace + "/" + c.Spec.CredentialSecret)
	if err != nil || !ok {
		return access.Credential{}, false
	}
	cred = access.CredentialFrom(o.(*corev1.Secret))
	return cred, cred.Token != ""
}
