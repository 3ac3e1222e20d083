package hubtest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/version"
)

// served is one resource of the hub.
type served struct {
	schema.GroupVersionKind
	resource   string
	short      string
	namespaced bool
}

// resources are what the hub serves, no more than the verbs need.
func resources() []served {
	hanse := func(kind, resource string, namespaced bool) served {
		return served{schema.GroupVersionKind{Group: "hanse.dev", Version: "v1alpha1", Kind: kind}, resource, "", namespaced}
	}
	return []served{
		hanse("Cluster", "clusters", false), hanse("Placement", "placements", true),
		hanse("GlobalRoute", "globalroutes", true), hanse("DNSZone", "dnszones", false),
		{schema.GroupVersionKind{Version: "v1", Kind: "Service"}, "services", "svc", true},
		{schema.GroupVersionKind{Version: "v1", Kind: "Namespace"}, "namespaces", "ns", false},
		{schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"}, "deployments", "deploy", true},
		{schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "ControllerRevision"}, "controllerrevisions", "", true},
		{schema.GroupVersionKind{Group: "batch", Version: "v1", Kind: "Job"}, "jobs", "", true},
		{schema.GroupVersionKind{Group: "autoscaling", Version: "v2", Kind: "HorizontalPodAutoscaler"}, "horizontalpodautoscalers", "hpa", true},
	}
}

// base is the path below which a group and version are.
func base(gv schema.GroupVersion) string {
	if gv.Group == "" {
		return "/api/" + gv.Version
	}
	return "/apis/" + gv.String()
}

// pathOf is where an object is; ok is false for a kind that is not served.
func pathOf(u *unstructured.Unstructured) (at string, ok bool) {
	for _, r := range resources() {
		if r.GroupVersionKind == u.GroupVersionKind() {
			if r.namespaced {
				return path.Join(base(r.GroupVersion()), "namespaces", u.GetNamespace(), r.resource, u.GetName()), true
			}
			return path.Join(base(r.GroupVersion()), r.resource, u.GetName()), true
		}
	}
	return "", false
}

// discovery answers what client-go asks before it knows the resources.
func (h *Hub) discovery() {
	groups := metav1.APIGroupList{TypeMeta: metav1.TypeMeta{Kind: "APIGroupList", APIVersion: "v1"}}
	lists := map[schema.GroupVersion]*metav1.APIResourceList{}
	for _, r := range resources() {
		gv := r.GroupVersion()
		if lists[gv] == nil {
			lists[gv] = &metav1.APIResourceList{TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: gv.String()}
			if gv.Group != "" {
				version := metav1.GroupVersionForDiscovery{GroupVersion: gv.String(), Version: gv.Version}
				groups.Groups = append(groups.Groups, metav1.APIGroup{Name: gv.Group, Versions: []metav1.GroupVersionForDiscovery{version}, PreferredVersion: version})
			}
		}
		found := metav1.APIResource{Name: r.resource, SingularName: strings.ToLower(r.Kind), Kind: r.Kind, Namespaced: r.namespaced, Verbs: []string{"get", "list"}}
		if r.short != "" {
			found.ShortNames = []string{r.short}
		}
		lists[gv].APIResources = append(lists[gv].APIResources, found)
	}
	for gv, list := range lists {
		h.Answer("GET "+base(gv), list)
	}
	h.Answer("GET /apis", groups)
	h.Answer("GET /api", metav1.APIVersions{TypeMeta: metav1.TypeMeta{Kind: "APIVersions"}, Versions: []string{"v1"}})
}

// serveObject answers at the paths of objects.
func (h *Hub) serveObject(w http.ResponseWriter, r *http.Request, body []byte) {
	switch {
	case r.URL.Path == "/version":
		Respond(w, http.StatusOK, version.Info{GitVersion: "v1.37.1"})
		return
	case r.URL.Path == "/readyz":
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	u := h.objects[r.URL.Path]
	switch {
	case r.Method == http.MethodGet && u == nil:
		if list := h.list(r); list != nil {
			Respond(w, http.StatusOK, list)
			return
		}
		Respond(w, http.StatusNotFound, status(http.StatusNotFound, metav1.StatusReasonNotFound, r.URL.Path+" not found"))
	case u == nil:
		Respond(w, http.StatusNotFound, status(http.StatusNotFound, metav1.StatusReasonNotFound, r.URL.Path+" not found"))
	case r.Method == http.MethodGet:
		Respond(w, http.StatusOK, u)
	case r.Method == http.MethodPatch:
		h.patch(w, r, u, body)
	case r.Method == http.MethodDelete:
		delete(h.objects, r.URL.Path)
		h.news()
		Respond(w, http.StatusOK, metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusSuccess})
	default:
		Respond(w, http.StatusMethodNotAllowed, status(http.StatusMethodNotAllowed, metav1.StatusReasonMethodNotAllowed, r.Method))
	}
}

