package fleet

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/textlogger"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/fleet/access"
	"github.com/hanse-dev/hanse/internal/fleet/join"
	"github.com/hanse-dev/hanse/internal/metrics"
)

const clusterPath = "/apis/hanse.dev/v1alpha1/clusters/aws"

// federation is a hub with its fleet and one cluster that may join.
type federation struct {
	hub, member *fakeAPI
	prop        *recorder
	registry    *prometheus.Registry
	log         *logged
}

func newFederation(t *testing.T) *federation {
	f := &federation{hub: newFakeAPI(t, "hub-uid"), member: newFakeAPI(t, "member-uid"), prop: &recorder{reached: map[string]bool{}, engaged: map[string]*rest.Config{}},
		registry: prometheus.NewPedanticRegistry(), log: &logged{}}
	fl, err := New(f.hub.config(), "hub-uid", clock.RealClock{}, f.prop)
	if err != nil {
		t.Fatal(err)
	}
	measured, err := metrics.New(f.registry)
	if err != nil {
		t.Fatal(err)
	}
	fl.Measure(measured.Fleet)
	ctx, cancel := context.WithCancel(klog.NewContext(t.Context(), textlogger.NewLogger(textlogger.NewConfig(textlogger.Output(f.log)))))
	done := make(chan struct{})
	go func() { defer close(done); _ = fl.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return f
}

func (f *federation) options() join.Options {
	return join.Options{Name: "aws", Hub: f.hub.config(), Member: f.member.config(), Timeout: 20 * time.Second}
}

func (f *federation) join(t *testing.T) {
	t.Helper()
	if _, err := join.Run(t.Context(), clock.RealClock{}, f.options()); err != nil {
		t.Fatalf("Join: %v", err)
	}
}

// eventually fails the test unless ok becomes true soon. It looks again after
// each change at the hub.
func (f *federation) eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(25 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not so within the deadline: %s; cluster: %v", what, f.hub.get(clusterPath))
		}
	}
}

func TestJoinMakesAMember(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	result, err := join.Run(t.Context(), clock.RealClock{}, f.options())
	if err != nil {
		t.Fatal(err)
	}
	if result.Refreshed || result.Cluster.Status.Phase != v1alpha1.ClusterReady || result.Cluster.Status.Version != "v1.99.0" {
		t.Errorf("unexpected result: %+v", result.Cluster.Status)
	}
	want := []string{
		"/api/v1/namespaces/hanse-system", "/api/v1/namespaces/hanse-system/serviceaccounts/hanse-hub", "/api/v1/namespaces/kube-system",
		"/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/hanse-hub-guard", "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings/hanse-hub-guard",
		"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/hanse-hub", "/apis/rbac.authorization.k8s.io/v1/clusterroles/hanse-hub",
	}
	if got := f.member.paths(); !slices.Equal(got, want) {
		t.Errorf("in the member:\n%s", strings.Join(got, "\n"))
	}
	want = []string{"/api/v1/namespaces/hanse-system", "/api/v1/namespaces/hanse-system/secrets/cluster-aws", "/api/v1/namespaces/kube-system", clusterPath}
	if got := f.hub.paths(); !slices.Equal(got, want) {
		t.Errorf("at the hub:\n%s", strings.Join(got, "\n"))
	}
	f.eventually(t, "engaged", func() bool { return f.prop.isEngaged("aws") })
}

func TestJoinAgainRenews(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	f.join(t)
	before := f.hub.get("/api/v1/namespaces/hanse-system/secrets/cluster-aws")["data"]
	result, err := join.Run(t.Context(), clock.RealClock{}, f.options())
	if err != nil {
		t.Fatal(err)
	}
	if !result.Refreshed {
		t.Error("not called refreshed")
	}
	if after := f.hub.get("/api/v1/namespaces/hanse-system/secrets/cluster-aws")["data"]; fmt.Sprint(before) == fmt.Sprint(after) {
		t.Error("the credential is the old one")
	}
}

