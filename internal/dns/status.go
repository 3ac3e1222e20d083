package dns

import (
	"context"
	"encoding/json"
	"reflect"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/klog/v2"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/trouble"
)

const (
	// statusRest is the least time between two writes of one status.
	statusRest = time.Second
	// statusWorkers write at once, so that 10,000 routes are not written one by one.
	statusWorkers = 4
)

// statusWriter writes the statuses of routes and zones, each at most once in
// statusRest, and only if it says something new.
type statusWriter struct {
	client dynamic.Interface

	mu      sync.Mutex
	wanted  map[statusKey]pendingStatus
	written map[statusKey]pendingStatus
	at      map[statusKey]time.Time
	trouble trouble.Log[statusKey]
	busy    map[statusKey]bool // being written: a newer status waits, or it could be overtaken
	wake    chan struct{}
}

type statusKey struct {
	resource        schema.GroupVersionResource
	namespace, name string
}

// pendingStatus is a status to write, and the object's UID, so that it does not
// land on a namesake.
type pendingStatus struct {
	uid    types.UID
	status any
}

func newStatusWriter(client dynamic.Interface) *statusWriter {
	return &statusWriter{
		client: client, wanted: map[statusKey]pendingStatus{}, written: map[statusKey]pendingStatus{}, at: map[statusKey]time.Time{}, busy: map[statusKey]bool{},
		wake: make(chan struct{}, 1),
	}
}

func routeKey(namespace, name string) statusKey {
	return statusKey{v1alpha1.Resource("globalroutes"), namespace, name}
}

// route has the status of a route written, with the times of what has not changed.
func (w *statusWriter) route(r *v1alpha1.GlobalRoute, s v1alpha1.GlobalRouteStatus) {
	key := routeKey(r.Namespace, r.Name)
	w.mu.Lock()
	defer w.mu.Unlock()
	before := r.Status
	if b, ok := w.latest(key, r.UID).(v1alpha1.GlobalRouteStatus); ok {
		before = b
	}
	now := metav1.Now().Rfc3339Copy()
	s.Conditions = merge(before.Conditions, s.Conditions)
	for i := range s.Clusters {
		since(before.Clusters, &s.Clusters[i], now)
	}
	w.want(key, r.UID, before, s)
}

// zone has the status of a zone written.
func (w *statusWriter) zone(z *v1alpha1.DNSZone, s v1alpha1.DNSZoneStatus) {
	key := statusKey{resource: v1alpha1.Resource("dnszones"), name: z.Name}
	w.mu.Lock()
	defer w.mu.Unlock()
	before := z.Status
	if b, ok := w.latest(key, z.UID).(v1alpha1.DNSZoneStatus); ok {
		before = b
	}
	// Whether it is delegated is found out elsewhere; what a provider said before is over.
	kept := slices.DeleteFunc(slices.Clone(before.Conditions), func(c metav1.Condition) bool {
		return c.Type != v1alpha1.ConditionDelegated && apimeta.FindStatusCondition(s.Conditions, c.Type) == nil
	})
	s.Conditions = merge(kept, s.Conditions)
	w.want(key, z.UID, before, s)
}

// condition has one condition of a zone written, beside what else is known of it.
func (w *statusWriter) condition(z *v1alpha1.DNSZone, c metav1.Condition) {
	key := statusKey{resource: v1alpha1.Resource("dnszones"), name: z.Name}
	w.mu.Lock()
	defer w.mu.Unlock()
	before := z.Status
	if b, ok := w.latest(key, z.UID).(v1alpha1.DNSZoneStatus); ok {
		before = b
	}
	s := *before.DeepCopy()
	s.Conditions = merge(before.Conditions, []metav1.Condition{c})
	w.want(key, z.UID, before, s)
}

// latest is the status that is to be, or was last, written; the caller holds mu.
func (w *statusWriter) latest(key statusKey, uid types.UID) any {
	if p, ok := w.wanted[key]; ok && p.uid == uid {
		return p.status
	}
	if p, ok := w.written[key]; ok && p.uid == uid {
		return p.status
	}
	return nil
}

