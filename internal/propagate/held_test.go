package propagate

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/endpoints/request"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/hanse-dev/hanse/internal/lineage"
)

// holding is a member that has objects of three kinds of strangers.
func holding(t *testing.T) *memberRig {
	r := newMemberRig(t)
	others, later := r.origin("b-other"), r.origin("c-later")
	others.Hub, later.Session = "another", "never"
	r.there("a-restored", "uid-a", "value", r.origin("a-restored").String(), "velero", 0)
	r.there("b-other", "uid-b", "value", others.String(), "hanse", 0)
	r.there("c-later", "uid-c", "value", later.String(), "hanse", 0)
	r.did("for strangers", nil)
	return r
}

func TestHeldIsListedAndApprovedByTheObject(t *testing.T) {
	r := holding(t)
	list, err := r.engine.Held("aws", 10)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, h := range list.Items {
		got = append(got, fmt.Sprint(h.APIVersion, " ", h.Kind, " ", h.Resource, "/", h.Namespace, "/", h.Name, " ", h.UID, " ", h.Hub, " ", h.OtherHub, " ", h.Reason))
		if h.Since.IsZero() || h.Message == string(h.Reason) || h.Approved {
			t.Errorf("%+v", h)
		}
	}
	want := []string{
		"v1 Kind configmaps/shop/a-restored uid-a hub false RestoredInCluster",
		"v1 Kind configmaps/shop/b-other uid-b another true AnotherHub",
		"v1 Kind configmaps/shop/c-later uid-c hub false UnknownSession",
	}
	if !slices.Equal(got, want) {
		t.Errorf("held:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if short, err := r.engine.Held("aws", 1); err != nil || len(short.Items) != 1 || short.More != 2 {
		t.Errorf("with a limit: %+v, %v", short, err)
	}

	// Since it was listed, one became another object, and a fourth came to be held.
	r.sees.remove(mustGet(t, r, "b-other"))
	if err := r.client.Tracker().Delete(configMaps().WithVersion("v1"), "shop", "b-other"); err != nil {
		t.Fatal(err)
	}
	r.there("b-other", "uid-b2", "value", r.origin("b-other").String(), "velero", 0)
	r.there("d-new", "uid-d", "value", r.origin("d-new").String(), "velero", 0)
	r.did("for news", nil)
	for range 2 { // two people at once
		done, err := r.engine.Approve(list)
		if err != nil || done.Approved != 2 || !slices.Equal(done.Stale, []string{"configmaps/shop/b-other"}) {
			t.Errorf("approved: %+v, %v", done, err)
		}
	}
	r.did("for what was approved", []string{"delete", "delete"})
	if list, err = r.engine.Held("aws", 10); err != nil || len(list.Items) != 4 || !list.Items[0].Approved || list.Items[1].Approved || list.Items[3].Approved {
		t.Errorf("afterwards: %+v, %v", list, err)
	}
	if done, err := r.engine.Approve(HeldList{Cluster: "aws", Items: []Held{{Resource: "configmaps", Namespace: "shop", Name: "d-new"}, {}}}); err != nil || done.Approved != 0 {
		t.Errorf("without UIDs: %+v, %v", done, err)
	}
	if _, err := r.engine.Approve(HeldList{Cluster: "mars"}); err == nil {
		t.Error("a cluster that there is not has an approval")
	}
}

func mustGet(t *testing.T, r *memberRig, name string) *unstructured.Unstructured {
	t.Helper()
	obj, err := r.client.Tracker().Get(configMaps().WithVersion("v1"), "shop", name)
	if err != nil {
		t.Fatal(err)
	}
	return obj.(*unstructured.Unstructured)
}

func TestHeldIsServed(t *testing.T) {
	r := holding(t)
	hub := dynamicfake.NewSimpleDynamicClient(runtime.NewScheme())
	broken := false
	hub.PrependReactor("create", "subjectaccessreviews", func(action clienttesting.Action) (bool, runtime.Object, error) {
		if broken {
			return true, nil, fmt.Errorf("no")
		}
		review := action.(clienttesting.CreateAction).GetObject().(*unstructured.Unstructured)
		groups, _, _ := unstructured.NestedStringSlice(review.Object, "spec", "groups")
		attributes, _, _ := unstructured.NestedStringMap(review.Object, "spec", "resourceAttributes")
		allowed := slices.Contains(groups, "operators") && fmt.Sprint(attributes) == "map[group:hanse.dev name:aws resource:clusters verb:patch version:v1alpha1]"
		return true, &unstructured.Unstructured{Object: map[string]any{"status": map[string]any{"allowed": allowed}}}, nil
	})
	r.engine.hub = hub
	engine := r.engine
	handler := Filter(func() *Engine { return engine })(http.NotFoundHandler())
	operator, viewer := &user.DefaultInfo{Name: "olga", Groups: []string{"operators"}}, &user.DefaultInfo{Name: "viktor"}
	ask := func(who user.Info, method, cluster, body string) *httptest.ResponseRecorder {
		w, q := httptest.NewRecorder(), httptest.NewRequest(method, PathHeld+cluster, strings.NewReader(body))
		if who != nil {
			q = q.WithContext(request.WithUser(q.Context(), who))
		}
		handler.ServeHTTP(w, q)
		return w
	}
	listed := ask(operator, "GET", "aws", "")
	var list HeldList
	if err := json.Unmarshal(listed.Body.Bytes(), &list); err != nil || len(list.Items) != 3 || list.Items[1].Reason != lineage.AnotherHub {
		t.Fatalf("%d: %s", listed.Code, listed.Body)
	}
	long := `{"cluster":"aws","items":[` + strings.TrimSuffix(strings.Repeat(`{},`, longestHeldList+1), ",") + `]}`
	huge := `{"cluster":"` + strings.Repeat("x", largestApproval) + `"}`
	for name, c := range map[string]struct {
		who                   user.Info
		method, cluster, body string
		code                  int
	}{
		"a viewer lists":        {viewer, "GET", "aws", "", 403},
		"a viewer approves":     {viewer, "POST", "aws", listed.Body.String(), 403},
		"nobody":                {nil, "GET", "aws", "", 403},
		"of another cluster":    {operator, "GET", "azure", "", 403},
		"the list of another":   {operator, "POST", "aws", `{"cluster":"azure"}`, 422},
		"rubbish":               {operator, "POST", "aws", `{`, 422},
		"too long a list":       {operator, "POST", "aws", long, 422},
		"too large a list":      {operator, "POST", "aws", huge, 422},
		"another way of asking": {operator, "DELETE", "aws", "", 405},
	} {
		if w := ask(c.who, c.method, c.cluster, c.body); w.Code != c.code || strings.Contains(w.Body.String(), "a-restored") || strings.TrimSpace(w.Body.String()) == "" {
			t.Errorf("%s: %d %s, want %d", name, w.Code, w.Body, c.code)
		}
	}
	broken = true
	if w := ask(operator, "GET", "aws", ""); w.Code != 503 {
		t.Errorf("without an authorizer: %d %s", w.Code, w.Body)
	}
	broken = false
	r.did("without an approval", nil)
	if w := ask(operator, "POST", "aws", listed.Body.String()); w.Code != 200 || strings.TrimSpace(w.Body.String()) != `{"approved":3}` {
		t.Errorf("the approval: %d %s", w.Code, w.Body)
	}
	r.did("with the approval", []string{"delete", "delete", "delete"})
	engine = nil
	if w := ask(operator, "GET", "aws", ""); w.Code != 503 {
		t.Errorf("a hub that does not propagate: %d %s", w.Code, w.Body)
	}
}
