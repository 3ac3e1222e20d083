package fleet

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/fleet/join"
	"github.com/hanse-dev/hanse/internal/fleet/survey"
)

// has puts a namespace into a cluster, with service accounts, and with the mark of a hub if one is named.
func (f *fakeAPI) has(name, hub string, accounts ...string) {
	annotations := map[string]any{}
	if hub != "" {
		annotations[v1alpha1.AnnotationOrigin] = hub + "/run@1/template/namespaces//" + name
	}
	f.put("/api/v1/namespaces/"+name, map[string]any{"kind": "Namespace", "apiVersion": "v1", "metadata": map[string]any{"name": name, "uid": "uid-" + name, "annotations": annotations}})
	for _, account := range accounts {
		f.put("/api/v1/serviceaccounts/"+name+"-"+account, map[string]any{"kind": "ServiceAccount", "apiVersion": "v1", "metadata": map[string]any{"name": account, "namespace": name}})
	}
}

func namesOf(list []survey.Namespace) (names []string) {
	for _, ns := range list {
		names = append(names, fmt.Sprint(ns.Name, " ", ns.Accounts))
	}
	return names
}

func TestJoinShowsWhatIsThere(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	f.member.has("default", "", "default", "app")
	f.member.has("flux-system", "", "default", "controller", "other")
	f.member.has("shop", "")
	f.member.has("team-a", "")
	f.member.has("mine", "hub-uid-of-the-fake")
	f.member.has("others", "another-hub")
	o := f.options()
	o.Allow, o.Deny = []string{"team-*"}, []string{"secret"}
	var seen join.Review
	o.Review = func(_ context.Context, r join.Review) ([]string, error) {
		seen = r
		return []string{"shop"}, nil
	}
	if _, err := join.Run(t.Context(), clock.RealClock{}, o); err != nil {
		t.Fatal(err)
	}
	if got := namesOf(seen.Theirs); !slices.Equal(got, []string{"flux-system 2", "mine 0", "others 0", "shop 0"}) {
		t.Errorf("its own are said to be %v", got)
	}
	if got := namesOf(seen.Taken); !slices.Equal(got, []string{"default 1", "team-a 0"}) {
		t.Errorf("to be taken over are said to be %v", got)
	}
	want := map[string]any{"allow": []any{"default", "team-*", "shop"}, "deny": []any{"kube-*", "hanse-system", "secret"}}
	if got := f.hub.get(clusterPath)["spec"].(map[string]any)["namespaces"]; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the Cluster says %v, want %v", got, want)
	}

	// Joining again keeps what is said, adds to it, and says nothing twice.
	o.Allow, o.Deny, o.Review = []string{"more", "shop"}, nil, nil
	if _, err := join.Run(t.Context(), clock.RealClock{}, o); err != nil {
		t.Fatal(err)
	}
	want["allow"] = []any{"default", "team-*", "shop", "more"}
	if got := f.hub.get(clusterPath)["spec"].(map[string]any)["namespaces"]; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the Cluster says %v, want %v", got, want)
	}
}

// TestNobodyAnswers: a join that is not agreed to leaves nothing.
func TestNobodyAnswers(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(context.Context, join.Review) ([]string, error){
		"an error":     func(context.Context, join.Review) ([]string, error) { return nil, errors.New("nobody answers") },
		"no namespace": func(context.Context, join.Review) ([]string, error) { return []string{"No_Name"}, nil },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFederation(t)
			before := f.member.paths()
			o := f.options()
			o.Review = answer
			if _, err := join.Run(t.Context(), clock.RealClock{}, o); err == nil {
				t.Fatal("it has joined")
			}
			if got := f.member.paths(); !slices.Equal(got, before) || f.hub.get(clusterPath) != nil {
				t.Errorf("in the member are %v, were %v", got, before)
			}
		})
	}
}

// TestNamespacesThatCannotBeListed are all the cluster's own.
func TestNamespacesThatCannotBeListed(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	f.member.setIntercept(func(r *http.Request) int {
		if r.URL.Path == "/api/v1/namespaces" && r.Method == http.MethodGet {
			return http.StatusForbidden
		}
		return 0
	})
	plan, err := join.DryRun(t.Context(), f.options())
	if err != nil || plan.Unknown == "" || len(plan.Theirs) > 0 {
		t.Errorf("%+v, %v", plan, err)
	}
}

func TestPatternsThatAreNone(t *testing.T) {
	for _, good := range []string{"shop", "team-*", "*", "a", "*-shop"} {
		if err := join.CheckPatterns([]string{good}); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{"", "Shop", "a/b", "-a", "a-", "[a]", "a b", strings.Repeat("a", 64)} {
		if err := join.CheckPatterns([]string{bad}); err == nil || !strings.Contains(err.Error(), "Try: ") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
