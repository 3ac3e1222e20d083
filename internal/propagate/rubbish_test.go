package propagate

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"pgregory.net/rapid"
	"sigs.k8s.io/json"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/aggregate"
	"github.com/hanse-dev/hanse/internal/fieldmerge"
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
		"an item is null":        {list: list(`[null]`)},
		"an item is text":        {list: list(`["x"]`), unread: true},
		"another kind":           {list: `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"x"}}`},
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
					return 422, status(422, "Invalid")
				}
				if r.URL.Query().Get("watch") != "" {
					return 200, c.watch
				}
				return 200, c.list
			})
			e, _ := bad.engaged(t)
			e.setClusters(map[string]*cluster{"aws": ready("aws", 0), "azure": ready("azure", 0)})
			good.join(t, e, "azure")
			key := put(e, configMaps(), configMap("settings"))
			e.toMembers(key)
			web := put(e, deployments(), deploymentOf(2))
			e.toMembers(web)
			waitFor(t, "the other cluster to be served", func() bool {
				settings, _ := stateOf(e, key, "azure")
				deployment, _ := stateOf(e, web, "azure")
				return settings == v1alpha1.StateSynced && deployment == v1alpha1.StateSynced
			})
			waitFor(t, "other kinds in this cluster", func() bool {
				state, _ := stateOf(e, web, "aws")
				return state == v1alpha1.StateSynced
			})
			if c.unread {
				waitForState(t, e, key, v1alpha1.StateUnknown)
				if unread := e.Report("aws").Unread; !strings.HasPrefix(unread, "configmaps: ") || len(unread) > 2*shownError {
					t.Errorf("the Cluster's condition says %q", unread)
				}
			} else {
				waitFor(t, "the object to be written", func() bool { return bad.get(settings) != nil })
			}
			if r := e.Report("azure"); r.Unread != "" || r.Failing > 0 {
				t.Errorf("the other cluster: %+v", r)
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

// takeRubbish lets a hub take in obj as a member's and do all that it does with it
// besides asking the member. Panics are not caught here.
func takeRubbish(t interface {
	Helper()
	Errorf(string, ...any)
}, obj map[string]any) {
	t.Helper()
	rig := newRig(deployments())
	e := rig.engine
	rig.clusters(ready("aws", 0), ready("azure", 0))
	tmpl := rig.deployment("web", 10, 7, nil)
	m := e.members["aws"]
	s := &session{engine: e, member: m, queue: newQueue()}
	defer s.queue.ShutDown()
	m.session = s
	for _, r := range []string{"deployments", "namespaces", "customresourcedefinitions", "horizontalpodautoscalers"} {
		gr := deployments()
		switch r {
		case "namespaces":
			gr = namespaces()
		case "customresourcedefinitions":
			gr = crds()
		}
		sink := &memberSink{session: s, gr: gr}
		for range 2 {
			sink.apply(unstructuredOf(runtime.DeepCopyJSON(obj)))
		}
		sink.remove(unstructuredOf(runtime.DeepCopyJSON(obj)))
		sink.replace([]*unstructured.Unstructured{unstructuredOf(runtime.DeepCopyJSON(obj)), unstructuredOf(nil)})
		customResource(unstructuredOf(obj))
	}
	scalers := &autoscalerSink{session: s}
	scalers.replace([]*unstructured.Unstructured{unstructuredOf(obj)})
	scalers.apply(unstructuredOf(obj))
	scalers.remove(unstructuredOf(obj))

	seen := e.observe(tmpl.key, unstructuredOf(obj))
	seen.uid, seen.mark.Origin.Template = "there", tmpl.uid // whatever it says, it is taken for the template's
	m.update(tmpl.key, func(r *record) { r.seen, r.live = seen, unstructuredOf(obj) })
	if seen.replicas != nil && *seen.replicas < 0 {
		t.Errorf("%d replicas", *seen.replicas)
	}
	rec := m.get(tmpl.key)
	e.shareNow(tmpl, m, &rec)
	m.anyUnready()
	rec.running()
	deletingMessage(&rec.seen)
	aggregate.Status(rig.sink.resource.gvk.GroupKind(), tmpl.obj.Object, e.statusesOf(tmpl))
	wanted := fieldmerge.Wanted(tmpl.content.object, obj, fieldmerge.ReadOwners(unstructuredOf(obj), v1alpha1.FieldManager), "spec.replicas")
	patch, _ := fieldmerge.Patch(obj, wanted)
	fieldmerge.Paths(patch)
	onlyMarks(patch)
	hasNull(patch)
	p, ok := e.Placement(tmpl.key, "web")
	if !ok {
		t.Errorf("there is no Placement")
	}
	for _, c := range p.Clusters {
		if strings.Contains(c.LastError, "a fault in Hanse") {
			t.Errorf("its line is %+v", c)
		}
	}
	if r := e.Report("aws"); strings.Contains(r.Message, "a fault in Hanse") {
		t.Errorf("the report is %+v", r)
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

// TestAPanicOverOneKeyIsThatKeysFault: others go on, and it is tried ever more rarely.
func TestAPanicOverOneKeyIsThatKeysFault(t *testing.T) {
	q := newQueue()
	var bad, good atomic.Int32
	done := make(chan struct{})
	go func() {
		defer close(done)
		work(t.Context(), q, func(_ context.Context, k Key) error {
			if k.Name == "bad" {
				bad.Add(1)
				panic("bad")
			}
			good.Add(1)
			return nil
		})
	}()
	q.Add(Key{Name: "bad"})
	for i := range 100 {
		q.Add(Key{Name: fmt.Sprint("good", i)})
	}
	waitFor(t, "all others", func() bool { return good.Load() == 100 && bad.Load() > 2 })
	q.ShutDown()
	<-done
	if n := bad.Load(); n > 12 {
		t.Errorf("%d attempts", n)
	}
}

// TestAPanicIsSaidWhereItHappened: in the Placement of the object, in the decision, in the
// status.
func TestAPanicIsSaidWhereItHappened(t *testing.T) {
	m := newMemberAPI(t)
	e, member := m.engaged(t)
	key, other := put(e, configMaps(), configMap("settings")), put(e, configMaps(), configMap("other"))
	e.mu.Lock()
	broken := *e.stored(key)
	broken.content = &content{object: map[string]any{"metadata": "none"}} // what is to be written makes a fault
	e.resources[configMaps()].templates[nameOf(unstructuredOf(configMap("settings")))] = &broken
	e.mu.Unlock()
	e.toMembers(key, other)
	if message := waitForState(t, e, key, v1alpha1.StateError); !strings.Contains(message, "a fault in Hanse") {
		t.Errorf("the placement says %q", message)
	}
	waitForState(t, e, other, v1alpha1.StateSynced)
	if r := e.Report("aws"); r.Failing != 1 || !strings.Contains(r.Message, "a fault in Hanse") {
		t.Errorf("the Cluster's condition: %+v", r)
	}

	web := put(e, deployments(), deploymentOf(2))
	e.mu.Lock()
	undecidable := *e.stored(web)
	undecidable.obj, undecidable.recorded = nil, map[string]int32{"aws": 2}
	d := e.decide(&undecidable, nil)
	e.mu.Unlock()
	if !d.Hold || d.Division()["aws"] != 2 || !strings.Contains(d.Reason, "a fault in Hanse") {
		t.Errorf("decided %+v", d)
	}
	if _, err := e.merged(&undecidable, e.resource(configMaps()).gvk.GroupKind(), []aggregate.MemberStatus{{Cluster: "aws"}}); err == nil {
		t.Error("its status is not refused")
	}
	if f := member.get(web).fault; f == nil || !strings.Contains(f.message, "status cannot be dealt with") {
		t.Errorf("nobody is blamed: %+v", f)
	}
	// A loop goes on.
	began := make(chan struct{}, 10)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		keep(ctx, "test", func(context.Context) { began <- struct{}{}; panic("again") })
	}()
	for range 2 {
		select {
		case <-began:
		case <-time.After(3 * panicRest):
			t.Fatal("the loop is not begun anew")
		}
	}
	cancel()
	<-ended
}
