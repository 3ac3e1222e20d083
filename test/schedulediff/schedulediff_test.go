package schedulediff

import (
	"context"
	"fmt"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/apis/config"
	"k8s.io/kubernetes/pkg/scheduler/backend/cache"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/feature"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/interpodaffinity"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/nodeaffinity"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/noderesources"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/podtopologyspread"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/tainttoleration"
	plugintesting "k8s.io/kubernetes/pkg/scheduler/framework/plugins/testing"
	frameworkruntime "k8s.io/kubernetes/pkg/scheduler/framework/runtime"
	"k8s.io/kubernetes/pkg/scheduler/metrics"
	"pgregory.net/rapid"

	"github.com/hanse-dev/hanse/internal/schedule"
)

// upstream is kube-scheduler's filters over nodes that may be exchanged.
type upstream struct {
	lister  *exchangeable
	plugins []fwk.Plugin
}

type exchangeable struct{ fwk.SharedLister }

func newUpstream(ctx context.Context, t *testing.T) *upstream {
	metrics.Register() // the plugins count in them
	u := &upstream{lister: &exchangeable{cache.NewSnapshot(nil, nil)}}
	features := feature.Features{EnableNodeInclusionPolicyInPodTopologySpread: true, EnableMatchLabelKeysInPodTopologySpread: true}
	var objects []runtime.Object
	for name, labels := range namespaces() {
		objects = append(objects, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}})
	}
	add := func(factory func(context.Context, runtime.Object, fwk.Handle, feature.Features) (fwk.Plugin, error), args runtime.Object) {
		u.plugins = append(u.plugins, plugintesting.SetupPluginWithInformers(ctx, t, frameworkruntime.FactoryAdapter(features, factory), args, u.lister, objects))
	}
	add(nodeaffinity.New, &config.NodeAffinityArgs{})
	add(tainttoleration.New, nil)
	add(interpodaffinity.New, &config.InterPodAffinityArgs{HardPodAffinityWeight: 1})
	add(podtopologyspread.New, &config.PodTopologySpreadArgs{DefaultingType: config.ListDefaulting})
	add(noderesources.NewFit, &config.NodeResourcesFitArgs{ScoringStrategy: &config.ScoringStrategy{
		Type: config.LeastAllocated, Resources: []config.ResourceSpec{{Name: "cpu", Weight: 1}}}})
	return u
}

func namespaces() map[string]map[string]string {
	return map[string]map[string]string{"default": {"team": "a"}, "other": {"team": "b"}}
}

// feasible is the nodes that upstream would bind the pod to.
func (u *upstream) feasible(ctx context.Context, t *rapid.T, pod *corev1.Pod, running []*corev1.Pod, nodes []*corev1.Node) []string {
	u.lister.SharedLister = cache.NewSnapshot(running, nodes)
	infos, err := u.lister.NodeInfos().List()
	if err != nil {
		t.Fatal(err)
	}
	state := framework.NewCycleState()
	ok := map[string]bool{}
	for _, info := range infos {
		ok[info.Node().Name] = true
	}
	for _, plugin := range u.plugins {
		if pre, is := plugin.(fwk.PreFilterPlugin); is {
			result, status := pre.PreFilter(ctx, state, pod, infos)
			if status.IsSkip() {
				continue
			}
			if !status.IsSuccess() {
				return nil
			}
			if result != nil && !result.AllNodes() {
				for name := range ok {
					ok[name] = ok[name] && result.NodeNames.Has(name)
				}
			}
		}
		for _, info := range infos {
			if !plugin.(fwk.FilterPlugin).Filter(ctx, state, pod, info).IsSuccess() {
				ok[info.Node().Name] = false
			}
		}
	}
	var names []string
	for name, fits := range ok {
		if fits {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// world is the same situation in both languages.
type world struct {
	nodes    []*corev1.Node
	clusters []schedule.Cluster
	running  []*corev1.Pod
	template *corev1.PodTemplateSpec
}

const (
	zone   = corev1.LabelTopologyZone
	region = corev1.LabelTopologyRegion
	cloud  = "hanse.dev/provider"
)

func drawWorld(t *rapid.T) *world {
	w := &world{}
	for i := range rapid.IntRange(1, 6).Draw(t, "nodes") {
		labels := map[string]string{"hanse.dev/cluster": fmt.Sprintf("c%d", i)}
		for _, key := range []string{zone, region, cloud} {
			if value := rapid.SampledFrom([]string{"1", "2", "3", "1", "2", ""}).Draw(t, key); value != "" {
				labels[key] = value
			}
		}
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: labels["hanse.dev/cluster"], Labels: labels}}
		node.Status.Allocatable = corev1.ResourceList{"cpu": *resource.NewQuantity(rapid.Int64Range(1, 6).Draw(t, "cpu"), resource.DecimalSI), "pods": resource.MustParse("9")}
		if rapid.IntRange(0, 3).Draw(t, "tainted") == 0 {
			node.Spec.Taints = []corev1.Taint{{Key: "t", Value: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "taint"), Effect: corev1.TaintEffectNoSchedule}}
		}
		w.nodes = append(w.nodes, node)
		w.clusters = append(w.clusters, schedule.Cluster{Name: node.Name, Ready: true, Labels: labels, Taints: node.Spec.Taints})
	}
	for i := range rapid.IntRange(0, 4).Draw(t, "running") {
		on := rapid.IntRange(0, len(w.nodes)-1).Draw(t, "on")
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("p%d", i), UID: "u", Labels: drawLabels(t),
			Namespace: rapid.SampledFrom([]string{"default", "default", "other"}).Draw(t, "namespace")}}
		pod.Spec.NodeName = w.nodes[on].Name
		group := schedule.PodGroup{Workload: pod.Name, Namespace: pod.Namespace, Labels: pod.Labels, Count: 1}
		if rapid.IntRange(0, 3).Draw(t, "repels") == 0 {
			group.AntiAffinity = []corev1.PodAffinityTerm{drawTerm(t)}
			pod.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: group.AntiAffinity}}
		}
		w.running = append(w.running, pod)
		w.clusters[on].Pods = append(w.clusters[on].Pods, group)
	}
	w.template = drawTemplate(t)
	return w
}

