package schedule

import "github.com/hanse-dev/hanse/internal/schedule/constraints"

// usage counts which domains are used, for a policy's Spread.
type usage struct {
	Spread
	of    []int32
	count []int64
	used  int64
	want  int64
}

func newUsage(t *constraints.Topology, s Spread, total int64) *usage {
	return &usage{Spread: s, of: t.Of, count: make([]int64, len(t.Values)), want: min(int64(s.AtLeast), total)}
}

func (s *usage) add(site int32, n int64) {
	d := s.of[site]
	if d < 0 {
		return
	}
	before := s.count[d]
	s.count[d] += n
	switch {
	case before == 0 && n > 0:
		s.used++
	case before > 0 && s.count[d] == 0:
		s.used--
	}
}

// fresh reports whether a replica at a site would use one domain more.
func (s *usage) fresh(site int32) bool { return s.of[site] >= 0 && s.count[s.of[site]] == 0 }

// needed reports whether the only replica of its domain is there, and no other
// domain can be spared for it.
func (s *usage) needed(site int32) bool {
	d := s.of[site]
	return d >= 0 && s.count[d] == 1 && s.used <= s.want
}
