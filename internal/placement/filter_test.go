package placement_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/cli-runtime/pkg/printers"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/metadata"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/placement"
)

const (
	shop = "/apis/hanse.dev/v1alpha1/namespaces/shop/placements"
	all  = "/apis/hanse.dev/v1alpha1/placements"
	// asTable is what kubectl get accepts.
	asTable = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"
)

func threeWhoamis() *memory {
	return newMemory(whoami("shop", "b", "3/3"), whoami("shop", "a", "2/3"), whoami("bank", "c", "0/3"))
}

func ask(t *testing.T, h http.Handler, method, target, accept string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, target, nil)
	r.Header.Set("Accept", accept)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestName(t *testing.T) {
	for want, gr := range map[string]schema.GroupResource{
		"deployments.apps.whoami": {Group: "apps", Resource: "deployments"},
		"services.whoami":         {Resource: "services"},
	} {
		if got := placement.Name(gr, "whoami"); got != want {
			t.Errorf("Name(%v) = %s, want %s", gr, got, want)
		}
	}
}

func TestListSelectsAndSorts(t *testing.T) {
	client := dynamic.NewForConfigOrDie(serve(t, threeWhoamis(), "anna")).Resource(v1alpha1.Resource("placements"))
	for _, c := range []struct{ namespace, labels, fields, want string }{
		{want: "bank/c shop/a shop/b"},
		{namespace: "shop", want: "shop/a shop/b"},
		{namespace: "nowhere"},
		{labels: "app in (a,c)", want: "bank/c shop/a"},
		{fields: "metadata.name=deployments.apps.b", want: "shop/b"},
		{namespace: "shop", fields: "metadata.name=deployments.apps.b", want: "shop/b"},
		{namespace: "shop", fields: "metadata.name=deployments.apps.c"},
		{fields: "metadata.namespace!=shop", want: "bank/c"},
		{namespace: "shop", labels: "app=a", fields: "metadata.name=deployments.apps.b"},
	} {
		list, err := client.Namespace(c.namespace).List(t.Context(), metav1.ListOptions{LabelSelector: c.labels, FieldSelector: c.fields, Limit: 1})
		if err != nil {
			t.Errorf("%+v: %v", c, err)
			continue
		}
		var got []string
		for _, item := range list.Items {
			got = append(got, item.GetNamespace()+"/"+strings.TrimPrefix(item.GetName(), "deployments.apps."))
			if item.GetKind() != "Placement" || item.GetAPIVersion() != "hanse.dev/v1alpha1" || item.GetResourceVersion() == "" {
				t.Errorf("%+v: %s %s, resource version %q", c, item.GetAPIVersion(), item.GetKind(), item.GetResourceVersion())
			}
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%+v: got %s", c, s)
		}
	}
	if _, err := client.List(t.Context(), metav1.ListOptions{FieldSelector: "spec.x=1"}); !apierrors.IsBadRequest(err) {
		t.Errorf("unknown field: %v", err)
	}
}

