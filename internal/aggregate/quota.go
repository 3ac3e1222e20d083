package aggregate

import (
	"maps"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/quota"
)

// quota merges ResourceQuotas that are divided: of what pods take, the members' use adds up. All else the hub's own controller
// counts, and so it does where there is nothing to divide.
func (m *merger) quota() map[string]any {
	annotations, _ := object(m.hub, "metadata")["annotations"].(map[string]any)
	totals := quota.Read(object(m.spec, "hard"))
	if annotations[v1alpha1.AnnotationQuota] == v1alpha1.QuotaEach || len(totals) == 0 {
		return nil
	}
	sum := make(map[string]quota.Amount, len(totals))
	for _, s := range m.members {
		for name, n := range quota.Read(object(s.Status, "used")) {
			sum[name] += n
		}
	}
	used := maps.Clone(object(m.prev, "used"))
	if used == nil {
		used = map[string]any{}
	}
	for name := range totals {
		used[name] = quota.Write(name, sum[name])
	}
	return map[string]any{"hard": clone(object(m.spec, "hard")), "used": used}
}
