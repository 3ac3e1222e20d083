package policy_test

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/policy"
)

// many are 100 policies: a third by name, a third by labels, of a namespace or of
// all, and some for everything.
func many(b *testing.B) []*policy.Policy {
	b.Helper()
	var all []*policy.Policy
	for i := range 100 {
		spec := v1alpha1.PlacementPolicySpec{}
		switch i % 3 {
		case 0:
			spec.Select.Names = []string{fmt.Sprint("web-", i), fmt.Sprint("api-", i)}
		case 1:
			spec.Select.Labels = &v1alpha1.Selector{MatchLabels: map[string]v1alpha1.LabelValue{"app": v1alpha1.LabelValue(fmt.Sprint("app-", i))}}
		}
		meta := metav1.ObjectMeta{Name: fmt.Sprint("p", i), CreationTimestamp: metav1.Time{Time: time.Unix(int64(i), 0)}}
		var p *policy.Policy
		var err error
		if i%2 == 0 {
			meta.Namespace = fmt.Sprint("ns-", i%10)
			p, err = policy.FromPolicy(&v1alpha1.PlacementPolicy{ObjectMeta: meta, Spec: spec})
		} else {
			p, err = policy.FromClusterPolicy(&v1alpha1.ClusterPlacementPolicy{ObjectMeta: meta, Spec: v1alpha1.ClusterPlacementPolicySpec{PlacementPolicySpec: spec}})
		}
		if err != nil {
			b.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}

// BenchmarkFor asks for each of 10,000 objects which of 100 policies applies.
func BenchmarkFor(b *testing.B) {
	x := policy.NewIndex(many(b))
	objects := make([]*policy.Object, 10_000)
	for i := range objects {
		objects[i] = deployment(fmt.Sprint("ns-", i%20), fmt.Sprint("web-", i%200), map[string]string{"app": fmt.Sprint("app-", i%100)})
	}
	b.ReportAllocs()
	for b.Loop() {
		for _, o := range objects {
			x.For(o)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/10_000, "ns/object")
}

func BenchmarkNewIndex(b *testing.B) {
	all := many(b)
	b.ReportAllocs()
	for b.Loop() {
		policy.NewIndex(all)
	}
}
