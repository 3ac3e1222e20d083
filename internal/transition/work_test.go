package transition

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestParallelism(t *testing.T) {
	for _, c := range []struct {
		name  string
		total int32
		parts []Work
		want  []int32
	}{
		{"made: as it was divided", 7, []Work{{Weight: 3, Left: 3}, {Weight: 2, Left: 2}, {Weight: 2, Left: 2}}, []int32{3, 2, 2}},
		{"made: many for each", 1001, []Work{{Weight: 500, Left: 5000}, {Weight: 500, Left: 5000}, {Weight: 1, Left: 10}}, []int32{500, 500, 1}},
		{"as told", 7, []Work{{3, 3, 3, false, false}, {2, 2, 2, false, false}, {2, 2, 2, false, false}}, []int32{3, 2, 2}},
		{"getting on costs nothing", 7, []Work{{3, 3, 1, false, false}, {2, 2, 1, false, false}, {2, 2, 2, false, false}}, []int32{3, 2, 2}},
		{"lowered", 4, []Work{{3, 3, 3, false, false}, {2, 2, 2, false, false}, {2, 2, 2, false, false}}, []int32{2, 1, 1}},
		{"lowered below the clusters", 2, []Work{{3, 3, 3, false, false}, {2, 2, 2, false, false}, {2, 2, 2, false, false}}, []int32{1, 1, 0}},
		{"one is done", 2, []Work{{3, 1, 0, false, false}, {2, 1, 1, false, false}, {2, 0, 2, false, false}}, []int32{1, 1, 1}},
		{"two are done", 2, []Work{{3, 1, 0, false, false}, {2, 1, 0, false, false}, {2, 0, 2, false, false}}, []int32{1, 1, 2}},
		{"raised again", 7, []Work{{3, 1, 3, false, false}, {2, 1, 2, false, false}, {2, 0, 2, false, false}}, []int32{3, 2, 2}},
		{"paused", 0, []Work{{3, 1, 3, false, false}, {2, 1, 2, false, false}}, []int32{0, 0}},
		{"divided while paused", 3, []Work{{0, 0, 9, false, false}}, []int32{3}},
		{"not before others have less", 3, []Work{{3, 3, 1, false, false}, {2, 0, 2, false, false}}, []int32{1, 0}},
		{"closed comes last", 3, []Work{{1, 0, 5, false, true}, {1, 0, 2, false, false}}, []int32{1, 2}},
		{"nothing is known yet", 2, []Work{{3, 0, 3, true, false}, {2, 0, 2, true, false}}, []int32{2, 0}},
		{"what is known goes first", 2, []Work{{3, 0, 3, true, false}, {2, 2, 2, false, false}}, []int32{0, 2}},
		{"nothing to wait for", 5, []Work{{1, 1, Unlimited, false, false}, {1, 1, Unlimited, false, false}}, []int32{3, 2}},
	} {
		if got := Parallelism(c.total, c.parts); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// TestParallelismComesToRest has everybody do what they are told, while nobody gets on.
func TestParallelismComesToRest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		total := rapid.Int32Range(0, 20).Draw(t, "total")
		parts := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Work {
			return Work{
				Weight: rapid.Int32Range(0, 5).Draw(t, "weight"), Has: rapid.Int32Range(0, 9).Draw(t, "has"),
				Left: rapid.Int32Range(0, 9).Draw(t, "left"), Closed: rapid.Bool().Draw(t, "closed"),
			}
		}), 1, 5).Draw(t, "parts")
		for round := 0; ; round++ {
			next, same, sum, left := Parallelism(total, parts), true, int32(0), int32(0)
			for i := range parts {
				if same = same && parts[i].Has == next[i]; parts[i].Left > 0 {
					sum, left = sum+min(next[i], parts[i].Left), left+parts[i].Left
				}
				parts[i].Has = next[i]
			}
			if same {
				if sum != min(total, left) {
					t.Fatalf("%d of %d run at once, with %d left: %v", sum, total, left, parts)
				}
				return
			}
			if round > 3 {
				t.Fatalf("it does not come to rest: %v", parts)
			}
		}
	})
}

