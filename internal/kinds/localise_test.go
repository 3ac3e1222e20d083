package kinds

import (
	"reflect"
	"testing"

	"sigs.k8s.io/yaml"
)

func TestLocalise(t *testing.T) {
	labels := map[string]string{"hanse.dev/provider": "azure", "hanse.dev/continent": "EU", "topology.kubernetes.io/region": "westeurope"}
	for name, test := range map[string]struct{ in, want string }{
		"nothing about clusters": {
			`nodeSelector: {kubernetes.io/os: linux}`, `nodeSelector: {kubernetes.io/os: linux}`},
		"selector": {
			`nodeSelector: {hanse.dev/continent: EU, kubernetes.io/os: linux}`, `nodeSelector: {kubernetes.io/os: linux}`},
		"selector alone": {`nodeSelector: {hanse.dev/continent: EU}`, `{}`},
		"selector of another cluster": {
			`nodeSelector: {hanse.dev/continent: NA}`, `nodeSelector: {hanse.dev/continent: NA}`},
		"the region is the nodes' too": {
			`nodeSelector: {topology.kubernetes.io/region: westeurope, hanse.dev/provider: azure}`, `nodeSelector: {topology.kubernetes.io/region: westeurope}`},
		"alternatives": {`
affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [
  {matchExpressions: [{key: hanse.dev/provider, operator: In, values: [aws]}]},
  {matchExpressions: [{key: hanse.dev/provider, operator: NotIn, values: [aws]}, {key: gpu, operator: Exists}]}]}}}`, `
affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [
  {matchExpressions: [{key: gpu, operator: Exists}]}]}}}`},
		"an alternative that asks for nothing else": {`
affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [
  {matchExpressions: [{key: gpu, operator: Exists}]},
  {matchExpressions: [{key: hanse.dev/continent, operator: In, values: [EU]}]}]}}}`, `affinity: {nodeAffinity: {}}`},
		"no alternative fits": {`
affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [
  {matchExpressions: [{key: hanse.dev/continent, operator: In, values: [AS]}]}]}}}`, `
affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [
  {matchExpressions: [{key: hanse.dev/continent, operator: In, values: [AS]}]}]}}}`},
		"topology": {`
affinity:
  podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: hanse.dev/cluster}, {topologyKey: kubernetes.io/hostname}]}
  podAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: hanse.dev/provider}]}
topologySpreadConstraints: [{topologyKey: hanse.dev/provider, maxSkew: 1}]`, `
affinity:
  podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: kubernetes.io/hostname}]}
  podAffinity: {}`},
	} {
		t.Run(name, func(t *testing.T) {
			parse := func(s string) map[string]any {
				spec := map[string]any{}
				if err := yaml.Unmarshal([]byte(s), &spec); err != nil {
					t.Fatal(err)
				}
				return map[string]any{"spec": spec}
			}
			in := parse(test.in)
			got, ok := Localise(in, labels)
			if ok != (name != "nothing about clusters") {
				t.Fatalf("localised: %t", ok)
			}
			if !ok {
				got = in
			}
			if want := parse(test.want); !reflect.DeepEqual(jsonOf(t, got), jsonOf(t, want)) {
				t.Errorf("got %s\nwant %s", jsonOf(t, got), jsonOf(t, want))
			}
			if !reflect.DeepEqual(in, parse(test.in)) {
				t.Error("the template itself was changed")
			}
		})
	}
}

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	b, err := yaml.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
