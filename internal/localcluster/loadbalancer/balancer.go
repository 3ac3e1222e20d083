package loadbalancer

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
)

// Config is what a Balancer works with.
type Config struct {
	Client  kubernetes.Interface
	Cluster string   // its name, part of every answer
	Network *Network // where addresses come from
	Issuer  Issuer   // of the certificates for HTTPS
}

// balancer gives addresses to Services and Ingresses and listens there. All of its state but the answerer's belongs to
// the one worker.
type balancer struct {
	Config
	answerer
	certificates certificates
	queue        workqueue.TypedRateLimitingInterface[item]
	recorder     record.EventRecorder

	addresses map[objectKey]netip.Addr // of Services
	taken     map[netip.Addr]bool      // the same addresses
	sites     map[objectKey]*site      // of Services
	ingress   *site                    // of all Ingresses; nil while there is none
}

// item is an object to look at.
type item struct {
	ingress bool // else a Service
	key     objectKey
}

// Run keeps the addresses and what listens there in step with the cluster's objects until ctx ends, when everything is
// refused again. It returns when the addresses that objects had before are known.
func Run(ctx context.Context, cfg Config) error {
	factory := informers.NewSharedInformerFactoryWithOptions(cfg.Client, 0, informers.WithTransform(slim))
	events := record.NewBroadcaster(record.WithContext(ctx))
	events.StartRecordingToSink(&corev1client.EventSinkImpl{Interface: cfg.Client.CoreV1().Events("")})
	b := &balancer{
		Config: cfg,
		answerer: answerer{
			cluster:   cfg.Cluster,
			services:  factory.Core().V1().Services().Lister(),
			ingresses: factory.Networking().V1().Ingresses().Lister(),
			slices:    factory.Discovery().V1().EndpointSlices().Lister(),
			turns:     map[objectKey]int{},
		},
		certificates: certificates{issuer: cfg.Issuer, made: map[string]*tls.Certificate{}},
		queue:        workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[item]()),
		recorder:     events.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "service-controller"}),
		addresses:    map[objectKey]netip.Addr{},
		taken:        map[netip.Addr]bool{},
		sites:        map[objectKey]*site{},
	}
	watches := []struct {
		informer cache.SharedIndexInformer
		ingress  bool
	}{{factory.Core().V1().Services().Informer(), false}, {factory.Networking().V1().Ingresses().Informer(), true}}
	for _, w := range watches {
		if _, err := w.informer.AddEventHandler(b.enqueue(w.ingress)); err != nil {
			return fmt.Errorf("watch for load balancers: %w", err)
		}
	}
	factory.StartWithContext(ctx)
	if result := factory.WaitForCacheSyncWithContext(ctx); result.Err != nil {
		return fmt.Errorf("watch for load balancers: %w", result.Err)
	}
	if err := b.remember(); err != nil {
		return err
	}
	go b.work(ctx)
	context.AfterFunc(ctx, func() {
		events.Shutdown()
		b.queue.ShutDown()
	})
	return nil
}

// slim drops what nobody here reads from the caches.
func slim(object any) (any, error) {
	if accessor, err := meta.Accessor(object); err == nil {
		accessor.SetManagedFields(nil)
	}
	return object, nil
}

func (b *balancer) enqueue(ingress bool) cache.ResourceEventHandler {
	add := func(object any) {
		if deleted, ok := object.(cache.DeletedFinalStateUnknown); ok {
			object = deleted.Obj
		}
		if accessor, err := meta.Accessor(object); err == nil {
			b.queue.Add(item{ingress, objectKey{accessor.GetNamespace(), accessor.GetName()}})
		}
	}
	return cache.ResourceEventHandlerFuncs{AddFunc: add, UpdateFunc: func(_, object any) { add(object) }, DeleteFunc: add}
}

