package health

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Limits bound what a Prober does, for one owner of checks and for all together. Whoever
// asks for more checks than that has some that are not made; whoever asks for them more
// often has all of them made less often.
type Limits struct {
	// Checks and Rate are how many checks one owner has, and how many of them are made in a
	// second; AllChecks and AllRate are those of all owners.
	Checks, AllChecks int
	Rate, AllRate     float64
	// Sockets and AllSockets are how many probes of one owner, and of all, are under way at a time.
	Sockets, AllSockets int
	// Idle is how many connections are kept for the next probe.
	Idle int
}

// DefaultLimits are enough for 500 addresses of each namespace every ten seconds, and for a
// hub to stay within a tenth of a core.
func DefaultLimits() Limits {
	return Limits{Checks: 512, Rate: 50, Sockets: 64, AllChecks: 20000, AllRate: 2000, AllSockets: 1024, Idle: 4096}
}

// Within are limits that leave three quarters of a process's files to others.
func (l Limits) Within(files uint64) Limits {
	l.AllSockets = min(l.AllSockets, max(16, int(min(files, 1<<20)/20)))
	l.Idle = min(l.Idle, max(16, int(min(files, 1<<20)/5)))
	return l
}

// share is what an owner's checks come to.
type share struct {
	checks  []Check
	stretch float64 // of intervals
	left    int     // checks that are not made
}

// divide says which of the owners' checks are made, and how much less often than is asked
// for. Those that are made already come first, so that what is new takes nothing away. A
// check of several owners is the first one's.
func (l Limits) divide(wanted map[string][]Check, made func(Check) bool) map[string]*share {
	shares := map[string]*share{}
	taken := map[Check]bool{}
	total := 0
	for _, owner := range slices.Sorted(maps.Keys(wanted)) {
		s := &share{stretch: 1}
		var fresh []Check
		for _, c := range wanted[owner] {
			if taken[c] {
				continue
			}
			taken[c] = true
			if made(c) {
				s.checks = append(s.checks, c)
			} else {
				fresh = append(fresh, c)
			}
		}
		s.checks = append(s.checks, fresh...)
		shares[owner] = s
		total += len(s.checks)
	}
	most := l.Checks
	if l.AllChecks > 0 && total > l.AllChecks {
		most = max(1, min(most, l.AllChecks/len(shares)))
	}
	all := 0.0
	for _, s := range shares {
		if most > 0 && len(s.checks) > most {
			s.left = len(s.checks) - most
			s.checks = s.checks[:most]
		}
		rate := 0.0
		for _, c := range s.checks {
			rate += 1 / c.withDefaults().Interval.Seconds()
		}
		if l.Rate > 0 && rate > l.Rate {
			s.stretch = rate / l.Rate
		}
		all += rate / s.stretch
	}
	if l.AllRate > 0 && all > l.AllRate {
		for _, s := range shares {
			s.stretch *= all / l.AllRate
		}
	}
	return shares
}

// every is how often a check is made.
func (s *share) every(c Check) time.Duration {
	return time.Duration(float64(c.withDefaults().Interval) * s.stretch)
}

// tooMany is said of a check that is not made.
func (l Limits) tooMany(owner string, left int) string {
	return fmt.Sprintf("not probed: namespace %s has %d probes more than it may have, or than the hub makes. Try: fewer hosts, or addresses", owner, left)
}

// bucket holds what may be probed without a pause: new checks are made soon, and whoever
// replaces theirs all the time gets no further with that.
type bucket struct {
	tokens float64
	at     time.Time
}

// slack is how much faster than a limit's rate a bucket fills, so that checks that keep to
// the rate never find it empty; depth is how many seconds of it a bucket holds.
const (
	slack = 1.2
	depth = 2
)

// fill brings a bucket up to a time.
func (b *bucket) fill(now time.Time, rate float64) {
	if b.at.IsZero() {
		b.tokens = depth * rate
	} else {
		b.tokens = min(depth*rate, b.tokens+slack*rate*max(0, now.Sub(b.at).Seconds()))
	}
	b.at = now
}

// tidy forgets the buckets of those who have no checks any more, once they are full. The
// caller holds mu.
func (p *Prober) tidy(owners map[string]*share) {
	for owner, b := range p.buckets {
		if b.fill(p.clock.Now(), p.cfg.Limits.Rate); owners[owner] == nil && b.tokens >= depth*p.cfg.Limits.Rate {
			delete(p.buckets, owner)
		}
	}
}

// begin says whether a probe of an owner may begin now; end has to follow if so. The caller
// holds mu.
func (p *Prober) begin(owner string) bool {
	l := p.cfg.Limits
	if l.AllSockets > 0 && p.running >= l.AllSockets || l.Sockets > 0 && p.by[owner] >= l.Sockets {
		return false
	}
	if now := p.clock.Now(); l.Rate > 0 && l.AllRate > 0 {
		b := p.buckets[owner]
		if b == nil {
			b = &bucket{}
			p.buckets[owner] = b
		}
		b.fill(now, l.Rate)
		p.all.fill(now, l.AllRate)
		if b.tokens < 1 || p.all.tokens < 1 {
			return false
		}
		b.tokens--
		p.all.tokens--
	}
	p.running++
	p.by[owner]++
	return true
}

// end takes back begin; the caller holds mu.
func (p *Prober) end(owner string) {
	p.running--
	if p.by[owner]--; p.by[owner] == 0 {
		delete(p.by, owner)
	}
}