func (w *statusWriter) want(key statusKey, uid types.UID, before, s any) {
	if reflect.DeepEqual(before, s) {
		return
	}
	w.wanted[key] = pendingStatus{uid, s}
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// merge gives conditions the times at which they became what they are, and keeps
// those of other types, which others find out.
func merge(before, now []metav1.Condition) []metav1.Condition {
	merged := append([]metav1.Condition(nil), before...)
	for _, c := range now {
		c.LastTransitionTime = metav1.Now().Rfc3339Copy()
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

// forget drops what is remembered of a route that has gone.
func (w *statusWriter) forget(key string) {
	namespace, name := split(key)
	k := routeKey(namespace, name)
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.wanted, k)
	delete(w.written, k)
	delete(w.at, k)
}

// run writes until ctx ends.
func (w *statusWriter) run(ctx context.Context) {
	var wg sync.WaitGroup
	for range statusWorkers {
		wg.Go(func() { w.work(ctx) })
	}
	wg.Wait()
}

func (w *statusWriter) work(ctx context.Context) {
	for ctx.Err() == nil {
		key, p, wait, ok := w.next()
		switch {
		case ok:
			w.write(ctx, key, p)
			w.done(key)
		case wait > 0:
			select { // what another object has to say does not wait for this one
			case <-time.After(wait):
			case <-w.wake:
			case <-ctx.Done():
			}
		default:
			select {
			case <-w.wake:
			case <-ctx.Done():
			}
		}
	}
}

// next takes a status whose time has come; wait is when to ask again, 0: when
// there is more.
func (w *statusWriter) next() (key statusKey, p pendingStatus, wait time.Duration, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	for k, candidate := range w.wanted {
		if w.busy[k] {
			continue
		}
		left := w.at[k].Add(statusRest).Sub(now)
		if left > 0 {
			if wait == 0 || left < wait {
				wait = left
			}
			continue
		}
		delete(w.wanted, k)
		w.written[k], w.at[k], w.busy[k] = candidate, now, true
		if len(w.wanted) > 0 {
			select {
			case w.wake <- struct{}{}: // for the other workers
			default:
			}
		}
		return k, candidate, 0, true
	}
	return key, p, wait, false
}

// done lets the next status of an object be written.
func (w *statusWriter) done(key statusKey) {
	w.mu.Lock()
	delete(w.busy, key)
	more := len(w.wanted) > 0
	w.mu.Unlock()
	if more {
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}

func (w *statusWriter) write(ctx context.Context, key statusKey, p pendingStatus) {
	patch, err := json.Marshal([]any{
		map[string]any{"op": "test", "path": "/metadata/uid", "value": p.uid},
		map[string]any{"op": "add", "path": "/status", "value": p.status},
	})
	if err == nil {
		_, err = w.client.Resource(key.resource).Namespace(key.namespace).
			Patch(ctx, key.name, types.JSONPatchType, patch, metav1.PatchOptions{FieldManager: v1alpha1.FieldManager}, "status")
	}
	object := klog.KRef(key.namespace, key.name)
	if err == nil || ctx.Err() != nil || apierrors.IsNotFound(err) || apierrors.IsInvalid(err) && gone(err) {
		w.trouble.Worked(klog.FromContext(ctx), key, "The status was written, or its object is gone", "resource", key.resource.Resource, "object", object)
		return
	}
	w.trouble.Failed(klog.FromContext(ctx), key, err, "The status could not be written", "resource", key.resource.Resource, "object", object)
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, newer := w.wanted[key]; !newer {
		w.wanted[key] = p
	}
}

// gone says whether a patch was refused because its object is another one now. Of
// what is wrong with a status itself, the API server names the kind.
func gone(err error) bool {
	status, ok := err.(apierrors.APIStatus)
	return ok && (status.Status().Details == nil || status.Status().Details.Kind == "")
}