// remember reserves the addresses that Services have from before a restart, before any other gets one.
func (b *balancer) remember() error {
	services, err := b.services.List(labels.Everything())
	if err != nil {
		return fmt.Errorf("list services: %w", err)
	}
	slices.SortFunc(services, func(x, y *corev1.Service) int { return x.CreationTimestamp.Compare(y.CreationTimestamp.Time) })
	for _, service := range services {
		if address, ok := currentAddress(service); ok && b.Network.isService(address) && !b.taken[address] {
			b.assign(objectKey{service.Namespace, service.Name}, address)
		}
	}
	return nil
}

func currentAddress(service *corev1.Service) (netip.Addr, bool) {
	if len(service.Status.LoadBalancer.Ingress) == 0 {
		return netip.Addr{}, false
	}
	address, err := netip.ParseAddr(service.Status.LoadBalancer.Ingress[0].IP)
	return address, err == nil
}

func (b *balancer) assign(key objectKey, address netip.Addr) {
	b.addresses[key] = address
	b.taken[address] = true
}

func (b *balancer) work(ctx context.Context) {
	defer b.closeAll()
	for {
		next, shutdown := b.queue.Get()
		if shutdown {
			return
		}
		err := b.sync(ctx, next)
		if err == nil || apierrors.IsNotFound(err) || ctx.Err() != nil {
			b.queue.Forget(next)
		} else {
			klog.FromContext(ctx).Error(err, "Load balancer is not as it should be, trying again", "object", next.key)
			b.queue.AddRateLimited(next)
		}
		b.queue.Done(next)
	}
}

func (b *balancer) closeAll() {
	for _, s := range b.sites {
		s.close()
	}
	if b.ingress != nil {
		b.ingress.close()
	}
}

func (b *balancer) sync(ctx context.Context, i item) error {
	if i.ingress {
		return b.syncIngress(ctx, i.key)
	}
	return b.syncService(ctx, i.key)
}

func (b *balancer) syncService(ctx context.Context, key objectKey) error {
	service, err := b.services.Services(key.namespace).Get(key.name)
	if apierrors.IsNotFound(err) || (err == nil && service.Spec.Type != corev1.ServiceTypeLoadBalancer) {
		b.release(key) // the API server itself empties the status of another type
		return nil
	}
	if err != nil {
		return err
	}
	if err := b.serve(key, service); err != nil {
		b.recorder.Event(service, corev1.EventTypeWarning, "SyncLoadBalancerFailed", err.Error())
		return err
	}
	return b.writeService(ctx, service, b.addresses[key])
}

// serve makes sure that the Service has an address and that its ports are listened on.
func (b *balancer) serve(key objectKey, service *corev1.Service) error {
	address, ok := b.addresses[key]
	if !ok {
		var err error
		if address, err = b.Network.free(b.taken); err != nil {
			return err
		}
		b.assign(key, address)
	}
	if b.sites[key] == nil {
		b.sites[key] = newSite(address, b.service(key), b.certificates.config())
	}
	return b.sites[key].listen(listenPorts(servicePorts(service)))
}

func (b *balancer) release(key objectKey) {
	if site := b.sites[key]; site != nil {
		site.close()
	}
	delete(b.sites, key)
	delete(b.taken, b.addresses[key])
	delete(b.addresses, key)
	b.forget(key)
}

func (b *balancer) syncIngress(ctx context.Context, key objectKey) error {
	all, err := b.ingresses.List(labels.Everything())
	if err != nil {
		return err
	}
	if len(all) == 0 {
		if b.ingress != nil {
			b.ingress.close()
			b.ingress = nil
		}
		return nil
	}
	ingress, err := b.ingresses.Ingresses(key.namespace).Get(key.name)
	if err != nil {
		return err // not found: its address is the others' too
	}
	if b.ingress == nil {
		b.ingress = newSite(b.Network.ingress(), http.HandlerFunc(b.answerer.ingress), b.certificates.config())
	}
	if err := b.ingress.listen(listenPorts(ingressPorts())); err != nil {
		b.recorder.Event(ingress, corev1.EventTypeWarning, "SyncLoadBalancerFailed", err.Error())
		return err
	}
	return b.writeIngress(ctx, ingress)
}
