package schedule_test

import (
	"fmt"
	"maps"
	"reflect"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/hanse-dev/hanse/internal/schedule"
)

// drawFleet makes clusters of all sorts, in few regions.
func drawFleet(t *rapid.T, few int) []schedule.Cluster {
	n := rapid.IntRange(1, few).Draw(t, "clusters")
	cs := make([]schedule.Cluster, n)
	for i := range cs {
		c := &cs[i]
		c.Name = fmt.Sprintf("c%d", i)
		c.Labels = map[string]string{corev1.LabelTopologyRegion: rapid.SampledFrom([]string{"r0", "r1", "r2"}).Draw(t, "region")}
		c.Ready = true
		switch rapid.IntRange(0, 15).Draw(t, "state") {
		case 0:
			c.Ready = false
		case 1:
			c.Ready, c.Lost = false, true
		case 2:
			c.Cordoned = true
		case 3:
			c.Drained = true
		case 4:
			c.Taints = []corev1.Taint{{Key: "t", Effect: corev1.TaintEffectNoSchedule}}
		case 5:
			c.Taints = []corev1.Taint{{Key: "t", Effect: corev1.TaintEffectNoExecute}}
		}
		for z := range rapid.IntRange(0, 2).Draw(t, "zones") {
			d := schedule.Domain{Labels: map[string]string{corev1.LabelTopologyZone: fmt.Sprintf("z%d", z)}}
			if rapid.Bool().Draw(t, "known") {
				d.Free = &schedule.Resources{MilliCPU: rapid.Int64Range(0, 5).Draw(t, "cpu") * 1000, Pods: 100}
			}
			c.Domains = append(c.Domains, d)
		}
		if rapid.Bool().Draw(t, "priced") {
			c.Price.CPU = float64(rapid.IntRange(1, 3).Draw(t, "price"))
		}
	}
	return cs
}

// fits is how many pods of one CPU a cluster has room for, below zero: no limit.
func fits(c schedule.Cluster) int64 {
	var sum int64
	for _, d := range c.Domains {
		if d.Free == nil {
			return -1
		}
		sum += d.Free.MilliCPU / 1000
	}
	if len(c.Domains) == 0 {
		return -1
	}
	return sum
}

func drawTemplate(t *rapid.T, with ...string) *corev1.PodTemplateSpec {
	template := &corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "a"}}}
	template.Spec.Containers = []corev1.Container{{Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1")}}}}
	self := corev1.PodAffinityTerm{TopologyKey: corev1.LabelTopologyRegion, LabelSelector: &metav1.LabelSelector{MatchLabels: template.Labels}}
	switch rapid.SampledFrom(with).Draw(t, "constraint") {
	case "apart":
		template.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{self}}}
	case "together":
		template.Spec.Affinity = &corev1.Affinity{PodAffinity: &corev1.PodAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{self}}}
	case "rather":
		template.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.WeightedPodAffinityTerm{{Weight: 5, PodAffinityTerm: self}}}}
	case "skew":
		template.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{MaxSkew: int32(rapid.IntRange(1, 2).Draw(t, "skew")),
			TopologyKey: self.TopologyKey, WhenUnsatisfiable: corev1.DoNotSchedule, LabelSelector: self.LabelSelector}}
	case "selector":
		template.Spec.NodeSelector = map[string]string{corev1.LabelTopologyRegion: "r1"}
	}
	return template
}

func drawPolicy(t *rapid.T, n int) *schedule.Policy {
	p := &schedule.Policy{Name: "p", Strategy: rapid.SampledFrom([]schedule.Strategy{"", schedule.Evenly, schedule.Weighted,
		schedule.FreeCapacity, schedule.Pack, schedule.Cheapest}).Draw(t, "strategy")}
	p.Weights = map[string]int64{"*": 1, "c0": rapid.Int64Range(1, 5).Draw(t, "weight"), "c1": rapid.Int64Range(0, 5).Draw(t, "weight")}
	if rapid.Bool().Draw(t, "bounded") {
		p.Max = map[string]int32{"c1": rapid.Int32Range(2, 6).Draw(t, "max"), "*": 9}
		p.Min = map[string]int32{"c1": rapid.Int32Range(0, 2).Draw(t, "min")}
	}
	if rapid.Bool().Draw(t, "spread") {
		p.Spread = []schedule.Spread{{Key: corev1.LabelTopologyRegion, AtLeast: rapid.Int32Range(1, 4).Draw(t, "at least")}}
	}
	p.Rebalance = rapid.IntRange(0, 4).Draw(t, "rebalance") == 0
	if rapid.IntRange(0, 3).Draw(t, "grouped") == 0 {
		p.Groups = [][]string{{"c1"}, {"c0", "c2"}}
	}
	return p
}

