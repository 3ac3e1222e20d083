package constraints

import (
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"pgregory.net/rapid"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// TestTopologiesSayWhatTheLabelsDo draws clusters with domains and compares.
func TestTopologiesSayWhatTheLabelsDo(t *testing.T) {
	keys := []string{corev1.LabelTopologyZone, corev1.LabelFailureDomainBetaZone, "custom"}
	rapid.Check(t, func(t *rapid.T) {
		drawLabels := func() map[string]string {
			m := map[string]string{corev1.LabelHostname: "not to be seen"}
			for _, key := range keys {
				if rapid.Bool().Draw(t, key) {
					m[key] = rapid.SampledFrom([]string{"1", "2"}).Draw(t, "value")
				}
			}
			return m
		}
		var x Sites
		var sites int
		for range rapid.IntRange(0, 4).Draw(t, "clusters") {
			domains := make([]map[string]string, rapid.IntRange(0, 2).Draw(t, "domains"))
			for d := range domains {
				domains[d] = drawLabels()
			}
			x.Add("c", drawLabels(), domains)
			sites += max(1, len(domains))
		}
		x.Group()
		if len(x.Labels) != sites || x.First[len(x.First)-1] != int32(sites) || x.Has(corev1.LabelHostname) {
			t.Fatalf("%d sites, not %d: %+v", len(x.Labels), sites, x)
		}
		for _, key := range append(keys, v1alpha1.LabelClusterName, "nobody's") {
			topology := x.Topology(key)
			for site, d := range topology.Of {
				value, has := x.Labels[site][key]
				if has != (d >= 0) || has && topology.Values[d] != value {
					t.Fatalf("%s of site %d is %q, its domain %d of %q", key, site, value, d, topology.Values)
				}
			}
			if x.Has(key) != slices.ContainsFunc(topology.Of, func(d int32) bool { return d >= 0 }) {
				t.Fatalf("%s: %t, but %v", key, x.Has(key), topology.Of)
			}
		}
		for site, of := range x.Labels {
			if of[corev1.LabelTopologyZone] != of[corev1.LabelFailureDomainBetaZone] {
				t.Fatalf("site %d: the zone and its beta name differ: %v", site, of)
			}
		}
	})
}

func TestTaintsToleratedForAWhile(t *testing.T) {
	added, seconds := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), int64(60)
	all := []corev1.Taint{
		{Key: "a", Effect: corev1.TaintEffectPreferNoSchedule},
		{Key: "b", Effect: corev1.TaintEffectNoSchedule},
		{Key: "c", Value: "v", Effect: corev1.TaintEffectNoExecute, TimeAdded: &metav1.Time{Time: added}},
	}
	for now, want := range map[time.Time]string{
		{}:                              "",
		added.Add(59 * time.Second):     "",
		added.Add(60 * time.Second):     "c=v:NoExecute",
		added.Add(365 * 24 * time.Hour): "c=v:NoExecute",
	} {
		got := ReadTaints(all, []corev1.Toleration{{Key: "c", Operator: corev1.TolerationOpExists, TolerationSeconds: &seconds}},
			[]corev1.Toleration{{Key: "b", Operator: corev1.TolerationOpExists}}, now)
		evicting := ""
		if got.NoExecute != nil {
			evicting = TaintString(got.NoExecute)
		}
		if evicting != want || got.NoSchedule != nil || got.PreferNoSchedule != 1 {
			t.Errorf("at %s: %q evicts, not %q; %+v", now, evicting, want, got)
		}
	}
}

func TestPodTermsWithKeys(t *testing.T) {
	own := labels.Set{"app": "a", "version": "2"}
	term := corev1.PodAffinityTerm{
		LabelSelector:     &metav1.LabelSelector{MatchLabels: map[string]string{"app": "a"}},
		NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"team": "x"}},
		MatchLabelKeys:    []string{"version", "not there"},
		MismatchLabelKeys: []string{"pod-template-hash"},
	}
	p, err := ParsePodTerm(&term, "default", own)
	if err != nil {
		t.Fatal(err)
	}
	if !p.Selector.Matches(own) || p.Selector.Matches(labels.Set{"app": "a", "version": "1"}) {
		t.Errorf("selects %s", p.Selector)
	}
	if p.SelfOnly || !p.NeverSelf {
		t.Errorf("a key that tells revisions apart: %+v", p)
	}
	of := map[string]map[string]string{"one": {"team": "x"}, "default": {"team": "y"}}
	if !p.MatchesNamespace("one", of) || p.MatchesNamespace("default", of) {
		t.Error("the namespaceSelector does not decide alone")
	}
}
