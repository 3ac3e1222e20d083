package propagate

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"
	apirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/client-go/rest"
	testclock "k8s.io/utils/clock/testing"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/survive"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// reviewer is as much of a hub as answers who may do what. What somebody may list is by name, as RESOURCE.GROUP.
type reviewer struct {
	mu     sync.Mutex
	may    map[string][]string
	broken bool
	slow   chan struct{} // GlobalRoutes are listed once it is closed
}

func (v *reviewer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	v.mu.Lock()
	broken, slow := v.broken, v.slow
	v.mu.Unlock()
	if strings.HasSuffix(r.URL.Path, "/globalroutes") {
		if slow != nil {
			select {
			case <-slow:
			case <-r.Context().Done():
			}
		}
		_, _ = io.WriteString(w, `{"apiVersion":"hanse.dev/v1alpha1","kind":"GlobalRouteList","metadata":{},"items":[{"apiVersion":"hanse.dev/v1alpha1","kind":"GlobalRoute",
  "metadata":{"name":"r","namespace":"secret"},"spec":{"hosts":["secret.example.com"],"endpoints":[{"cluster":"aws","addresses":["192.0.2.1"]}]}}]}`)
		return
	}
	var review authorizationv1.SubjectAccessReview
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil || broken {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	asked := review.Spec.ResourceAttributes
	gr := schema.GroupResource{Group: asked.Group, Resource: asked.Resource}.String()
	for _, may := range v.may[review.Spec.User] {
		review.Status.Allowed = review.Status.Allowed || asked.Verb == "list" && asked.Namespace == "" && (may == gr || may == "*")
	}
	_ = json.NewEncoder(w).Encode(review)
}

// survivor is an Engine with two clusters, of which one runs what can run nowhere else.
func survivor(t *testing.T, v *reviewer) *Engine {
	t.Helper()
	server := httptest.NewServer(v)
	t.Cleanup(server.Close)
	clock := testclock.NewFakeClock(time.Date(2026, 11, 27, 3, 12, 0, 0, time.UTC))
	e, err := New(&rest.Config{Host: server.URL, QPS: -1}, Options{Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	now := clock.Now()
	world := decide.NewWorld(decide.Options{FailoverAfter: 30 * time.Second, Began: now})
	var clusters []*v1alpha1.Cluster
	for _, name := range []string{"aws", "azure"} {
		c := &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.NewTime(now.Add(-time.Hour))}}
		c.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, LastTransitionTime: c.CreationTimestamp}}
		clusters = append(clusters, c)
	}
	deployments := schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}
	template, err := template.Read(deployments.GroupResource(), &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": "secret", "namespace": "secret", "uid": "u", "resourceVersion": "1"},
		"spec": map[string]any{"replicas": int64(2), "template": map[string]any{"spec": map[string]any{"nodeSelector": map[string]any{"hanse.dev/cluster": "aws"}}}},
	}}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range []decide.Input{
		decide.Served{GVR: deployments, GVK: deployments.GroupVersion().WithKind("Deployment")}, decide.Listed{GR: deployments.GroupResource()},
		decide.ClustersListed{Clusters: clusters}, decide.Written{Template: template},
	} {
		world.Apply(in, now)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{ctx: ctx, loop: newLoop(world, clock, func(decide.Effect) {})}
	e.running.Store(r)
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.loop.run(ctx)
	}()
	t.Cleanup(func() { cancel(); <-done })
	return e
}

