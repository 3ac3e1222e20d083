package decide

import (
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// runs has a member in reach show that it runs so many replicas of web, of which some are ready; wrote is the share that
// the hub wrote there last, nil if that is not known.
func (r *rig) runs(name string, n int32, ready int64, wrote *template.Share) string {
	if !r.w.reached(name) {
		r.engage(name)
	}
	o := there(r.get("web").UID, n, map[string]any{"readyReplicas": ready})
	if wrote != nil {
		o.Left = &template.Target{Share: *wrote}
	}
	r.apply(Seen{name, r.key("web"), o})
	return name
}

// runsNow is what a member is to run of web now.
func (r *rig) runsNow(name string) int32 {
	return r.get("web").For(name, r.w.facts).Share.Replicas
}

// moving is a rig with a deployment that is to be divided as given.
func moving(division map[string]int32) *rig {
	r := newRig(deployments())
	var total int64
	var all []*Cluster
	for name, n := range division {
		total += int64(n)
		all = append(all, ready(name, 0))
	}
	r.clusters(all...)
	r.deployment("web", 10, total, map[string]string{"hanse.dev/division": schedule.FormatDivision(division)})
	return r
}

func TestLessOnlyWhenOthersAreReady(t *testing.T) {
	r := moving(map[string]int32{"aws": 0, "azure": 4, "google": 5})
	wrote := &template.Share{Replicas: 3, Total: 9}
	aws := r.runs("aws", 3, 3, wrote)
	azure := r.runs("azure", 3, 3, wrote)
	google := r.runs("google", 3, 3, wrote)
	if a, b, c := r.runsNow(aws), r.runsNow(azure), r.runsNow(google); a != 3 || b != 4 || c != 5 {
		t.Fatalf("at first %d, %d, %d", a, b, c)
	}
	r.runs("azure", 4, 4, nil)
	if !delivered(r.last, r.key("web")) {
		t.Error("the members are not told")
	}
	r.runs("google", 5, 3, nil)
	if n := r.runsNow(aws); n != 2 {
		t.Errorf("with one ready elsewhere: %d", n)
	}
	// It has not happened yet, and counts already.
	if n := r.runsNow(aws); n != 2 {
		t.Errorf("asked again: %d", n)
	}
	key := r.key("web")
	if !r.w.moving[key] {
		t.Error("nobody looks at it again")
	}
	r.runs("google", 5, 5, nil)
	if n := r.runsNow(aws); n != 0 {
		t.Errorf("with all ready elsewhere: %d", n)
	}
	r.runs("aws", 0, 0, nil)
	if len(r.w.moving) != 0 || r.get("web").Now != nil {
		t.Error("what is done is remembered")
	}
}

// TestOneThatIsNotToHaveItAnyMoreWaitsForTheOthers: a cluster without a share has no total that would say how many there are
// to be.
func TestOneThatIsNotToHaveItAnyMoreWaitsForTheOthers(t *testing.T) {
	r := moving(map[string]int32{"aws": 2, "azure": 1})
	azure := r.runs("azure", 1, 1, &template.Share{Replicas: 1, Total: 3})
	r.clusters(ready("aws", 0), ready("azure", 0), ready("google", 0))
	google := r.runs("google", 2, 2, &template.Share{Replicas: 2, Total: 3})
	if a, g := r.runsNow(azure), r.runsNow(google); a != 1 || g != 2 {
		t.Errorf("while nothing is ready in aws, azure is to run %d and google %d", a, g)
	}
	r.runs("aws", 2, 2, nil)
	if n := r.runsNow(google); n != 0 {
		t.Errorf("when all is ready elsewhere google is to run %d", n)
	}
}

func TestTwoThatAreToHaveLessShareWhatIsToSpare(t *testing.T) {
	r := moving(map[string]int32{"aws": 1, "azure": 1, "google": 3})
	wrote := &template.Share{Replicas: 2, Total: 5}
	aws, azure := r.runs("aws", 2, 2, wrote), r.runs("azure", 2, 2, wrote)
	r.runs("google", 3, 2, wrote)
	if a, b := r.runsNow(aws), r.runsNow(azure); a != 1 || b != 2 {
		t.Errorf("%d and %d with one to spare", a, b)
	}
}

func TestACloudThatIsAwayIsNotReady(t *testing.T) {
	r := moving(map[string]int32{"aws": 0, "azure": 4, "google": 5})
	wrote := &template.Share{Replicas: 3, Total: 9}
	r.apply(Seen{"google", r.key("web"), there(r.get("web").UID, 5, map[string]any{"readyReplicas": int64(5)})})
	r.runs("azure", 4, 4, wrote)
	aws := r.runs("aws", 3, 3, wrote)
	if n := r.runsNow(aws); n != 3 {
		t.Errorf("%d, although what the others have is out of reach", n)
	}
}

func TestScalingDownIsNotHeldUp(t *testing.T) {
	r := moving(map[string]int32{"aws": 1, "azure": 1, "google": 1})
	wrote := &template.Share{Replicas: 3, Total: 9}
	aws := r.runs("aws", 3, 3, wrote) // the only ones that are ready
	r.runs("azure", 3, 0, wrote)
	r.runs("google", 3, 0, wrote)
	if n := r.runsNow(aws); n != 1 {
		t.Errorf("scaled from 9 to 3: told to run %d", n)
	}
	if r.get("web").Now != nil {
		t.Error("something is in motion")
	}
}

func TestWhatAPersonScaledInAMemberIsPutBackAtOnce(t *testing.T) {
	r := moving(map[string]int32{"aws": 3, "azure": 3})
	wrote := &template.Share{Replicas: 3, Before: 0, Total: 6}
	aws := r.runs("aws", 9, 9, wrote)
	r.runs("azure", 3, 0, wrote)
	if n := r.runsNow(aws); n != 3 {
		t.Errorf("told to run %d", n)
	}
}

// TestNobodyIsLoweredAheadOfTheWorld: a member that has not been heard of yet, as after a restart, is not told to run less
// before the others are ready, although what it is to run in the end is known.
func TestNobodyIsLoweredAheadOfTheWorld(t *testing.T) {
	r := moving(map[string]int32{"aws": 0, "azure": 3})
	r.engage("aws")
	r.engage("azure")
	if n := r.runsNow("aws"); n != 0 {
		t.Fatalf("nothing is known of it, and it is to run %d", n)
	}
	asked := Lowers{Cluster: "aws", Key: r.key("web"), UID: r.get("web").UID, Observed: there(r.get("web").UID, 3, map[string]any{"readyReplicas": int64(3)})}
	verdict := func() bool {
		for _, effect := range r.apply(asked) {
			if v, ok := effect.(Verdict); ok {
				return v.GoAhead
			}
		}
		t.Fatal("there is no answer")
		return false
	}
	if verdict() {
		t.Error("it may stop all that is ready")
	}
	if n := r.runsNow("aws"); n != 3 {
		t.Errorf("it is to run %d now, want 3", n)
	}
	r.runs("azure", 3, 3, nil)
	if !verdict() {
		t.Error("it may not stop what others do by now")
	}
	asked.UID = "another"
	if verdict() {
		t.Error("a namesake may be lowered")
	}
}

// Of a StatefulSet any pods may go when it is told to run fewer: until the member shows how many of the others are ready, no more
// are taken.
func TestAStatefulSetIsLoweredByWhatItShows(t *testing.T) {
	r := newRig(schema.GroupResource{Group: "apps", Resource: "statefulsets"})
	r.clusters(ready("aws", 0), ready("google", 0))
	r.deployment("web", 10, 1, map[string]string{"hanse.dev/division": "aws=0,google=1"})
	google := r.runs("google", 3, 2, nil)
	if n := r.runsNow(google); n != 2 {
		t.Fatalf("with one to spare, told to run %d", n)
	}
	for range 2 {
		r.do(func() { r.w.look(r.w.own(r.key("web")), false) })
	}
	if n := r.runsNow(google); n != 2 {
		t.Errorf("nothing has happened, and it is told to run %d", n)
	}
	r.runs("google", 2, 2, nil)
	if n := r.runsNow(google); n != 1 {
		t.Errorf("two are ready, and it is told to run %d", n)
	}
}

// TestFewerThatAlsoMoveWait: there are to be fewer, and some of them elsewhere: those that are ready stay until the others are.
func TestFewerThatAlsoMoveWait(t *testing.T) {
	r := moving(map[string]int32{"aws": 1, "azure": 2})
	wrote := &template.Share{Replicas: 2, Total: 5}
	aws := r.runs("aws", 2, 2, wrote)
	r.engage("azure")
	if n := r.runsNow(aws); n != 2 {
		t.Errorf("with none ready elsewhere: %d, want 2", n)
	}
	r.runs("azure", 2, 2, nil)
	if n := r.runsNow(aws); n != 1 {
		t.Errorf("with all ready elsewhere: %d, want 1", n)
	}
}

// TestWhatWasKnownBeforeASessionLowersNobody: what is remembered of a member from before it was away says nothing of what is
// ready there now.
func TestWhatWasKnownBeforeASessionLowersNobody(t *testing.T) {
	r := moving(map[string]int32{"aws": 0, "azure": 3})
	r.runs("azure", 3, 1, nil)
	aws := r.runs("aws", 2, 0, nil)
	if n := r.runsNow(aws); n != 0 {
		t.Fatalf("none is ready, and aws is to run %d", n)
	}
	r.apply(Engaged{"aws", false})
	r.apply(Engaged{"aws", true})
	r.do(func() { r.w.look(r.w.own(r.key("web")), false) })
	r.apply(Seen{"aws", r.key("web"), there(r.get("web").UID, 2, map[string]any{"readyReplicas": int64(2)})})
	r.apply(Read{"aws", r.gr, true})
	if n := r.runsNow(aws); n != 2 {
		t.Errorf("two have got ready, and aws is to run %d", n)
	}
}

// TestWhatGetsReadyBeforeItIsLoweredStays: a member was to run fewer, and has not been told so yet.
func TestWhatGetsReadyBeforeItIsLoweredStays(t *testing.T) {
	r := moving(map[string]int32{"aws": 0, "azure": 3})
	r.runs("azure", 3, 1, nil)
	aws := r.runs("aws", 2, 0, nil)
	if n := r.runsNow(aws); n != 0 {
		t.Fatalf("none is ready, and aws is to run %d", n)
	}
	now := there(r.get("web").UID, 2, map[string]any{"readyReplicas": int64(1)})
	verdict := func(n int32) bool {
		all := effectsOf[Verdict](r.apply(Lowers{Cluster: "aws", Key: r.key("web"), UID: r.get("web").UID, Observed: now, Replicas: n}))
		return len(all) == 1 && all[0].GoAhead
	}
	if verdict(0) {
		t.Error("the one that has got ready may stop")
	}
	if n := r.runsNow(aws); n != 1 {
		t.Errorf("aws is to run %d", n)
	}
	if !verdict(1) {
		t.Error("the one that is not ready may not stop")
	}
}

// TestFewerWhileAnotherIsAwayWait: nobody knows whether the one that is away runs any.
func TestFewerWhileAnotherIsAwayWait(t *testing.T) {
	r := moving(map[string]int32{"aws": 0, "azure": 2})
	aws := r.runs("aws", 1, 1, &template.Share{Replicas: 1, Total: 3})
	if n := r.runsNow(aws); n != 1 {
		t.Errorf("azure is away, and aws is to run %d", n)
	}
}
