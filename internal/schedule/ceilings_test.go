package schedule_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// TestNothingLiftsACeiling: no preferences, strategy or earlier division gives a cluster more than its ceiling.
func TestNothingLiftsACeiling(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ceiling := rapid.Int32Range(0, 5).Draw(t, "ceiling")
		w := schedule.Workload{Key: "deployments.apps/default/till", Total: rapid.Int32Range(0, 30).Draw(t, "total"), Divided: true}
		w.Policy = &schedule.Policy{Name: "few", Ceilings: map[string]int32{"aws": ceiling}, Max: map[string]int32{"aws": ceiling},
			Strategy: rapid.SampledFrom([]schedule.Strategy{schedule.Evenly, schedule.Duplicate}).Draw(t, "strategy")}
		if rapid.Bool().Draw(t, "runs") {
			w.Current = map[string]int32{"aws": rapid.Int32Range(0, 30).Draw(t, "aws"), "azure": 1}
		}
		if p := rapid.SampledFrom([]string{
			"", `{"clusters":{"aws":{"minReplicas":20,"weight":9}}}`, `{"clusters":{"*":{"weight":1}}}`,
			`{"rebalance":true,"clusters":{"aws":{"minReplicas":7,"maxReplicas":9,"weight":1},"azure":{"weight":1}}}`,
		}).Draw(t, "preferences"); p != "" {
			key := rapid.SampledFrom([]string{v1alpha1.AnnotationPreferences, schedule.AnnotationDeploymentPreferences}).Draw(t, "key")
			w.ReadFederation(map[string]string{key: p}, key)
		}
		d := decide(clusters("aws azure google"), w)
		if n := d.Division()["aws"]; n > ceiling {
			t.Fatalf("aws has %d, of %d at most: %s", n, ceiling, d)
		}
	})
}