// TestJoinAgainWhileTheHubWrites: a hub that has just started looks at its
// members and writes what it found, between the reading and the writing of join.
func TestJoinAgainWhileTheHubWrites(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	f.join(t)
	refused := false
	f.hub.setIntercept(func(r *http.Request) int {
		if r.Method == http.MethodPut && r.URL.Path == clusterPath && !refused {
			refused = true
			return http.StatusConflict
		}
		return 0
	})
	result, err := join.Run(t.Context(), clock.RealClock{}, f.options())
	if err != nil || !result.Refreshed || !refused {
		t.Errorf("got %+v, %v; refused: %v", result, err, refused)
	}
}

func TestJoinRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	f.join(t)
	f.member.writes()
	other := newFakeAPI(t, "other-uid")
	foreign := newFakeAPI(t, "foreign-uid")
	foreign.put("/api/v1/namespaces/hanse-system", map[string]any{"kind": "Namespace", "apiVersion": "v1",
		"metadata": map[string]any{"name": "hanse-system", "annotations": map[string]any{access.AnnotationHub: "another-hub"}}})
	for name, c := range map[string]struct {
		change func(o *join.Options)
		want   string
	}{
		"invalid name":    {func(o *join.Options) { o.Name = "No_Good" }, "cannot be the name"},
		"reserved name":   {func(o *join.Options) { o.Name = "federation" }, "that is the hub"},
		"name taken":      {func(o *join.Options) { o.Member = other.config() }, "taken by another cluster"},
		"another name":    {func(o *join.Options) { o.Name = "aws2" }, "is a member already, as aws"},
		"the hub itself":  {func(o *join.Options) { o.Name, o.Member = "x", o.Hub }, "hub itself"},
		"another hub's":   {func(o *join.Options) { o.Name, o.Member = "x", foreign.config() }, "another hub (another-hub)"},
		"expired token":   {func(o *join.Options) { o.Member.BearerToken = "old" }, "(401)"},
		"wrong CA":        {func(o *join.Options) { o.Member.CAData = pemOf(selfSigned(t)) }, "authority that is not trusted"},
		"no verification": {func(o *join.Options) { o.Member.Insecure = true }, "insecure-skip-tls-verify"},
		"no TLS":          {func(o *join.Options) { o.Member.Host = "http://127.0.0.1:1" }, "not an https:// address"},
		"nobody there":    {func(o *join.Options) { o.Member.Host = closedAddress(t) }, "connection refused"},
		"hub not there":   {func(o *join.Options) { o.Hub.Host = closedAddress(t) }, "the hub at"},
		"hub's old token": {func(o *join.Options) { o.Hub.BearerToken = "old" }, "the hub at"},
	} {
		t.Run(name, func(t *testing.T) {
			o := f.options()
			c.change(&o)
			f.hub.writes()
			_, err := join.Run(t.Context(), clock.RealClock{}, o)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "Try: ") {
				t.Errorf("unexpected error: %v", err)
			}
			if strings.Contains(fmt.Sprint(err), "\n") {
				t.Errorf("more than a line: %v", err)
			}
			for _, w := range append(f.member.writes(), other.writes()...) {
				if !strings.Contains(w, "clusters") { // the fleet's own
					t.Errorf("wrote %s", w)
				}
			}
		})
	}
}

func TestJoinTakesOver(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	f.member.put("/api/v1/namespaces/hanse-system", map[string]any{"kind": "Namespace", "apiVersion": "v1",
		"metadata": map[string]any{"name": "hanse-system", "annotations": map[string]any{access.AnnotationHub: "another-hub"}}})
	f.member.put("/api/v1/namespaces/hanse-system/serviceaccounts/hanse-hub", map[string]any{"kind": "ServiceAccount", "apiVersion": "v1",
		"metadata": map[string]any{"name": "hanse-hub", "uid": "old"}})
	o := f.options()
	o.TakeOver = true
	if _, err := join.Run(t.Context(), clock.RealClock{}, o); err != nil {
		t.Fatal(err)
	}
	account := f.member.get("/api/v1/namespaces/hanse-system/serviceaccounts/hanse-hub")
	if account["metadata"].(map[string]any)["uid"] == "old" {
		t.Error("the other hub's service account, and so its tokens, live on")
	}
}

