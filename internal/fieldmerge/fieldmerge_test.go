package fieldmerge

import (
	"encoding/json"
	"fmt"
	"testing"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"
)

// parse reads YAML into what an API client would have.
func parse(t testing.TB, text string) map[string]any {
	t.Helper()
	asJSON, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	u := &unstructured.Unstructured{}
	if err := u.UnmarshalJSON(asJSON); err != nil {
		t.Fatal(err)
	}
	return u.Object
}

const head = "apiVersion: apps/v1\nkind: Deployment\n"

// The live object of these cases: the hub set replicas and container app (with
// image and one variable); the API server of the member, an injector and a
// person added the rest.
const live = head + `
metadata:
  name: web
  resourceVersion: "7"
  labels: {app: web, hanse.dev/managed: "true", team: payments}
  annotations: {note: kept}
  managedFields:
  - manager: hanse
    operation: Update
    fieldsV1:
      f:metadata: {f:labels: {".": {}, f:app: {}, f:hanse.dev/managed: {}}}
      f:spec:
        f:replicas: {}
        f:selector: {}
        f:template:
          f:spec:
            f:containers:
              k:{"name":"app"}:
                .: {}
                f:name: {}
                f:image: {}
                f:env: {".": {}, 'k:{"name":"LEVEL"}': {".": {}, f:name: {}, f:value: {}}}
                f:ports: {".": {}, 'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, f:containerPort: {}, f:protocol: {}}}
  - manager: injector
    operation: Update
    fieldsV1:
      f:metadata: {f:annotations: {".": {}, f:note: {}}, f:labels: {f:team: {}}, f:finalizers: {".": {}, 'v:"a/b"': {}}}
      f:spec: {f:template: {f:spec: {f:containers: {'k:{"name":"sidecar"}': {".": {}, f:name: {}, f:image: {}}}}}}
  - manager: controller
    operation: Update
    subresource: status
    fieldsV1: {f:status: {f:replicas: {}}}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    spec:
      containers:
      - name: app
        image: app:1
        env: [{name: LEVEL, value: info}]
        ports: [{containerPort: 80, protocol: TCP}]
      - name: sidecar
        image: proxy:1
status: {replicas: 3}
`

const desired = head + `
metadata:
  name: web
  labels: {app: web, hanse.dev/managed: "true"}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    spec:
      containers:
      - name: app
        image: app:1
        env: [{name: LEVEL, value: info}]
        ports: [{containerPort: 80}]
`

func TestWanted(t *testing.T) {
	both := func(app, rest string) string {
		return `{spec: {template: {spec: {containers: [` + app + `, ` + rest + `]}}}}`
	}
	const (
		app     = `{name: app, image: "app:1", env: [{name: LEVEL, value: info}], ports: [{containerPort: 80, protocol: TCP}]}`
		sidecar = `{name: sidecar, image: "proxy:1"}`
	)
	for _, c := range []struct {
		name   string
		change string // merge patch on desired
		skip   string
		patch  string // what has to be written, "" for nothing
	}{
		{name: "as it is", change: `{}`},
		{name: "scaled", change: `{spec: {replicas: 5}}`, patch: `{spec: {replicas: 5}}`},
		{name: "scaled, but an autoscaler owns the replicas", change: `{spec: {replicas: 5}}`, skip: "spec.replicas"},
		{name: "a label more", change: `{metadata: {labels: {new: x}}}`, patch: `{metadata: {labels: {new: x}}}`},
		{name: "a label of the hub's less", change: `{metadata: {labels: {app: null}}}`, patch: `{metadata: {labels: {app: null}}}`},
		{
			name:   "another image keeps the injected sidecar",
			change: `{spec: {template: {spec: {containers: [{name: app, image: "app:2", env: [{name: LEVEL, value: info}], ports: [{containerPort: 80}]}]}}}}`,
			patch:  both(`{name: app, image: "app:2", env: [{name: LEVEL, value: info}], ports: [{containerPort: 80, protocol: TCP}]}`, sidecar),
		},
		{
			name:   "a variable of the hub's less",
			change: `{spec: {template: {spec: {containers: [{name: app, image: "app:1", ports: [{containerPort: 80}]}]}}}}`,
			patch:  both(`{name: app, image: "app:1", ports: [{containerPort: 80, protocol: TCP}]}`, sidecar),
		},
		{
			name:   "another container of the hub's",
			change: `{spec: {template: {spec: {containers: [` + app + `, {name: log, image: "log:1"}]}}}}`,
			patch:  `{spec: {template: {spec: {containers: [` + app + `, ` + sidecar + `, {name: log, image: "log:1"}]}}}}`,
		},
		{
			name:   "a selector is one value",
			change: `{spec: {selector: {matchLabels: {app: null, tier: web}}}}`,
			patch:  `{spec: {selector: {matchLabels: {app: null, tier: web}}}}`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			liveObj := parse(t, live)
			before := runtime.DeepCopyJSON(liveObj)
			want := mergePatch(t, parse(t, desired), c.change)
			var skip []string
			if c.skip != "" {
				skip = []string{c.skip}
			}
			wanted := Wanted(want, liveObj, ReadOwners(&unstructured.Unstructured{Object: liveObj}, "hanse"), skip...)
			patch, _ := Patch(liveObj, wanted)
			if got, expected := canonical(t, patch), canonicalYAML(t, c.patch); got != expected {
				t.Errorf("patch\n%s\nwant\n%s", got, expected)
			}
			if !Equal(liveObj, before) {
				t.Error("the live object was changed")
			}
		})
	}
}

