package decide

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	quantity "k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/capacity"
	"github.com/hanse-dev/hanse/internal/propagate/assignment"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// demandingRig is a rig that knows what clusters have free once see says so.
func demandingRig(clusters ...*Cluster) *rig {
	r := newRigWith(deployments(), Options{Began: at(5), Measures: true})
	r.clusters(clusters...)
	return r
}

// see lets a cluster have one node of that many CPUs, and these pods on it.
func (r *rig) see(cluster string, cpus int, pods ...*corev1.Pod) {
	n := &corev1.Node{}
	n.Name = cluster + "-node"
	n.Status.Allocatable = corev1.ResourceList{corev1.ResourceCPU: *quantity.NewQuantity(int64(cpus), quantity.DecimalSI),
		corev1.ResourceMemory: quantity.MustParse("64Gi"), corev1.ResourcePods: quantity.MustParse("100")}
	n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
	for _, p := range pods {
		p.Spec.NodeName = n.Name
	}
	r.apply(Measured{cluster, capacity.NewView([]*corev1.Node{n}, pods)})
	r.decideShort()
}

// podsOf is pods of a Deployment that ask for one CPU each.
func podsOf(deployment string, count int) (all []*corev1.Pod) {
	for i := range count {
		p := &corev1.Pod{}
		yes := true
		p.Name, p.Namespace, p.UID = fmt.Sprint(deployment, "-7d4f9-", i), "shop", types.UID(fmt.Sprint(deployment, i))
		p.Labels = map[string]string{"app": deployment, "pod-template-hash": "7d4f9"}
		p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: deployment + "-7d4f9", Controller: &yes}}
		p.Spec.Containers = []corev1.Container{{Name: "c", Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: quantity.MustParse("1")}}}}
		all = append(all, p)
	}
	return all
}

// demanding puts a Deployment into the hub whose pods ask for one CPU each; more is
// fields of the pods' spec.
func (r *rig) demanding(t rapid.TB, name string, created int, replicas int64, annotations map[string]string, more string) *Assignment {
	spec := map[string]any{}
	if err := yaml.Unmarshal([]byte(more), &spec); err != nil {
		t.Fatal(err)
	}
	spec["containers"] = []any{map[string]any{"name": "c", "resources": map[string]any{"limits": map[string]any{"cpu": "1"}}}}
	return r.deploymentOf(name, created, replicas, annotations, spec)
}

// plainWith puts a Deployment into the hub whose pods ask for nothing but what spec says.
func (r *rig) plainWith(t rapid.TB, name string, replicas int64, annotations map[string]string, spec string) *Assignment {
	fields := map[string]any{}
	if err := yaml.Unmarshal([]byte(spec), &fields); err != nil {
		t.Fatal(err)
	}
	return r.deploymentOf(name, 10, replicas, annotations, fields)
}

func (r *rig) deploymentOf(name string, created int, replicas int64, annotations map[string]string, spec map[string]any) *Assignment {
	obj := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment",
		"metadata": map[string]any{"name": name, "namespace": "shop", "uid": "uid-" + name, "creationTimestamp": at(created).Format("2006-01-02T15:04:05Z07:00"), "resourceVersion": "7"},
		"spec": map[string]any{"replicas": replicas, "template": map[string]any{
			"metadata": map[string]any{"labels": map[string]any{"app": name}}, "spec": spec}},
	}}
	obj.SetAnnotations(annotations)
	return r.write(r.gr, obj)
}

func recordOf(t *Assignment) map[string]string {
	return map[string]string{v1alpha1.AnnotationDivision: schedule.FormatDivision(t.Decision.Division())}
}

func TestRequestsGoWhereTheyFit(t *testing.T) {
	r := demandingRig(ready("aws", 0), ready("azure", 0))
	r.see("aws", 1)
	r.see("azure", 4)
	got := r.demanding(t, "web", 10, 4, nil, "")
	if got.Decision.String() != "aws=1,azure=3" || !got.Undecided {
		t.Errorf("%s, to be recorded: %v; %v", got.Decision, got.Undecided, got.Decision.Rejected)
	}
	if plain := r.deployment("plain", 10, 4, nil); plain.Decision.String() != "aws=2,azure=2" || plain.Undecided {
		t.Errorf("what asks for nothing is divided as %s, to be recorded: %v", plain.Decision, plain.Undecided)
	}
}

func TestRequestsThatFitEvenlyCostNoWrite(t *testing.T) {
	r := demandingRig(ready("aws", 0), ready("azure", 0))
	r.see("aws", 9)
	r.see("azure", 9)
	if got := r.demanding(t, "web", 10, 4, nil, ""); got.Decision.String() != "aws=2,azure=2" || got.Undecided {
		t.Errorf("%s, to be recorded: %v", got.Decision, got.Undecided)
	}
}

