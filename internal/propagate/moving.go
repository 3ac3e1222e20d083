package propagate

import (
	"sync"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/transition"
)

// moves is the workloads that some cluster runs more of than it is to in the end:
// they are looked at again when a status arrives. What clusters run, and what they
// are to run, is known without it, so that nothing is lost with it. Its mutex is
// taken before member.mu, and not together with Engine.mu.
type moves struct {
	mu  sync.Mutex
	all map[Key]map[string]int32 // what members were last told, if that is less than was seen there
}

func newMoves() *moves { return &moves{all: map[Key]map[string]int32{}} }

// shareNow is what a member is to run of t now: its share, or more where others are
// not ready to do without.
func (e *Engine) shareNow(t *template, m *member, rec *record) share {
	s := t.shares[m.name]
	if t.division != kinds.Replicas || !rec.hasMore(t, s.replicas) || rec.asWanted(s) {
		return s
	}
	members := e.sortedMembers()
	e.moves.mu.Lock()
	defer e.moves.mu.Unlock()
	told := e.moves.all[t.key]
	if told == nil {
		told = map[string]int32{}
		e.moves.all[t.key] = told
	}
	parts := make([]transition.Member, len(members))
	var running int32
	for i, other := range members {
		parts[i] = other.part(t, told)
		running += parts[i].Has
	}
	if rec.left != nil && running <= rec.left.target.share.total && rec.left.target.share.total > s.total {
		return s // nothing is in motion, there are to be fewer
	}
	next := transition.Next(parts, t.key.GR.Resource == "statefulsets")
	for i, other := range members {
		if other == m {
			s.replicas = next[i]
			told[m.name] = next[i]
		}
	}
	return s
}

// hasMore says whether the member runs more of t than n replicas.
func (r *record) hasMore(t *template, n int32) bool {
	return r.seen.exists() && r.seen.mark.Origin.Template == t.uid && r.seen.replicas != nil && *r.seen.replicas > n
}

// asWanted says whether the member was told already to run what it is to: if it runs
// more, somebody there has scaled it.
func (r *record) asWanted(s share) bool {
	return r.left != nil && r.left.target.share.replicas == s.replicas && r.left.target.share.total == s.total
}

// part is the member's in moving t. moves.mu is held.
func (m *member) part(t *template, told map[string]int32) transition.Member {
	p := transition.Member{Target: t.shares[m.name].replicas}
	rec := m.get(t.key)
	if !m.reachable() || !rec.seen.exists() || rec.seen.mark.Origin.Template != t.uid || rec.seen.replicas == nil {
		return p
	}
	p.Has = *rec.seen.replicas
	if n, ok := told[m.name]; ok && n < p.Has && n >= p.Target {
		p.Has = n // it may not have done so
	} else {
		delete(told, m.name)
	}
	if n, ok := rec.seen.status["readyReplicas"].(int64); ok {
		p.Ready = toInt32(n)
	}
	return p
}

// moveOn has the members look again at a workload that is being moved: one of them
// says something new about it. It costs next to nothing for all others.
func (e *Engine) moveOn(key Key) {
	if key.GR == jobs() {
		e.spreadWork(key)
		return
	}
	e.moves.mu.Lock()
	_, moving := e.moves.all[key]
	e.moves.mu.Unlock()
	if !moving {
		return
	}
	t, _ := e.template(key)
	e.mu.RLock()
	over := t == nil || e.moved(t)
	e.mu.RUnlock()
	if over {
		e.moves.mu.Lock()
		delete(e.moves.all, key)
		e.moves.mu.Unlock()
	}
	e.toMembers(key)
}

// of are the workloads of a resource that are being moved.
func (v *moves) of(gr schema.GroupResource) (keys []Key) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for key := range v.all {
		if key.GR == gr {
			keys = append(keys, key)
		}
	}
	return keys
}

// moved says whether no member in reach runs more of t than it is to. Engine.mu is
// held at least for reading.
func (e *Engine) moved(t *template) bool {
	for _, m := range e.members {
		if rec := m.get(t.key); m.reachable() && rec.hasMore(t, t.shares[m.name].replicas) {
			return false
		}
	}
	return true
}
