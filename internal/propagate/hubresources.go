package propagate

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/klog/v2"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// resource is one that is propagated, with its templates.
type resource struct {
	gvr  schema.GroupVersionResource
	gvk  schema.GroupVersionKind
	stop context.CancelFunc

	// Guarded by Engine.mu.
	synced    bool // templates are all there are
	templates map[types.NamespacedName]*template
}

// rediscoverEvery is how often the hub is asked for resources that no event
// announced, as those of an aggregated API server.
const rediscoverEvery = 5 * time.Minute

// watchResources keeps a watch on every resource that the hub serves and that
// is propagated, until ctx ends. It goes by discovery, so that custom
// resources are propagated from the moment that they are served.
func (e *Engine) watchResources(ctx context.Context) {
	log := klog.FromContext(ctx)
	for {
		wait := rediscoverEvery
		if err := e.discover(ctx); err != nil {
			log.Error(err, "The hub's resources could not all be discovered")
			wait = 2 * time.Second
		} else if e.awaitsDiscovery() {
			wait = 250 * time.Millisecond
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		case <-e.rediscover:
			timer.Stop()
		}
	}
}

// discover starts watches on resources that are new and stops those on
// resources that are gone. Resources of a group that could not be read stay as
// they were.
func (e *Engine) discover(ctx context.Context) error {
	found, complete, err := served(e.discovery)
	if found == nil {
		return err
	}
	var added []*resource
	removed := false
	e.mu.Lock()
	for gr, r := range found {
		if _, stays := e.table.ResourceStays(gr); stays || e.resources[gr] != nil {
			continue
		}
		r.templates = map[types.NamespacedName]*template{}
		e.resources[gr] = r
		added = append(added, r)
	}
	for gr, r := range e.resources {
		if found[gr] == nil && complete(gr.Group) {
			r.stop()
			delete(e.resources, gr)
			removed = true
		}
	}
	members := make([]*member, 0, len(e.members))
	for _, m := range e.members {
		members = append(members, m)
	}
	for _, r := range added {
		watched, stop := context.WithCancel(ctx)
		r.stop = stop
		go watchInto(watched, e.hub.Resource(r.gvr), "hub/"+r.gvr.GroupResource().String(), "", &templateSink{engine: e, resource: r, log: klog.FromContext(ctx)}, nil)
	}
	e.mu.Unlock()
	if len(added) > 0 || removed {
		for _, m := range members {
			m.refresh()
		}
	}
	return err
}

// awaitsDiscovery says whether a CustomResourceDefinition is established whose
// resource discovery did not show: it lags a little behind.
func (e *Engine) awaitsDiscovery() bool {
	e.mu.RLock()
	defer e.mu.RUnlock()
	for gr, r := range e.resources {
		if !isCRD(gr) {
			continue
		}
		for _, t := range r.templates {
			defined, established := customResource(t.obj)
			if _, stays := e.table.ResourceStays(defined); established && !stays && e.resources[defined] == nil && t.obj.GetDeletionTimestamp() == nil {
				return true
			}
		}
	}
	return false
}

// served is what a server serves and lets one list, watch, create, patch and
// delete, in its preferred version. complete says whether a group was read.
func served(d discovery.DiscoveryInterface) (found map[schema.GroupResource]*resource, complete func(group string) bool, err error) {
	lists, err := discovery.ServerPreferredResources(d)
	failed := failedGroups(err)
	if err != nil && failed == nil {
		return nil, nil, err
	}
	complete = func(group string) bool { return failed[group] == nil }
	found = map[schema.GroupResource]*resource{}
	eachWritable(lists, func(gv schema.GroupVersion, r metav1.APIResource) {
		found[schema.GroupResource{Group: gv.Group, Resource: r.Name}] = &resource{gvr: gv.WithResource(r.Name), gvk: gv.WithKind(r.Kind)}
	})
	return found, complete, err
}

// servedVersions is as served, for all versions and not the preferred one only:
// a member of another release may prefer another version than the hub. failed are the
// groups that could not be read; err says that none could.
func servedVersions(d discovery.DiscoveryInterface) (found map[schema.GroupVersionResource]bool, failed map[string]error, err error) {
	_, lists, err := d.ServerGroupsAndResources()
	if failed = failedGroups(err); err != nil && failed == nil {
		return nil, nil, err
	}
	found = map[schema.GroupVersionResource]bool{}
	eachWritable(lists, func(gv schema.GroupVersion, r metav1.APIResource) { found[gv.WithResource(r.Name)] = true })
	return found, failed, nil
}

// failedGroups is what a discovery that ended with err did not read, and why; nil: all,
// or, if there is an error, nothing.
func failedGroups(err error) map[string]error {
	var partly *discovery.ErrGroupDiscoveryFailed
	if !errors.As(err, &partly) {
		return nil
	}
	failed := map[string]error{}
	for gv, why := range partly.Groups {
		failed[gv.Group] = why
	}
	return failed
}

func eachWritable(lists []*metav1.APIResourceList, do func(schema.GroupVersion, metav1.APIResource)) {
	for _, list := range lists {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			continue
		}
		for _, r := range list.APIResources {
			if writable(r) && !strings.Contains(r.Name, "/") {
				do(gv, r)
			}
		}
	}
}

func writable(r metav1.APIResource) bool {
	for _, verb := range []string{"list", "watch", "create", "patch", "delete"} {
		if !slices.Contains(r.Verbs, verb) {
			return false
		}
	}
	return true
}

// customResource is the group and resource that a CustomResourceDefinition
// defines, and whether the server that has it serves them already.
func customResource(crd *unstructured.Unstructured) (gr schema.GroupResource, established bool) {
	gr.Group, _, _ = unstructured.NestedString(crd.Object, "spec", "group")
	gr.Resource, _, _ = unstructured.NestedString(crd.Object, "spec", "names", "plural")
	status, _, _ := unstructured.NestedMap(crd.Object, "status")
	return gr, isEstablished(status)
}

// isEstablished reads the status of a CustomResourceDefinition.
func isEstablished(status map[string]any) bool {
	conditions, _, _ := unstructured.NestedSlice(status, "conditions")
	for _, c := range conditions {
		if m, ok := c.(map[string]any); ok && m["type"] == "Established" && m["status"] == "True" {
			return true
		}
	}
	return false
}

func isCRD(gr schema.GroupResource) bool { return gr == crds() }

func crds() schema.GroupResource {
	return schema.GroupResource{Group: "apiextensions.k8s.io", Resource: "customresourcedefinitions"}
}

func isNamespace(gr schema.GroupResource) bool {
	return gr == schema.GroupResource{Resource: "namespaces"}
}
