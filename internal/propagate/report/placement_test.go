package report

import (
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/fieldmerge"
	"github.com/hanse-dev/hanse/internal/lineage"
	"github.com/hanse-dev/hanse/internal/policy"
	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/rollout"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// one is a rig with a ConfigMap in one cluster, which shows it as it should be.
func one(t *testing.T) (*rig, *testMember, *decide.Observed) {
	t.Helper()
	r := newRig("aws")
	r.assign(t, configMaps(), configMap())
	r.running()
	return r, r.members[0], r.members[0].objects[r.a.Key]
}

// TestWhatIsNotInSyncSaysWhy: each state, and what is said of it. No state but Synced is without words.
func TestWhatIsNotInSyncSaysWhy(t *testing.T) {
	dropped := fieldmerge.Missing(map[string]any{"spec": map[string]any{"new": "x"}}, map[string]any{"spec": map[string]any{"a": "b"}}, false)
	namespace := template.Key{GR: template.Namespaces(), Name: "shop"}
	for name, tt := range map[string]struct {
		change      func(r *rig, m *testMember, o *decide.Observed)
		state, want string // want is a prefix of LastError and Message
	}{
		"as it should be":  {func(*rig, *testMember, *decide.Observed) {}, v1alpha1.StateSynced, ""},
		"nothing is known": {func(r *rig, m *testMember, o *decide.Observed) { delete(m.objects, r.a.Key) }, v1alpha1.StatePending, "to be written"},
		"to be written":    {func(r *rig, m *testMember, o *decide.Observed) { o.InSync = false }, v1alpha1.StatePending, "to be written"},
		"waits":            {func(r *rig, m *testMember, o *decide.Observed) { o.InSync, o.Waits = false, "the moon" }, v1alpha1.StatePending, "waiting for the moon"},
		"not read": {func(r *rig, m *testMember, o *decide.Observed) { o.InSync, m.unheard = false, true }, v1alpha1.StatePending,
			"configmaps there have not been read yet"},
		"undecided": {func(r *rig, m *testMember, o *decide.Observed) { r.a.Undecided = true }, v1alpha1.StatePending, "its placement has not been decided yet"},
		"its namespace is not known": {func(r *rig, m *testMember, o *decide.Observed) { o.InSync, r.a.AwaitsNamespace = false, true }, v1alpha1.StatePending,
			"waiting for the decision about its namespace"},
		"its namespace is going": {func(r *rig, m *testMember, o *decide.Observed) {
			o.InSync = false
			m.objects[namespace] = &decide.Observed{UID: "n", Deleting: true, Finalizers: []string{"example.com/ours"}, Status: map[string]any{"conditions": []any{
				map[string]any{"type": "NamespaceContentRemaining", "status": "False", "message": "All content removed"},
				map[string]any{"type": "NamespaceFinalizersRemaining", "status": "True", "message": "example.com/theirs in 1 resource instances"}}}}
		}, v1alpha1.StatePending, "namespace shop there is being deleted; waiting for finalizer example.com/ours; example.com/theirs in 1 resource instances"},
		"its namespace is there": {func(r *rig, m *testMember, o *decide.Observed) {
			o.InSync, m.objects[namespace] = false, &decide.Observed{UID: "n"}
		}, v1alpha1.StatePending, "to be written"},
		"being deleted": {func(r *rig, m *testMember, o *decide.Observed) { o.Deleting = true }, v1alpha1.StateDeleting, "being deleted"},
		"to be deleted": {func(r *rig, m *testMember, o *decide.Observed) { delete(r.a.Shares, "aws") }, v1alpha1.StateDeleting, "to be deleted"},
		"to be deleted after what names it": {func(r *rig, m *testMember, o *decide.Observed) {
			delete(r.a.Shares, "aws")
			o.Waits = "deployments.apps shop/web, which names it, to go"
		}, v1alpha1.StateDeleting, "to be deleted; waiting for deployments.apps shop/web, which names it, to go"},
		"refused": {func(r *rig, m *testMember, o *decide.Observed) {
			o.Fault, o.FaultSince = &decide.Problem{Message: "refused"}, at(7)
		}, v1alpha1.StateError, "refused"},
		"in the way": {func(r *rig, m *testMember, o *decide.Observed) {
			o.Fault = &decide.Problem{Conflict: true, Message: "another is there"}
		}, v1alpha1.StateConflict, "another is there"},
		"cannot be read": {func(r *rig, m *testMember, o *decide.Observed) { m.unread = errRefused }, v1alpha1.StateUnknown,
			"configmaps cannot be read there; the status shown is as last seen: the server refuses"},
		"fields dropped": {func(r *rig, m *testMember, o *decide.Observed) {
			o.Dropped = dropped
			r.facts.Clusters["aws"].Version = "v1.30.1"
		}, v1alpha1.StateFieldsDropped, "written, but aws (v1.30.1) did not keep spec.new: "},
		"withheld": {func(r *rig, m *testMember, o *decide.Observed) {
			delete(r.a.Shares, "aws")
			o.Withheld, o.WithheldSince = lineage.AnotherHub, at(7)
		}, v1alpha1.StateDeleting, "it should not be here, but is held: another hub put it there. Try: hanse prune aws"},
		"nobody knows where it is to be": {func(r *rig, m *testMember, o *decide.Observed) { o.InSync, r.a.Decision.Hold = false, true }, v1alpha1.StateSynced, ""},
		"just after a start":             {func(r *rig, m *testMember, o *decide.Observed) { m.away = true }, v1alpha1.StateAway, "the hub has not read the cluster yet"},
		"away":                           {func(r *rig, m *testMember, o *decide.Observed) { r.lose("aws", false) }, v1alpha1.StateAway, "the cluster has been out of reach since 2026-01-01T00:01:00Z"},
		"never reached": {func(r *rig, m *testMember, o *decide.Observed) {
			m.away = true
			r.facts.Clusters["aws"] = &decide.Cluster{Name: "aws"}
		}, v1alpha1.StateAway, "the hub has not reached the cluster yet"},
		"it has left": {func(r *rig, m *testMember, o *decide.Observed) {
			m.away = true
			delete(r.facts.Clusters, "aws")
		}, v1alpha1.StateAway, "the cluster has left"},
	} {
		t.Run(name, func(t *testing.T) {
			r, m, o := one(t)
			tt.change(r, m, o)
			p := Placement(r.a, r.facts, r.all(), "p", at(100))
			if len(p.Clusters) != 1 {
				t.Fatalf("%d lines", len(p.Clusters))
			}
			c := p.Clusters[0]
			if got := c.LastError + c.Message; c.State != tt.state || !strings.HasPrefix(got, tt.want) || (got == "") != (tt.want == "") {
				t.Errorf("%s: %q, want %s: %q", c.State, got, tt.state, tt.want)
			}
			if c.State != v1alpha1.StateSynced && (p.Summary.Message == "" || p.Summary.Synced == "True") {
				t.Errorf("the Placement says %+v", p.Summary)
			}
			if c.LastError != "" && c.State != v1alpha1.StateConflict && (c.Since == nil || !c.Since.Time.Equal(at(7))) {
				t.Errorf("since %v", c.Since)
			}
		})
	}
}

// TestAPlacementSaysWhereAndWhy, in numbers, and what was not chosen.
func TestAPlacementSaysWhereAndWhy(t *testing.T) {
	r := three(t)
	r.a.Decision.Rejected = []schedule.Rejection{{Cluster: "ovh", Reason: "cordoned"}}
	p := Placement(r.a, r.facts, r.all(), "deployments.apps.web", at(100))
	if p.Name != "deployments.apps.web" || p.Namespace != "shop" || p.UID != "uid-web" || p.Labels["app"] != "web" || !p.CreationTimestamp.Time.Equal(at(1)) || p.Object.Kind != "Deployment" {
		t.Errorf("%+v", p.ObjectMeta)
	}
	if s := p.Summary; s.Clusters != "aws=2,azure=2,google=2" || s.Ready != "6/6" || s.Synced != "True" || s.Message != "" {
		t.Errorf("%+v", s)
	}
	if p.Clusters[0].Reason != "even share" || len(p.Rejected) != 1 || p.Rejected[0].Reason != "cordoned" || p.Policy != nil {
		t.Errorf("%+v %+v", p.Clusters[0], p.Rejected)
	}
	r.a.Decision.Unplaced, r.a.Decision.Reason = 2, "no room for 2"
	r.member("aws").objects[r.a.Key].InSync = false
	p = Placement(r.a, r.facts, r.all(), "p", at(100))
	if s := p.Summary; s.Synced != "False" || s.Message != "no room for 2" || p.Unplaced != 2 {
		t.Errorf("what does not pass by itself is said first: %+v", s)
	}
	r.member("google").objects[r.a.Key].Fault = &decide.Problem{Message: "refused"}
	if s := Placement(r.a, r.facts, r.all(), "p", at(100)).Summary; s.Message != "refused" {
		t.Errorf("and what was refused before that: %+v", s)
	}
	r.a.Decision.Unplaced, r.a.Shares = 0, nil
	for _, m := range r.members {
		clear(m.objects)
	}
	if s := Placement(r.a, r.facts, r.all(), "p", at(100)).Summary; s.Synced != "False" {
		t.Errorf("it is nowhere: %+v", s)
	}
}

// TestWhatStaysAtTheHubIsAsItShouldBe, and what nobody needs.
func TestWhatStaysAtTheHubIsAsItShouldBe(t *testing.T) {
	for _, how := range []string{"None", "Needed", "Everywhere"} {
		r, m, _ := one(t)
		r.a.SetDecision(schedule.Decision{Reason: "somebody says so"})
		delete(m.objects, r.a.Key)
		r.facts.Namespaces = map[string]map[string]string{"shop": {"hanse.dev/propagation": how}}
		p := Placement(r.a, r.facts, r.all(), "p", at(100))
		if want := how != "Everywhere"; (p.Summary.Synced == "True") != want || len(p.Clusters) > 0 || p.Summary.Message != "somebody says so" {
			t.Errorf("%s: %+v", how, p.Summary)
		}
	}
}

func TestThePlacementOfWhatHasNoNamespace(t *testing.T) {
	if got := PlacementNamespace(template.Key{Name: "shop"}); got != v1alpha1.SystemNamespace {
		t.Errorf("is in %q", got)
	}
}

// TestAPlacementNamesThePolicies, those too that do not apply.
func TestAPlacementNamesThePolicies(t *testing.T) {
	r := three(t)
	r.facts.Policies = policy.NewIndex([]*policy.Policy{policyNamed(t, "a", at(1)), policyNamed(t, "b", at(2))})
	p := Placement(r.a, r.facts, r.all(), "p", at(100))
	if p.Policy == nil || p.Policy.Name != "PlacementPolicy shop/a" || len(p.Policy.Overruled) != 1 {
		t.Errorf("%+v", p.Policy)
	}
}

func policyNamed(t *testing.T, name string, created time.Time) *policy.Policy {
	t.Helper()
	in := v1alpha1.PlacementPolicy{}
	in.Namespace, in.Name = "shop", name
	in.CreationTimestamp.Time = created
	p, err := policy.FromPolicy(&in)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestAFaultIsOneLine of a Placement: what one member says does not hide the others.
func TestAFaultIsOneLine(t *testing.T) {
	r := three(t)
	m := r.member("azure")
	r.members[1] = &testMember{name: "azure"}
	all := r.all()
	all[1] = panicking{m}
	p := Placement(r.a, r.facts, all, "p", at(100))
	if len(p.Clusters) != 3 || p.Clusters[0].State != v1alpha1.StateSynced || p.Clusters[1].State != v1alpha1.StateError || !strings.Contains(p.Clusters[1].LastError, "a fault in Hanse") {
		t.Errorf("%+v", p.Clusters)
	}
}

// panicking is a member that makes a fault once.
type panicking struct{ *testMember }

func (p panicking) Unread(schema.GroupResource) error { panic("rubbish") }

// governed has a policy let changes out step by step, cluster by cluster.
func (r *rig) governed(t *testing.T) {
	t.Helper()
	in := v1alpha1.PlacementPolicy{Spec: v1alpha1.PlacementPolicySpec{Rollout: &v1alpha1.Rollout{By: v1alpha1.RolloutByCluster}}}
	in.Namespace, in.Name = "shop", "carefully"
	p, err := policy.FromPolicy(&in)
	if err != nil {
		t.Fatal(err)
	}
	r.a.Policy = p
	r.running() // what is in sync names the revision, too
}

// TestARolloutIsShown step by step, with who has it, who waits and who failed.
func TestARolloutIsShown(t *testing.T) {
	shown := func(p *v1alpha1.PlacementRollout) string {
		var all []string
		for _, c := range p.Clusters {
			all = append(all, c.Name+" "+c.State)
		}
		return p.State + ": " + strings.Join(all, ", ")
	}
	r := three(t)
	if got := Placement(r.a, r.facts, r.all(), "p", at(100)).Rollout; shown(got) != "Complete: aws Done, azure Done, google Done" || got.Policy != "" || got.Revision != r.a.Content.Revision {
		t.Errorf("%s %+v", shown(got), got)
	}

	r.governed(t)
	r.a.Progress.State = &rollout.State{Revision: r.a.Content.Revision, Proven: "old", Step: "aws", Current: []string{"aws"}, Began: at(90)}
	for _, name := range []string{"azure", "google"} {
		r.member(name).objects[r.a.Key].Revision = "old"
		r.member(name).objects[r.a.Key].InSync = false
	}
	o := r.member("aws").objects[r.a.Key]
	o.Status["updatedReplicas"], o.Status["availableReplicas"] = int64(1), int64(1)
	p := Placement(r.a, r.facts, r.all(), "p", at(100))
	if got := p.Rollout; shown(got) != "Progressing: aws Updating, azure Held, google Held" || got.Step != "aws" || got.Clusters[0].Step != "aws" || got.Clusters[0].Updated != 1 {
		t.Errorf("%s %+v", shown(got), got)
	}
	if p.Summary.Message == "" {
		t.Error("the summary does not say that it is on its way")
	}

	failed := map[string]any{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "timed out", "lastUpdateTime": "2026-01-01T00:00:00Z"}
	o.Status["conditions"] = []any{failed}
	if got := Placement(r.a, r.facts, r.all(), "p", at(100)).Rollout; got.State != rollout.Stopped || got.Clusters[0].State != v1alpha1.RolloutClusterFailed {
		t.Errorf("%s: %s", shown(got), got.Message)
	}
	o.Outlived = "2026-01-01T00:00:00Z" // it was said of the pods before
	if got := Placement(r.a, r.facts, r.all(), "p", at(100)).Rollout; shown(got) != "Progressing: aws Updating, azure Held, google Held" {
		t.Errorf("%s: %s", shown(got), got.Message)
	}
	r.a.Progress.Hold = v1alpha1.RolloutPaused
	o.Status, r.facts.Clusters["google"].Ready = available(2), false
	if got := Placement(r.a, r.facts, r.all(), "p", at(100)).Rollout; shown(got) != "Paused: aws Done, azure Held, google Away" {
		t.Errorf("%s: %s", shown(got), got.Message)
	}

	r = newRig("aws")
	r.assign(t, configMaps(), configMap())
	if got := Placement(r.a, r.facts, r.all(), "p", at(100)).Rollout; got != nil {
		t.Errorf("a ConfigMap rolls out: %+v", got)
	}
}

func TestARolloutIsShownInTheOrderOfTurns(t *testing.T) {
	clusters := []v1alpha1.ClusterRollout{{Name: "a"}, {Name: "b"}, {Name: "c"}, {Name: "d"}}
	sortByStep(clusters, []rollout.Step{{Clusters: []string{"d", "b"}}, {Clusters: []string{"c"}}, {Clusters: []string{"a"}}})
	if clusters[0].Name != "b" || clusters[1].Name != "d" || clusters[2].Name != "c" || clusters[3].Name != "a" {
		t.Errorf("%v", clusters)
	}
}

// TestCountsAreOfWhatIsThereOrIsToBe, with the first in words.
func TestCountsAreOfWhatIsThereOrIsToBe(t *testing.T) {
	r, m, _ := one(t)
	var all []*decide.Assignment
	add := func(name string, placed bool, o *decide.Observed) {
		obj := configMap()
		(&unstructured.Unstructured{Object: obj}).SetName(name)
		read, err := template.Read(configMaps(), &unstructured.Unstructured{Object: obj}, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		a := &decide.Assignment{Template: read, Policy: policy.NoPolicy(), Shares: map[string]template.Share{}}
		if placed {
			a.Shares["aws"] = template.Share{}
		}
		if o != nil && o.InSync {
			target := a.Target("aws")
			o.Left = &target
		}
		m.objects[a.Key] = o
		all = append(all, a)
	}
	add("elsewhere", false, nil)
	add("synced", true, &decide.Observed{UID: "u", InSync: true})
	add("pending", true, nil)
	add("z-fails", true, &decide.Observed{Fault: &decide.Problem{Message: "refused"}})
	add("a-fails", true, &decide.Observed{UID: "u", Fault: &decide.Problem{Conflict: true, Message: "in the way"}})
	add("b-fails", true, &decide.Observed{Fault: &decide.Problem{Message: "refused"}})
	add("going", false, &decide.Observed{UID: "u", Deleting: true, Finalizers: []string{"f"}})
	add("withheld", false, &decide.Observed{UID: "u", Withheld: lineage.UnknownSession})
	surplus := map[template.Key]*decide.Observed{
		{GR: configMaps(), Namespace: "shop", Name: "b"}:      {UID: "u", Deleting: true},
		{GR: configMaps(), Namespace: "shop", Name: "asked"}:  {UID: "u", Withheld: lineage.AnotherHub},
		{GR: configMaps(), Namespace: "shop", Name: "is not"}: {},
	}
	for range 20 { // in any order
		got := Count(m, r.facts, slices.Values(all), maps.All(surplus))
		if got.Withheld != 2 || got.Failing != 3 || got.Pending != 3 {
			t.Fatalf("%+v", got)
		}
		if got.Message != "configmaps/shop/a-fails: in the way" || got.Waiting != "configmaps shop/b is being deleted" {
			t.Fatalf("%+v", got)
		}
	}
	var none iter.Seq2[template.Key, *decide.Observed] = maps.All(map[template.Key]*decide.Observed{})
	if got := Count(m, r.facts, slices.Values(all[1:2]), none); got != (Counts{}) {
		t.Errorf("all is as it should be: %+v", got)
	}
}
