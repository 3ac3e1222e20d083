package propagate

import (
	"testing"

	"github.com/hanse-dev/hanse/internal/lineage"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// runs notes that a member in reach runs so many replicas of web, of which some are
// ready; wrote is the share that the hub wrote there last, nil if that is not known.
func (r *rig) runs(name string, replicas int32, ready int64, wrote *share) *member {
	m := r.engine.members[name]
	m.session = &session{queue: newQueue()}
	m.update(r.get("web").key, func(rec *record) {
		rec.seen = observation{uid: "there", replicas: &replicas, status: map[string]any{"readyReplicas": ready}, mark: lineage.Mark{Origin: lineage.Origin{Template: r.get("web").uid}}}
		if wrote != nil {
			rec.left = &left{target: target{share: *wrote}}
		}
	})
	return m
}

func (r *rig) now(m *member) int32 {
	t := r.get("web")
	rec := m.get(t.key)
	return r.engine.shareNow(t, m, &rec).replicas
}

// moving is a rig with a deployment that is to be divided as given.
func moving(division map[string]int32) *rig {
	r := newRig(deployments())
	var total int64
	var all []*cluster
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
	wrote := &share{replicas: 3, total: 9}
	aws := r.runs("aws", 3, 3, wrote)
	azure := r.runs("azure", 3, 3, wrote)
	google := r.runs("google", 3, 3, wrote)
	if a, b, c := r.now(aws), r.now(azure), r.now(google); a != 3 || b != 4 || c != 5 {
		t.Fatalf("at first %d, %d, %d", a, b, c)
	}
	r.runs("azure", 4, 4, nil)
	r.runs("google", 5, 3, nil)
	if n := r.now(aws); n != 2 {
		t.Errorf("with one ready elsewhere: %d", n)
	}
	// It has not happened so far, and counts already.
	if n := r.now(aws); n != 2 {
		t.Errorf("asked again: %d", n)
	}
	key := r.get("web").key
	r.engine.moveOn(key)
	if _, moving := r.engine.moves.all[key]; !moving || aws.session.queue.Len() != 1 {
		t.Error("nobody looks at it again")
	}
	r.runs("google", 5, 5, nil)
	if n := r.now(aws); n != 0 {
		t.Errorf("with all ready elsewhere: %d", n)
	}
	r.runs("aws", 0, 0, nil)
	r.engine.moveOn(key)
	if len(r.engine.moves.all) != 0 {
		t.Error("what is done is remembered")
	}
}

func TestTwoThatAreToHaveLessShareWhatIsToSpare(t *testing.T) {
	r := moving(map[string]int32{"aws": 1, "azure": 1, "google": 3})
	wrote := &share{replicas: 2, total: 5}
	aws, azure := r.runs("aws", 2, 2, wrote), r.runs("azure", 2, 2, wrote)
	r.runs("google", 3, 2, wrote)
	if a, b := r.now(aws), r.now(azure); a != 1 || b != 2 {
		t.Errorf("%d and %d with one to spare", a, b)
	}
}

func TestACloudThatIsAwayIsNotReady(t *testing.T) {
	r := moving(map[string]int32{"aws": 0, "azure": 4, "google": 5})
	wrote := &share{replicas: 3, total: 9}
	aws := r.runs("aws", 3, 3, wrote)
	r.runs("azure", 4, 4, wrote)
	r.runs("google", 5, 5, wrote).session = nil
	if n := r.now(aws); n != 3 {
		t.Errorf("%d, although what the others have is out of reach", n)
	}
}

func TestScalingDownIsNotHeldUp(t *testing.T) {
	r := moving(map[string]int32{"aws": 1, "azure": 1, "google": 1})
	wrote := &share{replicas: 3, total: 9}
	aws := r.runs("aws", 3, 3, wrote) // the only ones that are ready
	r.runs("azure", 3, 0, wrote)
	r.runs("google", 3, 0, wrote)
	if n := r.now(aws); n != 1 {
		t.Errorf("scaled from 9 to 3: told to run %d", n)
	}
	if len(r.engine.moves.all[r.get("web").key]) != 0 {
		t.Error("something is in motion")
	}
}

func TestWhatAPersonScaledInAMemberIsPutBackAtOnce(t *testing.T) {
	r := moving(map[string]int32{"aws": 3, "azure": 3})
	wrote := &share{replicas: 3, before: 0, total: 6}
	aws := r.runs("aws", 9, 9, wrote)
	r.runs("azure", 3, 0, wrote)
	if n := r.now(aws); n != 3 {
		t.Errorf("told to run %d", n)
	}
}
