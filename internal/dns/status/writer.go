// Package status writes the statuses of GlobalRoutes and DNSZones.
package status

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/trouble"
)

const (
	// rest is the least time between two writes of one status.
	rest = time.Second
	// workers write at once, so that 10,000 routes are not written one by one.
	workers = 4
)

// Writer writes statuses, each at most once a second, and only if it says something new. Its methods may be called from any
// goroutine and do not block, but for Run.
type Writer struct {
	client dynamic.Interface
	clock  clock.WithTicker
	queue  workqueue.TypedDelayingInterface[key]

	mu      sync.Mutex
	wanted  map[key]pending
	written map[key]pending
	at      map[key]time.Time
	trouble trouble.Log[key]
}

type key struct {
	resource        schema.GroupVersionResource
	namespace, name string
}

// pending is a status to write, and the object's UID, so that it does not land on a namesake.
type pending struct {
	uid    types.UID
	status any
}

// New makes a Writer. Nothing is written before Run.
func New(client dynamic.Interface, c clock.WithTicker) *Writer {
	return &Writer{
		client: client, clock: c, wanted: map[key]pending{}, written: map[key]pending{}, at: map[key]time.Time{},
		queue: workqueue.NewTypedDelayingQueueWithConfig(workqueue.TypedDelayingQueueConfig[key]{Name: "dns-status", Clock: c}),
	}
}

// Route has the status of a route written, with the times of what has not changed.
func (w *Writer) Route(r *v1alpha1.GlobalRoute, s v1alpha1.GlobalRouteStatus) {
	key := routeKey(r.Namespace, r.Name)
	w.mu.Lock()
	defer w.mu.Unlock()
	before := r.Status
	if b, ok := w.latest(key, r.UID).(v1alpha1.GlobalRouteStatus); ok {
		before = b
	}
	now := w.now()
	s.LastValid = record(&r.Spec)
	s.Conditions = merge(before.Conditions, s.Conditions, now)
	for i := range s.Clusters {
		since(before.Clusters, &s.Clusters[i], now)
	}
	w.want(key, r.UID, before, s)
}

func routeKey(namespace, name string) key {
	return key{v1alpha1.Resource("globalroutes"), namespace, name}
}

// Zone has the status of a zone written.
func (w *Writer) Zone(z *v1alpha1.DNSZone, s v1alpha1.DNSZoneStatus) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := w.zoneBefore(z)
	// Whether it is delegated is found out elsewhere; what a provider said before is over.
	kept := slices.DeleteFunc(slices.Clone(before.Conditions), func(c metav1.Condition) bool {
		return c.Type != v1alpha1.ConditionDelegated && apimeta.FindStatusCondition(s.Conditions, c.Type) == nil
	})
	s.LastValid = record(&z.Spec)
	s.Conditions = merge(kept, s.Conditions, w.now())
	w.want(zoneKey(z), z.UID, before, s)
}

// maxRecord is how large a spec is at most that is noted in a status.
const maxRecord = 64 << 10

// record is a spec in the form in which it is read back, so that the same is the same.
func record(spec any) *runtime.RawExtension {
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(spec)
	if err != nil {
		return nil
	}
	raw, err := json.Marshal(fields)
	if err != nil || len(raw) > maxRecord {
		return nil
	}
	return &runtime.RawExtension{Raw: raw}
}

// Condition has one condition of a zone written, beside what else is known of it.
func (w *Writer) Condition(z *v1alpha1.DNSZone, c metav1.Condition) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := w.zoneBefore(z)
	s := *before.DeepCopy()
	s.Conditions = merge(before.Conditions, []metav1.Condition{c}, w.now())
	w.want(zoneKey(z), z.UID, before, s)
}

func zoneKey(z *v1alpha1.DNSZone) key {
	return key{resource: v1alpha1.Resource("dnszones"), name: z.Name}
}

func (w *Writer) zoneBefore(z *v1alpha1.DNSZone) v1alpha1.DNSZoneStatus {
	if b, ok := w.latest(zoneKey(z), z.UID).(v1alpha1.DNSZoneStatus); ok {
		return b
	}
	return z.Status
}

func (w *Writer) now() metav1.Time { return metav1.NewTime(w.clock.Now()).Rfc3339Copy() }

// latest is the status that is to be, or was last, written; the caller holds mu.
func (w *Writer) latest(k key, uid types.UID) any {
	if p, ok := w.wanted[k]; ok && p.uid == uid {
		return p.status
	}
	if p, ok := w.written[k]; ok && p.uid == uid {
		return p.status
	}
	return nil
}