var everyConstraint = []string{"none", "apart", "together", "rather", "skew", "selector"}

func drawCase(t *rapid.T, constraints ...string) ([]schedule.Cluster, schedule.Workload) {
	cs := drawFleet(t, 6)
	w := schedule.Workload{Key: "deployments.apps/default/a", Namespace: "default", Divided: true,
		Total: rapid.Int32Range(0, 20).Draw(t, "total"), Template: drawTemplate(t, constraints...)}
	if rapid.Bool().Draw(t, "policy") {
		w.Policy = drawPolicy(t, len(cs))
	}
	for _, c := range cs {
		if rapid.IntRange(0, 2).Draw(t, "held") == 0 {
			if w.Current == nil {
				w.Current = map[string]int32{}
			}
			w.Current[c.Name] = rapid.Int32Range(0, 6).Draw(t, "current")
		}
	}
	return cs, w
}

func decide(cs []schedule.Cluster, w schedule.Workload) schedule.Decision {
	return schedule.NewSnapshot(cs, schedule.Surroundings{}).Schedule(&w)
}

// TestLawWhatAllMatchIsNoConstraint compares clusters that are divided as one part each,
// as nothing tells their parts apart, with those that are looked at part by part.
func TestLawWhatAllMatchIsNoConstraint(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cs, w := drawCase(t, "none", "apart", "skew")
		for i := range cs {
			cs[i].Labels["everywhere"] = "yes"
			cs[i].Pods = []schedule.PodGroup{{Workload: w.Key, Namespace: w.Namespace, Count: rapid.Int32Range(0, 3).Draw(t, "own"), Domain: rapid.IntRange(0, 1).Draw(t, "in")}}
			for d := range cs[i].Domains {
				cs[i].Domains[d].Reclaim = []schedule.Reclaimable{{Priority: -1, Used: schedule.Resources{MilliCPU: 1000, Pods: rapid.Int64Range(0, 1).Draw(t, "reclaimed")}}}
			}
		}
		want := decide(cs, w)
		w.Template.Spec.NodeSelector = map[string]string{"everywhere": "yes"}
		if got := decide(cs, w); !reflect.DeepEqual(got, want) {
			t.Fatalf("got %s\nwant %s", explain(got), explain(want))
		}
	})
}

func TestLawEveryReplicaIsAccountedFor(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cs, w := drawCase(t, everyConstraint...)
		d := decide(cs, w)
		if d.Problem != "" {
			t.Fatalf("problem: %s", d.Problem)
		}
		var away int64
		for _, c := range cs {
			if !c.Ready && !c.Lost {
				away += int64(w.Current[c.Name])
			}
		}
		if got := total(d) + int64(d.Unplaced); got != max(int64(w.Total), away) {
			t.Fatalf("%d of %d, %d away:\n%s", got, w.Total, away, explain(d))
		}
		if d.Unplaced > 0 && d.Reason == "" {
			t.Fatalf("unplaced without a reason:\n%s", explain(d))
		}
	})
}

