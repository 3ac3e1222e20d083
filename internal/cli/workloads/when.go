package workloads

import (
	"fmt"
	"time"

	"k8s.io/utils/clock"
)

// shownTime is how times are printed: local, to the second.
const shownTime = "2006-01-02 15:04:05"

// parseWhen reads a moment of the past: 03:12 or 03:12:05 of the last day, 10m ago (or 10m), or RFC 3339.
func parseWhen(value string, now clock.PassiveClock) (time.Time, error) {
	if at, err := time.Parse(time.RFC3339Nano, value); err == nil {
		return at, nil
	}
	today := now.Now().Local()
	for _, layout := range []string{"15:04", "15:04:05"} {
		of, err := time.ParseInLocation(layout, value, time.Local)
		if err != nil {
			continue
		}
		at := time.Date(today.Year(), today.Month(), today.Day(), of.Hour(), of.Minute(), of.Second(), 0, time.Local)
		if layout == "15:04" { // the whole of the minute
			at = at.Add(time.Minute - time.Nanosecond)
		}
		if at.Add(-time.Minute).After(today) {
			at = at.AddDate(0, 0, -1)
		}
		return at, nil
	}
	var ago time.Duration
	text := value
	if n := len(text) - len(" ago"); n > 0 && text[n:] == " ago" {
		text = text[:n]
	}
	ago, err := time.ParseDuration(text)
	if err != nil || ago < 0 {
		return time.Time{}, fmt.Errorf("%q is no moment of the past. Try: 03:12, 10m, or 2026-01-31T03:12:00Z", value)
	}
	return today.Add(-ago), nil
}