func askSurvive(e *Engine, who, path string) *httptest.ResponseRecorder {
	handler := Filter(func() *Engine { return e })(http.NotFoundHandler())
	r := httptest.NewRequest(http.MethodGet, path, nil)
	if who != "" {
		r = r.WithContext(apirequest.WithUser(r.Context(), &user.DefaultInfo{Name: who}))
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w
}

// TestWhoSeesWhatWouldNotSurvive attacks the names of what is in namespaces that somebody has no rights in.
func TestWhoSeesWhatWouldNotSurvive(t *testing.T) {
	most := []string{"clusters.hanse.dev", "deployments.apps", "statefulsets.apps", "jobs.batch", "pods", "ingresses.networking.k8s.io", "globalroutes.hanse.dev", "poddisruptionbudgets.policy"}
	v := &reviewer{may: map[string][]string{
		"admin": {"*"}, "guest": {}, "watcher": {"clusters.hanse.dev"}, "almost": most, "nearly": append([]string{"services"}, most[1:]...),
	}}
	e := survivor(t, v)
	for who, want := range map[string]struct {
		code  int
		names bool
	}{
		"admin": {200, true}, "": {403, false}, "guest": {403, false}, "watcher": {200, false}, "almost": {200, false}, "nearly": {403, false},
	} {
		for _, query := range []string{"", "?all=true", "?cluster=aws", "?cluster=aws&cluster=azure&all=true"} {
			w := askSurvive(e, who, PathSurvive+query)
			body := w.Body.String()
			if w.Code != want.code || strings.Contains(body, "secret") != want.names {
				t.Errorf("%q at %q: %d %s", who, query, w.Code, body)
			}
			if want.code == 200 && !strings.Contains(body, `"unplaced":2,`) {
				t.Errorf("%q at %q is told no numbers: %s", who, query, body)
			}
		}
	}
	// The numbers of one workload would say that there is one of that name.
	if w := askSurvive(e, "watcher", PathSurvive+"?of=secret"); w.Code != 403 || strings.Contains(w.Body.String(), "unplaced") {
		t.Errorf("numbers of one workload: %d %s", w.Code, w.Body)
	}
	if w := askSurvive(e, "admin", PathSurvive+"?cluster=mars"); w.Code != 422 || !strings.Contains(w.Body.String(), "there is no cluster mars, only aws, azure. Try: hanse clusters") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := askSurvive(e, "admin", PathSurvive+"?"+strings.Repeat("cluster=aws&", mostLost+1)); w.Code != 400 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	v.mu.Lock()
	v.broken = true
	v.mu.Unlock()
	if w := askSurvive(e, "admin", PathSurvive); w.Code != 503 {
		t.Errorf("where nobody knows who may: %d %s", w.Code, w.Body)
	}
}

// TestOneAnswerAtATime has a question hang, and its asker leave.
func TestOneAnswerAtATime(t *testing.T) {
	v := &reviewer{may: map[string][]string{"admin": {"*"}}, slow: make(chan struct{})}
	e := survivor(t, v)
	handler := Filter(func() *Engine { return e })(http.NotFoundHandler())
	ask := func(ctx context.Context) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, PathSurvive, nil)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r.WithContext(apirequest.WithUser(ctx, &user.DefaultInfo{Name: "admin"})))
		return w
	}
	ctx, leave := context.WithCancel(t.Context())
	first, second := make(chan int), make(chan int)
	go func() { first <- ask(ctx).Code }()
	go func() { second <- ask(ctx).Code }()
	leave()
	for _, got := range []chan int{first, second} {
		select {
		case code := <-got:
			if code == http.StatusOK {
				t.Error("who left was answered")
			}
		case <-time.After(5 * time.Second):
			t.Fatal("it goes on although nobody waits for the answer")
		}
	}
	close(v.slow)
	if w := ask(t.Context()); w.Code != http.StatusOK {
		t.Errorf("the next: %d %s", w.Code, w.Body)
	}
}

func TestTheConditionIsOfTheLastLook(t *testing.T) {
	e := survivor(t, &reviewer{})
	if e.survival.condition("aws") != nil || e.Survival() != nil {
		t.Error("something is said although nobody has looked")
	}
	report, err := e.Survive(t.Context(), survive.Question{})
	if err != nil {
		t.Fatal(err)
	}
	e.survival.found(report)
	if c := e.survival.condition("aws"); c == nil || c.Status != metav1.ConditionFalse || c.Reason != v1alpha1.ReasonNoPlaceElsewhere {
		t.Errorf("aws: %+v", c)
	}
	if c := e.survival.condition("azure"); c == nil || c.Status != metav1.ConditionTrue {
		t.Errorf("azure: %+v", c)
	}
	first := e.survival.condition("azure")
	if report, err = e.Survive(t.Context(), survive.Question{}); err != nil {
		t.Fatal(err)
	}
	if e.survival.found(report); e.survival.condition("azure") != first {
		t.Error("a condition that says the same is another, so that whoever shows it compares all that it shows")
	}
	for i := range report.Scenarios {
		report.Scenarios[i].Affected++
	}
	if e.survival.found(report); e.survival.condition("azure") == first || e.survival.condition("azure").Message == first.Message {
		t.Errorf("a condition that says something else is the same: %v", first)
	}
	if got := fmt.Sprint(e.Survival()); got != "[{{Cluster aws} 2 1 0} {{Cluster azure} 0 0 0}]" {
		t.Error(got)
	}
}