// worker is a cluster that does its part of a Job.
type worker struct {
	weight, completions, done int32
	has                       int32 // what its Job says
	told                      int32
	sent                      int32 // what is on its way there, -1: nothing
	unread                    bool  // by a hub that was started again
}

// play is a Job in some clusters.
type play struct {
	*rapid.T
	total int32
	all   []*worker
}

// decide is what the hub does when something is new.
func (p *play) decide() {
	parts := make([]Work, len(p.all))
	for i, w := range p.all {
		parts[i] = Work{Weight: w.weight, Has: max(w.has, w.sent), Left: w.completions - w.done, Unknown: w.unread}
	}
	next := Parallelism(p.total, parts)
	if !slices.Equal(next, Parallelism(p.total, parts)) {
		p.Fatal("not the same twice")
	}
	for i, n := range next {
		if p.all[i].told = n; n < 0 {
			p.Fatalf("%+v: told %v", parts, next)
		}
	}
}

// send has the hub write what is to be written, unless it does so or has read nothing.
func (p *play) send(w *worker) {
	if p.decide(); w.unread || w.sent >= 0 || w.told == w.has {
		return
	}
	w.sent = w.told
	var running int32
	for _, w := range p.all {
		if w.done < w.completions {
			running += max(w.has, w.sent)
		}
	}
	if w.sent > w.has && running > p.total {
		p.Fatalf("%d will run at once, %d may", running, p.total)
	}
}

func (p *play) arrive(w *worker) {
	if w.sent >= 0 {
		w.has, w.sent = w.sent, -1
	}
}

func (w *worker) progress() bool {
	if w.has == 0 || w.done >= w.completions {
		return false
	}
	w.done++
	return true
}

// killed is the hub that is started again, which reads one cluster after the other.
func (p *play) killed() {
	for _, w := range p.all {
		if w.sent >= 0 && rapid.Bool().Draw(p.T, "arrives") {
			w.has = w.sent
		}
		w.told, w.sent, w.unread = 0, -1, true
	}
}

func (p *play) read(w *worker) {
	w.unread = false
	p.decide()
}

// TestAllWorkGetsDone plays Jobs whose parallelism is changed at any time, to clusters
// that take their time, under a hub that is killed now and then.
func TestAllWorkGetsDone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := &play{T: t, total: rapid.Int32Range(0, 12).Draw(t, "total")}
		for range rapid.IntRange(1, 5).Draw(t, "clusters") {
			weight := rapid.Int32Range(0, 5).Draw(t, "weight")
			p.all = append(p.all, &worker{weight: weight, completions: weight * rapid.Int32Range(1, 3).Draw(t, "completions"), sent: -1})
		}
		p.decide()
		for range rapid.IntRange(0, 40).Draw(t, "steps") {
			w := p.all[rapid.IntRange(0, len(p.all)-1).Draw(t, "which")]
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			case 0:
				p.total = rapid.Int32Range(0, 12).Draw(t, "total")
			case 1, 2:
				p.send(w)
			case 3, 4:
				p.arrive(w)
			case 5, 6:
				w.progress()
			case 7:
				p.read(w)
			case 8:
				p.killed()
			}
			p.decide()
		}
		p.total = max(1, p.total)
		for idle := 0; idle < 4; idle++ { // then nobody touches it any more
			for _, w := range p.all {
				p.read(w)
				p.send(w)
				p.arrive(w)
				if w.progress() {
					idle = 0
				}
			}
		}
		for i, w := range p.all {
			if w.done != w.completions {
				t.Fatalf("cluster %d has done %d of %d, and runs %d at once: it waits for ever", i, w.done, w.completions, w.has)
			}
		}
	})
}
