package survey

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"pgregory.net/rapid"
)

func node(id string, labels map[string]string, ready bool, cpu string) *corev1.Node {
	status := corev1.ConditionFalse
	if ready {
		status = corev1.ConditionTrue
	}
	list := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)}
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.NodeSpec{ProviderID: id},
		Status: corev1.NodeStatus{Capacity: list, Allocatable: list, Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: status}}}}
}

func TestDiscover(t *testing.T) {
	place := func(region, zone string) map[string]string {
		return map[string]string{corev1.LabelTopologyRegion: region, corev1.LabelTopologyZone: zone}
	}
	beta := map[string]string{corev1.LabelFailureDomainBetaRegion: "us-east-1", corev1.LabelFailureDomainBetaZone: "us-east-1a"}
	for name, c := range map[string]struct {
		nodes []*corev1.Node
		want  string // provider region zones nodes cpu
	}{
		"none": {nil, "  [] 0 0"},
		"aws": {[]*corev1.Node{node("aws:///us-east-1a/i-1", place("us-east-1", "us-east-1b"), true, "2"), node("aws:///us-east-1a/i-2", place("us-east-1", "us-east-1a"), true, "1500m")},
			"aws us-east-1 [us-east-1a us-east-1b] 2 3500m"},
		"aws without labels":                        {[]*corev1.Node{node("aws:///eu-west-1c/i-1", nil, true, "1")}, "aws eu-west-1 [eu-west-1c] 1 1"},
		"google without labels":                     {[]*corev1.Node{node("gce://project/asia-east1-b/n", nil, true, "1")}, "google asia-east1 [asia-east1-b] 1 1"},
		"azure with zones":                          {[]*corev1.Node{node("azure:///subscriptions/x", place("westeurope", "westeurope-1"), true, "1")}, "azure westeurope [westeurope-1] 1 1"},
		"azure without zones":                       {[]*corev1.Node{node("azure:///subscriptions/x", place("northeurope", "0"), true, "1")}, "azure northeurope [] 1 1"},
		"beta labels":                               {[]*corev1.Node{node("", beta, true, "1")}, " us-east-1 [us-east-1a] 1 1"},
		"by managed labels":                         {[]*corev1.Node{node("", map[string]string{"cloud.google.com/gke-nodepool": "p"}, true, "1")}, "google  [] 1 1"},
		"a node down counts, its capacity does not": {[]*corev1.Node{node("kind://docker/a", nil, false, "4"), node("kind://docker/b", nil, true, "1")}, "kind  [] 2 1"},
		"the majority": {[]*corev1.Node{node("aws:///x/i", place("b", "b1"), true, "1"), node("aws:///x/i", place("a", "a1"), true, "1"), node("aws:///x/i", place("b", "b2"), true, "1")},
			"aws b [a1 b1 b2] 3 3"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSurvey()
			for _, n := range c.nodes {
				s.add(n)
			}
			f := s.result()
			cpu := f.Capacity[corev1.ResourceCPU]
			if got := fmt.Sprint(f.Provider, " ", f.Region, " ", f.Zones, " ", f.Nodes, " ", cpu.String()); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestLabelValuesAreValidAndStable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.String(), rapid.StringMatching(`[-._a-zA-Z0-9/: ]{0,80}`)).Draw(t, "s")
		got := LabelValue(s)
		if problems := validation.IsValidLabelValue(got); len(problems) > 0 {
			t.Fatalf("%q became %q: %v", s, got, problems)
		}
		if len(validation.IsValidLabelValue(s)) == 0 && got != s {
			t.Fatalf("%q is valid and became %q", s, got)
		}
		if again := LabelValue(got); again != got {
			t.Fatalf("%q became %q and then %q", s, got, again)
		}
	})
}

func TestAMemberCannotFillItsCluster(t *testing.T) {
	s := newSurvey()
	for i := range 3000 {
		huge := strings.Repeat("x", 1<<16)
		n := node(fmt.Sprintf("cloud%d://%s", i, huge), map[string]string{
			corev1.LabelTopologyRegion: fmt.Sprint("region", i, huge), corev1.LabelTopologyZone: fmt.Sprint("zone", i, huge),
		}, true, "1")
		for j := range 50 {
			n.Status.Capacity[corev1.ResourceName(fmt.Sprintf("example.com/r%d-%d", i, j))] = resource.MustParse("1")
		}
		n.Status.Capacity[corev1.ResourceName(huge)] = resource.MustParse("1")
		n.Status.Capacity["example.com/negative"] = resource.MustParse("-5")
		s.add(n)
	}
	f := s.result()
	if len(f.Zones) > maxZones || len(f.Region) > maxPlace || len(f.Provider) > maxPlace || len(f.Capacity) > maxResources {
		t.Errorf("%d zones, region of %d, provider of %d bytes, %d resources", len(f.Zones), len(f.Region), len(f.Provider), len(f.Capacity))
	}
	if len(s.zones) > maxPlaces || len(s.regions) > maxPlaces || len(s.providers) > maxPlaces {
		t.Errorf("%d zones, %d regions, %d providers are kept", len(s.zones), len(s.regions), len(s.providers))
	}
	if cpu := f.Capacity[corev1.ResourceCPU]; cpu.Value() != 3000 {
		t.Errorf("%s cores, want 3000", cpu.String())
	}
	if q, ok := f.Capacity["example.com/negative"]; ok && q.Sign() < 0 {
		t.Error("a node takes away from the others")
	}
}
