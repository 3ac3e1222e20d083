package decide

import "maps"

// WithLost is f as if clusters were lost, for all workloads.
func (f *Facts) WithLost(clusters ...string) *Facts {
	out := *f
	if out.lost = maps.Clone(f.lost); out.lost == nil {
		out.lost = map[loss]bool{}
	}
	for _, name := range clusters {
		out.lost[loss{cluster: name}] = true
	}
	return &out
}
