package survive_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/question"
	"github.com/hanse-dev/hanse/internal/propagate/survive"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// world is a World in which there is what a test puts there.
type world struct {
	*decide.World
	t *testing.T
}

func newWorld(t *testing.T, clusters ...string) *world {
	w := &world{decide.NewWorld(decide.Options{FailoverAfter: 30 * time.Second, Began: start}), t}
	for _, one := range []string{
		"v1 services Service", "v1 pods Pod", "apps/v1 deployments Deployment", "apps/v1 statefulsets StatefulSet", "apps/v1 daemonsets DaemonSet",
		"batch/v1 jobs Job", "networking.k8s.io/v1 ingresses Ingress", "policy/v1 poddisruptionbudgets PodDisruptionBudget",
	} {
		part := strings.Fields(one)
		gv, err := schema.ParseGroupVersion(part[0])
		if err != nil {
			t.Fatal(err)
		}
		w.apply(decide.Served{GVR: gv.WithResource(part[1]), GVK: gv.WithKind(part[2])})
		w.apply(decide.Listed{GR: gv.WithResource(part[1]).GroupResource()})
	}
	var all []*v1alpha1.Cluster
	for _, one := range clusters { // NAME/REGION/PROVIDER
		part := strings.Split(one+"//", "/")
		c := &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: part[0], CreationTimestamp: metav1.NewTime(start)}}
		c.Status.Region, c.Status.Provider = part[1], part[2]
		c.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, LastTransitionTime: metav1.NewTime(start)}}
		all = append(all, c)
	}
	w.apply(decide.ClustersListed{Clusters: all})
	for _, c := range all {
		w.apply(decide.Looked{Cluster: c.Name, Began: start, Reached: true})
	}
	return w
}

func (w *world) apply(in decide.Input) {
	more := true
	for effects := w.Apply(in, start.Add(time.Hour)); more; effects = w.Apply(decide.Tick{}, start.Add(time.Hour)) {
		more = slices.ContainsFunc(effects, func(e decide.Effect) bool { _, is := e.(decide.More); return is })
	}
}

// put puts manifests into the hub.
func (w *world) put(manifests string) {
	w.t.Helper()
	for i, one := range strings.Split(manifests, "\n---\n") {
		obj := &unstructured.Unstructured{}
		data, err := yaml.YAMLToJSON([]byte(one))
		if err == nil {
			err = obj.UnmarshalJSON(data)
		}
		if err != nil {
			w.t.Fatalf("%v in %s", err, one)
		}
		obj.SetNamespace("shop")
		obj.SetUID(types.UID(obj.GetKind() + "-" + obj.GetName()))
		obj.SetResourceVersion(fmt.Sprint(i + 1))
		obj.SetCreationTimestamp(metav1.NewTime(start.Add(time.Minute)))
		plural := strings.ToLower(obj.GetKind()) + "s"
		if obj.GetKind() == "Ingress" {
			plural = "ingresses"
		}
		t, err := template.Read(schema.GroupResource{Group: obj.GroupVersionKind().Group, Resource: plural}, obj, nil, nil)
		if err != nil {
			w.t.Fatal(err)
		}
		w.apply(decide.Written{Template: t})
	}
}