func TestPathsNameFieldsNotValues(t *testing.T) {
	got := Paths(map[string]any{"data": map[string]any{"password": "hunter2"}, "spec": map[string]any{"a": nil, "b": []any{"x"}}})
	if want := "[data.password spec.a spec.b]"; fmt.Sprint(got) != want {
		t.Errorf("Paths = %v, want %s", got, want)
	}
}

func TestHashTellsContentFromTheRest(t *testing.T) {
	h := NewHasher()
	base := parse(t, live)
	same := runtime.DeepCopyJSON(base)
	same["status"] = map[string]any{"replicas": int64(99)}
	meta := same["metadata"].(map[string]any)
	meta["resourceVersion"], meta["generation"], meta["managedFields"] = "8", int64(4), nil
	if h.Content(base) != h.Content(same) {
		t.Error("status or resourceVersion changes the hash")
	}
	for name, change := range map[string]string{
		"replicas": `{spec: {replicas: 4}}`, "label": `{metadata: {labels: {app: x}}}`, "annotation": `{metadata: {annotations: {note: gone}}}`,
		"swapped": `{metadata: {labels: {app: payments, team: web}}}`, "order": `{spec: {template: {spec: {containers: []}}}}`,
		"deletion": `{metadata: {deletionTimestamp: "2026-01-01T00:00:00Z"}}`,
	} {
		if h.Content(base) == h.Content(mergePatch(t, base, change)) {
			t.Errorf("%s does not change the hash", name)
		}
	}
}

// Whatever hub and others own: what Patch says, applied to live, is what
// Wanted wants; wanting it again changes nothing; others' fields stay.
func TestProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hub := drawObject(t, "hub")
		old := drawObject(t, "old")
		theirs := drawObject(t, "theirs")
		liveObj := overlay(runtime.DeepCopyJSON(old), theirs)
		owners := Owners{mine: owned(old), others: owned(theirs)}

		wanted := Wanted(hub, liveObj, owners)
		patch, _ := Patch(liveObj, wanted)
		if got := apply(t, liveObj, patch); !Equal(got, wanted) {
			t.Fatalf("live %v\npatch %v\ngives %v\nwant %v", liveObj, patch, got, wanted)
		}
		if again, _ := Patch(wanted, Wanted(hub, wanted, Owners{mine: owned(hub), others: owned(theirs)})); again != nil {
			t.Fatalf("not settled: %v", again)
		}
		for path, v := range leaves("", theirs) {
			if _, hubSays := leaves("", hub)[path]; hubSays {
				continue
			}
			if got := leaves("", wanted)[path]; !Equal(got, v) {
				t.Fatalf("%s of others is %v, was %v", path, got, v)
			}
		}
		for path, v := range leaves("", hub) {
			if got := leaves("", wanted)[path]; !Equal(got, v) {
				t.Fatalf("%s is %v, the hub wants %v", path, got, v)
			}
		}
	})
}

// drawObject draws a small tree of maps below spec, with few names so that
// objects overlap, and a list of items by name.
func drawObject(t *rapid.T, label string) map[string]any {
	spec := map[string]any{}
	for _, k := range []string{"a", "b", "c"} {
		if rapid.Bool().Draw(t, label+k) {
			sub := map[string]any{}
			for _, l := range []string{"x", "y"} {
				if rapid.Bool().Draw(t, label+k+l) {
					sub[l] = int64(rapid.IntRange(0, 2).Draw(t, label+k+l+"v"))
				}
			}
			if len(sub) > 0 {
				spec[k] = sub
			}
		}
	}
	var items []any
	for _, n := range []string{"one", "two", "three"} {
		if rapid.Bool().Draw(t, label+n) {
			items = append(items, map[string]any{"name": n, "v": int64(rapid.IntRange(0, 2).Draw(t, label+n+"v"))})
		}
	}
	if items != nil {
		spec["items"] = items
	}
	if len(spec) == 0 {
		return map[string]any{}
	}
	return map[string]any{"spec": spec}
}