// want has a status written when its time has come; the caller holds mu.
func (w *Writer) want(k key, uid types.UID, before, s any) {
	if reflect.DeepEqual(before, s) {
		return
	}
	w.wanted[k] = pending{uid, s}
	w.queue.AddAfter(k, w.at[k].Add(rest).Sub(w.clock.Now()))
}

// merge gives conditions the times at which they became what they are, and keeps
// those of other types, which others find out.
func merge(before, conditions []metav1.Condition, now metav1.Time) []metav1.Condition {
	merged := append([]metav1.Condition(nil), before...)
	for _, c := range conditions {
		c.LastTransitionTime = now
		apimeta.SetStatusCondition(&merged, c)
	}
	return merged
}

// since gives what has not changed the time at which it became so.
func since(before []v1alpha1.RouteCluster, c *v1alpha1.RouteCluster, now metav1.Time) {
	c.Since = &now
	c.Inside.Since, c.Outside.Since = &now, &now
	for i := range before {
		b := &before[i]
		if b.Name != c.Name {
			continue
		}
		if b.Healthy == c.Healthy && b.Since != nil {
			c.Since = b.Since
		}
		if b.Inside != nil && b.Inside.State == c.Inside.State && b.Inside.Since != nil {
			c.Inside.Since = b.Inside.Since
		}
		if b.Outside != nil && b.Outside.State == c.Outside.State && b.Outside.Since != nil {
			c.Outside.Since = b.Outside.Since
		}
	}
}

// Forget drops what is remembered of a route that has gone.
func (w *Writer) Forget(namespace, name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.forget(routeKey(namespace, name))
}

// ForgetZone drops what is remembered of a zone that has gone.
func (w *Writer) ForgetZone(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.forget(key{resource: v1alpha1.Resource("dnszones"), name: name})
}

// forget drops all that is remembered of an object; the caller holds mu.
func (w *Writer) forget(k key) {
	delete(w.wanted, k)
	delete(w.written, k)
	delete(w.at, k)
	w.trouble.Forget(k)
}

// Close ends Run, and lets go of what a Writer that never ran has.
func (w *Writer) Close() { w.queue.ShutDown() }

// Run writes until ctx ends.
func (w *Writer) Run(ctx context.Context) {
	defer context.AfterFunc(ctx, w.Close)()
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for {
				k, over := w.queue.Get()
				if over {
					return
				}
				w.work(ctx, k)
				w.queue.Done(k)
			}
		})
	}
	wg.Wait()
}

// work writes a status, if it is still wanted. The queue lets nobody else have the key meanwhile.
func (w *Writer) work(ctx context.Context, k key) {
	w.mu.Lock()
	now := w.clock.Now()
	p, wanted := w.wanted[k]
	if left := w.at[k].Add(rest).Sub(now); wanted && left > 0 {
		w.mu.Unlock()
		w.queue.AddAfter(k, left) // it was wanted while the one before was being written
		return
	}
	if wanted {
		delete(w.wanted, k)
		w.written[k], w.at[k] = p, now
	}
	w.mu.Unlock()
	if !wanted || ctx.Err() != nil {
		return
	}
	err := w.write(ctx, k, p)
	log, object := klog.FromContext(ctx), klog.KRef(k.namespace, k.name)
	if apierrors.IsNotFound(err) || apierrors.IsInvalid(err) && gone(err) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if _, newer := w.wanted[k]; !newer {
			w.forget(k) // whatever was told of it, or not, while this was being written
		}
		return
	}
	if err == nil || ctx.Err() != nil {
		w.trouble.Worked(log, k, "The status was written", "resource", k.resource.Resource, "object", object)
		return
	}
	w.trouble.Failed(log, k, err, "The status could not be written", "resource", k.resource.Resource, "object", object)
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, newer := w.wanted[k]; !newer {
		w.wanted[k] = p
	}
	w.queue.AddAfter(k, rest)
}

func (w *Writer) write(ctx context.Context, k key, p pending) error {
	patch, err := json.Marshal([]any{
		map[string]any{"op": "test", "path": "/metadata/uid", "value": p.uid},
		map[string]any{"op": "add", "path": "/status", "value": p.status},
	})
	if err != nil {
		return err
	}
	_, err = w.client.Resource(k.resource).Namespace(k.namespace).
		Patch(ctx, k.name, types.JSONPatchType, patch, metav1.PatchOptions{FieldManager: v1alpha1.FieldManager}, "status")
	return err
}

// gone says whether a patch was refused because its object is another one now. Of
// what is wrong with a status itself, the API server names the kind.
func gone(err error) bool {
	var status apierrors.APIStatus
	return errors.As(err, &status) && (status.Status().Details == nil || status.Status().Details.Kind == "")
}
