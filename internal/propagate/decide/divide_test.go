package decide

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"pgregory.net/rapid"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/propagate/assignment"
	"github.com/hanse-dev/hanse/internal/schedule"
)

func TestDivisionsThatTheFormulaRepeatsAreNotRecorded(t *testing.T) {
	r := newRig(deployments())
	r.clusters(ready("aws", 0), ready("azure", 0), ready("google", 0))
	for i := range 20 {
		if got := r.deployment(fmt.Sprint("web", i), 10, 7, nil); got.Undecided {
			t.Fatalf("%s, divided as the formula says, costs a write at the hub", got.Decision)
		}
	}
}

func TestAClusterAwayGetsNothingNewAndThatIsRecorded(t *testing.T) {
	r := newRig(deployments())
	r.clusters(ready("aws", 0), away("azure", 0, 5), ready("google", 0))
	got := r.deployment("web", 10, 6, nil)
	if got.Decision.String() != "aws=3,google=3" || !got.Undecided {
		t.Fatalf("%s, undecided %v", got.Decision, got.Undecided)
	}
	recorded := map[string]string{v1alpha1.AnnotationDivision: schedule.FormatDivision(got.Decision.Division())}
	got = r.deployment("web", 10, 6, recorded)
	if got.Undecided {
		t.Fatal("a recorded division is to be recorded again")
	}
	r.clusters(ready("aws", 0), ready("azure", 0), ready("google", 0))
	if got = r.get("web"); got.Decision.String() != "aws=3,google=3" {
		t.Errorf("the cluster is back and replicas move by themselves: %s", got.Decision)
	}
	if got = r.deployment("web", 10, 9, recorded); got.Decision.String() != "aws=3,azure=3,google=3" {
		t.Errorf("scaled from 6 to 9: %s", got.Decision)
	}
}

// TestAClosedClusterGetsNothingNewWhileAnotherIsAway: where some cluster is away or has joined since, it is worked out how an
// object was divided before, which one that was made this moment was not.
func TestAClosedClusterGetsNothingNewWhileAnotherIsAway(t *testing.T) {
	for name, close := range map[string]func(*Cluster){
		"cordoned": func(c *Cluster) { c.Cordoned = true },
		"drained":  func(c *Cluster) { c.Cordoned, c.Drained = true, true },
		"tainted": func(c *Cluster) {
			c.Taints = []corev1.Taint{{Key: "maintenance", Effect: corev1.TaintEffectNoSchedule}}
		},
	} {
		r := newRig(deployments())
		closed := ready("aws", 0)
		close(closed)
		r.clusters(closed, away("azure", 0, 5), ready("google", 0))
		if got := r.deployment("web", 10, 6, nil).Decision.String(); got != "google=6" {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestAClusterThatGoesAwayKeepsItsShare(t *testing.T) {
	r := newRig(deployments())
	r.clusters(ready("aws", 0), ready("azure", 0), ready("google", 0))
	before := r.deployment("web", 10, 6, nil).Decision.String()
	r.clusters(ready("aws", 0), away("azure", 0, 20), ready("google", 0))
	if got := r.get("web").Decision.String(); got != before {
		t.Errorf("%s became %s", before, got)
	}
	// The same after a restart of the hub, which reads everything again.
	again := newRig(deployments())
	again.clusters(ready("aws", 0), away("azure", 0, 20), ready("google", 0))
	if got := again.deployment("web", 10, 6, nil).Decision.String(); got != before {
		t.Errorf("after a restart %s became %s", before, got)
	}
}

func TestAClusterThatJoinsGetsNoReplicasOfWhatRuns(t *testing.T) {
	r := newRig(deployments())
	r.clusters(ready("aws", 0), ready("azure", 0))
	before := r.deployment("web", 10, 6, nil).Decision.String()
	r.clusters(ready("aws", 0), ready("azure", 0), ready("google", 30))
	if got := r.get("web").Decision.String(); got != before {
		t.Errorf("%s became %s", before, got)
	}
	if got := r.deployment("web", 10, 9, nil); got.Decision.String() != "aws=3,azure=3,google=3" || !got.Undecided {
		t.Errorf("scaled to 9: %s, undecided %v", got.Decision, got.Undecided)
	}
}

func TestARubbishDivisionIsReplaced(t *testing.T) {
	r := newRig(deployments())
	r.clusters(ready("aws", 0), ready("azure", 0))
	got := r.deployment("web", 10, 2, map[string]string{v1alpha1.AnnotationDivision: `{"aws":-1`})
	if got.Decision.String() != "aws=1,azure=1" {
		t.Errorf("%s", got.Decision)
	}
}

// However clusters come, go and return and the total changes: what is written
// sums up to the total unless clusters that are away hold more, and a restart
// of the hub at any moment decides the same.
func TestARestartDecidesTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := newRig(deployments())
		now := 1
		current := []*Cluster{ready("a", 0), ready("b", 0), ready("c", 0)}
		r.clusters(current...)
		var recorded map[string]string
		total := rapid.Int64Range(0, 12).Draw(t, "total")
		r.deployment("web", now, total, nil)
		for range rapid.IntRange(1, 10).Draw(t, "steps") {
			now += 10
			switch rapid.IntRange(0, 2).Draw(t, "what") {
			case 0:
				total = rapid.Int64Range(0, 12).Draw(t, "total")
			case 1:
				i := rapid.IntRange(0, len(current)-1).Draw(t, "which")
				flipped := *current[i]
				flipped.Ready, flipped.Since = !flipped.Ready, at(now)
				current = append([]*Cluster{}, current...)
				current[i] = &flipped
				r.clusters(current...)
			case 2:
				current = append([]*Cluster{}, current...)
				current = append(current, ready(fmt.Sprint("new", now), now))
				r.clusters(current...)
			}
			tmpl := r.deployment("web", 1, total, recorded)
			if tmpl.Undecided {
				recorded = map[string]string{v1alpha1.AnnotationDivision: schedule.FormatDivision(tmpl.Decision.Division())}
				tmpl = r.deployment("web", 1, total, recorded)
				if tmpl.Undecided {
					t.Fatalf("recorded as %v and still undecided: %s", recorded, tmpl.Decision)
				}
			}
			if tmpl.Decision.Unplaced > 0 {
				continue // no cluster is ready: nothing is decided yet
			}
			restarted := newRig(deployments())
			restarted.clusters(current...)
			if got := restarted.deployment("web", 1, total, recorded); !assignment.SameDivision(got.Decision.Division(), tmpl.Decision.Division()) {
				t.Fatalf("decided %s, after a restart %s (recorded %v)", tmpl.Decision, got.Decision, recorded)
			}
		}
	})
}
