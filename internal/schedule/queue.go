package schedule

import (
	"cmp"
	"slices"
)

// class is the units that are in the same domains of every rule.
type class struct {
	units queue
	top   turn // stands for it in the order, with the bonus that it has now in its score
}

// turn is a unit in the queue of its class, with what the order goes by.
type turn struct {
	unit, member int32
	group        int32
	score, seen  int64
	rank         uint64
}

// compare orders units where replicas are divided evenly. Units are by member and site.
func (t *turn) compare(o *turn) int {
	switch {
	case t.group != o.group:
		return cmp.Compare(t.group, o.group)
	case t.score != o.score:
		return cmp.Compare(o.score, t.score)
	case t.seen != o.seen:
		return cmp.Compare(t.seen, o.seen)
	case t.rank != o.rank:
		return cmp.Compare(t.rank, o.rank)
	}
	return cmp.Compare(t.unit, o.unit)
}

// queue is the units of a class by who is to be given the next replica.
type queue struct {
	// The even division needs no heap: who was first and is given one goes behind all
	// that had as few, so two sorted lists stay sorted.
	waiting []turn // not given anything yet
	given   ring
	// Any other strategy does.
	others *heap[turn]
}

// first is nil where the queue is empty.
func (q *queue) first() *turn {
	switch {
	case q.others != nil && len(q.others.items) > 0:
		return &q.others.items[0]
	case len(q.waiting) > 0 && (q.given.n == 0 || q.waiting[0].compare(q.given.first()) < 0):
		return &q.waiting[0]
	case q.given.n > 0:
		return q.given.first()
	}
	return nil
}

// drop takes the first out of the queue.
func (q *queue) drop() {
	switch first := q.first(); {
	case q.others != nil:
		q.others.pop()
	case len(q.waiting) > 0 && first == &q.waiting[0]:
		q.waiting = q.waiting[1:]
	default:
		q.given.drop()
	}
}

// giveWay puts the first, u, where it belongs now that its member has n replicas; in an
// even division one place further, to be looked at again there.
func (q *queue) giveWay(u *unit, n int64) {
	first := q.first()
	if q.others != nil {
		first.seen, u.seen = n, n
		q.others.down(0)
		return
	}
	t := *first
	q.drop()
	t.seen++
	u.seen = t.seen
	q.given.push(t)
}

// ring is a list that grows at the end and shrinks at the beginning, within items.
type ring struct {
	items   []turn
	head, n int
}

func (r *ring) first() *turn { return &r.items[r.head] }

func (r *ring) drop() {
	if r.n, r.head = r.n-1, r.head+1; r.head == len(r.items) {
		r.head = 0
	}
}

func (r *ring) push(t turn) {
	end := r.head + r.n
	if end >= len(r.items) {
		end -= len(r.items)
	}
	r.items[end] = t
	r.n++
}

// queueClasses puts the candidates into their classes.
func (r *run) queueClasses(candidates []int32) []class {
	size := make([]int32, r.classes+1)
	for _, i := range candidates {
		size[r.units[i].class+1]++
	}
	for c := range r.classes {
		size[c+1] += size[c]
	}
	at := slices.Clone(size)
	r.turns = slices.Grow(r.turns[:0], 2*len(candidates))[:2*len(candidates)]
	turns, spare := r.turns[:len(candidates)], r.turns[len(candidates):]
	for _, i := range candidates {
		u := &r.units[i]
		turns[at[u.class]] = turn{unit: i, member: u.member, group: u.group, score: u.score, seen: u.seen, rank: u.rank}
		at[u.class]++
	}
	classes := make([]class, r.classes)
	for c := range classes {
		q, part := &classes[c].units, turns[size[c]:size[c+1]]
		if r.strategy != Evenly {
			q.others = &heap[turn]{items: part, before: r.before()}
			q.others.init()
			continue
		}
		slices.SortFunc(part, func(a, b turn) int { return a.compare(&b) })
		q.waiting, q.given.items = part, spare[size[c]:size[c+1]]
	}
	return classes
}

// before orders turns by the strategy.
func (r *run) before() func(a, b *turn) bool {
	if r.strategy == Evenly { // the commonest: not a comparison more than it needs
		return func(a, b *turn) bool { return a.compare(b) < 0 }
	}
	return func(a, b *turn) bool {
		if a.group != b.group {
			return a.group < b.group
		}
		if a.score != b.score {
			return a.score > b.score
		}
		return r.wants(&r.units[a.unit], &r.units[b.unit]) < 0
	}
}

// freshen finds the unit of a class that comes first now; false: none has room.
func (r *run) freshen(c *class) bool {
	for first := c.units.first(); first != nil; first = c.units.first() {
		u := &r.units[first.unit]
		n := r.members[first.member].n
		switch {
		case r.space(u) == 0:
			c.units.drop()
		case u.seen != n:
			c.units.giveWay(u, n)
		default:
			c.top = *first
			c.top.seen, c.top.score = n, first.score+r.bonus(u)
			return true
		}
	}
	return false
}
