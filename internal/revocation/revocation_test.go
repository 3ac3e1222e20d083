package revocation

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/request"
	rbacregistry "k8s.io/kubernetes/pkg/registry/rbac/validation"
	"k8s.io/kubernetes/plugin/pkg/auth/authorizer/rbac"
	"k8s.io/utils/clock"
)

// rights is an authorizer that takes time.
type rights struct {
	mu    sync.Mutex
	of    map[string]bool
	asked atomic.Int64
	takes time.Duration
}

func (r *rights) Authorize(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	r.asked.Add(1)
	if r.takes > 0 {
		<-clock.RealClock{}.After(r.takes)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.of[a.GetUser().GetName()] {
		return authorizer.DecisionAllow, "", nil
	}
	return authorizer.DecisionNoOpinion, "", nil
}

func (r *rights) set(who string, may bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.of[who] = may
}

// asking is a request as the filters before have made it.
func asking(ctx context.Context, who, verb, namespace string, groups ...string) *http.Request {
	info := &request.RequestInfo{IsResourceRequest: true, Verb: verb, Resource: "pods", APIVersion: "v1", Namespace: namespace}
	ctx = request.WithUser(request.WithRequestInfo(ctx, info), &user.DefaultInfo{Name: who, Groups: groups})
	r, _ := http.NewRequestWithContext(ctx, http.MethodGet, "/api/v1/namespaces/"+namespace+"/pods", nil) // what it is made of is good
	return r
}

func watches(_ *http.Request, info *request.RequestInfo) bool { return info.Verb == "watch" }

// door lets requests through a Guard to a handler that goes on until its context ends, and tells when.
type door struct {
	handler http.Handler
	inside  atomic.Int64
}

func newDoor(g *Guard) *door {
	d := &door{}
	d.handler = g.Filter(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		d.inside.Add(1)
		<-r.Context().Done()
		d.inside.Add(-1)
	}), watches)
	return d
}

func TestARequestEndsWithTheRight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rights{of: map[string]bool{"ann": true, "bob": true}}
		g := New(r, time.Minute, clock.RealClock{})
		d := newDoor(g)
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() { g.Run(ctx) })
		for range 1000 {
			all.Go(func() { d.handler.ServeHTTP(httptest.NewRecorder(), asking(ctx, "ann", "watch", "shop")) })
		}
		all.Go(func() { d.handler.ServeHTTP(httptest.NewRecorder(), asking(ctx, "bob", "watch", "shop")) })
		all.Go(func() {
			d.handler.ServeHTTP(httptest.NewRecorder(), asking(ctx, "root", "watch", "shop", user.SystemPrivilegedGroup))
		})
		synctest.Wait()
		if n := d.inside.Load(); n != 1002 {
			t.Fatalf("%d requests go on", n)
		}
		before := r.asked.Load()
		r.set("ann", false)
		g.Changed()
		began := time.Now()
		for d.inside.Load() != 2 && time.Since(began) < 10*time.Second {
			<-time.After(10 * time.Millisecond)
			synctest.Wait()
		}
		if took := time.Since(began); d.inside.Load() != 2 || took > time.Second {
			t.Errorf("%d requests go on after %s", d.inside.Load(), took)
		}
		if n := r.asked.Load() - before; n != 2 {
			t.Errorf("%d questions about 1001 requests of two people", n)
		}
		// Without a change, it is noticed as well.
		r.set("bob", false)
		<-time.After(time.Minute)
		synctest.Wait()
		if n := d.inside.Load(); n != 1 {
			t.Errorf("%d requests go on", n)
		}
		cancel()
		all.Wait()
		if len(g.open) > 0 {
			t.Errorf("%d requests are remembered", len(g.open))
		}
	})
}

