package room

import (
	"maps"
	"math"
	"time"

	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// ceilingRest is how long a cluster is not given back what it could not run.
const ceilingRest = 10 * time.Minute

// Ceilings is how many replicas clusters have turned out to be able to run of workloads: the pods of others have been
// unschedulable for too long. One is forgotten some time after the last of them was seen, and with a restart: what was moved stays
// moved.
type Ceilings struct {
	of map[template.Key]map[string]ceiling // by cluster; the inner maps are replaced, never changed
}

type ceiling struct {
	most  int32
	until time.Time
}

// NewCeilings are none.
func NewCeilings() Ceilings { return Ceilings{of: map[template.Key]map[string]ceiling{}} }

// Clone is a copy, which may be changed without c.
func (c *Ceilings) Clone() Ceilings { return Ceilings{maps.Clone(c.of)} }

// Some says whether there are any.
func (c *Ceilings) Some() bool { return len(c.of) > 0 }

// Forget forgets those of a workload.
func (c *Ceilings) Forget(key template.Key) { delete(c.of, key) }

// Expire forgets those whose time is over.
func (c *Ceilings) Expire(now time.Time) {
	for key, ceilings := range c.of {
		kept := maps.Clone(ceilings)
		maps.DeleteFunc(kept, func(_ string, one ceiling) bool { return now.After(one.until) })
		if c.of[key] = kept; len(kept) == 0 {
			delete(c.of, key)
		}
	}
}

// Set notes that a cluster can run at most so many of a workload. It says whether that is another ceiling than before.
func (c *Ceilings) Set(key template.Key, cluster string, most int32, now time.Time) (fresh bool) {
	is, has := c.of[key][cluster]
	next := ceiling{most: most, until: now.Add(ceilingRest)}
	if has && is.most <= next.most {
		next.most = is.most // it is known, and there is nowhere else for them
	}
	all := maps.Clone(c.of[key])
	if all == nil {
		all = map[string]ceiling{}
	}
	all[cluster] = next
	c.of[key] = all
	return !has || next.most != is.most
}

// Place places a workload below its ceilings as far as others can take what that leaves: what fits nowhere else waits where
// it is.
func (c *Ceilings) Place(key template.Key, snapshot *schedule.Snapshot, wl *schedule.Workload) schedule.Decision {
	d := snapshot.Schedule(wl)
	ceilings := c.of[key]
	if len(ceilings) == 0 || d.Hold {
		return d
	}
	lower, stays := d, false
	for _, give := range []bool{false, true} { // then so much less as fitted nowhere
		unplaced := max(0, lower.Unplaced-d.Unplaced)
		if give && unplaced == 0 {
			break
		}
		under, p := *wl, schedule.Policy{}
		if wl.Policy != nil {
			p = *wl.Policy
		}
		p.Max = maps.Clone(p.Max)
		if p.Max == nil {
			p.Max = map[string]int32{}
		}
		for _, s := range d.Shares {
			one, has := ceilings[s.Cluster]
			if !has || one.most >= s.Replicas {
				continue
			}
			back := min(unplaced, s.Replicas-one.most)
			unplaced, stays = unplaced-back, stays || back > 0
			p.Max[s.Cluster] = min(maximum(p.Max, s.Cluster), one.most+back)
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