// TestLawRaisedOnlyWhereItMay: a cluster that is given more than it has may be
// given it.
func TestLawRaisedOnlyWhereItMay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cs, w := drawCase(t, everyConstraint...)
		d := decide(cs, w)
		got := d.Division()
		for _, c := range cs {
			more := int64(got[c.Name] - w.Current[c.Name])
			if w.Policy != nil && w.Policy.Max != nil && c.Ready && !c.Drained && len(c.Taints) == 0 {
				most, ok := w.Policy.Max[c.Name]
				if !ok {
					most = w.Policy.Max["*"]
				}
				group := w.Policy.Groups == nil || c.Name <= "c2"
				selected := w.Template.Spec.NodeSelector == nil || c.Labels[corev1.LabelTopologyRegion] == "r1"
				if got[c.Name] > most && group && selected {
					t.Fatalf("%s has %d, at most %d:\n%s", c.Name, got[c.Name], most, explain(d))
				}
			}
			if more <= 0 {
				continue
			}
			switch {
			case !c.Ready, c.Cordoned, c.Drained, len(c.Taints) > 0:
				t.Fatalf("%s was raised:\n%s", c.Name, explain(d))
			case fits(c) >= 0 && more > fits(c):
				t.Fatalf("%s was raised by %d, %d fit:\n%s", c.Name, more, fits(c), explain(d))
			case w.Template.Spec.NodeSelector != nil && c.Labels[corev1.LabelTopologyRegion] != "r1":
				t.Fatalf("%s is not selected:\n%s", c.Name, explain(d))
			case w.Policy != nil && w.Policy.Groups != nil && c.Name > "c2":
				t.Fatalf("%s is not allowed:\n%s", c.Name, explain(d))
			}
		}
	})
}

// byRegion is the replicas in clusters that are neither left nor unreachable.
func byRegion(cs []schedule.Cluster, d schedule.Decision) map[string]int32 {
	m := map[string]int32{}
	got := d.Division()
	for _, c := range cs {
		noExecute := len(c.Taints) > 0 && c.Taints[0].Effect == corev1.TaintEffectNoExecute
		if c.Ready && !c.Drained && !noExecute {
			m[c.Labels[corev1.LabelTopologyRegion]] += got[c.Name]
		}
	}
	return m
}

func TestLawApart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cs, w := drawCase(t, "apart")
		if w.Policy != nil {
			w.Policy.Groups = nil // what fits nowhere else stays where it is not allowed
		}
		d := decide(cs, w)
		for region, n := range byRegion(cs, d) {
			if n > 1 {
				t.Fatalf("%s has %d:\n%s", region, n, explain(d))
			}
		}
	})
}

func TestLawSkew(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cs, w := drawCase(t, "skew")
		w.Current, w.Policy = nil, nil
		d := decide(cs, w)
		counts := byRegion(cs, d)
		least, most := int32(1<<30), int32(0)
		for _, c := range cs {
			noExecute := len(c.Taints) > 0 && c.Taints[0].Effect == corev1.TaintEffectNoExecute
			if c.Ready && !c.Drained && !noExecute {
				n := counts[c.Labels[corev1.LabelTopologyRegion]]
				least, most = min(least, n), max(most, n)
			}
		}
		if skew := w.Template.Spec.TopologySpreadConstraints[0].MaxSkew; most > 0 && most-least > skew {
			t.Fatalf("skew %d, allowed %d:\n%s", most-least, skew, explain(d))
		}
	})
}

func TestLawTogether(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cs, w := drawCase(t, "together")
		w.Current, w.Policy = nil, nil
		d := decide(cs, w)
		regions := 0
		for _, n := range byRegion(cs, d) {
			if n > 0 {
				regions++
			}
		}
		if regions > 1 {
			t.Fatalf("in %d regions:\n%s", regions, explain(d))
		}
	})
}

func TestLawOrderAndRepetitionDoNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cs, w := drawCase(t, everyConstraint...)
		want := decide(cs, w)
		current := maps.Clone(w.Current)
		if got := decide(rapid.Permutation(cs).Draw(t, "permutation"), w); !reflect.DeepEqual(got, want) {
			t.Fatalf("got:\n%s\nwant:\n%s", explain(got), explain(want))
		}
		if !maps.Equal(current, w.Current) {
			t.Fatal("the input was modified")
		}
	})
}

// TestLawStable: what was decided is decided again once it runs.
func TestLawStable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cs, w := drawCase(t, everyConstraint...)
		for i := range cs { // what is free does not change by what is decided
			for z := range cs[i].Domains {
				cs[i].Domains[z].Free = nil
			}
		}
		first := decide(cs, w)
		w.Current = first.Division()
		if second := decide(cs, w); second.String() != first.String() {
			t.Fatalf("first:\n%s\nthen:\n%s", explain(first), explain(second))
		}
	})
}

