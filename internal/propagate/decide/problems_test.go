package decide

import (
	"strings"
	"testing"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/policy"
)

// TestReplicasWithoutAPlaceAreTold by an event, also where that is known only once the
// members have been read, and once they have a place.
func TestReplicasWithoutAPlaceAreTold(t *testing.T) {
	r := demandingRig(ready("aws", 0))
	next := func(want ...string) {
		t.Helper()
		got := r.tolds()
		for _, w := range want {
			if !strings.Contains(got, w) {
				t.Errorf("the event is %q, want %q in it", got, w)
			}
		}
	}
	if got := r.demanding(t, "web", 10, 3, nil, ""); !got.Decision.Hold || len(r.told) > 0 {
		t.Fatalf("before the member has been read it is %+v, with %d events", got.Decision, len(r.told))
	}
	r.see("aws", 2)
	next("Warning "+v1alpha1.ReasonUnplaced, "1 of 3")
	r.see("aws", 2)
	if len(r.told) > 0 {
		t.Errorf("it was said twice")
	}
	r.see("aws", 3)
	next("Normal " + v1alpha1.ReasonPlaced)
}

// TestASpreadThatIsNotMetIsTold by an event and a condition with the numbers, for want
// of replicas, and when a cluster is lost.
func TestASpreadThatIsNotMetIsTold(t *testing.T) {
	h := newHours(deployments())
	spreading := *h.w.policies.None
	spreading.Name, spreading.Spread = "wide", []policy.Spread{{Key: v1alpha1.LabelClusterName, AtLeast: 3}}
	h.w.policies.None = &spreading
	want := func(when, event, condition string) {
		t.Helper()
		got := h.tolds()
		if !strings.Contains(got, event) || (got == "") != (event == "") {
			t.Errorf("%s: the event is %q, want %q in it", when, got, event)
		}
		web := h.get("web")
		if said := web.Concern().Message; !strings.Contains(said, condition) || (said == "") != (condition == "") || !strings.Contains(web.Decision.Reason, condition) {
			t.Errorf("%s: the concern is %q, want %q in it; the decision says %q", when, said, condition, web.Decision.Reason)
		}
	}
	few := "ClusterPlacementPolicy wide wants at least 3 of cluster, has 2: 2 replicas"
	h.deployment("web", 10, 2, nil)
	want("too few replicas", "Warning "+v1alpha1.ReasonSpreadUnmet+" "+few, few)
	h.deployment("web", 10, 6, nil)
	want("enough", "Normal "+v1alpha1.ReasonPlaced, "")
	h.pass(1)
	h.down["azure"] = true
	h.show(nil)
	h.pass(31)
	want("lost", v1alpha1.ReasonSpreadUnmet, "has 2: azure is lost")
}

// TestReasonsEndWithTheStateTheyName: others are kept, though nothing new is found when
// all is decided again.
func TestReasonsEndWithTheStateTheyName(t *testing.T) {
	r := newRig(deployments())
	r.clusters(ready("aws", 0), ready("azure", 0))
	r.deployment("web", 10, 4, nil)
	reasons := func() string {
		var all []string
		for _, s := range r.get("web").Decision.Shares {
			all = append(all, s.Cluster+": "+s.Reason)
		}
		return strings.Join(all, "; ")
	}
	first := reasons()
	if r.deployment("web", 10, 4, map[string]string{"example.com/note": "new"}); reasons() != first || strings.Contains(first, "as before") {
		t.Errorf("once the object was written it says %s, before: %s", reasons(), first)
	}
	closed := ready("aws", 0)
	closed.Cordoned = true
	r.clusters(closed, ready("azure", 0))
	if got := reasons(); !strings.Contains(got, "aws: as before; cordoned") || !strings.HasSuffix(got, first[strings.Index(first, "azure"):]) {
		t.Errorf("cordoned: %s, before: %s", got, first)
	}
	r.clusters(ready("aws", 0), ready("azure", 0))
	if got := reasons(); strings.Contains(got, "cordoned") {
		t.Errorf("when it is over it says %s", got)
	}
}
