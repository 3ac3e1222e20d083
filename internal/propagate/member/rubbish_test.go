package member

import (
	"net/http"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"pgregory.net/rapid"
	"sigs.k8s.io/json"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/propagate/apitest"
	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// TestAMemberThatAnswersRubbish: whatever one member says, the hub lives, that member's
// condition says so where nothing can be read, and others are served.
func TestAMemberThatAnswersRubbish(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 20000) + "1" + strings.Repeat("}", 20000)
	list := func(items string) string {
		return `{"apiVersion":"v1","kind":"ConfigMapList","metadata":{"resourceVersion":"100"},"items":` + items + `}`
	}
	for name, c := range map[string]struct {
		list, watch string
		unread      bool
	}{
		"a page of HTML":         {list: "<html><body>Sign in</body></html>", unread: true},
		"cut off":                {list: `{"apiVersion":"v1","kind":"ConfigMapList","items":[{"metada`, unread: true},
		"nothing":                {list: "", unread: true},
		"a number":               {list: "1e400", unread: true},
		"null":                   {list: "null", unread: true},
		"no end of depth":        {list: list("[" + deep + "]"), unread: true},
		"a number out of bounds": {list: list(`[{"metadata":{"name":"a","uid":"u"},"x":1e400}]`), unread: true},
		"items are null":         {list: list("null")},
		"items are a map":        {list: list("{}"), unread: true},
		"an item is null":        {list: list(`[null]`), unread: true},
		"an item is text":        {list: list(`["x"]`), unread: true},
		"another kind":           {list: `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"x"}}`, unread: true},
		"metadata is null":       {list: list(`[{"metadata":null,"status":"up"},{"metadata":[],"spec":1}]`)},
		"an unknown event":       {list: list("[]"), watch: `{"type":"EXPLODED","object":{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}}`},
		"an event of nothing":    {list: list("[]"), watch: `{"type":"ADDED","object":null}`},
		"an event of text":       {list: list("[]"), watch: `{"type":"MODIFIED","object":"x"}`},
		"an event cut off":       {list: list("[]"), watch: `{"type":"MODIFIED","obj`},
		"events that are a list": {list: list("[]"), watch: `[1,2,3]`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bad, good := newMemberAPI(t), newMemberAPI(t)
			bad.setFault(func(r *http.Request) (int, string) {
				if r.Method != http.MethodGet || r.URL.Path != "/api/v1/configmaps" {
					return 0, ""
				}
				if r.URL.Query().Get("sendInitialEvents") != "" {
					return 422, apitest.Status(422, "Invalid")
				}
				if r.URL.Query().Get("watch") != "" {
					return 200, c.watch
				}
				return 200, c.list
			})
			h := newHub()
			key := h.put(configMaps(), configMap("settings"))
			web := h.put(deployments(), deploymentOf(2))
			there, other := bad.join(t, h, "aws"), good.join(t, h, "azure")
			h.waitForState(t, other, key, v1alpha1.StateSynced)
			h.waitForState(t, other, web, v1alpha1.StateSynced)
			h.waitForState(t, there, web, v1alpha1.StateSynced) // other kinds in this cluster
			if c.unread {
				h.waitForState(t, there, key, v1alpha1.StateUnknown)
				if unread := there.Unreadable(nil); !strings.HasPrefix(unread, "configmaps: ") || len(unread) > 2*200 {
					t.Errorf("the Cluster's condition says %q", unread)
				}
			} else {
				waitFor(t, "the object to be written", func() bool { return bad.get(settings) != nil })
			}
			if unread := other.Unreadable(nil); unread != "" {
				t.Errorf("the other cluster: %q", unread)
			}
		})
	}
}

// rubbish draws a JSON value.
func rubbish(t *rapid.T, depth int) any {
	switch rapid.IntRange(0, 8).Draw(t, "kind") {
	case 0:
		return nil
	case 1:
		return rapid.Bool().Draw(t, "bool")
	case 2:
		return rapid.Int64().Draw(t, "whole")
	case 3:
		return rapid.Float64().Draw(t, "number")
	case 4, 5:
		return rapid.SampledFrom([]string{"", "x", "True", "Available", "9223372036854775807", "2026-01-01T00:00:00Z", "/", "a/b@1/c"}).Draw(t, "text")
	case 6:
		if depth > 0 {
			out := []any{}
			for range rapid.IntRange(0, 3).Draw(t, "items") {
				out = append(out, rubbish(t, depth-1))
			}
			return out
		}
	case 7, 8:
		if depth > 0 {
			out := map[string]any{}
			for range rapid.IntRange(0, 3).Draw(t, "fields") {
				name := rapid.SampledFrom([]string{"type", "status", "name", "f:spec", "f:replicas", "k:{\"name\":\"a\"}", "message", "labels", "x"}).Draw(t, "field")
				out[name] = rubbish(t, depth-1)
			}
			return out
		}
	}
	return int64(-1)
}

// places are where rubbish is put into an object that was right.
func places() []string {
	return []string{"metadata", "metadata.name", "metadata.namespace", "metadata.uid", "metadata.resourceVersion", "metadata.generation", "metadata.labels",
		"metadata.annotations", "metadata.annotations." + v1alpha1.AnnotationOrigin, "metadata.deletionTimestamp", "metadata.finalizers", "metadata.managedFields",
		"metadata.ownerReferences", "spec", "spec.replicas", "spec.template", "spec.template.spec.containers", "spec.selector", "spec.scaleTargetRef", "spec.names",
		"status", "status.replicas", "status.readyReplicas", "status.observedGeneration", "status.conditions", "status.loadBalancer", "apiVersion", "kind"}
}