// TestLawNothingMovesWithoutNeed: with the total that is there, where nothing
// asks for a move, everything stays.
func TestLawNothingMovesWithoutNeed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cs, w := drawCase(t, "none", "together", "rather", "skew")
		w.Policy, w.Total = nil, 0
		for i := range cs {
			cs[i].Drained, cs[i].Lost, cs[i].Taints = false, false, nil
			w.Total += w.Current[cs[i].Name]
		}
		d := decide(cs, w)
		for name, n := range w.Current {
			if got := d.Division()[name]; got != n {
				t.Fatalf("%s went from %d to %d:\n%s", name, n, got, explain(d))
			}
		}
	})
}

// TestLawWhatLeavesIsMadeUpFor: what stays in a cluster that is to be left
// stays because nobody else can take it.
func TestLawWhatLeavesIsMadeUpFor(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cs, w := drawCase(t, "none")
		w.Policy = nil
		d := decide(cs, w)
		got := d.Division()
		for _, c := range cs {
			if (!c.Lost && !c.Drained) || got[c.Name] == 0 {
				continue
			}
			for _, other := range cs {
				takes := other.Ready && !other.Cordoned && !other.Drained && len(other.Taints) == 0
				if takes && (fits(other) < 0 || int64(got[other.Name]-w.Current[other.Name]) < fits(other)) {
					t.Fatalf("%s keeps %d although %s has room:\n%s", c.Name, got[c.Name], other.Name, explain(d))
				}
			}
		}
	})
}

// TestLawMoreClustersPlaceNoLess is not a law of topology spread: an empty
// domain that is full lowers what all others may have, there as upstream.
func TestLawMoreClustersPlaceNoLess(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cs, w := drawCase(t, "none", "apart", "rather", "selector")
		w.Policy = nil
		before := decide(cs[:len(cs)-1], w).Unplaced
		delete(w.Current, cs[len(cs)-1].Name)
		before = min(before, decide(cs[:len(cs)-1], w).Unplaced)
		if d := decide(cs, w); d.Unplaced > before {
			t.Fatalf("%d unplaced, %d without %s:\n%s", d.Unplaced, before, cs[len(cs)-1].Name, explain(d))
		}
	})
}

// TestLawAtOnceIsOneByOne: replicas are placed many at a time unless a rule
// looks at each; a rule that says nothing changes nothing.
func TestLawAtOnceIsOneByOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cs, w := drawCase(t, "none", "selector")
		if w.Policy != nil {
			w.Policy.Spread = nil
		}
		w.Total = rapid.Int32Range(0, 200).Draw(t, "total")
		want := decide(cs, w)
		w.Template = w.Template.DeepCopy()
		w.Template.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.WeightedPodAffinityTerm{{
			Weight: 0, PodAffinityTerm: corev1.PodAffinityTerm{TopologyKey: "hanse.dev/cluster", LabelSelector: &metav1.LabelSelector{MatchLabels: w.Template.Labels}}}}}}
		if got := decide(cs, w); got.String() != want.String() {
			t.Fatalf("one by one:\n%s\nat once:\n%s", explain(got), explain(want))
		}
	})
}

// TestHugeTotals: a slip of the finger must not stop the hub.
func TestHugeTotals(t *testing.T) {
	for _, constraint := range everyConstraint {
		rapidTemplate := rapid.Custom(func(t *rapid.T) *corev1.PodTemplateSpec { return drawTemplate(t, constraint) })
		cs := readClusters(t, "a region=r0\nb region=r1\nc region=r2\n")
		w := schedule.Workload{Key: "k/default/a", Namespace: "default", Divided: true, Total: 1<<31 - 1, Template: rapidTemplate.Example(1)}
		d := decide(cs, w)
		if total(d)+int64(d.Unplaced) != 1<<31-1 {
			t.Errorf("%s: %s", constraint, explain(d))
		}
		w.Current, w.Total = d.Division(), 3
		if d := decide(cs, w); total(d)+int64(d.Unplaced) != 3 {
			t.Errorf("%s, back to 3: %s", constraint, explain(d))
		}
	}
}
