package kinds

import (
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// Template is what the hub's object wants members to have: its content without
// what an API server or a controller put there (status, UIDs, allocated
// addresses) and without what is addressed to the hub itself. The result
// shares no maps with obj.
func Template(gr schema.GroupResource, obj *unstructured.Unstructured) map[string]any {
	content := runtime.DeepCopyJSON(withoutServerFields(obj.Object))
	meta := map[string]any{"name": obj.GetName()}
	if ns := obj.GetNamespace(); ns != "" {
		meta["namespace"] = ns
	}
	labels := obj.GetLabels()
	delete(labels, v1alpha1.LabelManaged) // somebody applied an export of a member
	if len(labels) > 0 {
		meta["labels"] = toAny(labels)
	}
	if annotations := propagatedAnnotations(obj.GetAnnotations()); len(annotations) > 0 {
		meta["annotations"] = toAny(annotations)
	}
	content["metadata"] = meta
	if strip := memberOwned(gr); strip != nil {
		strip(content, obj)
	}
	pruneNulls(content)
	return content
}

func withoutServerFields(obj map[string]any) map[string]any {
	content := make(map[string]any, len(obj))
	for k, v := range obj {
		if k != "metadata" && k != "status" {
			content[k] = v
		}
	}
	return content
}

// propagatedAnnotations drops annotations that speak of the hub's object and
// not of what it describes.
func propagatedAnnotations(annotations map[string]string) map[string]string {
	kept := make(map[string]string, len(annotations))
	for k, v := range annotations {
		if !hubAnnotation(k) {
			kept[k] = v
		}
	}
	return kept
}

func hubAnnotation(key string) bool {
	switch key {
	case "kubectl.kubernetes.io/last-applied-configuration", // holds the whole object, Secrets too
		"deployment.kubernetes.io/revision", "pv.kubernetes.io/bind-completed", "pv.kubernetes.io/bound-by-controller",
		"volume.kubernetes.io/storage-provisioner", "volume.kubernetes.io/selected-node",
		v1alpha1.AnnotationConflict, v1alpha1.AnnotationDivision, v1alpha1.AnnotationOrigin, v1alpha1.AnnotationAdopted,
		v1alpha1.AnnotationPreferences, v1alpha1.AnnotationReplicas, v1alpha1.AnnotationTaken, v1alpha1.AnnotationBounds,
		v1alpha1.AnnotationRollout, v1alpha1.AnnotationRolloutState, v1alpha1.AnnotationRevision,
		v1alpha1.AnnotationQuota:
		return true
	}
	return false
}

// memberOwned returns what takes out of a template the fields that a member's
// API server or controllers fill in themselves.
func memberOwned(gr schema.GroupResource) func(content map[string]any, obj *unstructured.Unstructured) {
	switch gr {
	case schema.GroupResource{Resource: "namespaces"}:
		return func(c map[string]any, _ *unstructured.Unstructured) { delete(c, "spec") } // only its finalizer
	case schema.GroupResource{Resource: "services"}:
		return stripService
	case schema.GroupResource{Resource: "serviceaccounts"}:
		return func(c map[string]any, _ *unstructured.Unstructured) { delete(c, "secrets") }
	case schema.GroupResource{Resource: "pods"}:
		return stripPod
	case schema.GroupResource{Resource: "persistentvolumes"}:
		return func(c map[string]any, _ *unstructured.Unstructured) {
			remove(c, "spec", "claimRef", "uid")
			remove(c, "spec", "claimRef", "resourceVersion")
		}
	case schema.GroupResource{Group: "batch", Resource: "jobs"}:
		return stripJob
	case schema.GroupResource{Group: "rbac.authorization.k8s.io", Resource: "clusterroles"}:
		return func(c map[string]any, _ *unstructured.Unstructured) {
			if c["aggregationRule"] != nil {
				delete(c, "rules") // gathered by each cluster's own controller
			}
		}
	case schema.GroupResource{Group: "apiextensions.k8s.io", Resource: "customresourcedefinitions"}:
		return stripCRD
	}
	return nil
}

// stripService takes out what the hub's API server allocated. What the user
// asked for is told apart by managedFields: allocation happens after the
// owners of the fields are recorded.
func stripService(c map[string]any, obj *unstructured.Unstructured) {
	spec, ok := c["spec"].(map[string]any)
	if !ok {
		return
	}
	asked := askedFor(obj)
	headless := spec["clusterIP"] == "None"
	for _, field := range []string{"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "healthCheckNodePort"} {
		keep := asked("f:spec", "f:"+field) || headless && strings.HasPrefix(field, "clusterIP")
		if !keep {
			delete(spec, field)
		}
	}
	ports, _ := spec["ports"].([]any)
	for _, p := range ports {
		port, ok := p.(map[string]any)
		if ok && !askedForNodePort(obj, port) {
			delete(port, "nodePort")
		}
	}
}

func stripPod(c map[string]any, _ *unstructured.Unstructured) {
	spec, ok := c["spec"].(map[string]any)
	if !ok {
		return
	}
	delete(spec, "nodeName")
	delete(spec, "priority") // resolved from priorityClassName by each cluster
	// The hub's admission mounts a token of the hub; a member mounts its own.
	isToken := func(v any) bool {
		m, _ := v.(map[string]any)
		name, _ := m["name"].(string)
		return strings.HasPrefix(name, "kube-api-access-")
	}
	dropFrom(spec, "volumes", isToken)
	for _, list := range []string{"containers", "initContainers", "ephemeralContainers"} {
		containers, _ := spec[list].([]any)
		for _, container := range containers {
			if m, ok := container.(map[string]any); ok {
				dropFrom(m, "volumeMounts", isToken)
			}
		}
	}
}

// stripJob takes out the selector that the API server generates from the
// Job's UID, and the time to live: a finished Job that a member deleted would
// look like one that has to be run again. The hub deletes it in due time.
func stripJob(c map[string]any, _ *unstructured.Unstructured) {
	remove(c, "spec", "ttlSecondsAfterFinished")
	if manual, _, _ := unstructured.NestedBool(c, "spec", "manualSelector"); manual {
		return
	}
	remove(c, "spec", "selector")
	generated := []string{"controller-uid", "batch.kubernetes.io/controller-uid", "job-name", "batch.kubernetes.io/job-name"}
	for _, label := range generated {
		remove(c, "metadata", "labels", label)
		remove(c, "spec", "template", "metadata", "labels", label)
	}
}

func stripCRD(c map[string]any, _ *unstructured.Unstructured) {
	if strategy, _, _ := unstructured.NestedString(c, "spec", "conversion", "strategy"); strategy == "None" {
		remove(c, "spec", "conversion")
	}
}

// askedFor returns a function that says whether any manager but the API server
// set the field at a path of fieldsV1 keys.
func askedFor(obj *unstructured.Unstructured) func(path ...string) bool {
	managers, _, _ := unstructured.NestedSlice(obj.Object, "metadata", "managedFields")
	return func(path ...string) bool {
		for _, m := range managers {
			entry, ok := m.(map[string]any)
			if !ok || entry["subresource"] == "status" {
				continue
			}
			fields := append([]string{"fieldsV1"}, path...)
			if _, found, _ := unstructured.NestedFieldNoCopy(entry, fields...); found {
				return true
			}
		}
		return false
	}
}

func askedForNodePort(obj *unstructured.Unstructured, port map[string]any) bool {
	managers, _, _ := unstructured.NestedSlice(obj.Object, "metadata", "managedFields")
	for _, m := range managers {
		entry, _ := m.(map[string]any)
		items, _, _ := unstructured.NestedMap(entry, "fieldsV1", "f:spec", "f:ports")
		for key, fields := range items {
			set, _ := fields.(map[string]any)
			if _, asked := set["f:nodePort"]; asked && keyMatches(key, port) {
				return true
			}
		}
	}
	return false
}

// pruneNulls removes nulls, which in a patch would mean deletion.
func pruneNulls(m map[string]any) {
	for k, v := range m {
		switch v := v.(type) {
		case nil:
			delete(m, k)
		case map[string]any:
			pruneNulls(v)
		case []any:
			for _, item := range v {
				if im, ok := item.(map[string]any); ok {
					pruneNulls(im)
				}
			}
		}
	}
}

// remove takes out the field at path and the maps above it that it leaves
// empty, save the outermost.
func remove(m map[string]any, path ...string) {
	if len(path) == 1 {
		delete(m, path[0])
		return
	}
	child, ok := m[path[0]].(map[string]any)
	if !ok {
		return
	}
	had := len(child)
	remove(child, path[1:]...)
	if len(child) == 0 && had > 0 {
		delete(m, path[0])
	}
}

func dropFrom(m map[string]any, field string, drop func(any) bool) {
	items, ok := m[field].([]any)
	if !ok {
		return
	}
	kept := make([]any, 0, len(items))
	for _, item := range items {
		if !drop(item) {
			kept = append(kept, item)
		}
	}
	if len(kept) == 0 {
		delete(m, field)
		return
	}
	m[field] = kept
}

func toAny(m map[string]string) map[string]any {
	out := make(map[string]any, len(m))
	for k, v := range m {
		out[k] = v
	}
	return out
}
