package fleet

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/fleet/access"
)

// recorder is a Propagator that remembers what it was told.
type recorder struct {
	mu        sync.Mutex
	engaged   map[string]*rest.Config
	count     int
	withdrawn int
	released  int // left with their workloads
	report    Report
	failing   error           // of Withdraw
	reached   map[string]bool // by the last look
	panics    bool            // in Looked
}

func (r *recorder) Looked(name string, _ time.Time, reached bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reached[name] = reached
	if r.panics {
		panic("what the member said makes no sense")
	}
}

// inReach is what the last look found.
func (r *recorder) inReach(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.reached[name]
}

func (r *recorder) Engage(ctx context.Context, name string, cfg *rest.Config) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count++
	r.engaged[name] = cfg
	context.AfterFunc(ctx, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.engaged[name] == cfg {
			delete(r.engaged, name)
		}
	})
}

// Session knows the runs whose names begin with "known".
func (r *recorder) Session(_, last string) (string, bool) {
	return "known-now", last != "" && !strings.HasPrefix(last, "known")
}

func (r *recorder) Withdraw(_ context.Context, _ string, stay bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if stay {
		r.released++
	} else {
		r.withdrawn++
	}
	return r.failing
}

func (r *recorder) Report(string) Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.report
}

func (r *recorder) set(report Report, failing error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report, r.failing = report, failing
}

func (r *recorder) config(name string) *rest.Config {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.engaged[name]
}

func (r *recorder) isEngaged(name string) bool { return r.config(name) != nil }

func (r *recorder) counts() (engaged, withdrawn int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.count, r.withdrawn
}

// readyOf is the reason and message of the Ready condition of a Cluster.
func (f *federation) readyOf(name string) (reason, message string) {
	_, reason, message = f.conditionAt("/apis/hanse.dev/v1alpha1/clusters/"+name, v1alpha1.ConditionReady)
	return reason, message
}

// condition is one of the Cluster: status, reason and message.
func (f *federation) condition(kind string) (status, reason, message string) {
	return f.conditionAt(clusterPath, kind)
}

func (f *federation) conditionAt(path, kind string) (status, reason, message string) {
	o := f.hub.get(path)
	if o == nil {
		return "", "", ""
	}
	s, _ := o["status"].(map[string]any)
	conditions, _ := s["conditions"].([]any)
	for _, c := range conditions {
		c := c.(map[string]any)
		if c["type"] == kind {
			return c["status"].(string), c["reason"].(string), c["message"].(string)
		}
	}
	return "", "", ""
}

func (f *federation) reason() string {
	_, reason, _ := f.condition(v1alpha1.ConditionReady)
	return reason
}

func TestRevokedCredentialIsSaidAndRecovers(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	f.join(t)
	f.member.revoke("token-1")
	f.eventually(t, "denied", func() bool { return f.reason() == v1alpha1.ReasonAuthenticationFailed && !f.prop.isEngaged("aws") })
	if !f.prop.inReach("aws") {
		t.Error("a cluster that answers, though it refuses, counts as out of reach")
	}
	if _, _, message := f.condition(v1alpha1.ConditionReady); !strings.Contains(message, "Try: hanse join aws") {
		t.Errorf("message: %s", message)
	}
	f.join(t)
	f.eventually(t, "engaged again", func() bool { return f.reason() == v1alpha1.ReasonReachable && f.prop.isEngaged("aws") })
}

func TestUnreachableMemberIsReleasedAndComesBack(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	f.join(t)
	cfg := f.prop.config("aws")
	f.member.setIntercept(func(*http.Request) int { return http.StatusInternalServerError })
	f.eventually(t, "not ready", func() bool { return f.reason() == v1alpha1.ReasonNotReady && !f.prop.isEngaged("aws") })
	if f.prop.inReach("aws") {
		t.Error("a cluster that only answers errors counts as in reach")
	}
	f.member.setIntercept(func(*http.Request) int { return 0 })
	f.eventually(t, "engaged again", func() bool { return f.prop.isEngaged("aws") })
	if n, _ := f.prop.counts(); n != 2 {
		t.Errorf("engaged %d times", n)
	}
	client := kubernetes.NewForConfigOrDie(cfg)
	if _, err := access.Identity(t.Context(), client); !errors.Is(err, errDisengaged) {
		t.Errorf("the config of the first engagement is still good: %v", err)
	}
}

