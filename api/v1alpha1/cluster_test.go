package v1alpha1_test

import (
	"strings"
	"testing"
)

func clusterYAML(taints string) string {
	return "apiVersion: hanse.dev/v1alpha1\nkind: Cluster\nmetadata: {name: aws}\nspec:\n" +
		"  endpoint: https://127.0.0.1:1\n  credentialSecret: aws\n  uid: u\n  unschedulable: true\n  drain: true\n  taints: " + taints + "\n"
}

func TestTaintsOfClusters(t *testing.T) {
	c := newChecker(t, "clusters")
	good := `[{key: maintenance, effect: NoSchedule}, {key: maintenance, effect: NoExecute, value: tonight, timeAdded: "2026-01-01T00:00:00Z"},
    {key: example.com/gpu, effect: PreferNoSchedule, value: ""}]`
	for _, err := range c.check(t.Context(), t, clusterYAML(good)) {
		t.Error(err)
	}
	for _, bad := range []invalid{
		{"[{key: a, effect: Never}]", "spec.taints[0].effect", "Unsupported value"},
		{"[{key: a}]", "spec.taints[0].effect", "Required value"},
		{"[{effect: NoExecute}]", "spec.taints[0].key", "Required value"},
		{"[{key: a/b/c, effect: NoExecute}]", "spec.taints[0].key", "must be a taint key, such as maintenance or example.com/maintenance"},
		{"[{key: a, value: b c, effect: NoExecute}]", "spec.taints[0].value", ""},
		{"[{key: a, effect: NoExecute, timeAdded: '2026-01-01t00:00:00z'}]", "spec.taints[0].timeAdded", "should match"},
		{"[{key: a, effect: NoExecute}, {key: a, value: b, effect: NoExecute}]", "spec.taints[1]", "Duplicate value"},
	} {
		expectError(t, c, clusterYAML(bad.spec), bad)
	}
	if list := strings.Join(messages(c.structural), "\n"); !strings.Contains(list, "taint key") {
		t.Error("the rule about keys is not in the schema")
	}
}

func TestNamespacesOfClusters(t *testing.T) {
	c := newChecker(t, "clusters")
	in := func(namespaces string) string { return clusterYAML("[]") + "  namespaces: " + namespaces + "\n" }
	for _, good := range []string{"{}", "{allow: []}", `{allow: [default, "team-*", "*"], deny: ["kube-*", flux-system]}`, "{deny: []}"} {
		for _, err := range c.check(t.Context(), t, in(good)) {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []invalid{
		{`{allow: [""]}`, "spec.namespaces.allow[0]", "at least 1"},
		{`{allow: ["Team"]}`, "spec.namespaces.allow[0]", "should match"},
		{`{allow: ["a/b"]}`, "spec.namespaces.allow[0]", "should match"},
		{`{deny: ["[a]"]}`, "spec.namespaces.deny[0]", "should match"},
		{`{deny: ["-a"]}`, "spec.namespaces.deny[0]", "should match"},
		{`{allow: [a, a]}`, "spec.namespaces.allow[1]", "Duplicate value"},
		{`{allow: [` + strings.Repeat("a", 64) + `]}`, "spec.namespaces.allow[0]", "may not be more than 63"},
	} {
		expectError(t, c, in(bad.spec), bad)
	}
}
