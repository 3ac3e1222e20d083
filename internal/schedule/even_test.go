package schedule

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// What IsEven says is what a comparison with the division by Schedule would.
func TestIsEven(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := make([]string, rapid.IntRange(0, 9).Draw(t, "clusters"))
		clusters := make([]Cluster, len(names))
		for i := range names {
			names[i] = fmt.Sprint("cluster-", i)
			clusters[i] = Cluster{Name: names[i], Ready: true}
		}
		w := Workload{Key: rapid.StringMatching("[a-z]{1,4}").Draw(t, "key"), Divided: true, Total: rapid.Int32Range(0, 40).Draw(t, "total")}
		want := Schedule(w, clusters).Division()
		shares := Schedule(w, clusters).Shares
		for range rapid.IntRange(0, 2).Draw(t, "changes") {
			name := fmt.Sprint("cluster-", rapid.IntRange(0, 9).Draw(t, "changed"))
			n := rapid.Int32Range(-1, 1).Draw(t, "by")
			shares = changed(shares, name, n)
			if rapid.Bool().Draw(t, "moved") {
				shares = changed(shares, fmt.Sprint("cluster-", rapid.IntRange(0, 9).Draw(t, "from")), -n)
			}
		}
		same := true
		has := map[string]int32{}
		for _, s := range shares {
			has[s.Cluster] = s.Replicas
		}
		for i := range 10 {
			name := fmt.Sprint("cluster-", i)
			same = same && has[name] == want[name]
		}
		if got := IsEven(w.Key, w.Total, names, shares); got != same {
			t.Fatalf("%v is even: %t; by the formula it is %v", shares, got, want)
		}
	})
}

// changed adds n to the share of a cluster.
func changed(shares []Share, name string, n int32) (out []Share) {
	done := false
	for _, s := range shares {
		if !done && s.Cluster >= name {
			done = true
			if s.Cluster != name {
				out = append(out, Share{Cluster: name, Replicas: n})
			} else {
				s.Replicas += n
			}
		}
		out = append(out, s)
	}
	if !done {
		out = append(out, Share{Cluster: name, Replicas: n})
	}
	return out
}
