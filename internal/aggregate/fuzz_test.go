package aggregate_test

import (
	"reflect"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"pgregory.net/rapid"
	"sigs.k8s.io/json"

	"github.com/hanse-dev/hanse/internal/aggregate"
)

// FuzzStatus merges any two JSON objects as the statuses of each kind.
func FuzzStatus(f *testing.F) {
	f.Add(`{"replicas":1,"conditions":[{"type":"Ready","status":"True","lastTransitionTime":"2026-01-01T10:00:00Z"}]}`, `{"replicas":2.5,"conditions":[{"type":"Ready"},3,{}]}`, `{"observedGeneration":7}`)
	f.Add(`{"conditions":[{"type":"Complete","status":"True"}],"startTime":"x"}`, `{"conditions":[{"type":"Failed","status":"True"}],"active":-1}`, `{"conditions":[{"type":"FailureTarget","status":"True"}]}`)
	f.Add(`{"loadBalancer":{"ingress":[{"ip":"192.0.2.1"},null,[]]}}`, `{"loadBalancer":{"ingress":[{"ip":"192.0.2.1"}]}}`, `{"loadBalancer":[]}`)
	f.Add(`{"listeners":[{"name":"a","x":{}},{"name":"b"}],"parents":[{"parentRef":{"name":"g"}}]}`, `{"listeners":[{"name":"b","x":null}],"parents":[{"parentRef":[]}]}`, `{}`)
	f.Add(`{"readyReplicas":9223372036854775807,"aReplicas":1e300}`, `{"readyReplicas":9223372036854775807,"aReplicas":-1}`, `{"active":[1,{"uid":2}],"phase":"Bound"}`)
	f.Fuzz(func(t *testing.T, first, second, before string) {
		var parsed [3]map[string]any
		for i, s := range []string{first, second, before} {
			if err := json.UnmarshalCaseSensitivePreserveInts([]byte(s), &parsed[i]); err != nil {
				t.Skip("no JSON object")
			}
		}
		checkAnyStatus(t, parsed[0], parsed[1], parsed[2])
	})
}

// TestAnyStatus does the same with objects that look like statuses.
func TestAnyStatus(t *testing.T) {
	words := []string{
		"conditions", "type", "status", "reason", "message", "lastTransitionTime", "observedGeneration", "replicas", "readyReplicas",
		"updatedReplicas", "completions", "active", "startTime", "completionTime", "succeeded", "failed", "loadBalancer", "ingress", "ip", "name",
		"parentRef", "listeners", "phase", "accessModes", "capacity", "currentMetrics", "disruptedPods", "currentRevision", "updateRevision",
		"True", "False", "Ready", "Failed", "FailureTarget", "Complete", "SuccessCriteriaMet", "Available", "Progressing", "LoadBalancer", "Bound",
		"2026-01-01T10:00:00Z", "2026-01-01T11:00:00+02:00", "",
	}
	var draw func(t *rapid.T, depth int) any
	object := func(t *rapid.T, depth int) map[string]any {
		o := map[string]any{}
		for range rapid.IntRange(0, 5).Draw(t, "fields") {
			o[rapid.SampledFrom(words).Draw(t, "field")] = draw(t, depth-1)
		}
		return o
	}
	draw = func(t *rapid.T, depth int) any {
		most := 7
		if depth <= 0 {
			most = 4
		}
		switch rapid.IntRange(0, most).Draw(t, "what") {
		case 0:
			return rapid.Int64().Draw(t, "int")
		case 1:
			return rapid.Float64().Draw(t, "float")
		case 2:
			return rapid.Bool().Draw(t, "bool")
		case 3:
			return rapid.SampledFrom(words).Draw(t, "word")
		case 4:
			return nil
		case 5, 6:
			list := []any{}
			for range rapid.IntRange(0, 4).Draw(t, "elements") {
				list = append(list, object(t, depth-1))
			}
			return list
		default:
			return object(t, depth)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		checkAnyStatus(t, object(t, 4), object(t, 4), object(t, 4))
	})
}

// testingT is what *testing.T and *rapid.T have in common here.
type testingT interface{ Fatalf(string, ...any) }

// checkAnyStatus merges two statuses, the second of which is also the specs,
// for each kind: no panic, the order does not matter, nothing is shared with
// the input, and the result is a fixed point.
func checkAnyStatus(t testingT, first, second, before map[string]any) {
	read := func() (hub map[string]any, members []aggregate.MemberStatus) {
		hub = runtime.DeepCopyJSON(map[string]any{
			"metadata": map[string]any{"generation": int64(3), "creationTimestamp": "2026-01-01T09:00:00Z"},
			"spec":     second, "status": before,
		})
		return hub, []aggregate.MemberStatus{
			{Cluster: "aws", Generation: 1, ObservedGeneration: 1, Synced: true, Reachable: true, Spec: runtime.DeepCopyJSON(second), Status: runtime.DeepCopyJSON(first)},
			{Cluster: "azure", Generation: 2, ObservedGeneration: 2, Synced: true, Status: runtime.DeepCopyJSON(second)},
		}
	}
	for _, gk := range kinds() {
		hub, members := read()
		got := aggregate.Status(gk, hub, members)
		for _, m := range members {
			if ready, want, _ := aggregate.Ready(gk, m); ready < 0 || want < 0 {
				t.Fatalf("%s: %d/%d ready", gk, ready, want)
			}
		}
		if got == nil {
			continue
		}
		kept := runtime.DeepCopyJSON(got) // panics on what is no JSON
		slices.Reverse(members)
		if again := aggregate.Status(gk, hub, members); !reflect.DeepEqual(again, kept) {
			t.Fatalf("%s: the other way round:\n%v\n%v", gk, again, kept)
		}
		scribble(got)
		freshHub, freshMembers := read()
		slices.Reverse(freshMembers)
		if !reflect.DeepEqual(hub, freshHub) || !reflect.DeepEqual(members, freshMembers) {
			t.Fatalf("%s: the result shares memory with the input", gk)
		}
		hub["status"] = kept
		if again := aggregate.Status(gk, hub, members); !reflect.DeepEqual(again, kept) && len(again)+len(kept) > 0 {
			t.Fatalf("%s: aggregated again:\n%v\n%v", gk, again, kept)
		}
	}
}

// scribble overwrites all that can be reached from v.
func scribble(v any) {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			scribble(e)
			v[k] = "scribbled"
		}
		v["scribbled"] = true
	case []any:
		for i, e := range v {
			scribble(e)
			v[i] = "scribbled"
		}
	}
}
