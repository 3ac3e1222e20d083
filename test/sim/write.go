package sim

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/hanse-dev/hanse/test/sim/served"
)

// write creates, changes or deletes. mu is held.
func (s *server) write(q request, k served.Kind, r ref, subresource string) *answer {
	switch q.method {
	case http.MethodPost:
		return s.create(q, k, r)
	case http.MethodPut, http.MethodPatch:
		return s.change(q, k, r, subresource)
	case http.MethodDelete:
		return s.remove(q, r)
	}
	return failure(http.StatusMethodNotAllowed, metav1.StatusReasonMethodNotAllowed, "%s", q.method)
}

func (s *server) create(q request, k served.Kind, r ref) *answer {
	obj, err := decode(q.body)
	if err != nil {
		return failure(http.StatusBadRequest, metav1.StatusReasonBadRequest, "%v", err)
	}
	m := meta(obj)
	if r.name, _ = m["name"].(string); r.name == "" {
		r.name, _ = m["generateName"].(string)
		r.name += s.newUID()
		m["name"] = r.name
	}
	if r.namespace != "" {
		m["namespace"] = r.namespace
		ns := s.get(ref{gr: namespaces, name: r.namespace})
		switch {
		case ns == nil:
			return failure(http.StatusNotFound, metav1.StatusReasonNotFound, "namespaces %q not found", r.namespace)
		case text(ns, "metadata", "deletionTimestamp") != "":
			return failureBecause(http.StatusForbidden, metav1.StatusReasonForbidden, []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}},
				"namespace %s is being terminated", r.namespace)
		}
	}
	if s.objects[r] != nil {
		return failure(http.StatusConflict, metav1.StatusReasonAlreadyExists, "%s %q already exists", r.gr, r.name)
	}
	if k.Status {
		delete(obj, "status")
	}
	obj["kind"], obj["apiVersion"] = k.Kind, k.GVR.GroupVersion().String()
	m["uid"], m["creationTimestamp"], m["generation"] = s.newUID(), stamp(), int64(1)
	delete(m, "managedFields")
	if r.gr == namespaces {
		obj["status"] = object{"phase": "Active"}
	}
	s.admitted(r, obj)
	own(obj, q.manager, "", object{}, obj)
	return s.kept(http.StatusCreated, r, obj)
}

// admitted is what admission makes of an object.
func (s *server) admitted(r ref, obj object) {
	if s.admit != nil {
		s.admit(r, obj)
	}
}

func (s *server) change(q request, k served.Kind, r ref, subresource string) *answer {
	stored := s.get(r)
	if stored == nil {
		return notFound(r)
	}
	sent, err := decode(q.body)
	if err != nil {
		return failure(http.StatusBadRequest, metav1.StatusReasonBadRequest, "%v", err)
	}
	before := meta(stored)
	if v := text(sent, "metadata", "resourceVersion"); v != "" && v != before["resourceVersion"] {
		return failure(http.StatusConflict, metav1.StatusReasonConflict, "%s %q has changed", r.gr, r.name)
	}
	if v := text(sent, "metadata", "uid"); v != "" && v != before["uid"] {
		return failureBecause(http.StatusUnprocessableEntity, metav1.StatusReasonInvalid, []metav1.StatusCause{{Field: "metadata.uid"}}, "%s %q is another one", r.gr, r.name)
	}
	var obj object
	if q.method == http.MethodPut {
		obj = sent
	} else {
		obj, _ = merge(runtime.DeepCopyJSON(stored), sent).(object)
	}
	m := meta(obj)
	for _, field := range []string{"uid", "creationTimestamp", "resourceVersion", "generation", "deletionTimestamp", "managedFields", "name", "namespace"} {
		if v, ok := before[field]; ok {
			m[field] = runtime.DeepCopyJSONValue(v)
		} else {
			delete(m, field)
		}
	}
	switch {
	case subresource == "status":
		status := obj["status"]
		obj = runtime.DeepCopyJSON(stored)
		obj["status"] = status
		m = meta(obj)
	case k.Status:
		if status, ok := stored["status"]; ok {
			obj["status"] = runtime.DeepCopyJSONValue(status)
		} else {
			delete(obj, "status")
		}
	}
	if refused := immutable(r, stored, obj); refused != nil {
		return refused
	}
	s.admitted(r, obj)
	if same(stored, obj) {
		return &answer{code: http.StatusOK, body: s.objects[r].json}
	}
	if !same(stored["spec"], obj["spec"]) {
		m["generation"] = number(stored, "metadata", "generation") + 1
	}
	own(obj, q.manager, subresource, stored, obj)
	finalizers, _ := m["finalizers"].([]any)
	if m["deletionTimestamp"] != nil && len(finalizers) == 0 && r.gr != namespaces {
		s.drop(r)
		return s.sent(http.StatusOK, obj)
	}
	return s.kept(http.StatusOK, r, obj)
}

// immutable refuses what a Job does not allow.
func immutable(r ref, before, after object) *answer {
	if r.gr != jobs {
		return nil
	}
	for _, field := range []string{"completions", "template", "selector"} {
		if !same(at(before, "spec", field), at(after, "spec", field)) {
			return failureBecause(http.StatusUnprocessableEntity, metav1.StatusReasonInvalid, []metav1.StatusCause{{Field: "spec." + field}}, "Job %q: spec.%s is immutable", r.name, field)
		}
	}
	return nil
}