func drawLabels(t *rapid.T) map[string]string {
	labels := map[string]string{"app": rapid.SampledFrom([]string{"a", "b"}).Draw(t, "app")}
	if rapid.Bool().Draw(t, "versioned") {
		labels["version"] = rapid.SampledFrom([]string{"1", "2"}).Draw(t, "version")
	}
	return labels
}

func drawSelector(t *rapid.T) *metav1.LabelSelector {
	switch rapid.IntRange(0, 4).Draw(t, "selector") {
	case 0:
		return &metav1.LabelSelector{}
	case 1:
		return nil
	case 2:
		return &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "version", Operator: metav1.LabelSelectorOpExists}}}
	}
	return &metav1.LabelSelector{MatchLabels: map[string]string{"app": rapid.SampledFrom([]string{"a", "b"}).Draw(t, "wanted")}}
}

func drawTerm(t *rapid.T) corev1.PodAffinityTerm {
	term := corev1.PodAffinityTerm{TopologyKey: rapid.SampledFrom([]string{zone, region, cloud, "hanse.dev/cluster"}).Draw(t, "key"), LabelSelector: drawSelector(t)}
	switch rapid.IntRange(0, 3).Draw(t, "namespaces") {
	case 0:
		term.Namespaces = []string{"other"}
	case 1:
		term.NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"team": rapid.SampledFrom([]string{"a", "b"}).Draw(t, "team")}}
	}
	return term
}

