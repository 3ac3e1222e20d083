package propagate

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// Plan decides where an object would go, in clusters that are as given, by the rules
// that the Engine goes by. current is the division so far, nil for an object that
// is new. stays is why the object would not be propagated at all, or empty. It is
// pure.
func Plan(obj *unstructured.Unstructured, clusters []v1alpha1.Cluster, current map[string]int32) (d schedule.Decision, stays string) {
	plural, _ := meta.UnsafeGuessKindToResource(obj.GroupVersionKind()) // right for all kinds that are divided
	gr := plural.GroupResource()
	if reason, ok := kinds.NewTable().Stays(gr, obj); ok {
		return d, reason
	}
	content := kinds.Template(gr, obj)
	division := kinds.DivisionOf(gr, content)
	w := schedule.Workload{
		Key:     Key{GR: gr, Namespace: obj.GetNamespace(), Name: obj.GetName()}.String(),
		Divided: division != kinds.Everywhere, Total: kinds.Total(division, content),
		Namespace: obj.GetNamespace(), Current: current,
	}
	if w.Divided {
		w.Template = constraintsOf(content)
	}
	all := make([]schedule.Cluster, len(clusters))
	for i := range clusters {
		all[i] = newCluster(&clusters[i]).forSchedule()
	}
	slices.SortFunc(all, func(a, b schedule.Cluster) int { return strings.Compare(a.Name, b.Name) })
	return schedule.Schedule(w, all), ""
}
