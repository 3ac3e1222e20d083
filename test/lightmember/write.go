package lightmember

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"time"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// write is a request that changes an object.
type write struct {
	gr          schema.GroupResource
	name        types.NamespacedName
	subresource string
	manager     string
	body        []byte
	patch       types.PatchType // of a PATCH
	options     *metav1.DeleteOptions
}

func (c *Cluster) create(w write) (*unstructured.Unstructured, error) {
	obj := &unstructured.Unstructured{}
	if err := json.Unmarshal(w.body, &obj.Object); err != nil {
		return nil, failure(http.StatusBadRequest, metav1.StatusReasonBadRequest, err.Error())
	}
	if w.name.Namespace != "" {
		obj.SetNamespace(w.name.Namespace)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if w.name.Namespace != "" && c.of(schema.GroupResource{Resource: "namespaces"}).objects[types.NamespacedName{Name: w.name.Namespace}] == nil {
		return nil, failure(http.StatusNotFound, metav1.StatusReasonNotFound, fmt.Sprintf("namespaces %q not found", w.name.Namespace))
	}
	c.identify(obj)
	name := types.NamespacedName{Namespace: obj.GetNamespace(), Name: obj.GetName()}
	if c.of(w.gr).objects[name] != nil {
		return nil, failure(http.StatusConflict, metav1.StatusReasonAlreadyExists, fmt.Sprintf("%s %q already exists", w.gr, name.Name))
	}
	own(obj, w, map[string]any{}, obj.Object)
	if err := c.put(w.gr, obj); err != nil {
		return nil, err
	}
	return obj, c.run(w.gr, name)
}

func (c *Cluster) change(w write, to func(before *unstructured.Unstructured) (*unstructured.Unstructured, error)) (*unstructured.Unstructured, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before, err := c.get(w.gr, w.name)
	if err != nil {
		return nil, err
	}
	if before == nil {
		return nil, notFound(w)
	}
	after, err := to(before.DeepCopy())
	if err != nil {
		return nil, err
	}
	if v := after.GetResourceVersion(); v != "" && v != before.GetResourceVersion() || after.GetUID() != "" && after.GetUID() != before.GetUID() {
		return nil, failure(http.StatusConflict, metav1.StatusReasonConflict, fmt.Sprintf("%s %q has changed", w.gr, w.name.Name))
	}
	if w.subresource == "status" {
		status := after.Object["status"]
		after = before.DeepCopy()
		after.Object["status"] = status
	} else {
		after.Object["status"] = before.Object["status"]
		if after.Object["status"] == nil {
			delete(after.Object, "status")
		}
	}
	after.SetUID(before.GetUID())
	after.SetCreationTimestamp(before.GetCreationTimestamp())
	after.SetResourceVersion(before.GetResourceVersion())
	after.SetGeneration(before.GetGeneration())
	if reflect.DeepEqual(before.Object, after.Object) {
		return before, nil
	}
	if !reflect.DeepEqual(before.Object["spec"], after.Object["spec"]) {
		after.SetGeneration(before.GetGeneration() + 1)
	}
	own(after, w, before.Object, after.Object)
	if after.GetDeletionTimestamp() != nil && len(after.GetFinalizers()) == 0 {
		return after, c.remove(w.gr, after)
	}
	if err := c.put(w.gr, after); err != nil {
		return nil, err
	}
	if w.subresource == "status" {
		return after, nil
	}
	return after, c.run(w.gr, w.name)
}

func (c *Cluster) update(w write) (*unstructured.Unstructured, error) {
	return c.change(w, func(*unstructured.Unstructured) (*unstructured.Unstructured, error) {
		obj := &unstructured.Unstructured{}
		if err := json.Unmarshal(w.body, &obj.Object); err != nil {
			return nil, failure(http.StatusBadRequest, metav1.StatusReasonBadRequest, err.Error())
		}
		return obj, nil
	})
}

// apply carries a patch out. A strategic merge patch is taken as a merge patch: the hub sends none that would differ.
func (c *Cluster) apply(w write) (*unstructured.Unstructured, error) {
	return c.change(w, func(before *unstructured.Unstructured) (*unstructured.Unstructured, error) {
		data, err := json.Marshal(before.Object)
		if err != nil {
			return nil, err
		}
		if w.patch == types.JSONPatchType {
			var patch jsonpatch.Patch
			if patch, err = jsonpatch.DecodePatch(w.body); err == nil {
				data, err = patch.Apply(data)
			}
		} else {
			data, err = jsonpatch.MergePatch(data, w.body)
		}
		obj := &unstructured.Unstructured{}
		if err == nil {
			err = json.Unmarshal(data, &obj.Object)
		}
		if err != nil {
			return nil, failure(http.StatusBadRequest, metav1.StatusReasonBadRequest, err.Error())
		}
		return obj, nil
	})
}

func (c *Cluster) delete(w write) (*unstructured.Unstructured, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	obj, err := c.get(w.gr, w.name)
	if err != nil {
		return nil, err
	}
	if obj == nil {
		return nil, notFound(w)
	}
	if p := w.options.Preconditions; p != nil && (p.UID != nil && *p.UID != obj.GetUID() || p.ResourceVersion != nil && *p.ResourceVersion != obj.GetResourceVersion()) {
		return nil, failure(http.StatusConflict, metav1.StatusReasonConflict, fmt.Sprintf("%s %q is another one", w.gr, w.name.Name))
	}
	if len(obj.GetFinalizers()) > 0 {
		now := metav1.Now()
		obj.SetDeletionTimestamp(&now)
		return obj, c.put(w.gr, obj)
	}
	return obj, c.remove(w.gr, obj)
}

// run does what controllers would: a workload is ready as soon as it is written.
func (c *Cluster) run(gr schema.GroupResource, name types.NamespacedName) error {
	if gr.Group != "apps" {
		return nil
	}
	obj, err := c.get(gr, name)
	if err != nil || obj == nil {
		return err
	}
	replicas, found, _ := unstructured.NestedInt64(obj.Object, "spec", "replicas")
	if !found {
		replicas = 1
	}
	obj.Object["status"] = map[string]any{
		"observedGeneration": obj.GetGeneration(), "replicas": replicas, "readyReplicas": replicas,
		"updatedReplicas": replicas, "availableReplicas": replicas,
	}
	return c.put(gr, obj)
}

// own notes in managedFields what the writer has set, as an API server does, but without lists' items.
func own(obj *unstructured.Unstructured, w write, before, after map[string]any) {
	changed := changedFields(before, after)
	delete(changed, "f:apiVersion")
	delete(changed, "f:kind")
	if meta, ok := changed["f:metadata"].(map[string]any); ok {
		for _, field := range []string{"name", "namespace", "uid", "resourceVersion", "creationTimestamp", "generation", "managedFields"} {
			delete(meta, "f:"+field)
		}
		if len(meta) == 0 {
			delete(changed, "f:metadata")
		}
	}
	if len(changed) == 0 {
		return
	}
	entries, _, _ := unstructured.NestedSlice(obj.Object, "metadata", "managedFields")
	now := time.Now().UTC().Format(time.RFC3339)
	for _, e := range entries {
		entry, _ := e.(map[string]any)
		sub, _ := entry["subresource"].(string)
		if entry["manager"] == w.manager && sub == w.subresource {
			owned, _ := entry["fieldsV1"].(map[string]any)
			entry["fieldsV1"], entry["time"] = union(owned, changed), now
			_ = unstructured.SetNestedSlice(obj.Object, entries, "metadata", "managedFields")
			return
		}
	}
	entry := map[string]any{
		"manager": w.manager, "operation": "Update", "apiVersion": obj.GetAPIVersion(), "time": now, "fieldsType": "FieldsV1", "fieldsV1": changed,
	}
	if w.subresource != "" {
		entry["subresource"] = w.subresource
	}
	_ = unstructured.SetNestedSlice(obj.Object, append(entries, entry), "metadata", "managedFields")
}

// changedFields is what differs in after, in the form of managedFields.
func changedFields(before, after map[string]any) map[string]any {
	out := map[string]any{}
	for key, v := range after {
		was := before[key]
		if reflect.DeepEqual(was, v) {
			continue
		}
		if inner, ok := v.(map[string]any); ok && len(inner) > 0 {
			then, _ := was.(map[string]any)
			out["f:"+key] = changedFields(then, inner)
			continue
		}
		out["f:"+key] = map[string]any{}
	}
	return out
}

func union(a, b map[string]any) map[string]any {
	out := maps.Clone(a)
	if out == nil {
		out = map[string]any{}
	}
	for key, v := range b {
		inner, _ := v.(map[string]any)
		if had, ok := out[key].(map[string]any); ok {
			out[key] = union(had, inner)
		} else {
			out[key] = v
		}
	}
	return out
}

// statusError is an answer that is no object.
type statusError struct{ metav1.Status }

func (e *statusError) Error() string { return e.Message }

func failure(code int32, reason metav1.StatusReason, message string) error {
	return &statusError{metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"},
		Status:   metav1.StatusFailure, Code: code, Reason: reason, Message: message,
	}}
}

func notFound(w write) error {
	return failure(http.StatusNotFound, metav1.StatusReasonNotFound, fmt.Sprintf("%s %q not found", w.gr, w.name.Name))
}
