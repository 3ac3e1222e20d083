package decide

import (
	"cmp"
	"container/heap"
	"maps"
	"slices"
	"time"

	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// work is what is to be done about an object that something else than itself has changed for.
type work struct {
	match  bool // its policy may be another
	decide bool // what clusters are like is
	look   bool // what members show is
}

// backlog is the objects that wait for that, in order. Those that are urgent go first.
type backlog struct {
	urgent, others []template.Key // may name objects that do not wait any more
	what           map[template.Key]work
}

// A slice of the backlog is sliceSize decisions, or fewer where each of them looks at many clusters.
const (
	sliceSize     = 200
	sliceClusters = 10_000 // clusters that the decisions of a slice look at
)

func (b *backlog) some() bool { return len(b.what) > 0 }

func (b *backlog) clone() backlog {
	return backlog{slices.Clone(b.urgent), slices.Clone(b.others), maps.Clone(b.what)}
}

// add puts keys on the backlog.
func (b *backlog) add(keys []template.Key, add work) {
	for _, key := range keys {
		was, waits := b.what[key]
		if !waits {
			b.others = append(b.others, key)
		}
		b.what[key] = work{was.match || add.match, was.decide || add.decide, was.look || add.look}
	}
}

// hurry is add for what goes before all else.
func (b *backlog) hurry(keys []template.Key, add work) {
	b.add(keys, add)
	b.urgent = append(b.urgent, keys...)
}

func (b *backlog) take() (key template.Key, what work, ok bool) {
	for _, queue := range []*[]template.Key{&b.urgent, &b.others} {
		for len(*queue) > 0 {
			key = (*queue)[0]
			*queue = (*queue)[1:]
			if what, ok = b.what[key]; ok {
				delete(b.what, key)
				return key, what, true
			}
		}
		*queue = nil
	}
	return key, what, false
}

// slice works off some of the backlog.
func (w *World) slice() {
	n := max(1, min(sliceSize, sliceClusters/max(1, len(w.clusters))))
	for range n {
		key, what, ok := w.backlog.take()
		if !ok {
			return
		}
		w.doWork(key, what)
	}
}

// settle does what waits for one object now, because something else comes up with it.
func (w *World) settle(key template.Key) {
	if what, waits := w.backlog.what[key]; waits {
		delete(w.backlog.what, key)
		w.doWork(key, what)
	}
}

func (w *World) doWork(key template.Key, what work) {
	if w.at(key) == nil {
		return
	}
	o := w.own(key)
	switch {
	case what.match && w.match(o):
	case what.decide:
		w.renew(o)
	case what.look:
		w.look(o, false)
	}
}

// alarm is an object that is to be looked at at a time.
type alarm struct {
	key template.Key
	// decide: it is to be decided about again, as the time itself changes something.
	decide bool
}

// alarms are the times of all. An alarm that is set for several times rings at the earliest.
type alarms struct {
	set   map[alarm]time.Time
	queue ringing // may hold earlier settings
}

type setting struct {
	alarm
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
	if c := cmp.Or(a.at.Compare(b.at), a.key.Compare(b.key)); c != 0 || a.decide == b.decide {
		return c
	}
	if a.decide {
		return -1
	}
	return 1
}

func (a *alarms) clone() alarms { return alarms{maps.Clone(a.set), slices.Clone(a.queue)} }

func (a *alarms) at(at time.Time, one alarm) {
	if is, set := a.set[one]; set && !is.After(at) {
		return
	}
	a.set[one] = at
	heap.Push(&a.queue, setting{one, at})
}

// next is when the next rings, zero if none does.
func (a *alarms) next() time.Time {
	for len(a.queue) > 0 {
		first := a.queue[0]
		if at, set := a.set[first.alarm]; set && at.Equal(first.at) {
			return at
		}
		heap.Pop(&a.queue)
	}
	return time.Time{}
}

// due takes those that ring by now, at most n.
func (a *alarms) due(now time.Time, n int) (due []alarm) {
	for len(due) < n {
		if next := a.next(); next.IsZero() || next.After(now) {
			break
		}
		first := heap.Pop(&a.queue).(setting)
		delete(a.set, first.alarm)
		due = append(due, first.alarm)
	}
	return due
}

func sortKeys(keys []template.Key) { slices.SortFunc(keys, template.Key.Compare) }

// sorted is the keys of a map.
func sorted[V any](all map[template.Key]V) []template.Key {
	keys := slices.Collect(maps.Keys(all))
	sortKeys(keys)
	return keys
}
