package capacity_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/internal/capacity"
	"github.com/hanse-dev/hanse/internal/schedule"
)

func anyPod(t testing.TB) *capacity.Profile { return profile(t, corev1.PodSpec{}, 0) }

func profile(t testing.TB, spec corev1.PodSpec, priority int32) *capacity.Profile {
	t.Helper()
	p, err := capacity.NewProfile(&spec, priority)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// fits is how many pods of one CPU and one GiB domains can take.
func fits(domains []schedule.Domain) int32 {
	_, left := capacity.Take(domains, &schedule.Resources{MilliCPU: 1000, Memory: 1 << 30, Pods: 1}, 1000)
	return 1000 - left
}

func TestWhatNodesGive(t *testing.T) {
	unready := func(n *corev1.Node) { n.Status.Conditions[0].Status = corev1.ConditionFalse }
	finished := func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }
	ending := func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)} }
	gpu := corev1.PodSpec{Tolerations: []corev1.Toleration{{Key: "gpu", Operator: corev1.TolerationOpExists}}}
	ssd := corev1.PodSpec{NodeSelector: map[string]string{"disk": "ssd", "hanse.dev/provider": "aws"}}
	withDisk := func(n *corev1.Node) { n.Labels["disk"] = "ssd" }
	for name, test := range map[string]struct {
		nodes []*corev1.Node
		pods  []*corev1.Pod
		of    corev1.PodSpec
		want  int32
	}{
		"empty":                         {nodes: []*corev1.Node{newNode("a", "1"), newNode("b", "2")}, want: 8},
		"used":                          {nodes: []*corev1.Node{newNode("a", "1")}, pods: []*corev1.Pod{newPod("p", "web", "a")}, want: 3},
		"finished and ending":           {nodes: []*corev1.Node{newNode("a", "1")}, pods: []*corev1.Pod{newPod("p", "web", "a", finished), newPod("q", "web", "a", ending)}, want: 4},
		"waiting for a node":            {nodes: []*corev1.Node{newNode("a", "1")}, pods: []*corev1.Pod{newPod("p", "web", "")}, want: 3},
		"on a node that is unknown":     {nodes: []*corev1.Node{newNode("a", "1")}, pods: []*corev1.Pod{newPod("p", "web", "gone")}, want: 4},
		"cordoned":                      {nodes: []*corev1.Node{newNode("a", "1", func(n *corev1.Node) { n.Spec.Unschedulable = true })}},
		"not ready":                     {nodes: []*corev1.Node{newNode("a", "1", unready)}},
		"tainted":                       {nodes: []*corev1.Node{newNode("a", "1", taint("gpu", corev1.TaintEffectNoSchedule)), newNode("b", "1")}, want: 4},
		"tainted and tolerated":         {nodes: []*corev1.Node{newNode("a", "1", taint("gpu", corev1.TaintEffectNoSchedule)), newNode("b", "1")}, of: gpu, want: 8},
		"rather not":                    {nodes: []*corev1.Node{newNode("a", "1", taint("gpu", corev1.TaintEffectPreferNoSchedule))}, want: 4},
		"selected, as cluster and node": {nodes: []*corev1.Node{newNode("a", "1", withDisk), newNode("b", "1")}, of: ssd, want: 4},
		"full of places": {nodes: []*corev1.Node{newNode("a", "1", func(n *corev1.Node) {
			n.Status.Allocatable[corev1.ResourcePods] = resource.MustParse("2")
		})}, want: 2},
	} {
		t.Run(name, func(t *testing.T) {
			v := capacity.NewView(test.nodes, test.pods)
			room := v.Room(profile(t, test.of, 0), map[string]string{"hanse.dev/provider": "aws"})
			if got := fits(room); got != test.want {
				t.Errorf("%d fit, want %d, into %+v", got, test.want, room)
			}
			for _, d := range room {
				if test.want == 0 && d.Closed == "" {
					t.Errorf("nothing fits, and it does not say why: %+v", d)
				}
			}
		})
	}
}

