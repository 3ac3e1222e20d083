package propagate

import (
	"context"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/internal/metrics"
	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// loop owns a World: it alone applies inputs to it and has the effects carried out, one after the other. Whoever has
// an input never waits for it, so that no member can hold up another, or the hub.
type loop struct {
	world *decide.World
	clock clock.WithTicker
	carry func(decide.Effect)
	// applied is called once the effects of an input have been carried out.
	applied func(decide.Input)
	// took, if not nil, is told how long an input took to be decided about.
	took func(time.Duration)
	// queue, if not nil, measures how many inputs and questions wait, and for how long.
	queue *metrics.Queue
	// trace, if not nil, hears of each input and its effects, for the flight recorder. It must not block.
	trace func(at time.Time, in decide.Input, effects []decide.Effect)

	mu     sync.Mutex
	urgent []request
	others []request
	// seen is where in others the last Seen about an object in a member is that has not been applied: the next takes its place.
	seen  map[sighting]int
	woken chan struct{}
}

// request is an input, or a question.
type request struct {
	input decide.Input
	// ask is called with the World in place of an input.
	ask func(*decide.World, time.Time)
	// answer gets the effects of the input.
	answer chan<- []decide.Effect
	// at is since when it waits.
	at time.Time
}

// sighting is an object in a member.
type sighting struct {
	cluster string
	key     template.Key
}

// batch is how many inputs are applied before work that was left may go on, so that neither starves.
const batch = 64

func newLoop(world *decide.World, clock clock.WithTicker, carry func(decide.Effect)) *loop {
	return &loop{world: world, clock: clock, carry: carry, seen: map[sighting]int{}, woken: make(chan struct{}, 1)}
}

// add has an input applied. It does not block.
func (l *loop) add(in decide.Input) { l.put(request{input: in}) }

func (l *loop) put(r request) {
	r.at = l.clock.Now()
	l.mu.Lock()
	waiting := len(l.urgent) + len(l.others)
	switch in := r.input.(type) {
	case nil, decide.Looked, decide.ClustersListed, decide.ClusterWritten, decide.ClusterDeleted:
		l.urgent = append(l.urgent, r)
	case decide.Seen:
		at, queued := l.seen[sighting{in.Cluster, in.Key}]
		if queued {
			r.at = l.others[at].at
			l.others[at] = r
			break
		}
		l.seen[sighting{in.Cluster, in.Key}] = len(l.others)
		l.others = append(l.others, r)
	default:
		l.others = append(l.others, r)
	}
	if len(l.urgent)+len(l.others) > waiting {
		l.queue.Put()
	}
	l.mu.Unlock()
	select {
	case l.woken <- struct{}{}:
	default:
	}
}

// apply has an input applied and blocks until its effects have been carried out, or ctx ends.
func (l *loop) apply(ctx context.Context, in decide.Input) []decide.Effect {
	answer := make(chan []decide.Effect, 1)
	l.put(request{input: in, answer: answer})
	select {
	case effects := <-answer:
		return effects
	case <-ctx.Done():
		return nil
	}
}

// ask calls question with the World, which it must not change, and blocks until it returns, or ctx ends. It is for questions
// that are answered at once; whatever takes longer works on a Fork.
func (l *loop) ask(ctx context.Context, question func(*decide.World, time.Time)) error {
	done := make(chan struct{})
	l.put(request{ask: func(w *decide.World, now time.Time) {
		defer close(done)
		question(w, now)
	}})
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// take is what waits, and makes room for what comes. Urgent is first; of the others at most a batch is taken.
func (l *loop) take() (taken []request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	taken, l.urgent = l.urgent, nil
	n := min(len(l.others), batch)
	taken = append(taken, l.others[:n]...)
	if n == len(l.others) {
		l.others = nil
		clear(l.seen)
		return taken
	}
	l.others = l.others[n:]
	for at, i := range l.seen {
		if i < n {
			delete(l.seen, at)
		} else {
			l.seen[at] = i - n
		}
	}
	return taken
}

// run applies inputs until ctx ends.
func (l *loop) run(ctx context.Context) {
	timer := l.clock.NewTimer(time.Hour)
	defer timer.Stop()
	var due time.Time // when the World is to be called, zero: it waits for nothing
	more := false     // it has work left
	for {
		taken := l.take()
		for _, r := range taken {
			due, more = l.do(r, due, more)
		}
		now := l.clock.Now()
		if more || !due.IsZero() && !now.Before(due) {
			due, more = l.do(request{input: decide.Tick{}}, due, false)
			continue
		}
		if len(taken) > 0 {
			continue
		}
		var tick <-chan time.Time
		if !due.IsZero() {
			timer.Reset(due.Sub(now))
			tick = timer.C()
		}
		select {
		case <-ctx.Done():
			return
		case <-l.woken:
		case <-tick:
		}
	}
}

// do applies one request, and returns when the World is to be called next and whether it has work left.
func (l *loop) do(r request, due time.Time, more bool) (time.Time, bool) {
	now := l.clock.Now()
	if !r.at.IsZero() { // not the loop's own
		l.queue.Taken(now.Sub(r.at))
	}
	if r.ask != nil {
		r.ask(l.world, now)
		return due, more
	}
	effects := l.world.Apply(r.input, now)
	if l.took != nil {
		l.took(l.clock.Since(now))
	}
	if l.trace != nil {
		l.trace(now, r.input, effects)
	}
	due, more = time.Time{}, false
	for _, e := range effects {
		switch e := e.(type) {
		case decide.At:
			due = e.Time
		case decide.More:
			more = true
		default:
			l.carry(e)
		}
	}
	if l.applied != nil {
		l.applied(r.input)
	}
	if r.answer != nil {
		r.answer <- effects
	}
	return due, more
}