func TestRoleIsBroughtUpToDateOnReturn(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	f.join(t)
	const role = "/apis/rbac.authorization.k8s.io/v1/clusterroles/hanse-hub"
	want := f.member.get(role)["rules"]
	f.member.setIntercept(func(*http.Request) int { return http.StatusServiceUnavailable })
	f.eventually(t, "away", func() bool { return !f.prop.isEngaged("aws") })
	f.member.put(role, map[string]any{"kind": "ClusterRole", "apiVersion": "rbac.authorization.k8s.io/v1", "metadata": map[string]any{"name": "hanse-hub"}, "rules": []any{}})
	f.member.setIntercept(func(*http.Request) int { return 0 })
	f.eventually(t, "engaged again", func() bool { return f.prop.isEngaged("aws") })
	if got := f.member.get(role)["rules"]; !equality.Semantic.DeepEqual(got, want) {
		t.Errorf("rules: %v, want %v", got, want)
	}
}

func TestAnotherClusterBehindTheAddress(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	f.join(t)
	f.member.setIntercept(func(*http.Request) int { return http.StatusServiceUnavailable })
	f.eventually(t, "away", func() bool { return !f.prop.isEngaged("aws") })
	f.member.put("/api/v1/namespaces/kube-system", map[string]any{"kind": "Namespace", "apiVersion": "v1", "metadata": map[string]any{"name": "kube-system", "uid": "impostor"}})
	f.member.setIntercept(func(*http.Request) int { return 0 })
	f.eventually(t, "recognized", func() bool { return f.reason() == v1alpha1.ReasonIdentityChanged })
	if n, _ := f.prop.counts(); n != 1 {
		t.Errorf("engaged %d times", n)
	}
}

func TestMemberTakenOverByAnotherHub(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	f.join(t)
	const ns = "/api/v1/namespaces/hanse-system"
	f.member.put(ns, map[string]any{"kind": "Namespace", "apiVersion": "v1", "metadata": map[string]any{"name": "hanse-system", "annotations": map[string]any{access.AnnotationHub: "another-hub"}}})
	f.eventually(t, "said", func() bool {
		_, _, message := f.condition(v1alpha1.ConditionReady)
		return strings.Contains(message, "another hub (another-hub)") && !f.prop.isEngaged("aws")
	})
	f.member.writes()
	f.unjoin(t, `{}`)
	f.eventually(t, "gone", f.gone)
	if w := f.member.writes(); len(w) > 0 {
		t.Errorf("wrote to another hub's member: %v", w)
	}
}

func TestCredentialRotatesUnderARunningClient(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	f.join(t)
	f.eventually(t, "engaged", func() bool { return f.prop.isEngaged("aws") })
	client := kubernetes.NewForConfigOrDie(f.prop.config("aws"))
	f.patchHub(t, `{"data":{"issued":"MjAwMC0wMS0wMVQwMDowMDowMFo=","token":"dG9rZW4tMQ=="}}`) // issued in 2000: overdue
	f.hub.setIntercept(func(*http.Request) int { return 0 })
	f.member.mu.Lock()
	f.member.valid["token-x"] = true
	f.member.mu.Unlock()
	f.patchHub(t, `{"data":{"token":"dG9rZW4teA=="}}`) // a token that the fleet has not seen: it looks at its age
	f.eventually(t, "a new token", func() bool {
		data := f.hub.get("/api/v1/namespaces/hanse-system/secrets/cluster-aws")["data"].(map[string]any)
		return data["token"] == "dG9rZW4tMg==" // token-2
	})
	f.member.revoke("token-x")
	f.member.revoke("token-1")
	f.eventually(t, "the client uses the new token", func() bool {
		_, err := access.Identity(t.Context(), client)
		return err == nil
	})
	if n, _ := f.prop.counts(); n != 1 {
		t.Errorf("engaged %d times", n)
	}
	if n := f.metric(t, `hanse_cluster_credential_rotations_total{cluster="aws",result="success"}`); n != 1 {
		t.Errorf("%v rotations are counted", n)
	}
}

