package lightmember

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/uuid"
)

// keptEvents is how many events of a resource can still be watched from; older ones are answered with 410.
const keptEvents = 1000

// Cluster is one member.
type Cluster struct {
	Name     string
	Endpoint string

	fleet *Fleet

	mu        sync.Mutex
	version   uint64
	resources map[schema.GroupResource]*resource
}

// resource is the objects of one resource and what happened to them lately.
type resource struct {
	objects map[types.NamespacedName]*stored
	events  []event
	// dropped is the version of the newest event that is not kept.
	dropped uint64
	// news is closed, and replaced, with each event.
	news chan struct{}
}

// stored is an object as it is sent.
type stored struct {
	json   []byte
	labels labels.Set
	since  uint64 // the version at which it was made
}

// event is one of a watch. before is what the object's labels were: a selector that matched them and does not any more
// sees the object go.
type event struct {
	kind          string
	version       uint64
	name          types.NamespacedName
	object        []byte
	labels        labels.Set
	before        labels.Set
	wasThere, now bool
}

func newCluster(fleet *Fleet, name string) *Cluster {
	return &Cluster{Name: name, fleet: fleet, version: 1, resources: map[schema.GroupResource]*resource{}}
}

// of is a resource; c.mu is held.
func (c *Cluster) of(gr schema.GroupResource) *resource {
	r := c.resources[gr]
	if r == nil {
		r = &resource{objects: map[types.NamespacedName]*stored{}, news: make(chan struct{})}
		c.resources[gr] = r
	}
	return r
}

// get is an object, decoded; nil if there is none. c.mu is held.
func (c *Cluster) get(gr schema.GroupResource, name types.NamespacedName) (*unstructured.Unstructured, error) {
	s := c.of(gr).objects[name]
	if s == nil {
		return nil, nil
	}
	obj := &unstructured.Unstructured{}
	if err := json.Unmarshal(s.json, &obj.Object); err != nil {
		return nil, fmt.Errorf("decode %s %s: %w", gr, name, err)
	}
	return obj, nil
}

// put stores obj under the next version, and tells those who watch. c.mu is held.
func (c *Cluster) put(gr schema.GroupResource, obj *unstructured.Unstructured) error {
	c.version++
	obj.SetResourceVersion(strconv.FormatUint(c.version, 10))
	data, err := json.Marshal(obj.Object)
	if err != nil {
		return fmt.Errorf("encode %s %s: %w", gr, obj.GetName(), err)
	}
	name := types.NamespacedName{Namespace: obj.GetNamespace(), Name: obj.GetName()}
	r := c.of(gr)
	next := &stored{json: data, labels: obj.GetLabels(), since: c.version}
	e := event{kind: "ADDED", version: c.version, name: name, object: data, labels: next.labels, now: true}
	if before := r.objects[name]; before != nil {
		e.kind, e.before, e.wasThere, next.since = "MODIFIED", before.labels, true, before.since
	}
	r.objects[name] = next
	r.tell(e)
	c.fleet.arrived(c.Name, gr, name, true)
	return nil
}

// remove takes an object away. c.mu is held.
func (c *Cluster) remove(gr schema.GroupResource, obj *unstructured.Unstructured) error {
	c.version++
	obj.SetResourceVersion(strconv.FormatUint(c.version, 10))
	data, err := json.Marshal(obj.Object)
	if err != nil {
		return fmt.Errorf("encode %s %s: %w", gr, obj.GetName(), err)
	}
	name := types.NamespacedName{Namespace: obj.GetNamespace(), Name: obj.GetName()}
	r := c.of(gr)
	before := r.objects[name]
	delete(r.objects, name)
	r.tell(event{kind: "DELETED", version: c.version, name: name, object: data, labels: before.labels, before: before.labels, wasThere: true})
	c.fleet.arrived(c.Name, gr, name, false)
	return nil
}

func (r *resource) tell(e event) {
	r.events = append(r.events, e)
	if len(r.events) > keptEvents {
		over := len(r.events) - keptEvents
		r.dropped = r.events[over-1].version
		r.events = append([]event(nil), r.events[over:]...)
	}
	close(r.news)
	r.news = make(chan struct{})
}

// seed makes what a cluster has before anybody joins it: its Namespaces and a node.
func (c *Cluster) seed(region string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, name := range []string{"kube-system", "default"} {
		if err := c.make("v1", "Namespace", schema.GroupResource{Resource: "namespaces"}, map[string]any{
			"metadata": map[string]any{"name": name}, "status": map[string]any{"phase": "Active"},
		}); err != nil {
			return err
		}
	}
	return c.make("v1", "Node", schema.GroupResource{Resource: "nodes"}, map[string]any{
		"metadata": map[string]any{"name": "node-0", "labels": map[string]any{
			"topology.kubernetes.io/region": region, "topology.kubernetes.io/zone": region + "a",
		}},
		"spec": map[string]any{"providerID": "light:///" + c.Name + "/node-0"},
		"status": map[string]any{
			"allocatable": map[string]any{"cpu": "1000", "memory": "4000Gi", "pods": "100000"},
			"conditions":  []any{map[string]any{"type": "Ready", "status": "True"}},
			"nodeInfo":    map[string]any{"kubeletVersion": c.fleet.gitVersion()},
		},
	})
}

func (c *Cluster) make(apiVersion, kind string, gr schema.GroupResource, object map[string]any) error {
	obj := &unstructured.Unstructured{Object: object}
	obj.SetAPIVersion(apiVersion)
	obj.SetKind(kind)
	c.identify(obj)
	return c.put(gr, obj)
}

// identify gives a new object what the server sets.
func (c *Cluster) identify(obj *unstructured.Unstructured) {
	obj.SetUID(uuid.NewUUID())
	obj.SetGeneration(1)
	_ = unstructured.SetNestedField(obj.Object, time.Now().UTC().Format(time.RFC3339), "metadata", "creationTimestamp")
	if obj.GetName() == "" && obj.GetGenerateName() != "" {
		obj.SetName(obj.GetGenerateName() + strings.ReplaceAll(string(uuid.NewUUID())[:8], "-", ""))
	}
}
