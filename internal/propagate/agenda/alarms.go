package agenda

import (
	"cmp"
	"container/heap"
	"maps"
	"slices"
	"time"

	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// Alarm is an object that is to be looked at at a time.
type Alarm struct {
	Key template.Key
	// Decide: it is to be decided about again, as the time itself changes something.
	Decide bool
}

// Alarms are the times of all. An Alarm that is set for several times rings at the earliest. The zero Alarms are none.
type Alarms struct {
	set   map[Alarm]time.Time
	queue ringing // may hold earlier settings
}

type setting struct {
	Alarm
	at time.Time
}

type ringing []setting

func (q ringing) Len() int           { return len(q) }
func (q ringing) Less(i, j int) bool { return compareSettings(q[i], q[j]) < 0 }
func (q ringing) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *ringing) Push(x any)        { *q = append(*q, x.(setting)) }
func (q *ringing) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

func compareSettings(a, b setting) int {
	if c := cmp.Or(a.at.Compare(b.at), a.Key.Compare(b.Key)); c != 0 || a.Decide == b.Decide {
		return c
	}
	if a.Decide {
		return -1
	}
	return 1
}

// Clone is a copy, which may be changed without a.
func (a *Alarms) Clone() Alarms { return Alarms{maps.Clone(a.set), slices.Clone(a.queue)} }

// All are the times of all, not to be changed.
func (a *Alarms) All() map[Alarm]time.Time { return a.set }

// Set has an Alarm ring at a time.
func (a *Alarms) Set(at time.Time, one Alarm) {
	if a.set == nil {
		a.set = map[Alarm]time.Time{}
	}
	if is, set := a.set[one]; set && !is.After(at) {
		return
	}
	a.set[one] = at
	heap.Push(&a.queue, setting{one, at})
}

// Next is when the next rings, zero if none does.
func (a *Alarms) Next() time.Time {
	for len(a.queue) > 0 {
		first := a.queue[0]
		if at, set := a.set[first.Alarm]; set && at.Equal(first.at) {
			return at
		}
		heap.Pop(&a.queue)
	}
	return time.Time{}
}

// Due takes those that ring by now, at most n.
func (a *Alarms) Due(now time.Time, n int) (due []Alarm) {
	for len(due) < n {
		if next := a.Next(); next.IsZero() || next.After(now) {
			break
		}
		first := heap.Pop(&a.queue).(setting)
		delete(a.set, first.Alarm)
		due = append(due, first.Alarm)
	}
	return due
}
