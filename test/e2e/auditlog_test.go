package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/internal/audit"
	"github.com/hanse-dev/hanse/test/federation"
)

// TestWhoDidThis asks the hub who did what to a Deployment, in one cluster and in all: each user by what they wrote, and nobody where
// the hub put something back. The IDs are those in the member's own audit log.
func TestWhoDidThis(t *testing.T) {
	f := own(t, "asked", federation.MemberSpec{Name: "fir", Audit: true})
	ctx := t.Context()
	const ns = "asked"
	maker, changer := f.as(t, "maker", "cluster-admin"), f.as(t, "changer", "cluster-admin")
	f.namespace(t, ns)
	_, err := maker.AppsV1().Deployments(ns).Create(ctx, deployment(metav1.ObjectMeta{Namespace: ns, Name: "web"}, 2), metav1.CreateOptions{})
	must(t, err)
	f.have(t, ns, "web", 2, map[string]int32{"fir": 2})
	_, err = changer.AppsV1().Deployments(ns).Patch(ctx, "web", types.MergePatchType, []byte(`{"spec":{"minReadySeconds":1}}`), metav1.PatchOptions{})
	must(t, err)
	asks := func(flags ...string) (entries []audit.Entry, err error) {
		r, err := f.home.Run(ctx, append([]string{"audit", "--object", "deployment/web", "-n", ns, "-o", "json", "--kubeconfig", f.hub.Kubeconfig()}, flags...)...)
		if err != nil || r.Code != 0 {
			return nil, fmt.Errorf("%w: %s", err, r)
		}
		var report audit.Report
		err = json.Unmarshal([]byte(r.Stdout), &report)
		return report.Entries, err
	}
	is := func(want ...string) (entries []audit.Entry) {
		t.Helper()
		eventually(t, soon, func(context.Context) (err error) {
			if entries, err = asks("--cluster", "fir"); err != nil {
				return err
			}
			var got []string
			for _, e := range entries {
				got = append(got, e.Verb+" "+e.User)
			}
			if got = slices.Compact(got); !slices.Equal(got, want) {
				return fmt.Errorf("%q, want %q", got, want)
			}
			return nil
		})
		return entries
	}
	is("create maker-cluster-admin", "patch changer-cluster-admin")
	f.scaleThere(t, "fir", ns, "web", 7)
	entries := is("create maker-cluster-admin", "patch changer-cluster-admin", "patch ")
	member, err := os.ReadFile(f.member("fir").AuditLog())
	must(t, err)
	hub, err := os.ReadFile(filepath.Join(f.hub.DataDir(), "audit", "audit.log"))
	must(t, err)
	for _, e := range entries {
		if e.AuditID != "" && (!strings.Contains(string(member), "hub-audit-id="+e.AuditID) || !strings.Contains(string(hub), e.AuditID)) {
			t.Errorf("the ID %s is not in both logs", e.AuditID)
		}
		if e.Verb == "create" && (!strings.Contains(e.Decision, "fir=2") || e.By == "" || e.Cause == "") {
			t.Errorf("%+v", e)
		}
	}
	all, err := asks("--user", "changer-cluster-admin")
	must(t, err)
	if len(all) < 2 || all[0].Cluster != "" || all[0].Code != http.StatusOK || all[len(all)-1].Cluster != "fir" {
		t.Errorf("%+v", all)
	}
	// The same from the files, on another machine.
	r, err := f.home.Run(ctx, "audit", "--file", filepath.Join(f.hub.DataDir(), "audit", "audit.log"), "--flight", filepath.Join(f.hub.DataDir(), "flight"),
		"--object", "deployments.apps/web", "-n", ns, "--user", "changer-cluster-admin")
	must(t, err)
	if r.Code != 0 || !strings.Contains(r.Stdout, "changer-cluster-admin (by admin)") || !strings.Contains(r.Stdout, "fir") {
		t.Error(r)
	}
	// That somebody read the log is in the log.
	if !strings.Contains(string(hub), `"requestURI":"/hanse/audit?`) {
		t.Error("nobody sees who has read the audit log")
	}
}

// webhook takes in audit events, unless it is down.
type webhook struct {
	down    atomic.Bool
	refused atomic.Int64

	mu    sync.Mutex
	names map[string]int
}

func (h *webhook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h.down.Load() {
		h.refused.Add(1)
		http.Error(w, "down", http.StatusInternalServerError)
		return
	}
	var list struct {
		Items []struct {
			Verb      string
			ObjectRef struct{ Resource, Name string }
		}
	}
	if json.NewDecoder(r.Body).Decode(&list) != nil {
		http.Error(w, "what?", http.StatusBadRequest)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range list.Items {
		if e.Verb == "create" && e.ObjectRef.Resource == "configmaps" {
			h.names[e.ObjectRef.Name]++
		}
	}
}

func (h *webhook) has(name string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.names[name] == 0 {
		return fmt.Errorf("no event of %s came; there are %v", name, h.names)
	}
	return nil
}

// TestAuditWebhook sends audit events to a server that fails and comes back: what happened meanwhile arrives, and the log on disk has
// it all the time.
func TestAuditWebhook(t *testing.T) {
	hook := &webhook{names: map[string]int{}}
	server := httptest.NewServer(hook)
	t.Cleanup(server.Close)
	config := filepath.Join(t.TempDir(), "webhook.yaml")
	must(t, os.WriteFile(config, []byte("apiVersion: v1\nkind: Config\nclusters: [{name: a, cluster: {server: '"+server.URL+"'}}]\ncontexts: [{name: a, context: {cluster: a}}]\ncurrent-context: a\n"), 0o600))
	h := hubOf(t, "hooked", "--audit-webhook-config-file", config, "--audit-webhook-initial-backoff", "2s", "--audit-webhook-batch-max-wait", "1s")
	at := clientsOf(t, h)
	make := func(name string) {
		t.Helper()
		_, err := at.CoreV1().ConfigMaps("default").Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
		must(t, err)
	}
	make("before")
	eventually(t, soon, func(context.Context) error { return hook.has("before") })
	hook.down.Store(true)
	make("meanwhile")
	refusedBefore := hook.refused.Load()
	eventually(t, soon, func(context.Context) error {
		if hook.refused.Load() == refusedBefore {
			return fmt.Errorf("nothing was sent while it was down")
		}
		return nil
	})
	log, err := os.ReadFile(filepath.Join(h.DataDir(), "audit", "audit.log"))
	must(t, err)
	if !strings.Contains(string(log), `"name":"meanwhile"`) {
		t.Error("the log does not have what the webhook did not take")
	}
	hook.down.Store(false)
	eventually(t, soon, func(context.Context) error { return hook.has("meanwhile") })
	make("after")
	eventually(t, soon, func(context.Context) error { return hook.has("after") })
}