func TestDomains(t *testing.T) {
	v := capacity.NewView([]*corev1.Node{newNode("c", "eu-2"), newNode("a", "eu-1"), newNode("b", "eu-1")},
		[]*corev1.Pod{newPod("p", "web", "c"), newPod("q", "web", "a"), newPod("r", "web", "c")})
	room := v.Room(anyPod(t), map[string]string{corev1.LabelTopologyRegion: "europe"})
	if len(room) != 2 || room[0].Labels[corev1.LabelTopologyZone] != "eu-1" || room[1].Labels[corev1.LabelTopologyZone] != "eu-2" {
		t.Fatalf("the zones are %+v", room)
	}
	if got := room[0].Labels[corev1.LabelTopologyRegion]; got != "" {
		t.Errorf("what a person says of the cluster's region is overruled by %s", got)
	}
	for _, g := range v.Pods(false) {
		if g.Workload != "deployments.apps/shop/web" || g.Namespace != "shop" || g.Labels["app"] != "web" || g.Count != int32(g.Domain)+1 {
			t.Errorf("pods %+v", g)
		}
	}
	if n := v.Count("deployments.apps/shop/web"); n != 3 || len(v.Pods(false)) != 2 || len(v.Pods(true)) != 0 {
		t.Errorf("%d pods in %+v, of which repel %+v", n, v.Pods(false), v.Pods(true))
	}
}

func TestRegionsOfOneCluster(t *testing.T) {
	us := newNode("b", "us-1", func(n *corev1.Node) { n.Labels[corev1.LabelTopologyRegion] = "us" })
	v := capacity.NewView([]*corev1.Node{newNode("a", "eu-1"), us}, nil)
	cluster := map[string]string{corev1.LabelTopologyRegion: "eu"}
	if room := v.Room(anyPod(t), cluster); room[1].Labels[corev1.LabelTopologyRegion] != "us" {
		t.Errorf("its second region is lost: %+v", room)
	}
	inUS := corev1.PodSpec{NodeSelector: map[string]string{corev1.LabelFailureDomainBetaRegion: "us"}}
	if got := fits(v.Room(profile(t, inUS, 0), cluster)); got != 4 {
		t.Errorf("%d fit into the second region by its beta label", got)
	}
}

func TestReclaim(t *testing.T) {
	v := capacity.NewView([]*corev1.Node{newNode("a", "1")},
		[]*corev1.Pod{newPod("p", "batch", "a", priority(-5)), newPod("q", "batch", "a", priority(-5)), newPod("r", "web", "a", priority(7))})
	room := v.Room(profile(t, corev1.PodSpec{}, 7), nil)
	if r := room[0].Reclaim; len(r) != 1 || r[0].Priority != -5 || r[0].Used.MilliCPU != 2000 || r[0].Used.Pods != 2 {
		t.Errorf("can be reclaimed: %+v", r)
	}
	if r := v.Room(profile(t, corev1.PodSpec{}, math.MinInt32), nil)[0].Reclaim; len(r) != 0 {
		t.Errorf("whoever preempts nobody can reclaim %+v", r)
	}
}

func TestUnschedulable(t *testing.T) {
	since := func(second int64) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse,
				Reason: corev1.PodReasonUnschedulable, LastTransitionTime: metav1.Unix(second, 0)}}
		}
	}
	v := capacity.NewView([]*corev1.Node{newNode("a", "1")}, []*corev1.Pod{
		newPod("p", "web", "", since(50)), newPod("q", "web", "", since(40)), newPod("r", "web", "a", since(10)), newPod("s", "db", "")})
	got := v.Unschedulable()
	if u := got["deployments.apps/shop/web"]; len(got) != 1 || u.Count != 2 || u.Since.Unix() != 40 {
		t.Errorf("unschedulable: %+v", got)
	}
}

