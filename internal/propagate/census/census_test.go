package census

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
)

const hubUID = "11111111-2222-3333-4444-555555555555"

// api is a member's API server: objects by the path of their list.
type api struct {
	lists  map[string][]map[string]any
	forbid map[string]bool
	broken map[string]bool
}

func object(resource, namespace, name string, marked bool) map[string]any {
	metadata := map[string]any{"name": name, "creationTimestamp": "2026-01-01T00:00:00Z"}
	if namespace != "" {
		metadata["namespace"] = namespace
	}
	if marked {
		metadata["annotations"] = map[string]any{"hanse.dev/origin": hubUID + "/run@1/uid/" + resource + "/" + namespace + "/" + name}
	}
	return map[string]any{"metadata": metadata}
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	respond := func(code int, body any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(body)
	}
	resources := func(names ...string) (all []any) {
		for _, name := range names {
			all = append(all, map[string]any{"name": name, "kind": strings.ToUpper(name[:1]) + name[1:len(name)-1], "namespaced": true, "verbs": []string{"list", "get"}})
		}
		return all
	}
	switch path := r.URL.Path; {
	case path == "/api":
		respond(200, map[string]any{"kind": "APIVersions", "versions": []string{"v1"}})
	case path == "/apis":
		respond(200, map[string]any{"kind": "APIGroupList", "groups": []any{map[string]any{"name": "apps", "versions": []any{map[string]any{"groupVersion": "apps/v1", "version": "v1"}}, "preferredVersion": map[string]any{"groupVersion": "apps/v1", "version": "v1"}}}})
	case path == "/api/v1":
		respond(200, map[string]any{"kind": "APIResourceList", "groupVersion": "v1", "resources": append(resources("secrets", "events", "configmaps", "pods/log"), map[string]any{"name": "bindings", "namespaced": true, "kind": "Binding", "verbs": []string{"create"}})})
	case path == "/apis/apps/v1":
		respond(200, map[string]any{"kind": "APIResourceList", "groupVersion": "apps/v1", "resources": resources("controllerrevisions")})
	case a.forbid[path]:
		respond(403, map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden", "code": 403, "message": "forbidden"})
	case a.broken[path]:
		respond(500, map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "InternalError", "code": 500, "message": "broken"})
	default:
		if !strings.Contains(r.Header.Get("Accept"), "PartialObjectMetadataList") {
			respond(406, nil)
			return
		}
		respond(200, map[string]any{"kind": "PartialObjectMetadataList", "items": a.lists[path]})
	}
}

func (a *api) member(t *testing.T) *Member {
	t.Helper()
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	config := &rest.Config{Host: server.URL, ContentConfig: rest.ContentConfig{GroupVersion: &schema.GroupVersion{Version: "v1"}, NegotiatedSerializer: scheme.Codecs.WithoutConversion()}}
	client, err := rest.UnversionedRESTClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	served, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return &Member{Name: "aws", Client: client, Served: served, Hub: hubUID, Propagated: func(gr schema.GroupResource) bool { return gr.Resource == "secrets" || gr.Resource == "configmaps" }}
}

func shop(marked bool) *api {
	return &api{lists: map[string][]map[string]any{
		"/api/v1/namespaces":                                {object("namespaces", "", "shop", marked)},
		"/api/v1/namespaces/shop/secrets":                   {object("secrets", "shop", "key", true), object("secrets", "shop", "theirs", false)},
		"/api/v1/namespaces/shop/configmaps":                {object("configmaps", "shop", "kube-root-ca.crt", false)},
		"/api/v1/namespaces/shop/events":                    {object("events", "shop", "web.1", false)},
		"/apis/apps/v1/namespaces/shop/controllerrevisions": {object("controllerrevisions.apps", "shop", "web-1", false)},
	}, forbid: map[string]bool{}, broken: map[string]bool{}}
}

