package member

import (
	"context"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/lineage"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// What an object waits for that a Residency does not let be in the cluster.
const podsToEnd = "its pods to end"

// lookAtExpelled is how often such an object is looked at, as what it waits for may be another's to end.
const lookAtExpelled = 2 * time.Second

// expelled says whether a Residency does not let the object be in the cluster, although the hub has it and the member stays.
func (v *view) expelled() bool {
	return v.want != nil && v.want.Outside != "" && !v.want.Going && !v.leaving
}

// expel is what follows for an object of this hub's that has to leave the cluster: it goes only once nothing there needs it.
// Workloads run fewer as others are ready, and go when none of their pods is left; then goes all else, and at last the
// Namespace. Work that has begun ends first, since nobody may do it twice. Where data of volumes would go with an object,
// somebody has to approve. Nothing is written to it meanwhile but how many replicas it is to run.
func (v *view) expel() step {
	switch {
	case v.approved:
	case v.key.GR == template.Namespaces() && v.in.left > 0:
		return v.lingers("what is in it to leave")
	case v.key.GR == template.Namespaces() && v.in.holds == volumeClaims:
		return v.withhold(lineage.MayHoldData)
	case v.key.GR == template.Namespaces() && v.in.holds != "":
		return v.lingers(v.in.holds + " in it to end")
	case v.key.GR.String() == volumeClaims && !v.in.runs:
		return v.withhold(lineage.MayHoldData)
	case v.want.Division == kinds.Replicas && !v.empty():
		return v.runFewer()
	case v.want.StaysPut() && v.want.Placed && !v.want.Finished():
		return v.lingers("its work, which has begun there, to end")
	case !Decides(v.key.GR) && v.in.runs:
		return v.lingers("the workloads of its namespace to leave")
	}
	return step{verb: remove, uid: v.rec.seen.uid}
}

func (v *view) lingers(what string) step {
	s := waits(what)
	s.again = lookAtExpelled
	return s
}

// empty says whether a workload runs nothing, and has nothing more to end.
func (v *view) empty() bool {
	o := &v.rec.seen
	n, _ := o.status["replicas"].(int64)
	return o.replicas != nil && *o.replicas == 0 && n == 0 && o.observed >= o.generation
}

// runFewer tells a workload how many replicas it is to run now, if that is fewer than it does.
func (v *view) runFewer() step {
	n := v.want.Share.Replicas
	switch has := v.rec.seen.replicas; {
	case has == nil:
		return v.lingers(podsToEnd)
	case *has == 0:
		return v.lingers(podsToEnd)
	case n >= *has:
		return v.lingers("others to be ready in its place")
	}
	return step{verb: lower, uid: v.rec.seen.uid, body: map[string]any{
		"metadata": map[string]any{"uid": string(v.rec.seen.uid)}, "spec": map[string]any{"replicas": int64(n)},
	}}
}

// surround fills in what else of the hub's is where an object has to leave.
func (m *Member) surround(v *view) {
	namespace := v.key.Namespace
	if v.key.GR == template.Namespaces() {
		namespace = v.key.Name
	}
	if namespace == "" {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for key, r := range m.records {
		if key.Namespace != namespace || !r.seen.exists() || !r.seen.ours(m.options.Hub) {
			continue
		}
		v.in.left++
		v.in.runs = v.in.runs || r.seen.runs(key.GR)
	}
}

// runs says whether an object is a workload that has pods, or will.
func (o *seen) runs(gr schema.GroupResource) bool {
	switch gr {
	case template.Jobs():
		return !template.JobEnds(o.status, "Complete", "Failed")
	case schema.GroupResource{Resource: "pods"}:
		return o.status["phase"] != "Succeeded" && o.status["phase"] != "Failed"
	}
	n, _ := o.status["replicas"].(int64)
	return o.replicas != nil && *o.replicas > 0 || n > 0
}

const volumeClaims = "persistentvolumeclaims"

// lookInside asks the member what is in a Namespace that has to leave, and that nothing of the hub's is in any more: what others
// run there ends first, and their volumes may hold data. Everything else goes with the Namespace, as it does when the hub's
// is deleted.
func (t *task) lookInside(ctx context.Context) error {
	if t.key.GR != template.Namespaces() || !t.expelled() || !t.rec.seen.exists() || t.rec.seen.deleting || t.in.left > 0 {
		return nil
	}
	for _, resource := range []string{"pods", volumeClaims} {
		list, err := t.client.Resource(schema.GroupVersionResource{Version: "v1", Resource: resource}).Namespace(t.key.Name).
			List(ctx, metav1.ListOptions{Limit: 1})
		if err != nil {
			return err
		}
		if len(list.Items) > 0 {
			t.in.holds = resource
			return nil
		}
	}
	return nil
}