func TestWorkloads(t *testing.T) {
	for want, change := range map[string]func(*corev1.Pod){
		"deployments.apps/shop/web":       controlledBy("apps/v1", "ReplicaSet", "web-7d4f9"),
		"replicasets.apps/shop/web":       controlledBy("apps/v1", "ReplicaSet", "web"),
		"statefulsets.apps/shop/db":       controlledBy("apps/v1", "StatefulSet", "db"),
		"daemonsets.apps/shop/agent":      controlledBy("apps/v1", "DaemonSet", "agent"),
		"jobs.batch/shop/report":          controlledBy("batch/v1", "Job", "report"),
		"replicationcontrollers/shop/old": controlledBy("v1", "ReplicationController", "old"),
		"pods/shop/p":                     func(p *corev1.Pod) { p.OwnerReferences = nil },
		"":                                controlledBy("example.com/v1", "ReplicaSet", "web-7d4f9"),
	} {
		v := capacity.NewView([]*corev1.Node{newNode("a", "1")}, []*corev1.Pod{newPod("p", "web", "a", change)})
		if got := v.Pods(false)[0].Workload; got != want || v.Count(want) != 1 {
			t.Errorf("a pod belongs to %q, want %q", got, want)
		}
	}
}

func TestStatefulPodsAreAlike(t *testing.T) {
	named := func(p *corev1.Pod) {
		controlledBy("apps/v1", "StatefulSet", "db")(p)
		p.Labels["statefulset.kubernetes.io/pod-name"] = p.Name
		p.Labels["apps.kubernetes.io/pod-index"] = p.Name
	}
	v := capacity.NewView([]*corev1.Node{newNode("a", "1")}, []*corev1.Pod{newPod("db-0", "db", "a", named), newPod("db-1", "db", "a", named)})
	if len(v.Pods(false)) != 1 {
		t.Errorf("two pods of one StatefulSet are kept apart: %+v", v.Pods(false))
	}
}

func TestVolumes(t *testing.T) {
	inZone := func(key string, values ...string) *corev1.VolumeNodeAffinity {
		return &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
			MatchExpressions: []corev1.NodeSelectorRequirement{{Key: key, Operator: corev1.NodeSelectorOpIn, Values: values}}}}}}
	}
	for name, test := range map[string]struct {
		change func(*corev1.PersistentVolume)
		zones  string
		bound  bool
	}{
		"by its zone":      {func(v *corev1.PersistentVolume) { v.Spec.NodeAffinity = inZone(corev1.LabelTopologyZone, "eu-1") }, "[eu-1]", true},
		"by a driver's":    {func(v *corev1.PersistentVolume) { v.Spec.NodeAffinity = inZone("topology.gke.io/zone", "eu-2", "eu-1") }, "[eu-1 eu-2]", true},
		"by its label":     {func(v *corev1.PersistentVolume) { v.Labels = map[string]string{corev1.LabelTopologyZone: "eu-3"} }, "[eu-3]", true},
		"on one host":      {func(v *corev1.PersistentVolume) { v.Spec.NodeAffinity = inZone(corev1.LabelHostname, "a") }, "[]", true},
		"reached from all": {func(*corev1.PersistentVolume) {}, "[]", true},
		"released":         {func(v *corev1.PersistentVolume) { v.Status.Phase = corev1.VolumeReleased }, "[]", false},
		"never claimed":    {func(v *corev1.PersistentVolume) { v.Spec.ClaimRef = nil }, "[]", false},
	} {
		t.Run(name, func(t *testing.T) {
			v := &corev1.PersistentVolume{}
			v.Name, v.Status.Phase = "pv-1", corev1.VolumeBound
			v.Spec.ClaimRef = &corev1.ObjectReference{Namespace: "shop", Name: "data"}
			test.change(v)
			zones, bound := capacity.NewView(nil, nil, v).Volume(types.NamespacedName{Namespace: "shop", Name: "data"})
			if fmt.Sprint(zones) != test.zones || bound != test.bound {
				t.Errorf("bound %v in %v, want %v in %v", bound, zones, test.bound, test.zones)
			}
		})
	}
}
