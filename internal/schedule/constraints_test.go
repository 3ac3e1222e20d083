package schedule_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-dev/hanse/internal/schedule"
)

func onceMore(total int32, template *corev1.PodTemplateSpec) schedule.Workload {
	return schedule.Workload{Key: "deployments.apps/default/whoami", Namespace: "default", Divided: true, Total: total, Template: template}
}

func TestVolumesKeepTheirZone(t *testing.T) {
	cs := readClusters(t, "aws zones=us-east-1a,us-east-1b\nazure zones=1\n")
	w := onceMore(4, plainTemplate())
	w.VolumeZones = []string{"us-east-1b"}
	d := decide(cs, w)
	if d.String() != "aws=4" || d.Rejected[0].Reason != "its volumes are in zone us-east-1b" {
		t.Error(explain(d))
	}
}

func TestHigherPriorityTakesRoomFromLower(t *testing.T) {
	cs := readClusters(t, "aws free=cpu:200m\nazure free=cpu:100m\n")
	cs[0].Domains[0].Reclaim = []schedule.Reclaimable{
		{Priority: 0, Used: schedule.Resources{MilliCPU: 300, Pods: 3}}, {Priority: 500, Used: schedule.Resources{MilliCPU: 5000, Pods: 50}}}
	w := onceMore(8, plainTemplate())
	delete(w.Template.Spec.Containers[0].Resources.Requests, corev1.ResourceMemory)
	for i := range cs {
		cs[i].Domains[0].Free.Memory = 1 << 40
	}
	around := schedule.Surroundings{PriorityClasses: map[string]int32{"important": 500}}
	place := func() schedule.Decision { return schedule.NewSnapshot(cs, around).Schedule(&w) }
	if d := place(); d.String() != "aws=2,azure=1" || d.Unplaced != 5 {
		t.Errorf("priority 0: %s", explain(d))
	}
	w.Template.Spec.PriorityClassName = "important"
	if d := place(); d.String() != "aws=5,azure=1" || d.Unplaced != 2 || !strings.Contains(d.Reason, "lower priority") {
		t.Errorf("priority 500: %s", explain(d))
	}
	never := corev1.PreemptNever
	w.Template.Spec.PreemptionPolicy = &never
	if d := place(); d.String() != "aws=2,azure=1" {
		t.Errorf("never preempting: %s", explain(d))
	}
}

func TestAPodFitsIntoANodeNotIntoTheSum(t *testing.T) {
	cs := clusters("aws azure")
	small := schedule.Resources{MilliCPU: 90, Memory: 1 << 30, Pods: 10}
	cs[0].Domains = []schedule.Domain{{Nodes: []schedule.NodeGroup{{Count: 100, Free: small}}}}
	big := schedule.Resources{MilliCPU: 250, Memory: 1 << 30, Pods: 10}
	cs[1].Domains = []schedule.Domain{{Nodes: []schedule.NodeGroup{{Count: 2, Free: big}}}}
	if d := decide(cs, onceMore(5, plainTemplate())); d.String() != "azure=4" || d.Unplaced != 1 {
		t.Error(explain(d))
	}
}

func TestTolerationForSomeTime(t *testing.T) {
	added := metav1.NewTime(time.Unix(1000, 0))
	cs := clusters("aws azure")
	cs[0].Taints = []corev1.Taint{{Key: "t", Effect: corev1.TaintEffectNoExecute, TimeAdded: &added}}
	seconds := int64(60)
	w := onceMore(4, plainTemplate())
	w.Current = map[string]int32{"aws": 2, "azure": 2}
	w.Template.Spec.Tolerations = []corev1.Toleration{{Key: "t", Operator: corev1.TolerationOpExists, TolerationSeconds: &seconds}}
	for now, want := range map[int64]string{1059: "aws=2,azure=2", 1060: "aws=0,azure=4"} {
		s := schedule.NewSnapshot(cs, schedule.Surroundings{Now: time.Unix(now, 0)})
		if d := s.Schedule(&w); d.String() != want {
			t.Errorf("at %d: %s", now, explain(d))
		}
	}
}