func TestFailedJoinLeavesNothing(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"clusterroles", "clusterrolebindings", "serviceaccounts", "token", "secrets", "clusters"} {
		t.Run(at, func(t *testing.T) {
			f := newFederation(t)
			deny := func(r *http.Request) int {
				if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/"+at) {
					return http.StatusForbidden
				}
				return 0
			}
			f.member.setIntercept(deny)
			f.hub.setIntercept(deny)
			if _, err := join.Run(t.Context(), clock.RealClock{}, f.options()); err == nil || !strings.Contains(err.Error(), "Try: ") {
				t.Fatalf("unexpected error: %v", err)
			}
			f.assertNothing(t)
		})
	}
}

func TestInterruptedJoinLeavesNothing(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	ctx, cancel := context.WithCancel(t.Context())
	var posted atomic.Bool
	f.member.setIntercept(func(r *http.Request) int {
		if r.URL.Path == "/readyz" { // the hub looks: all is made, and join waits
			posted.Store(true)
			cancel()
			return http.StatusServiceUnavailable
		}
		return 0
	})
	_, err := join.Run(ctx, clock.RealClock{}, f.options())
	if err == nil || !strings.Contains(err.Error(), "interrupted") {
		t.Fatalf("unexpected error: %v", err)
	}
	if !posted.Load() {
		t.Fatal("interrupted too early to prove anything")
	}
	f.assertNothing(t)
}

func (f *federation) assertNothing(t *testing.T) {
	t.Helper()
	if got := f.member.paths(); !slices.Equal(got, []string{"/api/v1/namespaces/kube-system"}) {
		t.Errorf("left in the member: %v", got)
	}
	for _, p := range f.hub.paths() {
		if strings.Contains(p, "clusters") || strings.Contains(p, "secrets") {
			t.Errorf("left at the hub: %s", p)
		}
	}
}

func TestJoinWaitsForWhatIsBeingDeleted(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	const role = "/apis/rbac.authorization.k8s.io/v1/clusterroles/hanse-hub"
	f.member.put(role, map[string]any{"kind": "ClusterRole", "apiVersion": "rbac.authorization.k8s.io/v1", "metadata": map[string]any{"name": "hanse-hub", "uid": "old",
		"ownerReferences": []any{map[string]any{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "name": "hanse-hub", "uid": "gone"}}}})
	o := f.options()
	o.Progress = func(what string) {
		if strings.Contains(what, "is deleted") { // now the garbage collector comes by
			f.member.mu.Lock()
			delete(f.member.objects, role)
			f.member.mu.Unlock()
		}
	}
	if _, err := join.Run(t.Context(), clock.RealClock{}, o); err != nil {
		t.Fatal(err)
	}
	if f.member.get(role)["metadata"].(map[string]any)["uid"] == "old" {
		t.Error("built on a role that was about to go")
	}
}

func TestPlanChangesNothing(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	plan, err := join.DryRun(t.Context(), f.options())
	if err != nil {
		t.Fatal(err)
	}
	if len(plan.InMember) != 6 || len(plan.AtHub) != 1 {
		t.Errorf("unexpected plan: %+v", plan)
	}
	if w := append(f.hub.writes(), f.member.writes()...); len(w) > 0 {
		t.Errorf("wrote %v", w)
	}
}

func TestJoinWithCredentialPlugin(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	plugin, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ca := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(ca, pemOf(f.member.Certificate()), 0o600); err != nil {
		t.Fatal(err)
	}
	kubeconfig := func(token string) string {
		path := filepath.Join(t.TempDir(), "kubeconfig")
		text := fmt.Sprintf(`{apiVersion: v1, kind: Config, contexts: [{name: eks, context: {cluster: c, user: u}}],
clusters: [{name: c, cluster: {server: %q, certificate-authority: %q}}],
users: [{name: u, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: %q, interactiveMode: Never,
  env: [{name: FLEET_TEST_EXEC_TOKEN, value: %q}]}}}]}`, f.member.URL, ca, plugin, token)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	o := f.options()
	if o.Member, err = join.LoadKubeconfig(kubeconfig("wrong"), "eks"); err != nil {
		t.Fatal(err)
	}
	if _, err := join.Run(t.Context(), clock.RealClock{}, o); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("unexpected error: %v", err)
	}
	if o.Member, err = join.LoadKubeconfig(kubeconfig(adminToken), ""); err != nil {
		t.Fatal(err)
	}
	if _, err := join.Run(t.Context(), clock.RealClock{}, o); err != nil {
		t.Errorf("unexpected error: %v", err)
	}
}
