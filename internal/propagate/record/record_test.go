package record

import (
	"context"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	testclock "k8s.io/utils/clock/testing"
	"pgregory.net/rapid"

	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/policies"
	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/rollout"
)

var options = decide.Options{FailoverAfter: 30 * time.Second, Began: epoch.Add(30 * time.Minute), Measures: true, Propagation: policies.Defaults{"secrets": "Needed"}}

// outcomes are what was decided last about each object, as the recorder compares it.
type outcomes map[string]string

func (o outcomes) note(t rapid.TB, effects []decide.Effect) {
	for _, e := range effects {
		p, ok := e.(decide.Publish)
		if !ok {
			continue
		}
		out := outcomeOf(time.Time{}, "", p)
		text, err := json.Marshal(out)
		if err != nil {
			t.Fatal(err)
		}
		if o[out.Object] = string(text); out.Gone {
			delete(o, out.Object)
		}
	}
}

// copyOf is an input that was encoded and decoded.
func copyOf(t rapid.TB, e *encoder, d *decoder, in decide.Input) decide.Input {
	data, err := e.encode(in)
	if err != nil {
		t.Fatalf("%T: %v", in, err)
	}
	out, err := d.decode(data)
	if err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	return out
}

// TestAWorldThatIsRebuiltDecidesTheSame: from a Checkpoint that went through the codec, and with further inputs that did.
func TestAWorldThatIsRebuiltDecidesTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := newDriver(options)
		was, is := outcomes{}, outcomes{}
		for range rapid.IntRange(12, 80).Draw(t, "before") {
			was.note(t, d.apply(d.next(t)))
		}
		for d.more {
			was.note(t, d.apply(decide.Tick{}))
		}
		twin, encoder, decoder := decide.NewWorld(options), newEncoder(), newDecoder()
		for _, in := range d.world.Checkpoint() {
			is.note(t, twin.Apply(copyOf(t, encoder, decoder, in), d.now))
		}
		compare(t, "the checkpoint", was, is)
		for range rapid.IntRange(1, 60).Draw(t, "after") {
			in := d.next(t)
			first := d.apply(in)
			second := twin.Apply(copyOf(t, encoder, decoder, in), d.now)
			was.note(t, first)
			is.note(t, second)
			text, _ := newEncoder().encode(in)
			compare(t, string(text), was, is)
			if a, b := calls(first), calls(second); a != b {
				t.Fatalf("after %s one is to be called %q, the other %q", text, a, b)
			}
		}
	})
}

// calls is when a World is to be called next.
func calls(effects []decide.Effect) (when string) {
	for _, e := range effects {
		switch e := e.(type) {
		case decide.At:
			when += e.Time.UTC().Format(time.RFC3339Nano)
		case decide.More:
			when += " more"
		}
	}
	return when
}

func compare(t rapid.TB, after string, was, is outcomes) {
	for object, want := range was {
		if got := is[object]; got != want {
			t.Fatalf("after %s the one decides\n%s\nthe other\n%s", after, want, got)
		}
	}
	if len(is) != len(was) {
		t.Fatalf("after %s one knows %d objects, the other %d", after, len(was), len(is))
	}
}

// recorded is the directory of a recording of so many inputs, in a ring of so many bytes.
func recorded(t *rapid.T, dir string, bytes int64, inputs int) {
	d := newDriver(options)
	r, err := Open(dir, bytes, options, testclock.NewFakeClock(d.now))
	if err != nil {
		t.Fatal(err)
	}
	for range inputs {
		in := d.next(t)
		r.Trace(d.now, in, d.apply(in), d.world.Checkpoint)
		for len(r.items) > 0 { // as Run does
			if err := r.write(<-r.items); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := r.ring.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestARecordingIsReplayedWithoutDifferences, also one whose beginning is gone.
func TestARecordingIsReplayedWithoutDifferences(t *testing.T) {
	compared := 0
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "flight")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = os.RemoveAll(dir) }()
		recorded(t, dir, rapid.SampledFrom([]int64{200 << 10, 10 << 20}).Draw(t, "bytes"), rapid.IntRange(20, 150).Draw(t, "inputs"))
		got, err := Replay(context.Background(), dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, diff := range got.Differences {
			then, _ := json.Marshal(diff.Recorded)
			now, _ := json.Marshal(diff.Now)
			t.Fatalf("%s (%s): recorded\n%s\nnow\n%s", diff.Object, diff.Cause, then, now)
		}
		compared += got.Outcomes
	})
	if compared == 0 {
		t.Error("nothing was compared")
	}
}