func TestGet(t *testing.T) {
	client := dynamic.NewForConfigOrDie(serve(t, threeWhoamis(), "anna")).Resource(v1alpha1.Resource("placements")).Namespace("shop")
	got, err := client.Get(t.Context(), "deployments.apps.a", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if ready, _, _ := unstructured.NestedString(got.Object, "summary", "ready"); ready != "2/3" || got.GetResourceVersion() == "" {
		t.Errorf("got %v", got.Object)
	}
	if _, err := client.Get(t.Context(), "deployments.apps.z", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("a Placement that is not there: %v", err)
	}
}

func TestTable(t *testing.T) {
	h := chain(func() placement.Source { return threeWhoamis() }, "anna")
	for _, c := range []struct {
		target string
		wide   bool
		want   string
	}{
		{all, false, "NAMESPACE NAME KIND CLUSTERS READY SYNCED AGE\n" +
			"bank deployments.apps.c Deployment aws=2,azure=1 0/3 True 5m\n" +
			"shop deployments.apps.a Deployment aws=2,azure=1 2/3 True 5m\n" +
			"shop deployments.apps.b Deployment aws=2,azure=1 3/3 True 5m\n"},
		{shop + "/deployments.apps.b", true, "NAMESPACE NAME KIND CLUSTERS READY SYNCED AGE MESSAGE\n" +
			"shop deployments.apps.b Deployment aws=2,azure=1 3/3 True 5m all well\n"},
	} {
		w := ask(t, h, http.MethodGet, c.target+"?includeObject=Object", asTable)
		table := &metav1.Table{}
		if err := json.Unmarshal(w.Body.Bytes(), table); err != nil || w.Code != http.StatusOK {
			t.Fatalf("%s: %d %v: %s", c.target, w.Code, err, w.Body)
		}
		for i := range table.Rows {
			object := &unstructured.Unstructured{}
			if err := object.UnmarshalJSON(table.Rows[i].Object.Raw); err != nil || object.GetKind() != "Placement" {
				t.Fatalf("row %d holds %s: %v", i, table.Rows[i].Object.Raw, err)
			}
			table.Rows[i].Object.Object = object
		}
		var out bytes.Buffer
		if err := printers.NewTablePrinter(printers.PrintOptions{WithNamespace: true, Wide: c.wide}).PrintObj(table, &out); err != nil {
			t.Fatal(err)
		}
		if got := squeeze(out.String()); got != c.want {
			t.Errorf("%s prints\n%s", c.target, got)
		}
	}
}

// squeeze makes one blank of many.
func squeeze(s string) string {
	var lines []string
	for line := range strings.Lines(s) {
		lines = append(lines, strings.Join(strings.Fields(line), " ")+"\n")
	}
	return strings.Join(lines, "")
}

func TestFormats(t *testing.T) {
	h := chain(func() placement.Source { return threeWhoamis() }, "anna")
	for _, c := range []struct {
		accept   string
		code     int
		contains string
	}{
		{"", 200, `"kind":"PlacementList"`},
		{"*/*", 200, `"kind":"PlacementList"`},
		{"application/yaml", 200, "kind: PlacementList"},
		{"application/vnd.kubernetes.protobuf", 406, "NotAcceptable"},
		{"application/vnd.kubernetes.protobuf,application/json", 200, `"kind":"PlacementList"`},
		{"application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io", 200, `"kind":"PartialObjectMetadataList"`},
		{"application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io", 200, "deployments.apps.a"},
		{"application/json;as=Table;v=v9;g=meta.k8s.io,application/json", 200, `"kind":"PlacementList"`},
	} {
		w := ask(t, h, http.MethodGet, all, c.accept)
		if w.Code != c.code || !strings.Contains(w.Body.String(), c.contains) {
			t.Errorf("Accept %q: %d %s", c.accept, w.Code, w.Body)
		}
	}
}

func TestMetadataClient(t *testing.T) {
	client := metadata.NewForConfigOrDie(serve(t, threeWhoamis(), "anna")).Resource(v1alpha1.Resource("placements"))
	list, err := client.List(t.Context(), metav1.ListOptions{})
	if err != nil || len(list.Items) != 3 || list.Items[0].Labels["app"] != "c" {
		t.Errorf("got %v, %v", list, err)
	}
}

func TestWritesAreRefused(t *testing.T) {
	client := dynamic.NewForConfigOrDie(serve(t, threeWhoamis(), "anna")).Resource(v1alpha1.Resource("placements")).Namespace("shop")
	object := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "hanse.dev/v1alpha1", "kind": "Placement", "metadata": map[string]any{"name": "deployments.apps.a"},
	}}
	const name = "deployments.apps.a"
	_, create := client.Create(t.Context(), object, metav1.CreateOptions{})
	_, update := client.Update(t.Context(), object, metav1.UpdateOptions{})
	_, patch := client.Patch(t.Context(), name, types.MergePatchType, []byte("{}"), metav1.PatchOptions{})
	_, apply := client.Apply(t.Context(), name, object, metav1.ApplyOptions{FieldManager: "anna"})
	for verb, err := range map[string]error{
		"create": create, "update": update, "patch": patch, "apply": apply,
		"delete":           client.Delete(t.Context(), name, metav1.DeleteOptions{}),
		"deletecollection": client.DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{}),
	} {
		if !apierrors.IsMethodNotSupported(err) || !strings.Contains(err.Error(), "computed") || !strings.Contains(err.Error(), "Try:") {
			t.Errorf("%s: %v", verb, err)
		}
	}
}