// TestABurstSharesWhatIsFree decides many before any of them has a pod.
func TestABurstSharesWhatIsFree(t *testing.T) {
	r := demandingRig(ready("aws", 0), ready("azure", 0))
	r.see("aws", 8)
	r.see("azure", 4)
	given := map[string]int32{}
	var unplaced int32
	for i := range 10 {
		got := r.demanding(t, fmt.Sprint("web", i), 10, 2, nil, "")
		for cluster, n := range got.Decision.Division() {
			given[cluster] += n
		}
		unplaced += got.Decision.Unplaced
	}
	if given["aws"] != 8 || given["azure"] != 4 || unplaced != 8 {
		t.Errorf("8 and 4 fit, and %v were given, %d not placed", given, unplaced)
	}
}

func TestUnplacedIsPlacedWhenThereIsRoom(t *testing.T) {
	r := demandingRig(ready("aws", 0))
	r.see("aws", 2, podsOf("other", 1)...)
	got := r.demanding(t, "web", 10, 2, nil, "")
	if got.Decision.String() != "aws=1" || got.Decision.Unplaced != 1 || !strings.Contains(got.Decision.Reason, "no room for cpu 1") {
		t.Fatalf("%s, because %s", got.Decision, got.Decision.Reason)
	}
	r.see("aws", 2, podsOf("web", 1)...)
	if got = r.get("web"); got.Decision.String() != "aws=2" || got.Decision.Unplaced != 0 || len(r.w.room.Short()) != 0 {
		t.Errorf("there is room now, and it is %s; waiting: %v", got.Decision, r.w.room.Short())
	}
	r.see("aws", 1, podsOf("web", 1)...)
	if got = r.get("web"); got.Decision.String() != "aws=2" {
		t.Errorf("a decision was taken back because there is less room: %s", got.Decision)
	}
}

// TestADecisionIsMadeAgainBeforeItIsRecorded is what happens when the hub's object
// changes otherwise while its division is on its way there.
func TestADecisionIsMadeAgainBeforeItIsRecorded(t *testing.T) {
	r := demandingRig(ready("aws", 0), ready("azure", 0))
	r.see("aws", 1)
	r.see("azure", 3)
	first := r.demanding(t, "web", 10, 2, nil, "")
	recorded := recordOf(first)
	grown := r.demanding(t, "web", 10, 4, recorded, "")
	if grown.Decision.String() != "aws=1,azure=3" {
		t.Fatalf("grown to %s", grown.Decision)
	}
	if again := r.demanding(t, "web", 10, 4, recorded, ""); again.Decision.String() != grown.Decision.String() || again.Decision.Unplaced != 0 {
		t.Errorf("its own promises keep it out: %s, %d not placed", again.Decision, again.Decision.Unplaced)
	}
}

func TestANewHubWaitsUntilItKnows(t *testing.T) {
	r := demandingRig(ready("aws", 0), ready("azure", 0))
	r.see("azure", 4)
	got := r.demanding(t, "web", 10, 4, nil, "")
	if got.Placed() != 0 || !got.Withheld() || got.Concern() != (Concern{}) || got.Undecided || !strings.Contains(got.Decision.Reason, "free in aws") {
		t.Fatalf("%s, because %s", got.Decision, got.Decision.Reason)
	}
	if grown := r.demanding(t, "api", 1, 6, map[string]string{v1alpha1.AnnotationDivision: `{"aws":1,"azure":1}`}, ""); grown.Decision.String() != "aws=1,azure=1" || grown.Decision.Unplaced != 4 || grown.Withheld() || grown.Concern() != (Concern{}) {
		t.Errorf("of what grew meanwhile is placed %s, not placed %d", grown.Decision, grown.Decision.Unplaced)
	}
	r.see("aws", 9)
	if got = r.get("web"); got.Placed() != 4 || got.Withheld() || strings.Contains(got.Decision.Reason, "waiting") {
		t.Errorf("all is known, and it is still %s, because %s", got.Decision, got.Decision.Reason)
	}
}

// TestWhatMovesLaterIsStillMissing: what waits with a move until nodes and pods have been measured is not placed. Else what
// runs beyond the division, as after a restore, would be taken for too many.
func TestWhatMovesLaterIsStillMissing(t *testing.T) {
	aws := ready("aws", 0)
	aws.Taints = []corev1.Taint{{Key: "maintenance", Effect: corev1.TaintEffectNoExecute}}
	r := demandingRig(aws, ready("google", 0))
	r.see("aws", 4)
	got := r.demanding(t, "web", 1, 5, map[string]string{v1alpha1.AnnotationDivision: `{"aws":1}`}, "")
	if got.Decision.String() != "aws=1" || got.Decision.Unplaced != 4 || !got.Decision.Waits {
		t.Errorf("%s, %d not placed, because %s", got.Decision, got.Decision.Unplaced, got.Decision.Reason)
	}
}

