package schedule

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// namedCauses is how many clusters unmet names for one spread.
const namedCauses = 4

// unmet says which of the policy's spreads use fewer domains than they are to, and why.
// What a lost cluster was given does not count, what one that is merely away has does.
func (r *run) unmet() string {
	if r.total == 0 {
		return "" // nothing that could be spread
	}
	var all []string
	for _, s := range r.spreads {
		if s.used >= int64(s.AtLeast) {
			continue
		}
		said := fmt.Sprintf("%s wants at least %d of %s, has %d", r.policy.title(), s.AtLeast, spreadWord(s.Key), s.used)
		why := r.unmetBecause(s)
		if len(why) == 0 {
			why = []string{"no replicas are left for more"}
		}
		all = append(all, said+": "+strings.Join(why, ", "))
	}
	return strings.Join(all, "; ")
}

// unmetBecause is the causes: too few replicas, too few domains, and what is wrong with
// the clusters of the others.
func (r *run) unmetBecause(s *usage) (why []string) {
	if r.total < int64(s.AtLeast) {
		why = append(why, quantity(r.total, "replica"))
	}
	if n := len(s.count); n < int(s.AtLeast) {
		why = append(why, fmt.Sprintf("the clusters have %d", n))
	}
	if s.used >= r.total {
		return why // each replica has a domain of its own
	}
	var causes []string
	for i := range r.members {
		m := &r.members[i]
		if cause := r.cause(m); cause != "" && r.inUnused(s, int32(i)) {
			causes = append(causes, m.Name+isOrHas(cause)+cause)
		}
	}
	if more := len(causes) - namedCauses; more > 0 {
		causes = append(causes[:namedCauses], fmt.Sprintf("and %d more", more))
	}
	return append(why, causes...)
}

// inUnused says whether a cluster is in a domain that is not used.
func (r *run) inUnused(s *usage, member int32) bool {
	for site := r.x.First[member]; site < r.x.First[member+1]; site++ {
		if s.fresh(site) {
			return true
		}
	}
	return false
}

// isOrHas joins a cluster's name to the cause: "azure is lost", "azure: no room for …".
func isOrHas(cause string) string {
	switch cause {
	case "lost", "not ready", "drained", "cordoned":
		return " is "
	}
	return ": "
}

func quantity(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// spreadWord is a label as a policy's spread calls it.
func spreadWord(key string) string {
	switch key {
	case v1alpha1.LabelClusterName:
		return "cluster"
	case v1alpha1.LabelProvider:
		return v1alpha1.FieldProvider
	case v1alpha1.LabelContinent:
		return v1alpha1.FieldContinent
	case corev1.LabelTopologyRegion:
		return v1alpha1.FieldRegion
	case corev1.LabelTopologyZone:
		return v1alpha1.FieldZone
	}
	return key
}