// TestEachInputCanBeRecorded: the types are found in the source of package decide.
func TestEachInputCanBeRecorded(t *testing.T) {
	known := map[string]decide.Input{}
	for _, in := range []decide.Input{
		decide.Served{}, decide.Unserved{}, decide.Listed{}, decide.Written{}, decide.Deleted{}, decide.ClustersListed{}, decide.ClusterWritten{},
		decide.ClusterDeleted{}, decide.NamespacesListed{}, decide.NamespaceWritten{}, decide.NamespaceDeleted{}, decide.PoliciesChanged{}, decide.Looked{},
		decide.Measured{}, decide.Engaged{}, decide.Read{}, decide.Seen{}, decide.Begins{}, decide.Lowers{}, decide.Revised{}, decide.Recorded{}, decide.Remembered{}, decide.Tick{},
	} {
		known[typeOf(in)] = in
	}
	d := newDriver(options)
	known["Written"] = d.written(d.manifest("Deployment", "web", 3))
	known["ClusterWritten"] = decide.ClusterWritten{Cluster: aCluster("aws", 5)}
	types := inputTypes(t)
	if len(types) < 20 {
		t.Fatalf("found only %v", types)
	}
	for _, name := range types {
		in := known[name]
		if in == nil {
			t.Errorf("a decide.%s is not in this test, nor perhaps in encode and decode", name)
			continue
		}
		if got := typeOf(copyOf(t, newEncoder(), newDecoder(), in)); got != name {
			t.Errorf("a %s is read as a %s", name, got)
		}
	}
}

// inputTypes are the types with a method input.
func inputTypes(t *testing.T) (names []string) {
	files, err := filepath.Glob("../decide/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Name.Name == "input" && f.Recv != nil {
				names = append(names, f.Recv.List[0].Type.(*ast.Ident).Name)
			}
		}
	}
	return names
}

// TestADifferentDecisionIsFound: the recording says that failover is off.
func TestADifferentDecisionIsFound(t *testing.T) {
	dir := t.TempDir()
	d := newDriver(options)
	off := options
	off.FailoverAfter = 0
	r, err := Open(dir, 1<<20, off, testclock.NewFakeClock(d.now))
	if err != nil {
		t.Fatal(err)
	}
	inputs := d.left
	for _, c := range clusters {
		inputs = append(inputs, decide.ClusterWritten{Cluster: aCluster(c, 5)}, decide.Looked{Cluster: c, Began: d.now, Reached: true})
	}
	inputs = append(inputs, d.written(d.manifest("Deployment", "web", 9)))
	for range 30 {
		inputs = append(inputs, decide.Looked{Cluster: "aws", Reached: false}, decide.Looked{Cluster: "azure", Reached: true}, decide.Looked{Cluster: "google", Reached: true}, decide.Tick{})
	}
	for _, in := range inputs {
		if looked, ok := in.(decide.Looked); ok {
			d.now = d.now.Add(700 * time.Millisecond)
			looked.Began = d.now
			in = looked
		}
		r.Trace(d.now, in, d.apply(in), d.world.Checkpoint) // of a World with failover
		if err := r.write(<-r.items); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.ring.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := Replay(context.Background(), dir)
	if err != nil || len(got.Differences) == 0 || got.Runs != 1 || got.Gaps != 0 {
		t.Fatalf("%+v, %v: the replay decides as the recording", got, err)
	}
	diff := got.Differences[0]
	if diff.Object != "deployments.apps/shop/web" || diff.Recorded == nil || diff.Recorded.Decision.String() != "aws=0,azure=4,google=5" {
		t.Errorf("the first difference is %+v: %+v", diff, diff.Recorded)
	}
}

// TestNoContentIsRecorded of Secrets and ConfigMaps, nor values of environment variables, wherever they are.
func TestNoContentIsRecorded(t *testing.T) {
	dir := t.TempDir()
	d := newDriver(options)
	r, err := Open(dir, 1<<20, options, testclock.NewFakeClock(d.now))
	if err != nil {
		t.Fatal(err)
	}
	inputs := append(d.left, decide.ClusterWritten{Cluster: aCluster("aws", 5)})
	for _, kind := range []string{"Secret", "ConfigMap"} {
		obj := d.manifest(kind, "web", 3)
		obj.Object["stringData"] = map[string]any{"more": "hunter"}
		obj.SetAnnotations(map[string]string{"kubectl.kubernetes.io/last-applied-configuration": `{"data":{"password":"hunter3"}}`, "note": "hunter"})
		in := d.written(obj).(decide.Written)
		inputs = append(inputs, in, decide.Listed{GR: in.Template.Key.GR, Templates: []*template.Template{in.Template}},
			decide.Seen{Cluster: "aws", Key: in.Template.Key, Observed: &decide.Observed{UID: "x", Spec: map[string]any{"a": "hunter"}, Status: map[string]any{"b": "hunter"}, Waits: "hunter"}})
	}
	deployment := d.manifest("Deployment", "web", 3)
	bare := d.manifest("Pod", "bare", 3)
	bare.Object["spec"], _, _ = unstructured.NestedMap(deployment.Object, "spec", "template", "spec")
	pods, _, _ := unstructured.NestedMap(deployment.Object, "spec", "template")
	in := d.written(deployment).(decide.Written)
	inputs = append(inputs, in, d.written(bare), d.policy("web", 3),
		decide.Revised{UID: in.Template.UID, History: rollout.History{{Name: "web-1", Revision: "1", Number: 1, Template: pods}}},
		decide.PoliciesChanged{Written: []*unstructured.Unstructured{{Object: map[string]any{
			"apiVersion": "hanse.dev/v1alpha1", "kind": "PlacementPolicy", "metadata": map[string]any{"name": "env", "namespace": "shop", "uid": "policy-env"},
			"spec": map[string]any{"overrides": []any{map[string]any{
				"env": []any{map[string]any{"container": "c", "set": []any{map[string]any{"name": "PASSWORD", "value": "hunter"}}}},
				"jsonPatch": []any{
					map[string]any{"op": "replace", "path": "/spec/template/spec/containers/0/env/0/value", "value": "hunter"},
					map[string]any{"op": "add", "path": "/spec/template/spec/containers/0/env/-", "value": map[string]any{"name": "MORE", "value": "hunter"}},
				},
				"strategicMerge": map[string]any{"spec": map[string]any{"template": map[string]any{"spec": bare.Object["spec"]}}},
			}}},
		}}}})
	for _, in := range inputs {
		r.rotate.Store(true) // a checkpoint each time
		r.Trace(d.now, in, d.apply(in), d.world.Checkpoint)
		if err := r.write(<-r.items); err != nil {
			t.Fatal(err)
		}
	}
	r.Wrote("aws", template.Key{GR: secrets, Namespace: "shop", Name: "web"}, "create", "", errors.New("what is hunter"))
	if err := r.write(<-r.items); err != nil {
		t.Fatal(err)
	}
	if err := r.ring.Close(); err != nil {
		t.Fatal(err)
	}
	found, variables := 0, 0
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if strings.Contains(string(data), "hunter") {
			t.Errorf("%s has content", path)
		}
		found += strings.Count(string(data), `"Secret"`)
		variables += strings.Count(string(data), `"PASSWORD"`)
		return err
	})
	if err != nil || found == 0 || variables < 5 {
		t.Errorf("%v; Secrets are recorded %d times, environment variables %d times", err, found, variables)
	}
}

