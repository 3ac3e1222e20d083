package propagate

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authentication/user"
	apirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/client-go/dynamic/fake"
	clienttesting "k8s.io/client-go/testing"
	testclock "k8s.io/utils/clock/testing"

	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/record"
)

// TestWhoMaySeeAHistory: who may get the object, in just that namespace, and nobody else.
func TestWhoMaySeeAHistory(t *testing.T) {
	dir, clock := t.TempDir(), testclock.NewFakeClock(time.Date(2026, 1, 31, 4, 0, 0, 0, time.UTC))
	recorder, err := record.Open(dir, 1<<20, decide.Options{}, clock)
	if err != nil {
		t.Fatal(err)
	}
	client := fake.NewSimpleDynamicClient(runtime.NewScheme())
	var asked map[string]any
	client.PrependReactor("create", "subjectaccessreviews", func(action clienttesting.Action) (bool, runtime.Object, error) {
		review := action.(clienttesting.CreateAction).GetObject().(*unstructured.Unstructured).DeepCopy()
		asked, _, _ = unstructured.NestedMap(review.Object, "spec", "resourceAttributes")
		who, _, _ := unstructured.NestedString(review.Object, "spec", "user")
		_ = unstructured.SetNestedField(review.Object, who == "alice", "status", "allowed")
		return true, review, nil
	})
	e := &Engine{options: Options{FlightDir: dir}, hub: client, clock: clock}
	e.running.Store(&running{flight: recorder})
	handler := Filter(func() *Engine { return e })(http.NotFoundHandler())
	ask := func(who, query string) (int, string) {
		r := httptest.NewRequest(http.MethodGet, PathHistory+"?"+query, http.NoBody)
		if who != "" {
			r = r.WithContext(apirequest.WithUser(r.Context(), &user.DefaultInfo{Name: who}))
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
	const web = "resource=deployments.apps&namespace=shop&name=web"
	for _, c := range []struct {
		who, query string
		code       int
		says       string
	}{
		{"alice", web, http.StatusOK, `"object":"deployments.apps/shop/web","entries":[]`},
		{"alice", web + "&at=2026-01-31T03:12:00Z", http.StatusOK, `"entries":[]`},
		{"mallory", web, http.StatusForbidden, "mallory may not get deployments.apps shop/web"},
		{"", web, http.StatusForbidden, ""},
		{"alice", "resource=deployments.apps", http.StatusBadRequest, "name are needed"},
		{"alice", web + "&limit=1001", http.StatusBadRequest, "from 1 to 1000"},
		{"alice", web + "&since=noon", http.StatusBadRequest, "since=noon"},
	} {
		if code, body := ask(c.who, c.query); code != c.code || !strings.Contains(body, c.says) {
			t.Errorf("%s asks %s: %d %s", c.who, c.query, code, body)
		}
	}
	if asked["verb"] != "get" || asked["resource"] != "deployments" || asked["group"] != "apps" || asked["namespace"] != "shop" || asked["name"] != "web" {
		t.Errorf("it is asked about %v", asked)
	}
	e.running.Store(&running{})
	if code, body := ask("alice", web); code != http.StatusNotFound || !strings.Contains(body, "is off") {
		t.Errorf("without a recorder it answers %d %s", code, body)
	}
}