// TestARestartDoesNotMoveWhatRuns reads an object whose division is not recorded, and
// whose own pods fill the clusters.
func TestARestartDoesNotMoveWhatRuns(t *testing.T) {
	r := demandingRig(ready("aws", 0), ready("azure", 0), ready("google", 0))
	r.see("aws", 2, podsOf("web", 2)...)
	r.see("azure", 2, podsOf("web", 2)...)
	r.see("google", 90)
	before := r.deployment("plain", 1, 5, nil)
	want := schedule.Even(schedule.Workload{Key: "deployments.apps/shop/web", Divided: true, Total: 5}, []schedule.Cluster{{Name: "aws"}, {Name: "azure"}, {Name: "google"}})
	if got := r.demanding(t, "web", 1, 5, nil, ""); !assignment.SameDivision(got.Decision.Division(), want) || got.Undecided {
		t.Errorf("it ran as %v and is now %s (%s)", want, got.Decision, before.Decision)
	}
	// What may be in a cluster that is away has been divided before, too.
	away := demandingRig(ready("aws", 0), away("azure", 0, 3), ready("google", 0))
	away.see("aws", 0)
	away.see("google", 1)
	if got := away.demanding(t, "web", 1, 5, nil, ""); !assignment.SameDivision(got.Decision.Division(), want) {
		t.Errorf("with a cluster away it ran as %v and is now %s", want, got.Decision)
	}
}

func TestAffinityToOthersWaitsForThem(t *testing.T) {
	r := demandingRig(ready("aws", 0), ready("azure", 0))
	r.see("aws", 9)
	r.see("azure", 9)
	near := `
affinity: {podAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [
  {topologyKey: hanse.dev/cluster, labelSelector: {matchLabels: {app: cache}}}]}}`
	got := r.demanding(t, "web", 10, 2, nil, near)
	if got.Decision.Unplaced != 2 || !strings.Contains(got.Decision.Reason, "app=cache") {
		t.Fatalf("%s, because %s", got.Decision, got.Decision.Reason)
	}
	r.see("azure", 9, podsOf("cache", 1)...)
	if got = r.get("web"); got.Decision.String() != "azure=2" || !got.Undecided {
		t.Errorf("the cache runs, and it is %s, to be recorded: %v", got.Decision, got.Undecided)
	}
	far := strings.Replace(near, "podAffinity", "podAntiAffinity", 1)
	if got = r.demanding(t, "batch", 10, 2, nil, far); got.Decision.String() != "aws=2" {
		t.Errorf("away from the cache is %s", got.Decision)
	}
}

// TestABurstKeepsApart decides two workloads that keep away from each other before
// either has a pod.
func TestABurstKeepsApart(t *testing.T) {
	r := demandingRig(ready("aws", 0), ready("azure", 0))
	r.see("aws", 9)
	r.see("azure", 9)
	from := func(other string) string {
		return `
affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [
  {topologyKey: hanse.dev/cluster, labelSelector: {matchLabels: {app: ` + other + `}}}]}}`
	}
	a := r.demanding(t, "a", 10, 1, nil, from("b"))
	b := r.demanding(t, "b", 10, 1, nil, from("a"))
	if a.Placed() != 1 || b.Placed() != 1 || a.Decision.String() == b.Decision.String() {
		t.Errorf("a is %s, b is %s", a.Decision, b.Decision)
	}
}

func TestWhatIsGoneKeepsNoRoom(t *testing.T) {
	r := demandingRig(ready("aws", 0))
	r.see("aws", 2)
	first := r.demanding(t, "first", 10, 2, nil, "")
	if second := r.demanding(t, "second", 10, 2, nil, ""); second.Placed() != 0 {
		t.Fatalf("both fit: %s", second.Decision)
	}
	r.remove(first)
	r.decideShort()
	if second := r.get("second"); second.Placed() != 2 {
		t.Errorf("the first is deleted, and the second is %s, because %s", second.Decision, second.Decision.Reason)
	}
}

