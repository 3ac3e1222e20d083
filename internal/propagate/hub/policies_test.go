package hub

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/textlogger"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/policy"
	"github.com/hanse-dev/hanse/internal/propagate/decide"
)

const policyPath = "/apis/hanse.dev/v1alpha1/namespaces/shop/placementpolicies/p"

// governed has a policy in effect that selects web.
func (h *heart) governed(t *testing.T, api *hubAPI) {
	t.Helper()
	obj := named("hanse.dev/v1alpha1", "PlacementPolicy", "shop", "p")
	obj["metadata"].(map[string]any)["generation"] = int64(1)
	made := api.put(policyPath, obj)
	p, err := policy.FromPolicy(&v1alpha1.PlacementPolicy{})
	if err != nil {
		t.Fatal(err)
	}
	p.Namespace, p.Name = "shop", "p"
	h.mu.Lock()
	defer h.mu.Unlock()
	h.facts = &decide.Facts{Policies: policy.NewIndex([]*policy.Policy{p}), KnownPolicies: []decide.KnownPolicy{{Object: made, InEffect: p}}}
}

// TestPoliciesAreCountedOnceASecond, and a refusal is logged once and tried again.
func TestPoliciesAreCountedOnceASecond(t *testing.T) {
	api, h := newHubAPI(t), newHeart()
	h.has(t, api, "web:1")
	h.governed(t, api)
	c := clocktesting.NewFakeClock(time.Unix(1000, 0))
	lines := &lines{}
	p := NewPolicies(api.client(t), h, policy.Cluster{}, c)
	running(t, func(ctx context.Context) {
		p.Run(klog.NewContext(ctx, textlogger.NewLogger(textlogger.NewConfig(textlogger.Output(lines)))))
	})
	api.setFault(func(r *http.Request) fault {
		if r.Method == http.MethodPatch {
			return fault{code: 500}
		}
		return fault{}
	})
	asked := func(n int) func() bool {
		return func() bool { return api.asked("PATCH "+policyPath+"/status") == n && c.HasWaiters() }
	}
	p.Count()
	waitFor(t, "the first", asked(1))
	for range 100 {
		p.Count()
	}
	c.Step(policyInterval)
	waitFor(t, "the second", asked(2))
	api.setFault(nil)
	c.Step(policyInterval)
	waitFor(t, "the third", asked(3))
	got := api.get(policyPath)
	if n, _, _ := unstructured.NestedInt64(got.Object, "status", "objects"); n != 1 {
		t.Errorf("it applies to %d: %v", n, got.Object["status"])
	}
	if n, m := strings.Count(lines.String(), "could not be written"), strings.Count(lines.String(), "could be written again"); n != 1 || m != 1 {
		t.Errorf("logged %d times that it fails, %d times that it does no more:\n%s", n, m, lines)
	}

	h.mu.Lock()
	h.facts.KnownPolicies[0].Object = got // as the watch brings it
	h.mu.Unlock()
	p.Count()
	c.Step(policyInterval)
	waitFor(t, "the fourth to be looked at", func() bool { return len(p.recount) == 0 && c.HasWaiters() })
	if n := api.asked("PATCH " + policyPath + "/status"); n != 3 {
		t.Errorf("what is as it should be is written: %d requests", n)
	}
}

// TestResidenciesSayWhatIsOutside in their own statuses.
func TestResidenciesSayWhatIsOutside(t *testing.T) {
	api, h := newHubAPI(t), newHeart()
	const path = "/apis/hanse.dev/v1alpha1/residencies/eu"
	obj := named("hanse.dev/v1alpha1", "Residency", "", "eu")
	obj["metadata"].(map[string]any)["generation"] = int64(1)
	obj["spec"] = map[string]any{"namespaces": []any{"shop"}, "clusters": map[string]any{"names": []any{"azure"}}}
	made := api.put(path, obj)
	read, err := policy.Parse(made)
	if err != nil {
		t.Fatal(err)
	}
	h.mu.Lock()
	h.facts = &decide.Facts{Policies: policy.NewIndex([]*policy.Policy{read}), KnownPolicies: []decide.KnownPolicy{{Object: made, InEffect: read}}}
	h.mu.Unlock()
	p := NewPolicies(api.client(t), h, policy.Cluster{}, clocktesting.NewFakeClock(time.Unix(1000, 0)))
	if retry := p.write(t.Context()); retry {
		t.Error("it is tried again")
	}
	conditions, _, _ := unstructured.NestedSlice(api.get(path).Object, "status", "conditions")
	if len(conditions) != 3 {
		t.Errorf("the status says %v", conditions)
	}
}

func TestAPolicyThatIsGoneIsNoError(t *testing.T) {
	api, h := newHubAPI(t), newHeart()
	h.governed(t, api)
	api.remove(policyPath)
	p := NewPolicies(api.client(t), h, policy.Cluster{}, clocktesting.NewFakeClock(time.Unix(1000, 0)))
	if retry := p.write(t.Context()); retry || api.asked("PATCH "+policyPath+"/status") != 1 {
		t.Error("it is tried again")
	}
}

func TestWhoMayPatchACluster(t *testing.T) {
	api := newHubAPI(t)
	for name, want := range map[string]int{"admin": 0, "guest": http.StatusForbidden} {
		got, err := MayPatchCluster(t.Context(), api.client(t), &user.DefaultInfo{Name: name}, "aws")
		if got != want || (err == nil) != (want == 0) {
			t.Errorf("%s: %d, %v, want %d", name, got, err, want)
		}
	}
	api.setFault(func(*http.Request) fault { return fault{code: 500} })
	if got, err := MayPatchCluster(t.Context(), api.client(t), &user.DefaultInfo{Name: "admin"}, "aws"); got != http.StatusServiceUnavailable || err == nil {
		t.Errorf("where nobody knows: %d, %v", got, err)
	}
}