// The namespace controller deletes the collection, lists what is left, and waits until that is nothing.
func TestNamespacesCanGo(t *testing.T) {
	client := metadata.NewForConfigOrDie(serve(t, threeWhoamis(), user.KubeControllerManager)).
		Resource(v1alpha1.Resource("placements")).Namespace("shop")
	if err := client.DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{}); err != nil {
		t.Error(err)
	}
	list, err := client.List(t.Context(), metav1.ListOptions{})
	if err != nil || len(list.Items) != 0 {
		t.Errorf("left: %v, %v", list, err)
	}
}

func TestStartingHub(t *testing.T) {
	h := chain(func() placement.Source { return nil }, "anna")
	for _, target := range []string{all, shop, shop + "/x", all + "?watch=1"} {
		w := ask(t, h, http.MethodGet, target, "application/json")
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
			t.Errorf("%s: %d, Retry-After %q", target, w.Code, w.Header().Get("Retry-After"))
		}
	}
}

func TestOthersPass(t *testing.T) {
	h := chain(func() placement.Source { return nil }, "anna")
	for _, target := range []string{
		"/", "/apis/hanse.dev", "/apis/hanse.dev/v1alpha1", "/apis/hanse.dev/v1alpha1/clusters", "/api/v1/namespaces/placements",
		"/apis/example.com/v1alpha1/placements", "/apis/hanse.dev/v2/placements", shop + "/x/status", all + "/x",
	} {
		if w := ask(t, h, http.MethodGet, target, ""); w.Code != http.StatusTeapot {
			t.Errorf("%s: %d", target, w.Code)
		}
	}
}

// FuzzRequest: whatever is asked, the answer is whole and the hub's fault never.
func FuzzRequest(f *testing.F) {
	for _, q := range []string{
		"", "limit=1", "continue=x", "resourceVersion=0&resourceVersionMatch=Exact", "fieldSelector=metadata.name%3Dx",
		"labelSelector=a%20in%20(b", "watch=1&timeoutSeconds=0", "resourceVersion=-1", "pretty=1", "includeObject=Any",
		"sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true",
	} {
		f.Add("GET", "namespaces/shop/placements", q, asTable)
	}
	f.Add("GET", "namespaces/shop/placements/deployments.apps.a", "export=true", "application/yaml")
	f.Add("DELETE", "namespaces//placements/%2e%2e", "", "a/b;q=x")
	h := chain(func() placement.Source { return threeWhoamis() }, "anna")
	f.Fuzz(func(t *testing.T, method, path, query, accept string) {
		r, err := http.NewRequestWithContext(t.Context(), method, "http://hub/apis/hanse.dev/v1alpha1/"+path+"?"+query, http.NoBody)
		if err != nil {
			return
		}
		if values := r.URL.Query(); values.Has("watch") || strings.Contains(path, "watch") {
			return // it would go on until somebody hangs up
		}
		r.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Errorf("%s %s: %d %s", method, r.URL, w.Code, w.Body)
		}
		if _, err := io.Copy(io.Discard, w.Result().Body); err != nil {
			t.Error(err)
		}
	})
}
