package member

import (
	"context"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-dev/hanse/internal/lineage"
	"github.com/hanse-dev/hanse/internal/propagate/expel"
	"github.com/hanse-dev/hanse/internal/propagate/policies"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// lookAtExpelled is how often an object is looked at that has to leave, as what it waits for may be another's to end.
const lookAtExpelled = 2 * time.Second

// expelled says whether a Residency does not let the object be in the cluster, although the hub has it and the member stays.
func (v *view) expelled() bool {
	return v.want != nil && v.want.Outside != "" && !v.want.Going && !v.leaving
}

// expel is what follows for an object of this hub's that has to leave the cluster. Nothing is written to it meanwhile but how many
// replicas it is to run.
func (v *view) expel() step {
	o := &v.rec.seen
	action, what := expel.Next(expel.Object{
		Want: v.want, Replicas: o.replicas, Status: o.status, Current: o.observed >= o.generation,
		Runs: v.in.runs, Left: v.in.left, Holds: v.in.holds, Approved: v.approved,
	})
	switch action {
	case expel.Ask:
		return v.withhold(lineage.MayHoldData)
	case expel.Wait:
		return v.lingers(what)
	case expel.Lower:
		return step{verb: lower, uid: o.uid, body: map[string]any{
			"metadata": map[string]any{"uid": string(o.uid)}, "spec": map[string]any{"replicas": int64(v.want.Share.Replicas)},
		}}
	case expel.Delete:
	}
	return step{verb: remove, uid: o.uid}
}

func (v *view) lingers(what string) step {
	s := waits(what)
	s.again = lookAtExpelled
	s.synced = template.Decides(v.key.GR) // its status there is told, though its spec is not as the hub left it
	return s
}

// surround fills in what else of the hub's is where an object has to leave.
func (m *Member) surround(v *view) {
	namespace := policies.NamespaceOf(v.key)
	m.mu.Lock()
	defer m.mu.Unlock()
	for key, r := range m.records {
		if o := &r.seen; key.Namespace == namespace && o.exists() && o.ours(m.options.Hub) {
			v.in.left++
			v.in.runs = v.in.runs || template.Decides(key.GR) && expel.Runs(key.GR, o.replicas, o.status)
		}
	}
}

// lookInside asks the member what is in a Namespace that has to leave, and that nothing of the hub's is in any more: what others
// run there ends first, and their volumes may hold data. All else goes with the Namespace, as it does when the hub's is deleted.
func (t *task) lookInside(ctx context.Context) error {
	if t.key.GR != template.Namespaces() || !t.expelled() || !t.rec.seen.exists() || t.rec.seen.deleting || t.in.left > 0 {
		return nil
	}
	for _, resource := range []string{expel.Claims, "pods"} {
		list, err := t.client.Resource(schema.GroupVersionResource{Version: "v1", Resource: resource}).Namespace(t.key.Name).
			List(ctx, metav1.ListOptions{Limit: 1})
		if apierrors.IsNotFound(err) { // the member does not serve it
			continue
		}
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
