package aggregate_test

import (
	"reflect"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
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
		parse := func(s string) map[string]any {
			var m map[string]any
			if err := json.UnmarshalCaseSensitivePreserveInts([]byte(s), &m); err != nil {
				t.Skip("no JSON object")
			}
			return m
		}
		read := func() (hub map[string]any, members []aggregate.MemberStatus) {
			hub = map[string]any{
				"metadata": map[string]any{"generation": int64(3), "creationTimestamp": "2026-01-01T09:00:00Z"},
				"spec":     parse(second), "status": parse(before),
			}
			return hub, []aggregate.MemberStatus{
				{Cluster: "aws", Generation: 1, ObservedGeneration: 1, Synced: true, Reachable: true, Spec: parse(second), Status: parse(first)},
				{Cluster: "azure", Generation: 2, ObservedGeneration: 2, Synced: true, Status: parse(second)},
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
			members[0], members[1] = members[1], members[0]
			if again := aggregate.Status(gk, hub, members); !reflect.DeepEqual(again, kept) {
				t.Fatalf("%s: the other way round:\n%v\n%v", gk, again, kept)
			}
			scribble(got)
			freshHub, freshMembers := read()
			if !reflect.DeepEqual(hub, freshHub) || !reflect.DeepEqual(members[0], freshMembers[1]) || !reflect.DeepEqual(members[1], freshMembers[0]) {
				t.Fatalf("%s: the result shares memory with the input", gk)
			}
			hub["status"] = kept
			if again := aggregate.Status(gk, hub, members); !reflect.DeepEqual(again, kept) && len(again)+len(kept) > 0 {
				t.Fatalf("%s: aggregated again:\n%v\n%v", gk, again, kept)
			}
		}
	})
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
