// Package failover judges which clusters are lost: out of reach for so long
// that what they were given is to fail over to others. It is pure: it is
// told what looks at the clusters found, and what time it is.
//
// # The rule
//
// A cluster is lost for a workload when the hub has not reached it for the
// workload's failover time. What is not absence never counts: a cluster that
// answers but refuses the hub's credential most likely runs what it is to run.
//
// Time is counted from the first look of this run of the hub that failed, so
// never from before the hub started. A look that succeeds ends it. One look that
// fails, which may have waited for longer than a short failover time, is not enough.
//
// Absence only counts while the hub is known to be well connected itself: at
// least half of the clusters have to have answered, each of them after the
// absence began and within the last Fresh. When more than half are out of reach
// the hub takes itself to be the one that is cut off: nothing more is lost, and
// for those that are still away when at least half are back, time starts again.
// Half of: the clusters that are not lost already. So of two clusters, one that
// fails is lost, both are not; of three, one is, and a second one is if the first
// was lost before; of one, none ever is.
//
// What is lost stays lost until it is reached.
package failover

import (
	"fmt"
	"math"
	"slices"
	"time"
)

const (
	// Fresh is how old an answer may be that shows that the hub is not cut off,
	// and a failure that shows that the cluster still is. Looks are some seconds
	// apart.
	Fresh = 10 * time.Second
	// longestLook bounds how long before it failed a look can have begun: a hub
	// that was stopped for a while must not count that as absence.
	longestLook = 6 * time.Second
)

// Judge knows the contacts with all clusters. It is not safe for concurrent
// use.
type Judge struct {
	settle   time.Duration
	clusters map[string]*contact
	failing  int // of them
	cutOff   bool
}

// contact is what is known of one cluster.
type contact struct {
	answered time.Time // when the last look that succeeded began; zero: none yet
	failed   time.Time // when the last look failed
	failures int       // looks in a row that failed
	since    time.Time // when the first look in a row that failed began; zero: the last one succeeded, or there was none
	from     time.Time // since, or the end of a time in which the hub was cut off
	away     time.Duration
}

func (c *contact) failing() bool { return !c.since.IsZero() }

// New makes a Judge. A cluster that has been away for settle is lost for good
// as far as the others' majority is concerned: usually that is the hub's own
// failover time.
func New(settle time.Duration) *Judge {
	return &Judge{settle: settle, clusters: map[string]*contact{}}
}

// Clone is a Judge that knows the same, and does not change with j.
func (j *Judge) Clone() *Judge {
	out := &Judge{settle: j.settle, cutOff: j.cutOff, clusters: make(map[string]*contact, len(j.clusters))}
	for name, c := range j.clusters {
		copied := *c
		out.clusters[name] = &copied
	}
	return out
}

// Keep says which clusters there are; what is known of others is forgotten.
func (j *Judge) Keep(names func(string) bool) {
	for name, c := range j.clusters {
		if !names(name) {
			delete(j.clusters, name)
			if c.failing() {
				j.failing--
			}
		}
	}
}

// Add says that there is a cluster, which nobody may have looked at.
func (j *Judge) Add(name string) { j.of(name) }

func (j *Judge) of(name string) *contact {
	c := j.clusters[name]
	if c == nil {
		c = &contact{}
		j.clusters[name] = c
	}
	return c
}

// Answered takes in a look that began at a time and got an answer.
func (j *Judge) Answered(name string, began, now time.Time) {
	c := j.of(name)
	if c.failing() {
		j.failing--
	}
	*c = contact{answered: began}
	j.Weigh(now)
}

// Failed takes in a look that got none.
func (j *Judge) Failed(name string, began, now time.Time) {
	c := j.of(name)
	c.failed = now
	c.failures++
	if !c.failing() {
		j.failing++
		c.since = began
		if earliest := now.Add(-longestLook); began.Before(earliest) {
			c.since = earliest
		}
		c.from = c.since
	}
	j.Weigh(now)
}

