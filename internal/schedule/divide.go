package schedule

import (
	"cmp"
	"fmt"
	"slices"
)

// slot is a ready cluster while the replicas are divided.
type slot struct {
	name     string
	rank     uint64
	held     bool  // in Current
	before   int64 // replicas in Current
	replicas int64
}

// divide is Schedule for a divided workload; clusters are sorted by name.
func divide(w Workload, clusters []Cluster) Decision {
	d := Decision{Divided: true}
	total := max(0, int64(w.Total))
	known := make(map[string]bool, len(clusters))
	var away int64
	var ready []slot
	seed := keyHash(w.Key)
	for _, c := range clusters {
		known[c.Name] = true
		replicas, held := w.Current[c.Name]
		replicas = max(0, replicas)
		switch {
		case c.Ready:
			ready = append(ready, slot{c.Name, rank(seed, c.Name), held, int64(replicas), int64(replicas)})
		case held:
			away += int64(replicas)
			d.Shares = append(d.Shares, Share{c.Name, replicas, "kept: not ready"})
		default:
			d.Rejected = append(d.Rejected, Rejection{c.Name, "not ready"})
		}
	}
	for name := range w.Current {
		if !known[name] {
			d.Rejected = append(d.Rejected, Rejection{name, "not a member any more"})
		}
	}

	slices.SortFunc(ready, func(a, b slot) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.name, b.name))
	})
	rest := max(0, total-away)
	level(ready, rest)
	d.addReady(ready, total, len(w.Current) == 0)
	switch {
	case away > total:
		d.Reason = fmt.Sprintf("clusters that are not ready hold %d, more than the total of %d", away, total)
	case len(ready) == 0:
		d.Unplaced = int32(rest)
		d.Reason = unplacedReason(len(clusters), rest == 0 && len(d.Shares) > 0)
	}
	slices.SortFunc(d.Shares, func(a, b Share) int { return cmp.Compare(a.Cluster, b.Cluster) })
	slices.SortFunc(d.Rejected, func(a, b Rejection) int { return cmp.Compare(a.Cluster, b.Cluster) })
	return d
}

// addReady turns the slots, which are in order of rank, into shares and
// rejections. An object that would be nowhere goes to the first, with nothing
// to run, so that it exists. fresh is that there was no division before.
func (d *Decision) addReady(ready []slot, total int64, fresh bool) {
	nowhere := len(d.Shares) == 0 && total == 0 && !slices.ContainsFunc(ready, func(s slot) bool { return s.held })
	for i, s := range ready {
		switch {
		case nowhere && i == 0:
			d.Shares = append(d.Shares, Share{s.name, 0, "holds the object: nothing to run"})
		case s.replicas == 0 && !s.held:
			d.Rejected = append(d.Rejected, Rejection{s.name, "no replicas left for it"})
		default:
			d.Shares = append(d.Shares, Share{s.name, int32(s.replicas), s.reason(fresh)})
		}
	}
}

func (s slot) reason(fresh bool) string {
	switch {
	case fresh:
		return "even share"
	case s.replicas > s.before:
		return fmt.Sprintf("raised from %d: had fewest", s.before)
	case s.replicas < s.before:
		return fmt.Sprintf("lowered from %d: had most", s.before)
	default:
		return "as before"
	}
}

// unplacedReason is for a workload that no ready cluster can take; complete is
// that the clusters that are not ready hold all of it already.
func unplacedReason(clusters int, complete bool) string {
	switch {
	case clusters == 0:
		return "no cluster has joined"
	case complete:
		return ""
	default:
		return "no cluster is ready"
	}
}

// level moves the slots' replicas, one at a time as it were, until they sum up
// to want: up where there are fewest (the first in rank among equals), or down
// where there are most (the last among equals). The slots are in order of rank.
func level(ready []slot, want int64) {
	if len(ready) == 0 {
		return
	}
	var sum int64
	for _, s := range ready {
		sum += s.replicas
	}
	if want >= sum {
		raise(ready, want-sum)
	} else {
		lower(ready, sum-want)
	}
}

// raise fills all slots up to the highest level that n replicas suffice for,
// and hands out the remainder in order of rank.
func raise(ready []slot, n int64) {
	needed := func(level int64) (sum int64) {
		for _, s := range ready {
			sum += max(0, level-s.replicas)
		}
		return sum
	}
	lo, hi := ready[0].replicas, ready[0].replicas+n // needed(lo) <= n < needed(hi+1) once lo is the minimum
	for _, s := range ready {
		lo = min(lo, s.replicas)
	}
	for lo < hi {
		mid := lo + (hi-lo+1)/2
		if needed(mid) <= n {
			lo = mid
		} else {
			hi = mid - 1
		}
	}
	n -= needed(lo)
	for i := range ready {
		s := &ready[i]
		if s.replicas > lo {
			continue
		}
		s.replicas = lo
		if n > 0 {
			s.replicas++
			n--
		}
	}
}

// lower cuts all slots down to the lowest level that takes no more than n
// replicas away, and takes the remainder in reverse order of rank.
func lower(ready []slot, n int64) {
	freed := func(level int64) (sum int64) {
		for _, s := range ready {
			sum += max(0, s.replicas-level)
		}
		return sum
	}
	var lo, hi int64 // freed(hi) = 0 <= n
	for _, s := range ready {
		hi = max(hi, s.replicas)
	}
	for lo < hi {
		mid := lo + (hi-lo)/2
		if freed(mid) <= n {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	n -= freed(lo)
	for i := len(ready) - 1; i >= 0; i-- {
		s := &ready[i]
		if s.replicas < lo {
			continue
		}
		s.replicas = lo
		if n > 0 {
			s.replicas--
			n--
		}
	}
}