// TestOwnPodsAreWhereTheyAre: two replicas of a cluster are in one of its two
// zones, so the other has room for a third.
func TestOwnPodsAreWhereTheyAre(t *testing.T) {
	cs := readClusters(t, "aws zones=a,b\n")
	w := onceMore(2, constrainedTemplate())
	w.Template.Spec.Affinity = nil
	w.Template.Spec.TopologySpreadConstraints[0].TopologyKey = corev1.LabelTopologyZone
	w.Current = map[string]int32{"aws": 2}
	cs[0].Pods = []schedule.PodGroup{{Workload: w.Key, Namespace: "default", Labels: w.Template.Labels, Count: 2, Domain: 1}}
	w.Total = 5 // 2 in b: 2 more in a, then one
	cs[0].Domains[1].Free = &schedule.Resources{}
	if d := decide(cs, w); d.String() != "aws=5" {
		t.Errorf("b is full, a may have 3: %s", explain(d))
	}
	w.Total = 6
	if d := decide(cs, w); d.String() != "aws=5" || d.Unplaced != 1 {
		t.Errorf("b is full, a may have 3: %s", explain(d))
	}
}

func TestRevisionKeysTellWorkloadsApart(t *testing.T) {
	cs := readClusters(t, "aws region=r0 runs=whoami:1\nazure region=r1\n")
	cs[0].Pods[0].Workload = "deployments.apps/default/other"
	w := onceMore(2, plainTemplate())
	term := corev1.PodAffinityTerm{TopologyKey: corev1.LabelTopologyRegion, LabelSelector: &metav1.LabelSelector{MatchLabels: w.Template.Labels}}
	for _, keyed := range []bool{false, true} {
		want := "azure=1"
		if keyed {
			term.MatchLabelKeys, want = []string{"pod-template-hash"}, "aws=1,azure=1"
		}
		w.Template.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{term}}}
		if d := decide(cs, w); d.String() != want {
			t.Errorf("keyed %v: %s", keyed, explain(d))
		}
	}
}

func TestWholeObjects(t *testing.T) {
	cs := readClusters(t, "aws pci=true\nazure away\ngoogle\n")
	tests := []struct {
		name, selector string
		policy         *schedule.Policy
		want           string
		hold           bool
	}{
		{name: "everywhere", want: "aws,azure,google"},
		{name: "first group that is ready", policy: &schedule.Policy{Groups: [][]string{{"azure"}, {"aws", "google"}}}, want: "aws,google"},
		{name: "selected", selector: `[{"key":"pci","operator":"exists"}]`, want: "aws"},
		{name: "kept at the hub", selector: `[{"key":"federation.kubernetes.io/federation-control-plane","operator":"=","values":["true"]}]`},
		{name: "selects nothing", selector: `[{"key":"gpu","operator":"exists"}]`, hold: true},
		{name: "does not parse", selector: `[{`, hold: true},
		{name: "allows nothing", policy: &schedule.Policy{Groups: [][]string{}}, hold: true},
	}
	for _, tt := range tests {
		w := schedule.Workload{Key: "configmaps/default/a", Namespace: "default", Policy: tt.policy}
		if tt.selector != "" {
			w.ReadFederation(map[string]string{schedule.AnnotationClusterSelector: tt.selector}, "")
		}
		d := decide(cs, w)
		if d.String() != tt.want || d.Hold != tt.hold || tt.hold != (d.Problem != "") {
			t.Errorf("%s: %s hold %v, problem %q", tt.name, d, d.Hold, d.Problem)
		}
	}
}

func TestNamespaceSelector(t *testing.T) {
	cs := readClusters(t, "aws region=r0 runs=cache:1\nazure region=r1 runs=cache:1\n")
	cs[1].Pods[0].Namespace = "staging"
	w := onceMore(2, plainTemplate())
	w.Template.Spec.Affinity = &corev1.Affinity{PodAffinity: &corev1.PodAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{
		TopologyKey: corev1.LabelTopologyRegion, LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "cache"}},
		NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"stage": "test"}}}}}}
	s := schedule.NewSnapshot(cs, schedule.Surroundings{Namespaces: map[string]map[string]string{"staging": {"stage": "test"}}})
	if d := s.Schedule(&w); d.String() != "azure=2" {
		t.Error(explain(d))
	}
}

// TestSnapshotIsShared: many decide from one snapshot, each as if alone.
func TestSnapshotIsShared(t *testing.T) {
	s := schedule.NewSnapshot(fleetOf(20), schedule.Surroundings{})
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for k := range 20 {
				w := onceMore(int32(i+k), constrainedTemplate())
				alone := schedule.NewSnapshot(fleetOf(20), schedule.Surroundings{}).Schedule(&w)
				if d := s.Schedule(&w); d.String() != alone.String() {
					t.Errorf("%s, alone %s", d, alone)
				}
			}
		})
	}
	group.Wait()
}
