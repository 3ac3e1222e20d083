package dns

import (
	"context"
	"errors"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/dynamic"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/dns/grant"
	"github.com/hanse-dev/hanse/internal/dns/route"
	"github.com/hanse-dev/hanse/internal/trouble"
)

// derivation is the GlobalRoutes and DNSZones that the hub has to make by itself,
// and those of them that there are.
type derivation struct {
	wanted []wantedRoute
	routes map[string]*v1alpha1.GlobalRoute
	// complaints are about targets that get no route.
	complaints []complaint
	// domains of hosts that are in no zone.
	domains map[string]string // and the namespace that is to have the zone
	zones   []*v1alpha1.DNSZone
	inUse   map[string]bool // zones with hosts
}

// wantedRoute is a route, and what it is made from.
type wantedRoute struct {
	*v1alpha1.GlobalRoute
	target *route.Target
}

// complaint is why a target gets no route.
type complaint struct {
	target  *route.Target
	message string
}

// needs is what the hub may have to make by itself beside the routes of targets.
type needs struct {
	zones    []*v1alpha1.DNSZone // that there are
	homeless []grant.Homeless    // zones for hosts that are in none
	inUse    map[string]bool     // zones with hosts
}

// deriver keeps the GlobalRoutes and DNSZones that the hub makes by itself.
type deriver struct {
	client    dynamic.Interface
	caches    *caches
	announcer *announcer
	clock     clock.Clock
	// latest holds the derivation that counts, until somebody takes it.
	latest     chan derivation
	complained map[route.TargetKey]string
}

func newDeriver(client dynamic.Interface, caches *caches, announcer *announcer, c clock.Clock) *deriver {
	return &deriver{client: client, caches: caches, announcer: announcer, clock: c, latest: make(chan derivation, 1)}
}

// derive has the derived routes and zones kept, by the goroutine of run: the
// latest derivation counts. It does not block, and is called by one goroutine.
func (k *deriver) derive(n needs) {
	d := derivation{domains: map[string]string{}, zones: n.zones, inUse: n.inUse}
	clusters := k.caches.Clusters()
	d.routes, _ = k.caches.objects()
	targets, complaints := k.caches.global()
	d.complaints = complaints
	for _, t := range targets {
		r, _ := route.Derive(t, clusters)
		r.OwnerReferences = []metav1.OwnerReference{ownerReference(t)}
		d.wanted = append(d.wanted, wantedRoute{r, t})
	}
	for _, h := range n.homeless {
		d.domains[h.Domain] = h.Namespace
	}
	select {
	case <-k.latest: // an older one that nobody has looked at
	default:
	}
	k.latest <- d
}

// global are the targets that ask for a route, and why others that seem to do get none.
func (c *caches) global() (all []*route.Target, complaints []complaint) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for _, t := range c.targets {
		if t.Global() {
			all = append(all, t)
		} else if why := t.Complaint(); why != "" {
			complaints = append(complaints, complaint{t, why})
		}
	}
	for _, t := range c.unfit {
		complaints = append(complaints, complaint{t, "it is not of type LoadBalancer, so that no cluster gives it an address. " +
			"Try: spec.type: LoadBalancer, or a GlobalRoute with endpoints"})
	}
	return all, complaints
}

// ownerReference lets the hub's garbage collector delete a route with its target.
func ownerReference(t *route.Target) metav1.OwnerReference {
	version := "v1"
	switch t.Key.Kind {
	case route.KindIngress:
		version = "networking.k8s.io/v1"
	case route.KindGateway:
		version = "gateway.networking.k8s.io/v1"
	}
	yes := true
	return metav1.OwnerReference{APIVersion: version, Kind: t.Key.Kind, Name: t.Key.Name, UID: types.UID(t.UID), Controller: &yes}
}

// run makes, changes and deletes what derivations say, until ctx ends. What
// fails is tried again with the next derivation, or after a while.
func (k *deriver) run(ctx context.Context) {
	var troubles trouble.Log[string]
	for {
		select {
		case d := <-k.latest:
			err := k.keep(ctx, d)
			if err == nil {
				troubles.Worked(klog.FromContext(ctx), "", "GlobalRoutes and DNSZones were brought up to date with what they are derived from")
			} else if ctx.Err() == nil {
				troubles.Failed(klog.FromContext(ctx), "", err, "A GlobalRoute or DNSZone could not be brought up to date with what it is derived from")
				if pause(ctx, k.clock, listenRetry) {
					k.caches.change(func(d *dirty) { d.derived = true })
				}
			}
		case <-ctx.Done():
			return
		}
	}
}

// keep goes on when one route or zone fails: the others are not to blame.
func (k *deriver) keep(ctx context.Context, d derivation) error {
	var errs []error
	wanted := map[string]bool{}
	for _, w := range d.wanted {
		wanted[keyOf(w)] = true
		err := k.keepRoute(ctx, w.GlobalRoute, d.routes[keyOf(w)])
		if apierrors.IsInvalid(err) || apierrors.IsForbidden(err) || apierrors.IsBadRequest(err) {
			d.complaints = append(d.complaints, complaint{w.target, "no GlobalRoute " + w.Name + " can be made of it: " + brief(err.Error())})
		}
		if !apierrors.IsInvalid(err) { // which it stays until the target changes
			errs = append(errs, err)
		}
	}
	k.complain(d.complaints)
	for key, r := range d.routes {
		if r.Labels[v1alpha1.LabelDerivedFrom] != "" && !wanted[key] {
			errs = append(errs, remove(ctx, k.client.Resource(v1alpha1.Resource("globalroutes")).Namespace(r.Namespace), r))
		}
	}
	return errors.Join(append(errs, k.keepZones(ctx, d))...)
}