// However workloads come, grow and go in a burst, no more is promised than fits, and
// nothing waits while there is room.
func TestPromisesNeverExceedWhatIsFree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := demandingRig(ready("a", 0), ready("b", 0), ready("c", 0))
		free := map[string]int{}
		for _, c := range []string{"a", "b", "c"} {
			free[c] = rapid.IntRange(1, 6).Draw(t, "cpus")
			r.see(c, free[c])
		}
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			name := rapid.SampledFrom([]string{"v", "w", "x", "y"}).Draw(t, "name")
			if known := r.get(name); known != nil && rapid.IntRange(0, 3).Draw(t, "gone") == 0 {
				r.remove(known)
			} else {
				recorded := map[string]string{}
				if known != nil && known.Placed() > 0 {
					recorded = recordOf(known)
				}
				r.demanding(t, name, 10, rapid.Int64Range(0, 6).Draw(t, "replicas"), recorded, "")
			}
			r.decideShort()
			given, waiting := map[string]int{}, int32(0)
			for _, known := range r.all() {
				for c, n := range known.Decision.Division() {
					given[c] += int(n)
				}
				waiting += known.Decision.Unplaced
			}
			left := 0
			for c, n := range free {
				if given[c] > n {
					t.Fatalf("%d fit into %s, and %d were given", n, c, given[c])
				}
				left += n - given[c]
			}
			if waiting > 0 && left > 0 {
				t.Fatalf("%d wait while there is room for %d", waiting, left)
			}
		}
	})
}

// TestARestoredHubGoesByWhatMembersShow: the copy knows of no division, because no cluster was allowed then.
func TestARestoredHubGoesByWhatMembersShow(t *testing.T) {
	r := demandingRig(ready("aws", 0), ready("azure", 0))
	r.see("aws", 3, podsOf("web", 3)...)
	r.see("azure", 3, podsOf("ballast", 3)...)
	r.apply(policyOf(policyManifest("web", at(2), 1, selecting("web", prodOnly()))))
	if got := r.demanding(t, "web", 3, 4, nil, ""); !got.Decision.Hold || len(got.Decision.Shares) > 0 {
		t.Fatalf("no cluster is allowed, and it is %s", got.Decision)
	}
	r.runs("aws", 3, 3, nil)
	r.apply(policyOf(policyManifest("web", at(2), 2, selecting("web", map[string]any{"clusters": map[string]any{"exclude": []any{"azure"}}}))))
	if got := r.get("web"); got.Decision.String() != "aws=3" || got.Decision.Unplaced != 1 {
		t.Errorf("it is %s, want aws=3 as it runs", got.Decision)
	}
	if n := r.runsNow("aws"); n != 3 {
		t.Errorf("aws is told to run %d", n)
	}
}

// TestWhatIsReadyStaysWhereOthersHaveNoPlace: a hub that was restored does not know that azure had room by now.
func TestWhatIsReadyStaysWhereOthersHaveNoPlace(t *testing.T) {
	r := demandingRig(ready("aws", 0), ready("azure", 0))
	r.see("aws", 3, podsOf("web", 3)...)
	r.see("azure", 1, podsOf("web", 1)...)
	r.demanding(t, "web", 3, 5, map[string]string{"hanse.dev/division": `{"aws":3}`}, "")
	if got := r.get("web"); got.Decision.Unplaced != 2 {
		t.Fatalf("it is %s, want two without a place", got.Decision)
	}
	r.runs("aws", 3, 3, nil)
	azure := r.runs("azure", 1, 1, nil)
	if got := r.get("web"); got.Decision.String() != "aws=3,azure=1" || got.Decision.Unplaced != 1 || r.runsNow(azure) != 1 {
		t.Errorf("it is %s, %d without a place, and azure is to run %d", got.Decision, got.Decision.Unplaced, r.runsNow(azure))
	}
	limited := map[string]any{"division": map[string]any{"limits": map[string]any{"azure": map[string]any{"max": int64(0)}}}}
	r.apply(policyOf(policyManifest("web", at(2), 1, selecting("web", limited))))
	r.record()
	r.runs("azure", 1, 1, nil)
	if got := r.get("web").Decision.Division(); got["azure"] != 0 {
		t.Errorf("a policy allows none there, and it is %v", got)
	}
}

// TestWhatHadNoPlaceIsNotTakenForDivided: nothing was recorded of it, as of what the formula divides, and after a restart it would be
// made in clusters that were closed to it all the time.
func TestWhatHadNoPlaceIsNotTakenForDivided(t *testing.T) {
	drained := ready("aws", 0)
	drained.Cordoned, drained.Drained = true, true
	r := demandingRig(drained)
	r.see("aws", 9)
	r.demanding(t, "web", 100, 4, nil, "")
	r.record()
	again := newRigWith(deployments(), Options{Began: at(500), Measures: true})
	again.w.ownResource(again.gr).synced = false // it reads all for the first time
	again.clusters(drained)
	if got := again.write(again.gr, r.get("web").Object.DeepCopy()); got.Placed() > 0 {
		t.Errorf("after a restart it is %s", got.Decision)
	}
}
