package transition

import "math"

// Unlimited is Work.Left where a Job does not say how much there is to do.
const Unlimited = math.MaxInt32

// Work is a cluster's part in a Job whose completions are divided for good.
type Work struct {
	// Weight is its part of the pods at once by which the Job was divided.
	Weight int32
	// Has is how many pods at once it may be running: what it was told, or has still.
	Has int32
	// Left is how many more of its completions are to be done; 0: it is done.
	Left int32
	// Unknown says that it is not known what it has: nobody has read it yet.
	Unknown bool
	// Closed says that it is to be given nothing new as long as others can do with it.
	Closed bool
}

// Parallelism is how many pods each cluster is to run at once now, of total in all. It
// goes where work is left, and on as clusters are done; whoever is done keeps what it
// has, which means nothing any more. Nobody is told to run more before others, who are
// to run less, do so. What it says is final once everybody has it and nobody gets on:
// then it says the same again.
func Parallelism(total int32, parts []Work) []int32 {
	j := &job{parts: parts, next: make([]int32, len(parts)), free: int64(total)}
	for i, p := range parts {
		j.next[i] = p.Has
		if p.busy() {
			j.free -= int64(p.Has)
		}
	}
	spare := j.free // what can be given away at once
	j.lower()
	for i, p := range parts { // it may have all that others have not, and will show it in a moment
		if p.Unknown && p.Left > 0 {
			j.next[i] = int32(max(0, min(int64(p.Left), spare)))
			spare = 0
		}
	}
	if spare > 0 {
		j.raise(spare)
	} else {
		j.release()
	}
	return j.next
}

// job is one call of Parallelism.
type job struct {
	parts []Work
	next  []int32
	free  int64 // of the total; below 0: so many too much
}

func (w Work) busy() bool { return w.Left > 0 && !w.Unknown }

// weight is at least 1: what was divided while nothing was to run goes on, too.
func (w Work) weight() int64 { return int64(max(1, w.Weight)) }

// lower takes away what is too much: first what means nothing, as more pods at once
// than are left to do, then from who has most for its weight, and the last pod of a
// cluster only if there is nothing else.
func (j *job) lower() {
	for i, p := range j.parts {
		if p.busy() && j.free < 0 {
			j.take(i, min(-j.free, int64(j.next[i]-p.Left)))
		}
	}
	for j.free < 0 {
		at := j.best(func(i int) bool { return j.next[i] > 0 }, j.givesBefore)
		if at < 0 {
			return
		}
		j.take(at, max(1, min(int64(j.next[at])-1, -j.free/int64(2*len(j.parts)))))
	}
}

func (j *job) take(i int, n int64) {
	if n > 0 {
		j.next[i] -= int32(n)
		j.free += n
	}
}

func (j *job) givesBefore(a, b int) bool {
	if last, other := j.next[a] == 1, j.next[b] == 1; last != other {
		return other
	}
	x, y := int64(j.next[a])*j.parts[b].weight(), int64(j.next[b])*j.parts[a].weight()
	return x > y || x == y && a > b
}

// raise gives n pods at once to those that have work left for them.
func (j *job) raise(n int64) {
	for n > 0 {
		at := j.best(j.wants, j.getsBefore)
		if at < 0 {
			return
		}
		k := max(1, n/int64(2*len(j.parts)))
		if j.next[at] == 0 {
			k = 1
		}
		k = min(k, int64(j.parts[at].Left-j.next[at]))
		j.next[at] += int32(k)
		j.free, n = j.free-k, n-k
	}
}

func (j *job) wants(i int) bool { return j.parts[i].busy() && j.next[i] < j.parts[i].Left }

func (j *job) getsBefore(a, b int) bool {
	x, y := j.parts[a], j.parts[b]
	if x.Closed != y.Closed {
		return y.Closed
	}
	if none, other := j.next[a] == 0, j.next[b] == 0; none != other {
		return none
	}
	m, n := int64(j.next[b]+1)*x.weight(), int64(j.next[a]+1)*y.weight()
	return m > n || m == n && a < b
}

// release takes away what means nothing where others could do with it. They are given it
// once it is gone.
func (j *job) release() {
	var wanted int64
	for i, p := range j.parts {
		if j.wants(i) {
			wanted += int64(p.Left - j.next[i])
		}
	}
	wanted -= max(0, j.free)
	for i, p := range j.parts {
		if p.busy() && wanted > 0 && j.next[i] > p.Left {
			k := min(wanted, int64(j.next[i]-p.Left))
			j.take(i, k)
			wanted -= k
		}
	}
}

// best is the first of the parts that may be chosen, by an order; -1 without any.
func (j *job) best(may func(int) bool, before func(a, b int) bool) int {
	best := -1
	for i := range j.parts {
		if j.parts[i].busy() && may(i) && (best < 0 || before(i, best)) {
			best = i
		}
	}
	return best
}
