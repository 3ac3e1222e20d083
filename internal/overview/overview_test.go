package overview

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

const allIsWell = "Every object is where it should be."

func ready() Hub { return Hub{Endpoint: "https://hub", Version: "v1.37.1", Ready: true} }

func cluster(name string, conditions ...metav1.Condition) v1alpha1.Cluster {
	c := v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: name}}
	c.Status.Phase = v1alpha1.ClusterReady
	c.Status.Conditions = conditions
	return c
}

func condition(kind string, status metav1.ConditionStatus, message string) metav1.Condition {
	return metav1.Condition{Type: kind, Status: status, Message: message}
}

func synced(name string) v1alpha1.Cluster {
	return cluster(name, condition(v1alpha1.ConditionReady, "True", "it answers"), condition(v1alpha1.ConditionSynced, "True", "all is as wanted"))
}

func placement(name string, s metav1.ConditionStatus, clusters ...v1alpha1.ClusterPlacement) v1alpha1.Placement {
	p := v1alpha1.Placement{Object: v1alpha1.ObjectReference{Kind: "Deployment", Namespace: "default", Name: name}, Clusters: clusters}
	p.Summary.Synced = s
	return p
}

func printed(t *testing.T, f Federation) string {
	t.Helper()
	var out strings.Builder
	if err := f.Print(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestAllIsWell says so only where it is known.
func TestAllIsWell(t *testing.T) {
	aws := synced("aws")
	good := placement("web", metav1.ConditionTrue)
	starting := ready()
	starting.Ready, starting.Problem = false, "etcd failed"
	for name, c := range map[string]struct {
		hub        Hub
		clusters   []v1alpha1.Cluster
		placements []v1alpha1.Placement
		well       bool
		want       string
	}{
		"all is well": {ready(), []v1alpha1.Cluster{aws}, []v1alpha1.Placement{good}, true, ""},
		"a cluster is behind": {ready(), []v1alpha1.Cluster{aws, cluster("azure",
			condition(v1alpha1.ConditionReady, "True", "it answers"), condition(v1alpha1.ConditionSynced, "False", "2 objects still to be written"))},
			[]v1alpha1.Placement{good}, false, "2 objects still to be written"},
		"a cluster is away": {ready(), []v1alpha1.Cluster{aws, cluster("azure",
			condition(v1alpha1.ConditionReady, "False", "no route to host"), condition(v1alpha1.ConditionSynced, "Unknown", "nobody knows"))},
			[]v1alpha1.Placement{good}, false, "no route to host"},
		"a cluster is new":        {ready(), []v1alpha1.Cluster{aws, cluster("azure")}, nil, false, "the hub has not looked at it yet"},
		"a cluster says no more":  {ready(), []v1alpha1.Cluster{cluster("azure", condition(v1alpha1.ConditionReady, "True", ""))}, nil, false, "not compared"},
		"an object is elsewhere":  {ready(), []v1alpha1.Cluster{aws}, []v1alpha1.Placement{placement("web", "False")}, false, "1 object is not"},
		"the hub is not ready":    {starting, []v1alpha1.Cluster{aws}, []v1alpha1.Placement{good}, false, "the hub is not ready"},
		"nobody has joined":       {ready(), nil, nil, false, "No cluster has joined"},
		"an object says nothing":  {ready(), []v1alpha1.Cluster{aws}, []v1alpha1.Placement{placement("web", "")}, false, "1 object is not"},
		"several are not in sync": {ready(), []v1alpha1.Cluster{cluster("a"), cluster("b")}, nil, false, "in sync: a, b."},
	} {
		t.Run(name, func(t *testing.T) {
			out := printed(t, Of(c.hub, c.clusters, c.placements))
			if strings.Contains(out, allIsWell) != c.well || !strings.Contains(out, c.want) {
				t.Errorf("said:\n%s\nwant %q in it, and that all is well: %t", out, c.want, c.well)
			}
		})
	}
}

// TestNothingWithoutReason: whatever Placements and Clusters are like, what is not in
// sync is listed with a reason, and all is well only if nothing is listed.
func TestNothingWithoutReason(t *testing.T) {
	statuses := rapid.SampledFrom([]metav1.ConditionStatus{"True", "False", "Unknown", ""})
	words := rapid.SampledFrom([]string{"", "why", "two\nlines"})
	states := rapid.SampledFrom([]string{v1alpha1.StateSynced, v1alpha1.StatePending, v1alpha1.StateError, v1alpha1.StateConflict, v1alpha1.StateAway, v1alpha1.StateDeleting, "New"})
	rapid.Check(t, func(rt *rapid.T) {
		var clusters []v1alpha1.Cluster
		for _, name := range []string{"aws", "azure"}[:rapid.IntRange(1, 2).Draw(rt, "clusters")] {
			c := cluster(name)
			for _, kind := range []string{v1alpha1.ConditionReady, v1alpha1.ConditionSynced, v1alpha1.ConditionDeletionsHeld, v1alpha1.ConditionDrained} {
				if s := statuses.Draw(rt, kind); s != "" {
					c.Status.Conditions = append(c.Status.Conditions, condition(kind, s, words.Draw(rt, "message")))
				}
			}
			clusters = append(clusters, c)
		}
		var placements []v1alpha1.Placement
		for range rapid.IntRange(0, 3).Draw(rt, "placements") {
			p := placement("web", statuses.Draw(rt, "synced"))
			p.Summary.Message, p.Unplaced = words.Draw(rt, "summary"), rapid.Int32Range(0, 2).Draw(rt, "unplaced")
			for range rapid.IntRange(0, 2).Draw(rt, "in") {
				p.Clusters = append(p.Clusters, v1alpha1.ClusterPlacement{Name: "aws", State: states.Draw(rt, "state"), LastError: words.Draw(rt, "error")})
			}
			placements = append(placements, p)
		}
		f := Of(ready(), clusters, placements)
		listed := len(f.NotInSync)
		for _, o := range f.NotInSync {
			if o.Message == "" || strings.Contains(o.Message, "\n") {
				rt.Fatalf("an object is listed with the reason %q: %+v", o.Message, placements)
			}
		}
		for i, c := range f.Clusters {
			if c.Synced != "True" {
				listed++
				if c.Message == "" {
					rt.Fatalf("a cluster is not in sync without a reason: %+v", clusters[i])
				}
			}
		}
		if well := strings.Contains(printed(t, f), allIsWell); well != (listed == 0) {
			rt.Fatalf("all is well: %t, with %d things listed", well, listed)
		}
	})
}

func TestReasons(t *testing.T) {
	in := func(name, state, problem string) v1alpha1.ClusterPlacement {
		return v1alpha1.ClusterPlacement{Name: name, State: state, LastError: problem}
	}
	rejected := placement("web", "False")
	rejected.Rejected = []v1alpha1.ClusterRejection{{Name: "aws", Reason: "its region is not eu"}}
	unplaced := placement("web", "False", in("aws", v1alpha1.StateSynced, ""))
	unplaced.Unplaced = 1
	said := placement("web", "False", in("aws", v1alpha1.StateAway, ""))
	said.Summary.Message = "quota\nexceeded"
	for want, p := range map[string]v1alpha1.Placement{
		"quota exceeded": said,
		"as last seen, because the hub cannot reach aws, google; still to be written in azure": placement("web", "False",
			in("aws", v1alpha1.StateAway, ""), in("azure", v1alpha1.StatePending, ""), in("google", v1alpha1.StateAway, "")),
		"azure: forbidden":           placement("web", "False", in("aws", v1alpha1.StateSynced, ""), in("azure", v1alpha1.StateError, "forbidden")),
		"1 replica without a place":  unplaced,
		"aws: its region is not eu":  rejected,
		"still to be deleted in aws": placement("web", "False", in("aws", v1alpha1.StateDeleting, "")),
		"in no cluster yet":          placement("web", "False"),
	} {
		if got := reasonOf(&p); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
