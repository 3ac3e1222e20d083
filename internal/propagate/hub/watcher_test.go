package hub

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/textlogger"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/propagate/decide"
)

func named(apiVersion, kind, namespace, name string) map[string]any {
	meta := map[string]any{"name": name}
	if namespace != "" {
		meta["namespace"] = namespace
	}
	return map[string]any{"apiVersion": apiVersion, "kind": kind, "metadata": meta}
}

// watching runs a Watcher at the hub, and collects what it logs.
func watching(t *testing.T, api *hubAPI, h *heart) (w *Watcher, logged func() string) {
	t.Helper()
	lines := &lines{}
	log := textlogger.NewLogger(textlogger.NewConfig(textlogger.Output(lines)))
	w = NewWatcher(api.watches(t), api.discovery(t), h.into, clock.RealClock{})
	running(t, func(ctx context.Context) { w.Run(klog.NewContext(ctx, log)) })
	return w, lines.String
}

// lines is what is logged.
type lines struct {
	mu  sync.Mutex
	all strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

// listed says whether all of a resource has been told.
func listed(h *heart, gr schema.GroupResource) func() bool {
	return func() bool {
		return slices.ContainsFunc(heard[decide.Listed](h), func(in decide.Listed) bool { return in.GR == gr })
	}
}

// TestWhatDecidesIsReadFirst: clusters, Namespaces and policies are told before any object that is decided about.
func TestWhatDecidesIsReadFirst(t *testing.T) {
	api, h := newHubAPI(t), newHeart()
	api.put("/apis/hanse.dev/v1alpha1/clusters/aws", named("hanse.dev/v1alpha1", "Cluster", "", "aws"))
	ns := named("v1", "Namespace", "", "shop")
	ns["metadata"].(map[string]any)["labels"] = map[string]any{"team": "a"}
	api.put("/api/v1/namespaces/shop", ns)
	api.put("/apis/hanse.dev/v1alpha1/namespaces/shop/placementpolicies/p", named("hanse.dev/v1alpha1", "PlacementPolicy", "shop", "p"))
	api.put(webPath, web("web:1"))
	slow := make(chan struct{})
	api.setFault(func(r *http.Request) fault { // the last to be read of those
		if strings.HasSuffix(r.URL.Path, "/residencies") {
			<-slow
		}
		return fault{}
	})
	w, _ := watching(t, api, h)
	waitFor(t, "the policies of two kinds", func() bool { return len(heard[decide.PoliciesChanged](h)) == 2 })
	if err := w.Synced(); err == nil || len(heard[decide.Served](h)) > 0 {
		t.Errorf("policies are still being read: synced: %v, served: %v", err, heard[decide.Served](h))
	}
	close(slow)
	waitFor(t, "all", func() bool { return w.Synced() == nil })
	var order []string
	for _, in := range heard[decide.Input](h) {
		name := strings.TrimPrefix(fmt.Sprintf("%T", in), "decide.")
		if len(order) == 0 || order[len(order)-1] != name {
			order = append(order, name)
		}
	}
	if got := strings.Join(order[:5], " "); got != "ClustersListed NamespacesListed PoliciesChanged Served Listed" && got != "ClustersListed NamespacesListed PoliciesChanged Served" {
		t.Errorf("the order is %v", order)
	}
	if c := heard[decide.ClustersListed](h)[0].Clusters; len(c) != 1 || c[0].Name != "aws" {
		t.Errorf("clusters %v", c)
	}
	if l := heard[decide.NamespacesListed](h)[0].Labels; l["shop"]["team"] != "a" {
		t.Errorf("labels %v", l)
	}
	for _, in := range heard[decide.Served](h) {
		if in.GVR.Group == "hanse.dev" || in.GVR.Resource == "controllerrevisions" {
			t.Errorf("%v stay at the hub, and are watched", in.GVR)
		}
	}
}

// TestObjectsAreTold as they are written and deleted, but for those that stay at the hub.
func TestObjectsAreTold(t *testing.T) {
	api, h := newHubAPI(t), newHeart()
	api.put(webPath, web("web:1"))
	api.put("/api/v1/namespaces/shop/configmaps/kube-root-ca.crt", named("v1", "ConfigMap", "shop", "kube-root-ca.crt"))
	watching(t, api, h)
	waitFor(t, "Deployments", listed(h, deployments()))
	waitFor(t, "ConfigMaps", listed(h, schema.GroupResource{Resource: "configmaps"}))
	for _, in := range heard[decide.Listed](h) {
		if in.GR.Resource == "configmaps" && len(in.Templates) != 0 {
			t.Errorf("%v stay at the hub", in.Templates)
		}
	}
	const settings = "/api/v1/namespaces/shop/configmaps/settings"
	api.put("/api/v1/namespaces/shop/configmaps/kube-root-ca.crt", named("v1", "ConfigMap", "shop", "kube-root-ca.crt"))
	api.remove("/api/v1/namespaces/shop/configmaps/kube-root-ca.crt")
	made := api.put(settings, named("v1", "ConfigMap", "shop", "settings"))
	waitFor(t, "one that is made", func() bool { return len(heard[decide.Written](h)) == 1 })
	stays := named("v1", "ConfigMap", "shop", "settings")
	stays["metadata"].(map[string]any)["uid"] = string(made.GetUID())
	stays["metadata"].(map[string]any)["labels"] = map[string]any{"federation.kubernetes.io/federation-control-plane": "true"}
	api.put(settings, stays)
	waitFor(t, "one that is to stay", func() bool { return len(heard[decide.Deleted](h)) == 1 })
	api.remove(settings)
	api.remove(webPath)
	waitFor(t, "one that is deleted", func() bool { return len(heard[decide.Deleted](h)) == 2 })
	gone := heard[decide.Deleted](h)
	if gone[0].Key.Name != "settings" || gone[0].UID != made.GetUID() || gone[1].Key != webKey() || gone[1].UID != "uid-web-1234" {
		t.Errorf("deleted are %v", gone)
	}
}

// TestContentThatHasNotChangedIsTheSame, so that nobody need compare it; of the same version all is.
func TestContentThatHasNotChangedIsTheSame(t *testing.T) {
	api, h := newHubAPI(t), newHeart()
	first := api.put(webPath, web("web:1"))
	w, _ := watching(t, api, h)
	waitFor(t, "Deployments", listed(h, deployments()))
	w.mu.Lock()
	sink := &templateSink{watcher: w, resource: w.resources[deployments()], log: klog.Background()}
	w.mu.Unlock()
	before := heard[decide.Listed](h)[slices.IndexFunc(heard[decide.Listed](h), func(in decide.Listed) bool { return in.GR == deployments() })].Templates[0]
	if again := sink.read(first.DeepCopy()); again != before {
		t.Error("the same version is another template")
	}
	noted := web("web:1")
	noted["status"] = map[string]any{"replicas": int64(2)}
	api.put(webPath, noted)
	waitFor(t, "its status", func() bool { return len(heard[decide.Written](h)) == 1 })
	if after := heard[decide.Written](h)[0].Template; after == before || after.Content != before.Content || after.Revision <= before.Revision {
		t.Errorf("a status makes other content: %v", after)
	}
}

// TestCustomResourcesAreWatchedOnceTheyAreServed, and no more once they are not.
func TestCustomResourcesAreWatchedOnceTheyAreServed(t *testing.T) {
	api, h := newHubAPI(t), newHeart()
	w, _ := watching(t, api, h)
	waitFor(t, "all", func() bool { return w.Synced() == nil })
	crd := named("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", "widgets.example.com")
	crd["spec"] = map[string]any{"group": "example.com", "names": map[string]any{"plural": "widgets"}}
	crd["status"] = map[string]any{"conditions": []any{map[string]any{"type": "Established", "status": "True"}}}
	const crdPath, collection = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.example.com", "/apis/example.com/v1/widgets"
	api.put(crdPath, crd)
	waitFor(t, "it to be known for late", w.awaitsDiscovery)
	api.mu.Lock()
	api.kinds[collection] = schema.GroupVersionKind{Group: "example.com", Version: "v1", Kind: "Widget"}
	api.mu.Unlock()
	widgets := schema.GroupResource{Group: "example.com", Resource: "widgets"}
	waitFor(t, "widgets", listed(h, widgets))
	if w.awaitsDiscovery() {
		t.Error("it is still awaited")
	}
	w.mu.Lock()
	resource := w.resources[widgets]
	w.mu.Unlock()
	api.mu.Lock()
	delete(api.kinds, collection)
	api.mu.Unlock()
	api.remove(crdPath)
	waitFor(t, "widgets to be gone", func() bool { return len(heard[decide.Unserved](h)) == 1 })
	told := len(heard[decide.Written](h))
	(&templateSink{watcher: w, resource: resource, log: klog.Background()}).apply(
		&unstructured.Unstructured{Object: named("example.com/v1", "Widget", "shop", "late")})
	if len(heard[decide.Written](h)) != told {
		t.Error("it is told of what is not served any more")
	}
}

// TestAGroupThatCannotBeReadStays, and that is logged once.
func TestAGroupThatCannotBeReadStays(t *testing.T) {
	api, h := newHubAPI(t), newHeart()
	w, logged := watching(t, api, h)
	waitFor(t, "all", func() bool { return w.Synced() == nil })
	api.setFault(func(r *http.Request) fault {
		if r.URL.Path == "/apis/apps/v1" {
			return fault{code: 503}
		}
		return fault{}
	})
	for range 2 {
		before := api.asked("GET /apis/apps/v1")
		w.rediscoverSoon()
		waitFor(t, "discovery", func() bool { return api.asked("GET /apis/apps/v1") > before })
	}
	waitFor(t, "the log", func() bool { return strings.Contains(logged(), "could not all be discovered") })
	if len(heard[decide.Unserved](h)) > 0 {
		t.Error("what cannot be asked about is taken for gone")
	}
	api.setFault(nil)
	w.rediscoverSoon()
	waitFor(t, "the end of it", func() bool { return strings.Contains(logged(), "have all been discovered") })
	if n := strings.Count(logged(), "could not all be discovered"); n != 1 {
		t.Errorf("it is logged %d times:\n%s", n, logged())
	}
}

// TestMistakesAreLoggedOnce for each version of an object.
func TestMistakesAreLoggedOnce(t *testing.T) {
	api, h := newHubAPI(t), newHeart()
	wrong := web("web:1")
	wrong["metadata"].(map[string]any)["annotations"] = map[string]any{v1alpha1.AnnotationDivision: "nonsense"}
	api.put(webPath, wrong)
	_, logged := watching(t, api, h)
	waitFor(t, "Deployments", listed(h, deployments()))
	api.server.CloseClientConnections() // watches are listed again
	wrong["metadata"].(map[string]any)["annotations"].(map[string]any)["example.com/note"] = "x"
	api.put(webPath, wrong)
	waitFor(t, "another version", func() bool { return strings.Count(logged(), "is not understood") > 1 })
	if n := strings.Count(logged(), "is not understood"); n != 2 {
		t.Errorf("2 versions are logged %d times:\n%s", n, logged())
	}
}

// TestPoliciesThatAreGoneAreTold, also where that is seen by a list.
func TestPoliciesThatAreGoneAreTold(t *testing.T) {
	h := newHeart()
	s := newPolicySink(h.into)
	policyOf := func(uid string) *unstructured.Unstructured {
		obj := named("hanse.dev/v1alpha1", "PlacementPolicy", "shop", uid)
		obj["metadata"].(map[string]any)["uid"] = uid
		return &unstructured.Unstructured{Object: obj}
	}
	s.replace([]*unstructured.Unstructured{policyOf("a"), policyOf("b")})
	s.apply(policyOf("c"))
	s.remove(policyOf("a"))
	s.replace([]*unstructured.Unstructured{policyOf("c")})
	all := heard[decide.PoliciesChanged](h)
	if len(all) != 4 || len(all[0].Written) != 2 || len(all[1].Written) != 1 || all[2].Gone[0] != "a" || len(all[3].Gone) != 1 || all[3].Gone[0] != "b" {
		t.Errorf("told are %v", all)
	}
}