// A spec is recorded once, as long as it is the same, and is read with each record nevertheless.
func TestASpecIsRecordedOnce(t *testing.T) {
	d, e, back := newDriver(options), newEncoder(), newDecoder()
	read := func(obj *unstructured.Unstructured) (encoded string, spec any) {
		t.Helper()
		data, err := e.encode(d.written(obj))
		if err != nil {
			t.Fatal(err)
		}
		in, err := back.decode(data)
		if err != nil {
			t.Fatal(err)
		}
		return string(data), in.(decide.Written).Template.Object.Object["spec"]
	}
	again := func(change func(obj *unstructured.Unstructured)) *unstructured.Unstructured {
		obj := d.manifest("Deployment", "web", 3)
		change(obj)
		return obj
	}
	for _, c := range []struct {
		name  string
		obj   *unstructured.Unstructured
		whole bool
	}{
		{"made", again(func(*unstructured.Unstructured) {}), true},
		{"a status", again(func(o *unstructured.Unstructured) { o.Object["status"] = map[string]any{"replicas": int64(1)} }), false},
		{"an annotation", again(func(o *unstructured.Unstructured) { o.SetAnnotations(map[string]string{"hanse.dev/division": "aws=3"}) }), false},
		{"another spec", d.manifest("Deployment", "web", 4), true},
		{"the first again", d.manifest("Deployment", "web", 3), true},
		{"no spec", again(func(o *unstructured.Unstructured) { delete(o.Object, "spec") }), false},
		{"a spec", d.manifest("Deployment", "web", 3), true},
	} {
		want := withoutValues(c.obj.DeepCopy().Object)["spec"] // of environment variables
		encoded, spec := read(c.obj)
		if whole := strings.Contains(encoded, `"image"`); whole != c.whole {
			t.Errorf("%s: %s", c.name, encoded)
		}
		if !reflect.DeepEqual(spec, want) {
			t.Errorf("%s: read %v, want %v", c.name, spec, want)
		}
	}
	if _, err := e.encode(decide.Deleted{Key: template.Key{GR: deployments, Namespace: "shop", Name: "web"}}); err != nil {
		t.Fatal(err)
	}
	if encoded, _ := read(d.manifest("Deployment", "web", 3)); !strings.Contains(encoded, `"image"`) {
		t.Errorf("after a deletion: %s", encoded)
	}
	same, err := e.encode(d.written(d.manifest("Deployment", "web", 3)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newDecoder().decode(same); err == nil {
		t.Error("a spec that nobody recorded is read")
	}
}