func (w *world) ask(q survive.Question) *survive.Report {
	w.t.Helper()
	r, err := survive.Ask(w.t.Context(), question.NewLosses(w.Fork(), start.Add(time.Hour)), q)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func workload(kind, name string, replicas int, in string) string {
	selector := ""
	if in != "" {
		selector = fmt.Sprintf("nodeSelector: {hanse.dev/cluster: %s}, ", in)
	}
	return fmt.Sprintf(`{apiVersion: apps/v1, kind: %s, metadata: {name: %s}, spec: {replicas: %d,
  template: {metadata: {labels: {app: %s}}, spec: {%scontainers: [{name: c}]}}}}`, kind, name, replicas, name, selector)
}

func find(t *testing.T, r *survive.Report, kind, name string) survive.Scenario {
	t.Helper()
	for _, s := range r.Scenarios {
		if slices.Contains(s.Names(), survive.Name{Kind: kind, Name: name}) {
			return s
		}
	}
	t.Fatalf("there is no %s %s in %+v", kind, name, r.Scenarios)
	return survive.Scenario{}
}

func TestScenarios(t *testing.T) {
	w := newWorld(t, "a/eu/aws", "b/eu/azure", "c/us/aws", "d/us/google")
	w.put(workload("Deployment", "web", 8, ""))
	var got []string
	for _, s := range w.ask(survive.Question{Pairs: true}).Scenarios {
		got = append(got, fmt.Sprint(s.Kind, " ", s.Name, " ", s.Clusters, s.Also, s.Kept, s.FailedOver, s.Unplaced, s.Survives, s.ByHand))
	}
	want := `Cluster a [a] [] 6 2 0 true false
Cluster b [b] [{Provider azure}] 6 2 0 true false
Cluster c [c] [] 6 2 0 true false
Cluster d [d] [{Provider google}] 6 2 0 true false
Region eu [a b] [] 4 4 0 true false
Region us [c d] [] 4 4 0 true false
Provider aws [a c] [] 4 4 0 true false
Pair a+b [a b] [] 4 4 0 true false
Pair a+c [a c] [] 4 4 0 true false
Pair a+d [a d] [] 4 4 0 true false
Pair b+c [b c] [] 4 4 0 true false
Pair b+d [b d] [] 4 4 0 true false
Pair c+d [c d] [] 4 4 0 true false`
	if all := strings.Join(got, "\n"); all != want {
		t.Errorf("got\n%s\nwant\n%s", all, want)
	}
	given := w.ask(survive.Question{Clusters: []string{"c", "a", "b", "a"}, All: true})
	if s := given.Scenarios[0]; len(given.Scenarios) != 1 || s.Kind != survive.KindGiven || s.Name != "a+b+c" || !s.ByHand || !s.Survives ||
		len(s.Workloads) != 1 || s.Workloads[0].Where != "a=0,b=0,c=0,d=8" {
		t.Errorf("three of four: %+v", given)
	}
	if all := w.ask(survive.Question{Clusters: []string{"a", "b", "c", "d"}}).Scenarios[0]; all.Survives || all.Unplaced != 8 || all.Workloads[0].Reason != "no cluster would be left" || all.Workloads[0].Try != "" {
		t.Errorf("all: %+v", all)
	}
	_, err := survive.Ask(t.Context(), question.NewLosses(w.Fork(), start), survive.Question{Clusters: []string{"mars"}})
	if err == nil || err.Error() != "there is no cluster mars, only a, b, c, d. Try: hanse clusters" {
		t.Error(err)
	}
}

func TestWhatIsCounted(t *testing.T) {
	w := newWorld(t, "a", "b", "c")
	w.put(strings.Join([]string{
		workload("Deployment", "pinned", 2, "a"),
		workload("Deployment", "web", 3, ""),
		workload("StatefulSet", "db", 3, ""),
		workload("StatefulSet", "near", 2, ""),
		workload("StatefulSet", "single", 1, ""),
		`{apiVersion: apps/v1, kind: Deployment, metadata: {name: apart}, spec: {replicas: 3, template: {metadata: {labels: {app: apart}}, spec: {containers: [{name: c}],
  affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: hanse.dev/cluster, labelSelector: {matchLabels: {app: apart}}}]}}}}}}`,
		`{apiVersion: batch/v1, kind: Job, metadata: {name: once, annotations: {hanse.dev/division: '{"a":1,"b":1,"c":1}'}}, spec: {parallelism: 3, completions: 3, template: {spec: {containers: [{name: c}]}}}}`,
		`{apiVersion: v1, kind: Service, metadata: {name: pinned}, spec: {selector: {app: pinned}}}`,
		`{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {selector: {app: web}}}`,
		`{apiVersion: v1, kind: Service, metadata: {name: empty}, spec: {selector: {app: nothing}}}`,
		`{apiVersion: v1, kind: Service, metadata: {name: agent}, spec: {selector: {app: agent}}}`,
		`{apiVersion: v1, kind: Service, metadata: {name: outside}, spec: {externalName: example.org}}`,
		`{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: agent}, spec: {template: {metadata: {labels: {app: agent}}, spec: {containers: [{name: c}]}}}}`,
		`{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: shop}, spec: {rules: [
  {host: pinned.example.com, http: {paths: [{backend: {service: {name: web}}}, {backend: {service: {name: pinned}}}]}},
  {host: web.example.com, http: {paths: [{backend: {service: {name: web}}}]}}, {http: {paths: [{backend: {service: {name: pinned}}}]}}, {host: 7}, 8]}}`,
		`{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: web}, spec: {minAvailable: 100%, selector: {matchLabels: {app: web}}}}`,
		`{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: calm}, spec: {maxUnavailable: 1, selector: {matchLabels: {app: web}}}}`,
		`{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: odd}, spec: {minAvailable: many, selector: {matchLabels: {app: web}}}}`,
	}, "\n---\n"))
	routes := []v1alpha1.GlobalRoute{
		{ObjectMeta: metav1.ObjectMeta{Namespace: "shop"}, Spec: v1alpha1.GlobalRouteSpec{Hosts: []string{"gone.example.com"}, Targets: []v1alpha1.RouteTarget{{Kind: "Service", Name: "pinned"}}}},
		{ObjectMeta: metav1.ObjectMeta{Namespace: "shop"}, Spec: v1alpha1.GlobalRouteSpec{Hosts: []string{"both.example.com"}, Targets: []v1alpha1.RouteTarget{{Kind: "Service", Name: "pinned"}, {Kind: "Ingress", Name: "shop"}}}},
		{ObjectMeta: metav1.ObjectMeta{Namespace: "shop"}, Spec: v1alpha1.GlobalRouteSpec{Hosts: []string{"vm.example.com"}, Endpoints: []v1alpha1.RouteEndpoint{{Cluster: "a"}}}},
		{ObjectMeta: metav1.ObjectMeta{Namespace: "shop"}, Spec: v1alpha1.GlobalRouteSpec{Hosts: []string{"vms.example.com"}, Endpoints: []v1alpha1.RouteEndpoint{{Cluster: "a"}, {Cluster: "b"}}}},
		{ObjectMeta: metav1.ObjectMeta{Namespace: "shop"}, Spec: v1alpha1.GlobalRouteSpec{Hosts: []string{"gate.example.com"}, Targets: []v1alpha1.RouteTarget{{Kind: "Gateway", Name: "g"}}}},
	}
	r := w.ask(survive.Question{Routes: routes, All: true})
	a := find(t, r, survive.KindCluster, "a")
	said := map[string]string{}
	for _, one := range a.Workloads {
		said[one.Name] = fmt.Sprint(one.Replicas, one.Kept, one.FailedOver, one.Unplaced, one.QuorumLost, one.Disallowed, one.Stays, one.Survives, " ", one.Reason)
		if one.Try != "" {
			said[one.Name] += "; try " + one.Try
		}
	}
	for name, want := range map[string]string{
		"pinned": "2 0 0 2 false true false false its rules allow none of the clusters that would be left; try rules that allow more clusters",
		"web":    "3 2 1 0 false false false true ",
		"apart":  "3 2 0 1 false false false false 2 clusters: pod anti-affinity: no two pods with app=apart in the same hanse.dev/cluster; try a cluster in another place, a rule that is preferred rather than required, or fewer replicas",
		"db":     "3 2 1 0 false false false true ",
		"once":   "3 2 0 1 false false true true its work must not be done twice, it waits for its cluster",
	} {
		if said[name] != want {
			t.Errorf("%s: %s, want %s", name, said[name], want)
		}
	}
	if a.Workloads[0].Survives || r.Survives || a.Survives || a.Unplaced != 3 || a.Disallowed != 1 {
		t.Errorf("what would not survive is not first, or not counted: %+v", a)
	}
	if got := fmt.Sprint(a.Services, a.Hostnames, a.Budgets); got != "[shop/pinned] [gone.example.com pinned.example.com vm.example.com] [{shop web 3 2 3}]" {
		t.Error(got)
	}
	quorums := 0
	for _, name := range []string{"a", "b", "c"} {
		s := find(t, r, survive.KindCluster, name)
		for _, one := range s.Workloads {
			if one.QuorumLost {
				quorums++
			}
			if one.QuorumLost && (one.Name != "near" || one.Survives || s.Survives) {
				t.Errorf("%s: %+v", name, one)
			}
		}
	}
	if quorums != 2 {
		t.Errorf("of two replicas in two clusters the quorum is lost in %d scenarios", quorums)
	}
	if c := r.Conditions()["a"]; c.Status != metav1.ConditionFalse || c.Reason != v1alpha1.ReasonNoPlaceElsewhere || !strings.Contains(c.Message,
		"if this cluster were lost: 3 replicas without a place, ") || !strings.Contains(c.Message, "deployment shop/pinned: 2 of 2 replicas without a place: its rules") {
		t.Errorf("%+v", c)
	}
	if r.Conditions()["mars"] != nil {
		t.Error("a cluster that there is not has a condition")
	}
	names, err := json.Marshal(r.Anonymous("nobody may"))
	if err != nil || strings.Contains(string(names), "pinned") || strings.Contains(string(names), "example.com") || !strings.Contains(string(names), "nobody may") {
		t.Errorf("%v %s", err, names)
	}
	if find(t, r, survive.KindCluster, "a").Services == nil {
		t.Error("it was changed where it is kept")
	}
	of := w.ask(survive.Question{Of: "web", All: true, Clusters: []string{"a"}}).Scenarios[0]
	if !of.Survives || len(of.Workloads) != 1 || of.Workloads[0].Name != "web" || of.Services != nil {
		t.Errorf("of web: %+v", of)
	}
}

func TestAHealthyFederationIsNotAlarming(t *testing.T) {
	w := newWorld(t, "a/eu/aws", "b/us/azure", "c/ap/google")
	w.put(workload("Deployment", "web", 3, ""))
	r := w.ask(survive.Question{})
	for _, name := range []string{"a", "b", "c"} {
		if c := r.Conditions()[name]; c == nil || c.Status != metav1.ConditionTrue || c.Reason != v1alpha1.ReasonPlaceElsewhere {
			t.Errorf("%s: %+v", name, c)
		}
	}
	figures := r.Figures()
	if len(figures) != 9 || slices.ContainsFunc(figures, func(f survive.Figure) bool { return f.Unplaced+f.Unanswered+f.QuorumLost != 0 }) {
		t.Errorf("%+v", figures)
	}
}

func TestBounds(t *testing.T) {
	var names []string
	for i := range 60 {
		names = append(names, fmt.Sprintf("c%02d", i))
	}
	w := newWorld(t, names...)
	for i := range 30 {
		w.put(workload("Deployment", fmt.Sprint("pinned", i), 2, "c59"))
	}
	r := w.ask(survive.Question{Pairs: true})
	if len(r.Scenarios) != 60+1000 || r.LeftOut != "770 of 1770 pairs, those in which least runs" {
		t.Errorf("%d scenarios, left out: %s", len(r.Scenarios), r.LeftOut)
	}
	if first := r.Scenarios[60]; first.Name != "c00+c59" || first.Affected != 30 || len(first.Workloads) != 20 {
		t.Errorf("the first pair is %s with %d of %d workloads", first.Name, len(first.Workloads), first.Affected)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, err := survive.Ask(ctx, question.NewLosses(w.Fork(), start), survive.Question{Clusters: []string{"c59"}})
	if err != nil || len(r.Scenarios) != 0 || r.LeftOut != "time was over with 1 of 1 scenarios to go" {
		t.Errorf("%v: %+v", err, r)
	}
}
