package aggregate_test

import (
	"fmt"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/hanse-dev/hanse/internal/aggregate"
)

func TestReady(t *testing.T) {
	share := int32(2)
	tests := []struct {
		kind, group  string
		share        *int32
		spec, status string
		want         string // ready/want, or "" for no notion of ready
	}{
		{kind: "Deployment", group: "apps", share: &share, want: "0/2"},
		{kind: "Deployment", group: "apps", share: &share, spec: "replicas: 3", status: "readyReplicas: 1", want: "1/2"},
		{kind: "Deployment", group: "apps", status: "readyReplicas: 1", want: "1/1"},
		{kind: "DaemonSet", group: "apps", want: "0/0"},
		{kind: "Job", group: "batch", share: &share, want: "0/2"},
		{kind: "Job", group: "batch", share: &share, spec: "parallelism: 2", status: "succeeded: 1", want: "0/1"},
		{kind: "Job", group: "batch", spec: "parallelism: 2", status: `conditions: [{type: Complete, status: "True"}]`, want: "1/1"},
		{kind: "Pod", status: "phase: Succeeded", want: "1/1"},
		{kind: "Pod", status: `conditions: [{type: Ready, status: "False"}]`, want: "0/1"},
		{kind: "Service", spec: "type: ClusterIP"},
		{kind: "ConfigMap"},
		{kind: "Namespace", status: `conditions: [{type: Ready, status: "True"}]`},
		{kind: "Cache", group: "example.com", status: "phase: Ready"},
		{kind: "Cache", group: "example.com", status: `conditions: [{type: Available, status: "True"}]`, want: "1/1"},
		{kind: "Cache", group: "example.com", spec: "replicas: 4", status: "readyReplicas: 3", want: "3/4"},
	}
	for _, tt := range tests {
		m := aggregate.MemberStatus{Replicas: tt.share}
		for text, into := range map[string]*map[string]any{tt.spec: &m.Spec, tt.status: &m.Status} {
			if text != "" {
				var o map[string]any
				if err := yaml.Unmarshal([]byte(text), &o); err != nil {
					t.Fatal(err)
				}
				*into = o
			}
		}
		got := ""
		if ready, want, ok := aggregate.Ready(schema.GroupKind{Group: tt.group, Kind: tt.kind}, m); ok {
			got = fmt.Sprintf("%d/%d", ready, want)
		}
		if got != tt.want {
			t.Errorf("%s %s %s: got %q, want %q", tt.kind, tt.spec, tt.status, got, tt.want)
		}
	}
}
