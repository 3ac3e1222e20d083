package agenda

import "time"

// Due says whether a time has come; zero never does.
func Due(at, now time.Time) bool { return !at.IsZero() && !at.After(now) }

// Earliest of some times, those that are zero left out.
func Earliest(all ...time.Time) (first time.Time) {
	for _, at := range all {
		if !at.IsZero() && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	return first
}