// Weigh counts time up to now. It has to be called for time to count, and may be
// called at any time.
func (j *Judge) Weigh(now time.Time) {
	if !j.Failing() { // as nearly always, at each look at each of very many clusters
		j.cutOff = false
		return
	}
	voters, failing := 0, 0
	for _, c := range j.clusters {
		if j.settled(c) {
			continue
		}
		voters++
		if c.failing() {
			failing++
		}
	}
	cutOff := 2*failing > voters
	ended := j.cutOff && !cutOff
	j.cutOff = cutOff
	heard := j.heard((voters+1)/2, now)
	for _, c := range j.clusters {
		if !c.failing() {
			continue
		}
		if ended {
			c.from = now
		}
		if !cutOff && c.failures > 1 && now.Sub(c.failed) <= Fresh && heard <= now.Sub(c.from) {
			c.away = max(c.away, now.Sub(c.from))
		}
	}
}

func (j *Judge) settled(c *contact) bool { return c.away >= j.settle }

// heard is the shortest time in which so many clusters have answered, which are in
// reach; longer than any if they have not lately.
func (j *Judge) heard(clusters int, now time.Time) time.Duration {
	if clusters == 0 {
		return 0
	}
	var ago []time.Duration
	for _, c := range j.clusters {
		if age := now.Sub(c.answered); !c.failing() && !c.answered.IsZero() && age <= Fresh {
			ago = append(ago, age)
		}
	}
	if len(ago) < clusters {
		return math.MaxInt64
	}
	slices.Sort(ago)
	return ago[clusters-1]
}

// CutsOff says whether the hub would take itself to be the one that is cut off if
// these clusters, too, did not answer any more.
func (j *Judge) CutsOff(names ...string) bool {
	voters, failing := 0, 0
	for name, c := range j.clusters {
		if j.settled(c) {
			continue
		}
		voters++
		if c.failing() || slices.Contains(names, name) {
			failing++
		}
	}
	return 2*failing > voters
}

// Failing says whether any cluster is out of reach.
func (j *Judge) Failing() bool { return j.failing > 0 }

// Away says whether the last look at a cluster failed.
func (j *Judge) Away(name string) bool {
	c := j.clusters[name]
	return c != nil && c.failing()
}

// Lost says whether a cluster is lost for workloads with this failover time, as
// of the last Weigh; never with 0.
func (j *Judge) Lost(name string, after time.Duration) bool {
	c := j.clusters[name]
	return c != nil && after > 0 && c.failing() && c.away >= after
}

// Next is when the next cluster may be lost, zero if none is on its way to be.
func (j *Judge) Next(now time.Time, afters ...time.Duration) (next time.Time) {
	if j.cutOff {
		return next
	}
	for _, c := range j.clusters {
		for _, after := range afters {
			if !c.failing() || after <= 0 || c.away >= after {
				continue
			}
			if at := c.from.Add(after); at.After(now) && (next.IsZero() || at.Before(next)) {
				next = at
			}
		}
	}
	return next
}

// Verdict is what is thought of a cluster.
type Verdict int

// Verdicts.
const (
	Reached Verdict = iota // or nobody has looked
	Waiting
	CutOff
	Lost
)

// Explain is the verdict on a cluster for a failover time above 0, in a
// sentence that stays the same while nothing changes.
func (j *Judge) Explain(name string, after time.Duration) (Verdict, string) {
	c := j.clusters[name]
	switch {
	case c == nil || !c.failing():
		return Reached, "the cluster is reachable"
	case j.Lost(name, after):
		return Lost, fmt.Sprintf("out of reach since %s, which is longer than %s: its replicas fail over to other clusters as far as they can take them", clock(c.since), after)
	case j.cutOff:
		away, all := j.count()
		return CutOff, fmt.Sprintf("%d of %d clusters are out of reach: the hub assumes that it is itself cut off, and nothing more fails over until at least half are back. Try: hanse drain %s, if this cluster is really lost", away, all, name)
	}
	return Waiting, fmt.Sprintf("out of reach since %s: its replicas fail over to other clusters when that is %s", clock(c.since), after)
}

// count is the clusters that are not lost already, and how many of them are out
// of reach.
func (j *Judge) count() (away, all int) {
	for _, c := range j.clusters {
		if j.settled(c) {
			continue
		}
		all++
		if c.failing() {
			away++
		}
	}
	return away, all
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05 UTC") }