// TestARightThatWentMeanwhile: the authorizer said yes, and then the right was gone before the request was noted.
func TestARightThatWentMeanwhile(t *testing.T) {
	g := New(&rights{of: map[string]bool{}}, time.Minute, clock.RealClock{})
	w := httptest.NewRecorder()
	newDoor(g).handler.ServeHTTP(w, asking(t.Context(), "ann", "watch", "shop"))
	if w.Code != http.StatusForbidden {
		t.Errorf("status %d", w.Code)
	}
}

// TestQuestionsTakeAShareOfTheTime: rights that change all the time cost no more, and no request goes on for five seconds.
func TestQuestionsTakeAShareOfTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rights{of: map[string]bool{}, takes: time.Millisecond}
		g := New(r, time.Minute, clock.RealClock{})
		d := newDoor(g)
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() { g.Run(ctx) })
		const people = 500
		for i := range people {
			who := fmt.Sprint("user-", i)
			r.set(who, true)
			all.Go(func() { d.handler.ServeHTTP(httptest.NewRecorder(), asking(ctx, who, "watch", "shop")) })
		}
		all.Go(func() {
			for ctx.Err() == nil {
				g.Changed()
				<-time.After(10 * time.Millisecond)
			}
		})
		<-time.After(5 * time.Second)
		before := r.asked.Load()
		<-time.After(30 * time.Second)
		if spent := time.Duration(r.asked.Load()-before) * r.takes; spent > 8*time.Second || spent < 2*time.Second {
			t.Errorf("%s of 30s were spent on questions", spent)
		}
		r.set("user-7", false)
		<-time.After(5 * time.Second)
		synctest.Wait()
		if n := d.inside.Load(); n != people-1 {
			t.Errorf("%d requests go on", n)
		}
		cancel()
		all.Wait()
	})
}

// TestShortRequestsCostNothing: they are not noted, nor asked about.
func TestShortRequestsCostNothing(t *testing.T) {
	r := &rights{of: map[string]bool{}}
	g := New(r, time.Minute, clock.RealClock{})
	reached := false
	g.Filter(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }), watches).ServeHTTP(httptest.NewRecorder(), asking(t.Context(), "ann", "get", "shop"))
	if !reached || r.asked.Load() > 0 {
		t.Errorf("reached %t, %d questions", reached, r.asked.Load())
	}
}

// BenchmarkAsk is one round of questions about 5,000 watches of 1,000 people with 50 groups each, by upstream's RBAC with 1,000
// ClusterRoleBindings and a RoleBinding for each.
func BenchmarkAsk(b *testing.B) {
	var roles []*rbacv1.ClusterRole
	var everywhere []*rbacv1.ClusterRoleBinding
	var bindings []*rbacv1.RoleBinding
	subject := func(name string) []rbacv1.Subject {
		return []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: name}}
	}
	roles = append(roles, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "view"}, Rules: []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"watch"}}}})
	for i := range 1000 {
		name := fmt.Sprint("r-", i)
		roles = append(roles, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}})
		everywhere = append(everywhere, &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: name}, Subjects: subject(name), RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: name}})
		bindings = append(bindings, &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "n"}, Subjects: subject(name), RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: "view"}})
	}
	_, static := rbacregistry.NewTestRuleResolver(nil, bindings, roles, everywhere)
	g := New(rbac.New(static, static, static, static), time.Minute, clock.RealClock{})
	d := newDoor(g)
	var all sync.WaitGroup
	ctx, cancel := context.WithCancel(b.Context())
	for i := range 5000 {
		groups := []string{fmt.Sprint("r-", i%1000)}
		for j := range 49 {
			groups = append(groups, fmt.Sprintf("other-%d-%d", i%1000, j))
		}
		all.Go(func() {
			d.handler.ServeHTTP(httptest.NewRecorder(), asking(ctx, fmt.Sprint("u-", i%1000), "watch", "n", groups...))
		})
	}
	for d.inside.Load() < 5000 {
		<-clock.RealClock{}.After(time.Millisecond)
	}
	for b.Loop() {
		g.ask(ctx)
	}
	cancel()
	all.Wait()
}