// takeRubbish lets a member take in obj and do all that it does with it besides asking the API server. Panics are not caught
// here.
func takeRubbish(t interface {
	Helper()
	Errorf(string, ...any)
}, obj map[string]any) {
	t.Helper()
	h := newHub()
	key := h.put(deployments(), deploymentOf(10))
	m := New("aws", h.options(), h, h)
	s := unconnected(m, func() {})
	defer s.queue.ShutDown()
	m.begin(s)
	for _, gr := range []schema.GroupResource{deployments(), template.Namespaces(), template.CRDs(), template.Autoscalers().GroupResource()} {
		sink := &sink{session: s, gr: gr}
		for range 2 {
			sink.apply(unstructuredOf(runtime.DeepCopyJSON(obj)))
		}
		sink.remove(unstructuredOf(runtime.DeepCopyJSON(obj)))
		sink.replace([]*unstructured.Unstructured{unstructuredOf(runtime.DeepCopyJSON(obj)), unstructuredOf(nil)}, 1)
		s.cutManaged(gr)(unstructuredOf(runtime.DeepCopyJSON(obj)))
	}
	scalers := &scalerSink{s}
	scalers.replace([]*unstructured.Unstructured{unstructuredOf(obj)}, 1)
	scalers.apply(unstructuredOf(obj))
	scalers.remove(unstructuredOf(obj))

	w, _ := h.Wanted("aws", key)
	there := observe(h.hasher, key, unstructuredOf(obj))
	there.uid, there.mark.Raw, there.mark.Origin.Hub, there.mark.Origin.Template = "there", "x", hubUID, w.UID // whatever it says, it is taken for the template's
	m.update(key, func(r *record) { r.seen, r.live = there, unstructuredOf(obj) })
	if there.replicas != nil && *there.replicas < 0 {
		t.Errorf("%d replicas", *there.replicas)
	}
	m.Observed(key)
	for _, met := range []bool{false, true} {
		task := s.task(key, w)
		task.scalersKnown, task.met, task.live = true, met, unstructuredOf(obj)
		step := next(&task.view)
		for range 3 {
			step = task.answered(step, unstructuredOf(runtime.DeepCopyJSON(obj)), nil)
			task.note(step)
		}
		m.update(key, func(r *record) { r.seen, r.live, r.left = there, unstructuredOf(obj), nil })
	}
}

func memberDeployment() map[string]any {
	return map[string]any{"apiVersion": "apps/v1", "kind": "Deployment",
		"metadata": map[string]any{"name": "web", "namespace": "shop", "uid": "u", "resourceVersion": "5", "generation": int64(1),
			"labels":      map[string]any{v1alpha1.LabelManaged: "true"},
			"annotations": map[string]any{v1alpha1.AnnotationOrigin: "hub/run@1/uid-web"}},
		"spec":   map[string]any{"replicas": int64(2), "template": map[string]any{"spec": map[string]any{"containers": []any{map[string]any{"name": "c"}}}}},
		"status": map[string]any{"replicas": int64(2), "conditions": []any{map[string]any{"type": "Available", "status": "True"}}}}
}

// TestRubbishInAnyPlace: an object whose fields are of any type ends nothing.
func TestRubbishInAnyPlace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		obj := memberDeployment()
		for range rapid.IntRange(1, 4).Draw(t, "how many") {
			setAt(obj, strings.Split(rapid.SampledFrom(places()).Draw(t, "place"), "."), rubbish(t, 3))
		}
		takeRubbish(t, obj)
	})
}

func setAt(obj map[string]any, path []string, value any) {
	for ; len(path) > 1; path = path[1:] {
		below, ok := obj[path[0]].(map[string]any)
		if !ok {
			below = map[string]any{}
			obj[path[0]] = below
		}
		obj = below
	}
	obj[path[0]] = value
}

// FuzzMemberObject does the same with any JSON.
func FuzzMemberObject(f *testing.F) {
	f.Add(`{"metadata":{"name":"web","namespace":"shop","uid":"u"},"spec":{"replicas":1e300},"status":"up"}`)
	f.Add(`{"metadata":null,"spec":{"replicas":-9223372036854775808},"status":{"conditions":{"a":1},"readyReplicas":"3"}}`)
	f.Add(`{"kind":"Deployment","metadata":{"managedFields":[{"manager":"hanse","fieldsV1":{"f:spec":3}}]},"status":{"observedGeneration":-1}}`)
	f.Fuzz(func(t *testing.T, text string) {
		var obj map[string]any
		if err := json.UnmarshalCaseSensitivePreserveInts([]byte(text), &obj); err != nil || obj == nil {
			t.Skip("no JSON object")
		}
		takeRubbish(t, obj)
	})
}

// TestAPanicIsTheFaultOfThatObject: others are served.
func TestAPanicIsTheFaultOfThatObject(t *testing.T) {
	m, h := newMemberAPI(t), newHub()
	key := h.put(configMaps(), configMap("settings"))
	other := h.put(configMaps(), configMap("other"))
	h.with(key, func(w *decide.Wanted) {
		broken := *w.Template
		broken.Content = &template.Content{Object: map[string]any{"metadata": "none"}} // what is to be written makes a fault
		w.Template = &broken
	})
	member := m.join(t, h, "aws")
	if message := h.waitForState(t, member, key, v1alpha1.StateError); !strings.Contains(message, "a fault in Hanse") {
		t.Errorf("it says %q", message)
	}
	h.waitForState(t, member, other, v1alpha1.StateSynced)
}