// complain says on targets why they get no route, once for each reason. It belongs to
// the goroutine of run.
func (k *deriver) complain(all []complaint) {
	now := map[route.TargetKey]string{}
	for _, about := range all {
		key := about.target.Key
		now[key] = about.target.UID + about.message
		if k.complained[key] == now[key] {
			continue
		}
		o := ownerReference(about.target)
		k.announcer.events.Event(&corev1.ObjectReference{APIVersion: o.APIVersion, Kind: o.Kind, Namespace: key.Namespace, Name: o.Name, UID: o.UID},
			corev1.EventTypeWarning, eventNotGlobal, about.message)
	}
	k.complained = now
}

// keepRoute makes a derived route what it has to be. One of the same name that
// somebody else made is left alone: it is how to say more than annotations can.
func (k *deriver) keepRoute(ctx context.Context, want, is *v1alpha1.GlobalRoute) error {
	client := k.client.Resource(v1alpha1.Resource("globalroutes")).Namespace(want.Namespace)
	if is == nil {
		err := create(ctx, client, want, "GlobalRoute")
		if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) || apierrors.IsNotFound(err) { // the Namespace is going
			return nil
		}
		return err
	}
	if is.Labels[v1alpha1.LabelDerivedFrom] == "" ||
		equality.Semantic.DeepEqual(is.Spec, want.Spec) && equality.Semantic.DeepEqual(is.OwnerReferences, want.OwnerReferences) {
		return nil
	}
	changed := is.DeepCopy()
	changed.Spec, changed.OwnerReferences = want.Spec, want.OwnerReferences
	u, err := unstructuredOf(changed, "GlobalRoute")
	if err != nil {
		return err
	}
	_, err = client.Update(ctx, u, metav1.UpdateOptions{FieldManager: v1alpha1.FieldManager})
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return nil // the change that was in between brings the next derivation
	}
	return err
}

// keepZones makes a zone for each host that is in none, which belongs to the namespace of
// the route, and deletes those it made that nothing is in any more.
func (k *deriver) keepZones(ctx context.Context, d derivation) error {
	client := k.client.Resource(v1alpha1.Resource("dnszones"))
	var errs []error
	for domain, namespace := range d.domains {
		if len(validation.IsDNS1123Subdomain(domain)) > 0 {
			continue // no object can be called so; the route says that it is in no zone
		}
		z := &v1alpha1.DNSZone{}
		z.Name, z.Spec.Domain, z.Spec.Namespace = domain, domain, namespace
		z.Spec.AllowedRoutes = &v1alpha1.AllowedRoutes{Hosts: []string{domain, "*." + domain}}
		z.Labels = map[string]string{v1alpha1.LabelDerivedFrom: "GlobalRoute"}
		if i := slices.IndexFunc(d.zones, func(is *v1alpha1.DNSZone) bool { return is.Name == domain }); i >= 0 {
			errs = append(errs, give(ctx, client, d.zones[i], z))
		} else {
			errs = append(errs, create(ctx, client, z, "DNSZone"))
		}
	}
	for _, z := range d.zones {
		if z.Labels[v1alpha1.LabelDerivedFrom] != "" && !d.inUse[z.Name] && d.domains[z.Spec.Domain] == "" {
			errs = append(errs, remove(ctx, client, z))
		}
	}
	return errors.Join(errs...)
}

// give makes a zone that the hub made for nobody in particular, as it did once, a
// namespace's. Any other is left alone.
func give(ctx context.Context, client dynamic.ResourceInterface, is, want *v1alpha1.DNSZone) error {
	if is.Labels[v1alpha1.LabelDerivedFrom] == "" || is.Spec.Namespace != "" || is.Spec.AllowedRoutes != nil {
		return nil
	}
	changed := is.DeepCopy()
	changed.Spec.Namespace, changed.Spec.AllowedRoutes = want.Spec.Namespace, want.Spec.AllowedRoutes
	u, err := unstructuredOf(changed, "DNSZone")
	if err != nil {
		return err
	}
	_, err = client.Update(ctx, u, metav1.UpdateOptions{FieldManager: v1alpha1.FieldManager})
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return nil // the change that was in between brings the next derivation
	}
	return err
}

func unstructuredOf(o runtime.Object, kind string) (*unstructured.Unstructured, error) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		return nil, err
	}
	u := &unstructured.Unstructured{Object: content}
	u.SetGroupVersionKind(v1alpha1.GroupVersion().WithKind(kind))
	return u, nil
}

// create is idempotent.
func create(ctx context.Context, client dynamic.ResourceInterface, o runtime.Object, kind string) error {
	u, err := unstructuredOf(o, kind)
	if err != nil {
		return err
	}
	unstructured.RemoveNestedField(u.Object, "status")
	_, err = client.Create(ctx, u, metav1.CreateOptions{FieldManager: v1alpha1.FieldManager})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// remove is idempotent, and spares a namesake.
func remove(ctx context.Context, client dynamic.ResourceInterface, o metav1.Object) error {
	uid := o.GetUID()
	err := client.Delete(ctx, o.GetName(), metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}})
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return err
}

func split(key string) (namespace, name string) {
	namespace, name, _ = strings.Cut(key, "/")
	return namespace, name
}
