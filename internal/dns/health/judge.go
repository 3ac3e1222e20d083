package health

import "time"

// judge makes a state of what probes say. It is pure; the clock is the caller's.
//
// An address that changes its state more than flaps times within calm has to
// pass twice as many probes to come up again, each time it goes on so, up to
// maxPenalty times as many. That is halved whenever for calm all probes agreed
// with the state. Going down is never delayed.
type judge struct {
	state string
	since time.Time
	// against is how many probes in a row disagreed with the state.
	against int
	// changes are the times of the last changes, the latest first.
	changes [flaps + 1]time.Time
	penalty int
	// agreed is since when all probes agree with the state, or when the penalty
	// was halved after that.
	agreed time.Time
}

const (
	flaps      = 3
	calm       = time.Minute
	maxPenalty = 16
)

func newJudge(now time.Time) judge {
	return judge{state: Unknown, since: now, agreed: now, penalty: 1}
}

// see takes in the outcome of a probe, and says whether the state changed. down
// and up are the thresholds.
func (j *judge) see(now time.Time, passed bool, down, up int) bool {
	next, needed := Down, down
	if passed {
		next, needed = Up, up*j.penalty
	}
	if j.state == Unknown && passed {
		needed = 1
	}
	if j.state == next {
		j.against = 0
		if j.penalty > 1 && now.Sub(j.agreed) >= calm {
			j.penalty /= 2
			j.agreed = now
		}
		return false
	}
	if j.state == Unknown && passed {
		j.against = 0
	}
	j.against++
	j.agreed = now
	if j.against < needed {
		return false
	}
	j.change(now, next)
	return true
}

func (j *judge) change(now time.Time, next string) {
	// To know a state for the first time is no change.
	if j.state != Unknown {
		copy(j.changes[1:], j.changes[:])
		j.changes[0] = now
		if first := j.changes[flaps]; next == Down && !first.IsZero() && now.Sub(first) <= calm {
			j.penalty = min(2*j.penalty, maxPenalty)
		}
	}
	j.state, j.since, j.against = next, now, 0
}