// list is the objects of the resource at the request's path, of all namespaces or of
// one, nil if there is no such resource. h.mu is held.
func (h *Hub) list(r *http.Request) *unstructured.UnstructuredList {
	i := slices.IndexFunc(resources(), func(s served) bool {
		return strings.HasPrefix(r.URL.Path, base(s.GroupVersion())+"/") && path.Base(r.URL.Path) == s.resource
	})
	if i < 0 {
		return nil
	}
	of := resources()[i]
	list := &unstructured.UnstructuredList{Object: map[string]any{"metadata": map[string]any{"resourceVersion": strconv.Itoa(h.version)}}}
	list.SetGroupVersionKind(of.GroupVersion().WithKind(of.Kind + "List"))
	prefix, all := strings.TrimSuffix(r.URL.Path, of.resource), !strings.Contains(r.URL.Path, "/namespaces/")
	selector, err := labels.Parse(r.URL.Query().Get("labelSelector"))
	if err != nil {
		return nil
	}
	name, named := strings.CutPrefix(r.URL.Query().Get("fieldSelector"), "metadata.name=")
	for _, at := range slices.Sorted(maps.Keys(h.objects)) {
		u := h.objects[at]
		if u.GroupVersionKind() == of.GroupVersionKind && (all || strings.HasPrefix(at, prefix)) && (!named || u.GetName() == name) && selector.Matches(labels.Set(u.GetLabels())) {
			list.Items = append(list.Items, *u)
		}
	}
	return list
}

// patch applies a merge patch or a JSON patch, with the checks of an API server. h.mu is
// held.
func (h *Hub) patch(w http.ResponseWriter, r *http.Request, u *unstructured.Unstructured, body []byte) {
	before, err := u.MarshalJSON()
	if err != nil {
		Respond(w, http.StatusInternalServerError, status(http.StatusInternalServerError, metav1.StatusReasonInternalError, err.Error()))
		return
	}
	after := before
	if r.Header.Get("Content-Type") == string(types.JSONPatchType) {
		var operations jsonpatch.Patch
		if operations, err = jsonpatch.DecodePatch(body); err == nil {
			after, err = operations.Apply(before)
		}
	} else {
		after, err = jsonpatch.MergePatch(before, body)
	}
	changed := &unstructured.Unstructured{}
	if err == nil {
		err = json.Unmarshal(after, &changed.Object)
	}
	switch {
	case err != nil:
		Respond(w, http.StatusUnprocessableEntity, status(http.StatusUnprocessableEntity, metav1.StatusReasonInvalid, err.Error()))
	case changed.GetResourceVersion() != u.GetResourceVersion() || changed.GetUID() != u.GetUID():
		Respond(w, http.StatusConflict, status(http.StatusConflict, metav1.StatusReasonConflict, "the object has been modified"))
	default:
		if r.URL.Query().Get("dryRun") == "" {
			h.set(r.URL.Path, changed)
		}
		Respond(w, http.StatusOK, changed)
	}
}

// set stores an object. h.mu is held.
func (h *Hub) set(at string, u *unstructured.Unstructured) {
	h.version++
	u.SetResourceVersion(strconv.Itoa(h.version))
	h.objects[at] = u
	h.news()
}

// news wakes watches. h.mu is held.
func (h *Hub) news() {
	close(h.changed)
	h.changed = make(chan struct{})
}

// watch tells of changes of the one object that its field selector names, until the
// client goes.
func (h *Hub) watch(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	encoder, flush := json.NewEncoder(w), http.NewResponseController(w)
	var last *unstructured.Unstructured
	for first := true; ; first = false {
		h.mu.Lock()
		changed := h.changed
		var now *unstructured.Unstructured
		if list := h.list(r); list != nil && len(list.Items) > 0 {
			now = list.Items[0].DeepCopy()
		}
		h.mu.Unlock()
		switch {
		case now == nil && last != nil:
			_ = encoder.Encode(map[string]any{"type": "DELETED", "object": last})
		case now == nil && first: // it went between the list and the watch
			_ = encoder.Encode(map[string]any{"type": "ERROR", "object": status(http.StatusGone, metav1.StatusReasonExpired, "list again")})
		case now != nil && (last == nil || last.GetResourceVersion() != now.GetResourceVersion()):
			_ = encoder.Encode(map[string]any{"type": "MODIFIED", "object": now})
		}
		last = now
		if flush.Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-changed:
		}
	}
}

func status(code int32, reason metav1.StatusReason, message string) metav1.Status {
	return metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure, Code: code, Reason: reason, Message: fmt.Sprint(message)}
}