func (f *federation) patchHub(t *testing.T, patch string) {
	t.Helper()
	_, err := kubernetes.NewForConfigOrDie(f.hub.config()).CoreV1().Secrets(v1alpha1.SystemNamespace).
		Patch(t.Context(), "cluster-aws", types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

func TestQuietMemberCostsNoWrites(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	f.join(t)
	f.eventually(t, "labelled", func() bool {
		_, labelled := f.hub.get(clusterPath)["metadata"].(map[string]any)["labels"].(map[string]any)
		return labelled
	})
	probes := make(chan struct{})
	f.member.setIntercept(func(r *http.Request) int {
		if r.URL.Path == "/readyz" {
			select {
			case probes <- struct{}{}:
			case <-t.Context().Done():
			}
		}
		return 0
	})
	<-probes
	f.hub.writes()
	f.member.writes()
	<-probes
	<-probes
	if w := append(f.hub.writes(), f.member.writes()...); len(w) > 0 {
		t.Errorf("a quiet member made the hub write: %v", w)
	}
	f.member.setIntercept(func(*http.Request) int { return 0 })
}

func TestReportBecomesConditions(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	f.prop.set(Report{Held: 23, Failing: 2, Message: "deployments default/web: no"}, nil)
	f.join(t)
	f.eventually(t, "held", func() bool {
		status, _, message := f.condition(v1alpha1.ConditionDeletionsHeld)
		return status == "True" && strings.Contains(message, "23 objects") && strings.Contains(message, "Try: hanse prune aws")
	})
	f.eventually(t, "an event", func() bool { return f.hub.hasEvent(v1alpha1.ConditionDeletionsHeld) })
	f.eventually(t, "not synced", func() bool {
		status, reason, message := f.condition(v1alpha1.ConditionSynced)
		return status == "False" && reason == "Failing" && strings.Contains(message, "2 objects")
	})
	f.prop.set(Report{Disengaged: &metav1.Condition{Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonTooLarge, Message: "too large. Try: x"}}, nil)
	for condition, want := range map[string]string{v1alpha1.ConditionDisengaged: "True", v1alpha1.ConditionSynced: "False"} {
		f.eventually(t, condition, func() bool {
			status, _, message := f.condition(condition)
			return string(status) == want && message == "too large. Try: x"
		})
	}
}

// unjoin deletes the Cluster with these annotations.
func (f *federation) unjoin(t *testing.T, annotations string) {
	t.Helper()
	f.unjoinNamed(t, "aws", annotations)
}

func (f *federation) unjoinNamed(t *testing.T, name, annotations string) {
	t.Helper()
	clusters, err := access.NewClusterClient(f.hub.config())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := clusters.Patch(t.Context(), name, types.MergePatchType, []byte(`{"metadata":{"annotations":`+annotations+`}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := clusters.Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
}

func (f *federation) gone() bool {
	return f.hub.get(clusterPath) == nil && f.hub.get("/api/v1/namespaces/hanse-system/secrets/cluster-aws") == nil
}

const deleteWorkloads = `{"hanse.dev/on-unjoin":"delete"}`

func TestLeavingRemovesTheServiceAccount(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	f.join(t)
	custom := "/apis/rbac.authorization.k8s.io/v1/clusterroles/hanse-hub:example.com"
	users := "/apis/rbac.authorization.k8s.io/v1/clusterroles/hanse-hubbub"
	for _, path := range []string{custom, users} {
		name := path[strings.LastIndex(path, "/")+1:]
		f.member.put(path, map[string]any{"kind": "ClusterRole", "apiVersion": "rbac.authorization.k8s.io/v1", "metadata": map[string]any{"name": name}})
	}
	f.unjoin(t, `{}`)
	f.eventually(t, "gone", f.gone)
	if f.member.get(users)["metadata"].(map[string]any)["ownerReferences"] != nil {
		t.Error("somebody else's role would be collected")
	}
	if slices.Contains(f.member.paths(), "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/hanse-hub") {
		t.Error("the binding is still there")
	}
	for _, path := range []string{custom, "/api/v1/namespaces/hanse-system", "/api/v1/namespaces/hanse-system/serviceaccounts/hanse-hub", "/apis/rbac.authorization.k8s.io/v1/clusterroles/hanse-hub"} {
		if f.member.get(path)["metadata"].(map[string]any)["ownerReferences"] == nil {
			t.Errorf("%s is not given to the binding, so nothing collects it", path)
		}
	}
	if _, n := f.prop.counts(); n != 0 {
		t.Error("workloads were withdrawn")
	}
	f.prop.mu.Lock()
	defer f.prop.mu.Unlock()
	if f.prop.released != 1 {
		t.Errorf("the hub's marks were taken off %d times, want once", f.prop.released)
	}
}

// The request that lets a Cluster go must not be broken off by its end.
func TestLeavingBreaksNoRequestOff(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	f.join(t)
	broken := make(chan bool, 1)
	f.hub.setIntercept(func(r *http.Request) int {
		if r.Method != http.MethodPut || r.URL.Path != clusterPath {
			return 0
		}
		bodyOf(t, r) // the server looks for the end of the connection after that
		f.hub.mu.Lock()
		delete(f.hub.objects, clusterPath) // the watch tells of it before the answer comes
		f.hub.version++
		f.hub.notify()
		f.hub.mu.Unlock()
		select {
		case <-r.Context().Done():
			broken <- true
		case <-time.After(500 * time.Millisecond):
			broken <- false
		}
		return http.StatusNotFound
	})
	f.unjoin(t, `{}`)
	if <-broken {
		t.Error("the request was broken off")
	}
	f.eventually(t, "gone", f.gone)
}

func TestLeavingKeepsANamespaceWithOthersThings(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	f.join(t)
	f.member.put("/api/v1/namespaces/hanse-system/configmaps/mine", map[string]any{"kind": "ConfigMap", "apiVersion": "v1", "metadata": map[string]any{"name": "mine"}})
	f.unjoin(t, `{}`)
	f.eventually(t, "gone", f.gone)
	meta := f.member.get("/api/v1/namespaces/hanse-system")["metadata"].(map[string]any)
	if meta["ownerReferences"] != nil {
		t.Error("the namespace would be collected")
	}
	if annotations, _ := meta["annotations"].(map[string]any); annotations[access.AnnotationHub] != nil {
		t.Error("the namespace is still marked as this hub's")
	}
}

func TestLeavingWhenGoneForGood(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	f.join(t)
	f.member.CloseClientConnections()
	f.member.Close()
	f.unjoin(t, `{}`)
	f.eventually(t, "gone", f.gone)
}

func TestLeavingWithWorkloads(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	f.prop.set(Report{}, errors.New("one is stuck"))
	f.join(t)
	f.unjoin(t, deleteWorkloads)
	f.eventually(t, "tried twice", func() bool { _, n := f.prop.counts(); return n >= 2 })
	if f.gone() {
		t.Fatal("left although its workloads were there")
	}
	f.prop.set(Report{}, nil)
	f.eventually(t, "gone", f.gone)
}

func TestLeavingWithWorkloadsWaitsForAnAwayMember(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	f.join(t)
	f.member.setIntercept(func(*http.Request) int { return http.StatusServiceUnavailable })
	f.eventually(t, "away", func() bool { return !f.prop.isEngaged("aws") })
	f.unjoin(t, deleteWorkloads)
	f.eventually(t, "said", func() bool {
		_, reason, message := f.condition(ConditionLeaving)
		return reason == LeaveWaiting && strings.Contains(message, "--force")
	})
	clusters, err := access.NewClusterClient(f.hub.config())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := clusters.Patch(t.Context(), "aws", types.MergePatchType, []byte(`{"metadata":{"annotations":{"`+AnnotationOnUnjoinForce+`":"true"}}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	f.eventually(t, "gone", f.gone)
	if _, n := f.prop.counts(); n != 0 {
		t.Error("withdrawn from a member that was away")
	}
}