func (s *server) remove(q request, r ref) *answer {
	stored := s.get(r)
	if stored == nil {
		return notFound(r)
	}
	var options metav1.DeleteOptions
	if len(q.body) > 0 {
		if err := json.Unmarshal(q.body, &options); err != nil {
			return failure(http.StatusBadRequest, metav1.StatusReasonBadRequest, "%v", err)
		}
	}
	if p := options.Preconditions; p != nil && (p.UID != nil && string(*p.UID) != text(stored, "metadata", "uid") ||
		p.ResourceVersion != nil && *p.ResourceVersion != text(stored, "metadata", "resourceVersion")) {
		return failure(http.StatusConflict, metav1.StatusReasonConflict, "%s %q is another one", r.gr, r.name)
	}
	finalizers, _ := meta(stored)["finalizers"].([]any)
	if len(finalizers) == 0 && r.gr != namespaces {
		s.drop(r)
		return s.sent(http.StatusOK, stored)
	}
	if meta(stored)["deletionTimestamp"] != nil {
		return s.sent(http.StatusOK, stored)
	}
	obj := runtime.DeepCopyJSON(stored)
	meta(obj)["deletionTimestamp"] = stamp()
	if r.gr == namespaces {
		obj["status"] = object{"phase": "Terminating"}
	}
	return s.kept(http.StatusOK, r, obj)
}

// kept stores an object, and answers with it.
func (s *server) kept(code int, r ref, obj object) *answer {
	s.put(r, obj)
	return &answer{code: code, body: s.objects[r].json}
}

func (s *server) sent(code int, obj object) *answer {
	data, err := json.Marshal(obj)
	if err != nil {
		return failure(http.StatusInternalServerError, metav1.StatusReasonInternalError, "%v", err)
	}
	return &answer{code: code, body: data}
}

// same compares values as JSON has them.
func same(a, b any) bool {
	switch a := a.(type) {
	case object:
		b, ok := b.(object)
		if !ok || len(a) != len(b) {
			return false
		}
		for key, v := range a {
			if w, has := b[key]; !has || !same(v, w) {
				return false
			}
		}
		return true
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, same)
	}
	return a == b
}

// merge is a merge patch. into is changed.
func merge(into any, patch any) any {
	p, ok := patch.(object)
	if !ok {
		return patch
	}
	m, ok := into.(object)
	if !ok {
		m = object{}
	}
	for key, v := range p {
		if v == nil {
			delete(m, key)
			continue
		}
		m[key] = merge(m[key], v)
	}
	return m
}

// own notes in managedFields who has set what, as an API server does, but without the items of lists.
func own(obj object, manager, subresource string, before, after object) {
	changed := differing(before, after)
	for _, field := range []string{"f:apiVersion", "f:kind"} {
		delete(changed, field)
	}
	if m, ok := changed["f:metadata"].(object); ok {
		for _, field := range []string{"name", "namespace", "uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "deletionTimestamp"} {
			delete(m, "f:"+field)
		}
		if len(m) == 0 {
			delete(changed, "f:metadata")
		}
	}
	if len(changed) == 0 {
		return
	}
	entries, _ := meta(obj)["managedFields"].([]any)
	var kept []any
	var mine object
	for _, e := range entries {
		entry := maps.Clone(e.(object))
		fields, _ := entry["fieldsV1"].(object)
		sub, _ := entry["subresource"].(string)
		fields = less(fields, changed)
		if entry["manager"] == manager && sub == subresource {
			mine = fields
			continue
		}
		if entry["fieldsV1"] = fields; len(fields) > 0 {
			kept = append(kept, entry)
		}
	}
	set := only(changed, after)
	entry := object{
		"manager": manager, "operation": "Update", "apiVersion": obj["apiVersion"], "time": stamp(), "fieldsType": "FieldsV1", "fieldsV1": union(mine, set),
	}
	if subresource != "" {
		entry["subresource"] = subresource
	}
	meta(obj)["managedFields"] = append(kept, entry)
}

// differing is what is not the same, or in one of the two only, in the form of managedFields.
func differing(before, after object) object {
	out := object{}
	for key, v := range after {
		was, had := before[key]
		if had && same(was, v) {
			continue
		}
		inner, ok := v.(object)
		then, also := was.(object)
		if ok && len(inner) > 0 && (also || !had) {
			out["f:"+key] = differing(then, inner)
			continue
		}
		out["f:"+key] = object{}
	}
	for key := range before {
		if _, still := after[key]; !still {
			out["f:"+key] = object{}
		}
	}
	return out
}

// less is a without b.
func less(a, b object) object {
	out := object{}
	for key, v := range a {
		inner, _ := v.(object)
		gone, also := b[key].(object)
		switch {
		case !also:
			out[key] = v
		case len(gone) == 0 || len(inner) == 0:
		default:
			if rest := less(inner, gone); len(rest) > 0 {
				out[key] = rest
			}
		}
	}
	return out
}

// only is what of fields an object has.
func only(fields, obj object) object {
	out := object{}
	for key, v := range fields {
		value, has := obj[key[2:]]
		if !has {
			continue
		}
		inner, _ := v.(object)
		in, ok := value.(object)
		if len(inner) > 0 && ok {
			out[key] = only(inner, in)
			continue
		}
		out[key] = object{}
	}
	return out
}

func union(a, b object) object {
	out := maps.Clone(a)
	if out == nil {
		out = object{}
	}
	for key, v := range b {
		inner, _ := v.(object)
		if had, ok := out[key].(object); ok {
			out[key] = union(had, inner)
		} else {
			out[key] = v
		}
	}
	return out
}
