package schedule_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// TestOwnPreferencesDivideByRemainders: the annotation hanse.dev/preferences, and a
// policy with the same weights.
func TestOwnPreferencesDivideByRemainders(t *testing.T) {
	for _, tt := range []struct {
		preferences, current string
		total                int32
		want                 string // all but the names, which rank decides about
	}{
		{`{"rebalance":true,"clusters":{"aws":{"weight":1},"azure":{"weight":1},"google":{"weight":1}}}`, "aws=1,azure=1,google=2", 4, "[1 1 2]"},
		{`{"rebalance":true,"clusters":{"aws":{"weight":1},"azure":{"weight":1},"google":{"weight":1}}}`, "", 10, "[3 3 4]"},
		{`{"clusters":{"*":{"weight":1}}}`, "aws=4,azure=2,google=4", 10, "[2 4 4]"},
		{`{"clusters":{"*":{"weight":1}}}`, "aws=1,azure=1,google=5", 4, "[1 1 2]"},
		{`{"rebalance":true,"clusters":{"aws":{"weight":2},"*":{"weight":1}}}`, "", 2, "[0 1 1]"},
		{`{"rebalance":true,"clusters":{"aws":{"weight":2},"*":{"weight":1}}}`, "", 4, "[1 1 2]"},
		{`{"clusters":{"*":{"minReplicas":1,"weight":0}}}`, "aws=5,azure=5", 8, "[1 3 4]"},
		{`{"clusters":{"aws":{"weight":1},"azure":{"weight":0}}}`, "aws=1,azure=9", 5, "[0 1 4]"},
		{`{"clusters":{"aws":{"weight":1,"maxReplicas":2},"azure":{"weight":1,"minReplicas":4},"google":{"weight":1}}}`, "", 10, "[2 4 4]"},
	} {
		w := schedule.Workload{Key: "deployments.apps/default/till", Total: tt.total, Divided: true, Current: counts(t, tt.current)}
		w.ReadFederation(map[string]string{v1alpha1.AnnotationPreferences: tt.preferences}, v1alpha1.AnnotationPreferences)
		d := decide(clusters("aws azure google"), w)
		if got := fmt.Sprint(sorted(d, 3)); got != tt.want || d.Unplaced != 0 {
			t.Errorf("%s: %d of %s is divided %s, want %s:\n%s", tt.preferences, tt.total, tt.current, d, tt.want, explain(d))
		}
	}
}

func sorted(d schedule.Decision, n int) []int {
	all := make([]int, 0, n)
	for _, s := range d.Shares {
		all = append(all, int(s.Replicas))
	}
	for len(all) < n {
		all = append(all, 0)
	}
	slices.Sort(all)
	return all
}

// TestWeightsAreKeptToTheQuota: by the annotation and by a policy, from nothing; and
// more replicas take none from those that run, as fewer give none more.
func TestWeightsAreKeptToTheQuota(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 5).Draw(t, "clusters")
		cs := clusters("")
		weights, preferred := map[string]int64{}, map[string]schedule.ClusterPreferences{}
		var sum int64
		for i := range n {
			name := fmt.Sprintf("c%d", i)
			cs = append(cs, schedule.Cluster{Name: name, Ready: true})
			weights[name] = rapid.Int64Range(1, 7).Draw(t, "weight")
			preferred[name] = schedule.ClusterPreferences{Weight: weights[name]}
			sum += weights[name]
		}
		w := schedule.Workload{Key: rapid.StringMatching("[a-z]{3}").Draw(t, "key"), Total: rapid.Int32Range(0, 40).Draw(t, "total"), Divided: true}
		if rapid.Bool().Draw(t, "by a policy") {
			w.Policy = &schedule.Policy{Strategy: schedule.Weighted, Weights: weights}
		} else {
			w.Preferences, w.ByRemainder = &schedule.Preferences{Clusters: preferred}, true
		}
		first := decide(cs, w)
		got := first.Division()
		for name, weight := range weights {
			if off := int64(got[name])*sum - int64(w.Total)*weight; off <= -sum || off >= sum {
				t.Fatalf("%s has a weight of %d of %d and is given %d of %d:\n%s", name, weight, sum, got[name], w.Total, explain(first))
			}
		}
		w.Current = maps.Clone(got)
		if again := decide(cs, w); again.String() != first.String() {
			t.Fatalf("%s, then %s", first, again)
		}
		before := w.Total
		w.Total = rapid.Int32Range(0, 60).Draw(t, "next total")
		next := decide(cs, w)
		if total(next) != int64(w.Total) {
			t.Fatalf("%s of %d", next, w.Total)
		}
		for name := range weights {
			if now := next.Division()[name]; w.Total > before && now < got[name] || w.Total < before && now > got[name] {
				t.Fatalf("from %d to %d moves what runs: %v, then %s", before, w.Total, got, next)
			}
		}
	})
}