func drawTemplate(t *rapid.T) *corev1.PodTemplateSpec {
	template := &corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: drawLabels(t)}}
	spec := &template.Spec
	spec.Containers = []corev1.Container{{Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{"cpu": resource.MustParse("1")}}}}
	if rapid.IntRange(0, 2).Draw(t, "selects") == 0 {
		spec.NodeSelector = map[string]string{region: rapid.SampledFrom([]string{"1", "2"}).Draw(t, "selected")}
	}
	if rapid.IntRange(0, 2).Draw(t, "tolerates") == 0 {
		spec.Tolerations = []corev1.Toleration{{Key: "t", Operator: corev1.TolerationOpEqual, Value: "a"}}
	}
	spec.Affinity = &corev1.Affinity{PodAffinity: &corev1.PodAffinity{}, PodAntiAffinity: &corev1.PodAntiAffinity{}}
	if rapid.IntRange(0, 2).Draw(t, "affine") == 0 {
		op := rapid.SampledFrom([]corev1.NodeSelectorOperator{"In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"}).Draw(t, "operator")
		expression := corev1.NodeSelectorRequirement{Key: rapid.SampledFrom([]string{zone, region, cloud}).Draw(t, "node key"), Operator: op}
		if op != "Exists" && op != "DoesNotExist" {
			expression.Values = []string{"2"}
		}
		spec.Affinity.NodeAffinity = &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
			NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{expression}}}}}
	}
	for range rapid.IntRange(0, 2).Draw(t, "terms") {
		if rapid.Bool().Draw(t, "anti") {
			spec.Affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution = append(spec.Affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution, drawTerm(t))
		} else {
			spec.Affinity.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution = append(spec.Affinity.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution, drawTerm(t))
		}
	}
	for range rapid.IntRange(0, 2).Draw(t, "spreads") {
		c := corev1.TopologySpreadConstraint{MaxSkew: int32(rapid.IntRange(1, 2).Draw(t, "skew")), WhenUnsatisfiable: corev1.DoNotSchedule,
			TopologyKey: rapid.SampledFrom([]string{zone, region, "hanse.dev/cluster"}).Draw(t, "spread key"), LabelSelector: drawSelector(t)}
		if rapid.Bool().Draw(t, "minimum") {
			n := int32(rapid.IntRange(1, 4).Draw(t, "domains"))
			c.MinDomains = &n
		}
		policies := []corev1.NodeInclusionPolicy{corev1.NodeInclusionPolicyHonor, corev1.NodeInclusionPolicyIgnore}
		if rapid.Bool().Draw(t, "inclusion") {
			c.NodeAffinityPolicy, c.NodeTaintsPolicy = &policies[rapid.IntRange(0, 1).Draw(t, "affinity")], &policies[rapid.IntRange(0, 1).Draw(t, "taints")]
		}
		if rapid.IntRange(0, 2).Draw(t, "keyed") == 0 {
			c.MatchLabelKeys = []string{"version"}
		}
		spec.TopologySpreadConstraints = append(spec.TopologySpreadConstraints, c)
	}
	return template
}

// pod is a replica of the template, on a node or to be placed.
func (w *world) pod(name, node string) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default", UID: "u", Labels: w.template.Labels}, Spec: *w.template.Spec.DeepCopy()}
	p.Spec.NodeName = node
	return p
}

// TestSameAsUpstream places replicas one after the other: each goes where
// upstream would let it go, and where upstream sees a place, one is found.
func TestSameAsUpstream(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	kube := newUpstream(ctx, t)
	placed, refused := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		current := map[string]int32{}
		used := map[string]int64{}
		for i := range rapid.IntRange(1, 6).Draw(t, "replicas") {
			for n, node := range w.nodes { // what is free now
				cpu := node.Status.Allocatable["cpu"]
				there := int64(len(w.clusters[n].Pods))
				w.clusters[n].Domains = []schedule.Domain{{Free: &schedule.Resources{MilliCPU: cpu.MilliValue() - 1000*used[node.Name], Pods: 9 - there - used[node.Name]}}}
			}
			running := slices.Clone(w.running)
			for name, n := range current {
				for k := range n {
					running = append(running, w.pod(fmt.Sprintf("%s-%d", name, k), name))
				}
			}
			possible := kube.feasible(ctx, t, w.pod("new", ""), running, w.nodes)
			workload := schedule.Workload{Key: "deployments.apps/default/new", Namespace: "default", Divided: true, Total: int32(i + 1), Current: current, Template: w.template}
			d := schedule.NewSnapshot(w.clusters, schedule.Surroundings{Namespaces: namespaces()}).Schedule(&workload)
			if d.Problem != "" {
				t.Fatal(d.Problem)
			}
			if d.Unplaced > 0 {
				refused++
				if len(possible) > 0 {
					t.Fatalf("upstream has room in %v: %v, %s", possible, current, d.Reason)
				}
				return
			}
			placed++
			for name, n := range d.Division() {
				if n > current[name] && !slices.Contains(possible, name) {
					t.Fatalf("%s was chosen, upstream allows %v: %v, now %s", name, possible, current, d)
				}
				if n < current[name] {
					t.Fatalf("%s was lowered: %v, now %s", name, current, d)
				}
				used[name] = int64(n)
			}
			current = d.Division()
		}
	})
	t.Logf("%d placed, %d refused", placed, refused)
	if placed == 0 || refused == 0 {
		t.Errorf("%d placed, %d refused: that compares little", placed, refused)
	}
}
