package fleet

import (
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/fleet/access"
	"github.com/hanse-dev/hanse/internal/fleet/survey"
	"github.com/hanse-dev/hanse/internal/guard"
)

func (r *recorder) setPanics(panics bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.panics = panics
}

func TestAPanicOverAMemberIsSaidAndPasses(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	f.join(t)
	f.eventually(t, "engaged", func() bool { return f.prop.isEngaged("aws") })
	f.prop.setPanics(true)
	f.eventually(t, "let go, and said", func() bool {
		_, reason, message := f.condition(v1alpha1.ConditionReady)
		return reason == v1alpha1.ReasonInternalFault && strings.Contains(message, "makes no sense") && !f.prop.isEngaged("aws")
	})
	f.prop.setPanics(false)
	f.eventually(t, "engaged again", func() bool { return f.reason() == v1alpha1.ReasonReachable && f.prop.isEngaged("aws") })
}

// A look that panics must not keep a cluster from leaving.
func TestALookThatPanicsIsAVerdict(t *testing.T) {
	closed := false
	m := newMember(&Fleet{clock: clock.RealClock{}, clusters: cache.NewIndexer(cache.MetaNamespaceKeyFunc, clusterIndex())}, "aws")
	m.cred = access.Credential{Token: "x", For: access.WayOf(&v1alpha1.ClusterSpec{})}
	m.link = &link{close: func() { closed = true }} // without a client
	counted := ""
	v := m.guardedLook(guard.WithCounter(t.Context(), func(component string) { counted += component }), &v1alpha1.Cluster{})
	if counted != "fleet" {
		t.Errorf("counted: %q", counted)
	}
	if v.reason != v1alpha1.ReasonInternalFault || !v.reached() || !closed || m.link != nil {
		t.Errorf("%+v; link closed: %v", v, closed)
	}
	if h := newHealth().next(verdict{reason: v1alpha1.ReasonReachable}).next(v); h.ok() || !h.down() {
		t.Errorf("the member is still handed to propagation: %+v", h)
	}
}

func TestFaultsAreRepeatedEverMoreSlowly(t *testing.T) {
	now := time.Now()
	var f faults
	if f.backOff(now) != 0 {
		t.Error("a wait without a fault")
	}
	last := time.Duration(0)
	for range 100 {
		f.add(now)
		wait := f.backOff(now)
		if wait < last || wait > lastBackOff || wait <= 0 {
			t.Fatalf("%s after %s", wait, last)
		}
		last = wait
		now = now.Add(wait)
	}
	if last != lastBackOff {
		t.Errorf("in the end it waits for %s", last)
	}
	f.add(now.Add(2 * forgiven))
	if got := f.backOff(now.Add(2 * forgiven)); got != firstBackOff {
		t.Errorf("old faults count still: %s", got)
	}
}

func TestAMemberThatAnswersRubbish(t *testing.T) {
	t.Parallel()
	api := newFakeAPI(t, "member-uid")
	spec := v1alpha1.ClusterSpec{Endpoint: api.URL, CABundle: pemOf(api.Certificate()), UID: "member-uid"}
	m := newMember(&Fleet{clock: clock.RealClock{}, hubUID: "hub-uid", clusters: cache.NewIndexer(cache.MetaNamespaceKeyFunc, clusterIndex())}, "aws")
	m.spec, m.cred = spec, access.Credential{Token: adminToken, For: access.WayOf(&spec)}
	m.token.set(adminToken)
	var err error
	if m.link, err = newLink(t.Context(), spec, m.token, m.line); err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{
		"", "null", "[]", "{}", `"ok"`, "7", "\x00\xff\xfe", "k8s\x00", "k8s\x00\x0a\xff\xff\xff\xff\x0f", "<html>", `{"metadata":null}`,
		`{"kind":"Namespace","apiVersion":"v1","metadata":{"annotations":null,"uid":7}}`,
		`{"kind":"NodeList","apiVersion":"v1","items":[null]}`, `{"kind":"Status","apiVersion":"v1","code":-1}`,
		`{"items":` + strings.Repeat("[", 20000),
	} {
		api.setRubbish([]byte(body))
		if v := m.guardedLook(t.Context(), &v1alpha1.Cluster{Spec: spec}); v.ok() || v.reason == v1alpha1.ReasonInternalFault {
			t.Errorf("%.40q: %+v", body, v)
		}
		if _, err := survey.Read(t.Context(), m.link.client()); err != nil {
			t.Logf("%.40q: %v", body, err)
		}
	}
	api.setRubbish(nil)
	m.health = newHealth().next(verdict{reason: v1alpha1.ReasonReachable})
	if v := m.guardedLook(t.Context(), &v1alpha1.Cluster{Spec: spec}); !v.ok() {
		t.Errorf("when it is well again: %+v", v)
	}
}