// owned is the fieldsV1 of everything in v.
func owned(v any) fields {
	out := fields{}
	switch v := v.(type) {
	case map[string]any:
		for k, child := range v {
			out["f:"+k] = map[string]any(owned(child))
		}
	case []any:
		out["."] = map[string]any{}
		for _, item := range v {
			f := owned(item)
			f["."] = map[string]any{}
			out[fmt.Sprintf(`k:{"name":%q}`, item.(map[string]any)["name"])] = map[string]any(f)
		}
	}
	return out
}

// overlay puts b over a, lists by name.
func overlay(a, b map[string]any) map[string]any {
	for k, v := range b {
		switch v := v.(type) {
		case map[string]any:
			under, _ := a[k].(map[string]any)
			if under == nil {
				under = map[string]any{}
			}
			a[k] = overlay(under, v)
		case []any:
			under, _ := a[k].([]any)
			for _, item := range v {
				under = append(without1(under, item), item)
			}
			a[k] = under
		default:
			a[k] = v
		}
	}
	return a
}

func without1(list []any, item any) []any {
	var out []any
	for _, x := range list {
		if x.(map[string]any)["name"] != item.(map[string]any)["name"] {
			out = append(out, x)
		}
	}
	return out
}

// leaves are the scalars of a tree by path; list items by name.
func leaves(prefix string, v any) map[string]any {
	out := map[string]any{}
	add := func(k string, child any) {
		for p, leaf := range leaves(prefix+"."+k, child) {
			out[p] = leaf
		}
	}
	switch v := v.(type) {
	case map[string]any:
		for k, child := range v {
			add(k, child)
		}
	case []any:
		for _, item := range v {
			add(fmt.Sprint(item.(map[string]any)["name"]), item)
		}
	default:
		out[prefix] = v
	}
	return out
}

type fataler interface{ Fatal(...any) }

func apply(t fataler, obj, patch map[string]any) map[string]any {
	doc, err := json.Marshal(obj)
	if err != nil {
		t.Fatal(err)
	}
	if patch == nil {
		patch = map[string]any{}
	}
	p, err := json.Marshal(patch)
	if err != nil {
		t.Fatal(err)
	}
	merged, err := jsonpatch.MergePatch(doc, p)
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(merged, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func mergePatch(t testing.TB, obj map[string]any, change string) map[string]any {
	t.Helper()
	asJSON, err := yaml.YAMLToJSON([]byte(change))
	if err != nil {
		t.Fatal(err)
	}
	var patch map[string]any
	if err := json.Unmarshal(asJSON, &patch); err != nil {
		t.Fatal(err)
	}
	return apply(t, obj, patch)
}

func canonical(t testing.TB, v map[string]any) string {
	t.Helper()
	if v == nil {
		return ""
	}
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func canonicalYAML(t testing.TB, text string) string {
	t.Helper()
	if text == "" {
		return ""
	}
	var v map[string]any
	asJSON, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(asJSON, &v); err != nil {
		t.Fatal(err)
	}
	return canonical(t, v)
}

// Rubbish in managedFields must not do more than make lists atomic.
func FuzzReadOwners(f *testing.F) {
	f.Add(`{"f:spec":{"f:containers":{"k:{\"name\":\"a\"}":{}}}}`)
	f.Add(`{"f:spec":{"f:containers":{"k:{":{},"v:":{},"":null}}}`)
	f.Fuzz(func(t *testing.T, set string) {
		var fieldsV1 any
		if json.Unmarshal([]byte(set), &fieldsV1) != nil {
			return
		}
		liveObj := parse(t, live)
		liveObj["metadata"].(map[string]any)["managedFields"] = []any{map[string]any{"manager": "hanse", "fieldsV1": fieldsV1}, "rubbish"}
		owners := ReadOwners(&unstructured.Unstructured{Object: liveObj}, "hanse")
		wanted := Wanted(parse(t, desired), liveObj, owners)
		if again, _ := Patch(wanted, Wanted(parse(t, desired), wanted, owners)); again != nil {
			t.Errorf("not settled: %v", again)
		}
	})
}
