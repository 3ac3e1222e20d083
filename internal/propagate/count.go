package propagate

import (
	"slices"
	"sync"

	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/report"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// counts is how propagation to members is doing, in numbers. Each is asked for with each look at a member, and counted again
// only when something that it depends on is another.
type counts struct {
	published *published

	mu   sync.Mutex
	last map[string]count // by cluster
}

// count is what was counted last, out of what.
type count struct {
	of     basis
	counts report.Counts
}

// basis is all that a member's counts depend on.
type basis struct {
	member    report.Counted // joined again, it is another
	known     uint64         // its version
	published uint64         // that of what concerns it
	facts     *decide.Facts
}

// countable is what a member is counted by.
type countable interface {
	report.Counted
	Version() (version uint64, certain bool)
	Present() []template.Key
}

func newCounts(p *published) *counts { return &counts{published: p, last: map[string]count{}} }

// of counts what is placed in a member, or is there.
func (c *counts) of(m countable) report.Counts {
	known, certain := m.Version()
	now := basis{m, known, c.published.current(m.Name()), c.published.Facts()}
	c.mu.Lock()
	last := c.last[m.Name()]
	c.mu.Unlock()
	if certain && last.of == now {
		return last.counts
	}
	out, strays := c.count(m, now.facts)
	c.mu.Lock()
	defer c.mu.Unlock()
	if delete(c.last, m.Name()); certain && !strays {
		c.last[m.Name()] = count{now, out}
	}
	return out
}

// count counts all. strays is as of published.concerning.
func (c *counts) count(m countable, facts *decide.Facts) (out report.Counts, strays bool) {
	all, keys, strays := c.published.concerning(m.Name(), m.Present())
	surplus := func(yield func(template.Key, *decide.Observed) bool) {
		for _, key := range keys {
			if !yield(key, m.Glance(key)) {
				return
			}
		}
	}
	return report.Count(m, facts, slices.Values(all), surplus), strays
}

// forget drops what is remembered of a cluster that has left.
func (c *counts) forget(cluster string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.last, cluster)
}
