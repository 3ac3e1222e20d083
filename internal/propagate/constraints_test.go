package propagate

import (
	"testing"

	"sigs.k8s.io/yaml"
)

func TestConstraintsOf(t *testing.T) {
	for name, test := range map[string]struct {
		spec  string
		heeds bool
	}{
		"nothing":          {`containers: []`, false},
		"tolerations only": {`tolerations: [{operator: Exists}]`, false},
		"by host": {`
affinity: {podAntiAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [
  {weight: 1, podAffinityTerm: {topologyKey: kubernetes.io/hostname, labelSelector: {matchExpressions: [{key: app, operator: Exists}]}}}]}}
topologySpreadConstraints: [{topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {key: a}}}]`, false},
		"operating system": {`nodeSelector: {kubernetes.io/os: linux}`, false},
		"selector":         {`nodeSelector: {hanse.dev/provider: aws}`, true},
		"by region": {`
affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: topology.kubernetes.io/region}]}}`, true},
		"node affinity": {`
affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [
  {matchExpressions: [{key: hanse.dev/continent, operator: In, values: [EU]}]}]}}}`, true},
		"spread by zone": {`topologySpreadConstraints: [{topologyKey: topology.kubernetes.io/zone, maxSkew: 1}]`, true},
		"malformed":      {`affinity: [1]`, false},
	} {
		spec := map[string]any{}
		if err := yaml.Unmarshal([]byte(test.spec), &spec); err != nil {
			t.Fatal(err)
		}
		content := map[string]any{"spec": map[string]any{"template": map[string]any{"spec": spec}}}
		if got := constraintsOf(content); (got != nil) != test.heeds {
			t.Errorf("%s: %v", name, got)
		}
	}
	content := map[string]any{}
	if err := yaml.Unmarshal([]byte(`
spec: {template: {metadata: {labels: {app: web}}, spec: {affinity: {podAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [
  {topologyKey: topology.kubernetes.io/region, labelSelector: {matchLabels: {app: web}}},
  {topologyKey: topology.kubernetes.io/region, labelSelector: {matchLabels: {app: cache}}},
  {topologyKey: topology.kubernetes.io/region, labelSelector: {matchLabels: {app: web}}, namespaces: [other]}]}}}}}`), &content); err != nil {
		t.Fatal(err)
	}
	if terms := constraintsOf(content).Spec.Affinity.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution; len(terms) != 1 ||
		terms[0].LabelSelector.MatchLabels["app"] != "web" {
		t.Errorf("terms about others are heeded: %v", terms)
	}
	if constraintsOf(map[string]any{"spec": map[string]any{}}) != nil {
		t.Error("an object without a pod template has constraints")
	}
}
