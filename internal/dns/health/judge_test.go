package health

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// play lets a judge see outcomes (+ passed, - failed), one per step, and writes
// down the state after each: U, D or ?.
func play(j *judge, now *time.Time, step time.Duration, outcomes string, down, up int) string {
	var states []byte
	for _, o := range outcomes {
		*now = now.Add(step)
		j.see(*now, o == '+', down, up)
		states = append(states, map[string]byte{Up: 'U', Down: 'D', Unknown: '?'}[j.state])
	}
	return string(states)
}

func TestJudge(t *testing.T) {
	for _, c := range []struct {
		name, outcomes, want string
		down, up             int
	}{
		{"the first pass decides", "+", "U", 3, 2},
		{"the first failure does not", "---", "??D", 3, 2},
		{"a pass after failures, unknown", "--+", "??U", 3, 2},
		{"failures in a row", "+--+---", "UUUUUUD", 3, 2},
		{"passes in a row", "---+-++", "??DDDDU", 3, 2},
		{"thresholds of one", "+-+", "UDU", 1, 1},
	} {
		now := time.Unix(1e9, 0)
		j := newJudge(now)
		if got := play(&j, &now, 10*time.Second, c.outcomes, c.down, c.up); got != c.want {
			t.Errorf("%s: %s gives %s, want %s", c.name, c.outcomes, got, c.want)
		}
	}
}

func TestFlappingNeedsMorePasses(t *testing.T) {
	now := time.Unix(1e9, 0)
	j := newJudge(now)
	// Down, up, down, up, down: the fifth change is the third time down, the fourth
	// change (up) is one more than allowed.
	if got := play(&j, &now, time.Second, "+-+-+-", 1, 1); got != "UDUDUD" || j.penalty != 2 {
		t.Fatalf("%s, penalty %d", got, j.penalty)
	}
	if got := play(&j, &now, time.Second, "+-++-", 1, 1); got != "DDDUD" || j.penalty != 4 {
		t.Fatalf("%s, penalty %d", got, j.penalty)
	}
	for range 4 {
		play(&j, &now, time.Second, "++++++++++++++++-", 1, 1)
	}
	if j.penalty != maxPenalty || j.state != Down {
		t.Fatalf("penalty %d, %s", j.penalty, j.state)
	}
	// Passing does not make it calm before it is up.
	if got := play(&j, &now, 10*time.Second, "+++++++++++++++", 1, 1); got[14] != 'D' || j.penalty != maxPenalty {
		t.Fatalf("up too early: %s, penalty %d", got, j.penalty)
	}
	if got := play(&j, &now, 10*time.Second, "+", 1, 1); got != "U" {
		t.Fatal("not up after 16 times as many passes")
	}
	// Up for 61 s halves it, and so on.
	for _, want := range []int{8, 4, 2, 1, 1} {
		if play(&j, &now, time.Second, "++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++", 1, 1); j.penalty != want {
			t.Fatalf("penalty %d, want %d", j.penalty, want)
		}
	}
}

func TestAFailureIsNotCalm(t *testing.T) {
	now := time.Unix(1e9, 0)
	j := newJudge(now)
	play(&j, &now, time.Second, "+--++--++--++++", 2, 2)
	if j.state != Up || j.penalty != 2 {
		t.Fatalf("%s, penalty %d", j.state, j.penalty)
	}
	if play(&j, &now, 20*time.Second, "++-++", 2, 2); j.penalty != 2 {
		t.Errorf("penalty %d, 40 s after a failure", j.penalty)
	}
	if play(&j, &now, 20*time.Second, "+", 2, 2); j.penalty != 1 {
		t.Errorf("penalty %d, 60 s after a failure", j.penalty)
	}
}

func TestBeingDownForLongIsCalm(t *testing.T) {
	now := time.Unix(1e9, 0)
	j := newJudge(now)
	play(&j, &now, time.Second, "+-+-+-", 1, 1)
	play(&j, &now, 20*time.Second, "----", 1, 1)
	if got := play(&j, &now, time.Second, "+", 1, 1); got != "U" {
		t.Errorf("still damped: penalty %d", j.penalty)
	}
}

func TestJudgeProperties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		down, up := rapid.IntRange(1, 5).Draw(rt, "down"), rapid.IntRange(1, 5).Draw(rt, "up")
		now := time.Unix(1e9, 0)
		j := newJudge(now)
		passes, failures := 0, 0
		for range rapid.IntRange(1, 300).Draw(rt, "probes") {
			now = now.Add(time.Duration(rapid.IntRange(1, 30).Draw(rt, "seconds")) * time.Second)
			before := j.state
			if rapid.Bool().Draw(rt, "passed") {
				passes, failures = passes+1, 0
			} else {
				passes, failures = 0, failures+1
			}
			changed := j.see(now, passes > 0, down, up)
			switch {
			case changed != (before != j.state):
				rt.Fatal("a change that is none, or the other way round")
			case changed && j.since != now:
				rt.Fatal("since is not now")
			case failures >= down && j.state != Down:
				rt.Fatalf("%d failures in a row and %s", failures, j.state)
			case passes >= maxPenalty*up && j.state != Up:
				rt.Fatalf("%d passes in a row and %s", passes, j.state)
			case changed && j.state == Down && failures < down, changed && before == Down && passes < up:
				rt.Fatalf("%s too early", j.state)
			case j.penalty < 1 || j.penalty > maxPenalty:
				rt.Fatalf("penalty %d", j.penalty)
			}
		}
	})
}