func names(found []Found) string {
	var all []string
	for _, f := range found {
		all = append(all, f.Resource+"/"+f.Name)
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

func TestList(t *testing.T) {
	l, err := shop(true).member(t).List(t.Context(), "shop")
	if err != nil || !l.Ours || names(l.Found) != "controllerrevisions.apps/web-1 namespaces/shop secrets/key secrets/theirs" || l.Found[0].Kind != "Namespace" {
		t.Errorf("%+v, %v", l, err)
	}
	for _, f := range l.Found {
		if f.Marked != (f.Name == "key" || f.Name == "shop") || f.Created.Year() != 2026 {
			t.Errorf("%+v", f)
		}
	}
	a := shop(false)
	a.forbid["/apis/apps/v1/namespaces/shop/controllerrevisions"] = true
	if l, err = a.member(t).List(t.Context(), "shop"); err != nil || l.Ours || strings.Join(l.Unlisted, ",") != "controllerrevisions.apps" {
		t.Errorf("what only the member's own make: %+v, %v", l, err)
	}
	a.forbid["/api/v1/namespaces/shop/secrets"] = true
	if _, err = a.member(t).List(t.Context(), "shop"); err == nil || !strings.Contains(err.Error(), "secrets cannot be listed there") {
		t.Errorf("what the hub puts there and cannot list: %v", err)
	}
	a = shop(true)
	a.broken["/api/v1/namespaces/shop/configmaps"] = true
	if _, err = a.member(t).List(t.Context(), "shop"); err == nil {
		t.Error("what is broken is taken for empty")
	}
	if l, err = shop(true).member(t).List(t.Context(), "other"); err != nil || len(l.Found) > 0 {
		t.Errorf("a namespace that is not there: %+v, %v", l, err)
	}
}

func TestTake(t *testing.T) {
	now, since := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)
	asked := func(clusters ...Cluster) []Asked {
		return []Asked{{Residency: Residency{Name: "eu", Namespaces: []string{"shop"}, Hub: Hub{Outside: "False"}, Clusters: clusters}, Since: map[string]time.Time{"aws": since}}}
	}
	take := func(a *api, of []Asked) *Report {
		return Take(context.Background(), of, map[string]*Member{"aws": a.member(t)}, now)
	}
	r := take(shop(true), asked(Cluster{Name: "aws"}))
	c := r.Residencies[0].Clusters[0]
	if r.Clean || !r.Complete || c.Violations != 4 || c.Kinds["Secret"] != 2 || c.Since == nil || !c.Since.Equal(since) || c.Found[0].Name != "shop" {
		t.Errorf("outside: %+v", r)
	}
	if hidden := r.WithoutNames(); len(hidden.Residencies[0].Clusters[0].Found) > 0 || hidden.Residencies[0].Clusters[0].Violations != 4 || len(r.Residencies[0].Clusters[0].Found) == 0 {
		t.Errorf("without names: %+v", hidden)
	}
	if r = take(shop(true), asked(Cluster{Name: "aws", Allowed: true})); !r.Clean || !r.Complete || r.Residencies[0].Clusters[0].Objects != 4 {
		t.Errorf("inside: %+v", r)
	}
	r = take(shop(false), asked(Cluster{Name: "aws"})) // another's namespace, in which somebody put an object back
	if c := r.Residencies[0].Clusters[0]; r.Clean || c.Violations != 1 || c.Others != 3 {
		t.Errorf("in a namespace of others: %+v", c)
	}
	if r = take(shop(true), asked(Cluster{Name: "google"})); !r.Clean || r.Complete || r.Residencies[0].Clusters[0].Unknown == "" {
		t.Errorf("one that cannot be asked: %+v", r)
	}
	elsewhere := asked()
	elsewhere[0].Hub.Outside = "True"
	if r = take(shop(true), elsewhere); r.Clean {
		t.Error("a hub that is outside is taken for clean")
	}
	broken := asked()
	broken[0].Problem = "no sense"
	if r = take(shop(true), broken); r.Complete {
		t.Error("a Residency that is not valid is taken for complete")
	}
}
