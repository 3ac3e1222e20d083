package propagate

import (
	"context"
	"maps"
	"math"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-dev/hanse/internal/capacity"
	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// ceiling is how many replicas a cluster has turned out to be able to run of a workload:
// the pods of others have been unschedulable for too long. It is forgotten some time
// after the last of them was seen, and with a restart: what was moved stays moved.
type ceiling struct {
	most  int32
	until time.Time
}

const (
	// stuckInterval is how often it is looked for pods that are unschedulable.
	stuckInterval = 5 * time.Second
	// ceilingRest is how long a cluster is not given back what it could not run.
	ceilingRest = 10 * time.Minute
	// unreadyFor is how long something has to be unready before members' pods are
	// watched to see whether that is why.
	unreadyFor = time.Minute
)

// watchStuck moves what clusters turn out not to be able to run, until ctx ends.
func (e *Engine) watchStuck(ctx context.Context) {
	ticker := time.NewTicker(stuckInterval)
	defer ticker.Stop()
	var unready time.Time // since when something is
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := e.clock()
		switch {
		case !e.anyUnready():
			unready = time.Time{}
		case unready.IsZero():
			unready = now
		case now.Sub(unready) >= unreadyFor:
			e.around.watcher.Want()
		}
		e.moveStuck(e.around.stuck(), now)
	}
}

// stuck is the unschedulable pods of workloads, by cluster.
func (s *surroundings) stuck() map[string]map[string]capacity.Unschedulable {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]map[string]capacity.Unschedulable{}
	for cluster, view := range s.views {
		if pods := view.Unschedulable(); len(pods) > 0 {
			out[cluster] = pods
		}
	}
	return out
}

// anyUnready says whether a member that answers has fewer ready replicas of anything
// than it was told to run.
func (e *Engine) anyUnready() bool {
	for _, m := range e.sortedMembers() {
		if m.reachable() && m.anyUnready() {
			return true
		}
	}
	return false
}

func (m *member) anyUnready() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.records {
		if r.seen.replicas == nil || !r.seen.exists() {
			continue
		}
		if ready, _ := r.seen.status["readyReplicas"].(int64); ready < int64(*r.seen.replicas) {
			return true
		}
	}
	return false
}

// moveStuck sets ceilings where pods have been unschedulable for as long as their
// workload's policy says, and decides again about these workloads.
func (e *Engine) moveStuck(stuck map[string]map[string]capacity.Unschedulable, now time.Time) {
	var keys []Key
	e.locked(func() {
		for key, ceilings := range e.ceilings {
			maps.DeleteFunc(ceilings, func(_ string, c ceiling) bool { return now.After(c.until) })
			if len(ceilings) == 0 {
				delete(e.ceilings, key)
			}
		}
		fresh := map[Key]bool{}
		for cluster, pods := range stuck {
			for workload, u := range pods {
				if key, ok := parseKey(workload); ok && e.setCeiling(key, cluster, u, now) {
					fresh[key] = true
				}
			}
		}
		if len(fresh) > 0 {
			keys = e.decideSome(func(t *template) bool { return fresh[t.key] })
		}
	})
	e.toMembers(keys...)
	e.changes.notify(keys...)
}

// setCeiling says whether there is a new one. Engine.mu is held.
func (e *Engine) setCeiling(key Key, cluster string, u capacity.Unschedulable, now time.Time) bool {
	t := e.stored(key)
	if t == nil || t.undecided || t.division != kinds.Replicas || !t.policy.Failover.Enabled {
		return false
	}
	share, after := t.shares[cluster].replicas, t.policy.Failover.UnschedulableAfter
	if after <= 0 || now.Sub(u.Since) < after || share == 0 {
		return false
	}
	c, has := e.ceilings[key][cluster]
	next := ceiling{most: max(0, share-u.Count), until: now.Add(ceilingRest)}
	if has && c.most <= next.most {
		next.most = c.most // it is known, and there is nowhere else for them
	}
	if e.ceilings[key] == nil {
		e.ceilings[key] = map[string]ceiling{}
	}
	e.ceilings[key][cluster] = next
	return !has || next.most != c.most
}

// placeUnder places a workload below the ceilings of t as far as others can take what
// that leaves: what fits nowhere else waits where it is. Engine.mu is held at least for
// reading.
func (e *Engine) placeUnder(t *template, snapshot *schedule.Snapshot, w *schedule.Workload) schedule.Decision {
	d := snapshot.Schedule(w)
	ceilings := e.ceilings[t.key]
	if len(ceilings) == 0 || d.Hold {
		return d
	}
	lower, stays := d, false
	for _, give := range []bool{false, true} { // then so much less as fitted nowhere
		short := max(0, lower.Unplaced-d.Unplaced)
		if give && short == 0 {
			break
		}
		under, p := *w, schedule.Policy{}
		if w.Policy != nil {
			p = *w.Policy
		}
		p.Max = maps.Clone(p.Max)
		if p.Max == nil {
			p.Max = map[string]int32{}
		}
		for _, s := range d.Shares {
			c, has := ceilings[s.Cluster]
			if !has || c.most >= s.Replicas {
				continue
			}
			back := min(short, s.Replicas-c.most)
			short, stays = short-back, stays || back > 0
			p.Max[s.Cluster] = min(maximum(p.Max, s.Cluster), c.most+back)
		}
		under.Policy = &p
		lower = snapshot.Schedule(&under)
	}
	if lower.Unplaced > d.Unplaced || lower.Hold {
		d.Waits = true
		return d
	}
	lower.Waits = lower.Waits || stays
	return lower
}

// maximum is that of a cluster.
func maximum(all map[string]int32, cluster string) int32 {
	for _, name := range []string{cluster, schedule.Others} {
		if n, ok := all[name]; ok {
			return n
		}
	}
	return math.MaxInt32
}

// parseKey reads what Key.String wrote.
func parseKey(s string) (Key, bool) {
	parts := strings.Split(s, "/")
	if len(parts) != 3 {
		return Key{}, false
	}
	return Key{GR: schema.ParseGroupResource(parts[0]), Namespace: parts[1], Name: parts[2]}, true
}
