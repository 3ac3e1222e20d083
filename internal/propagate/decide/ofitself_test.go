package decide

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/propagate/assignment"
)

// TestWhatTheHubDoesOfItself: what follows from a change of an object is not taken for what the hub does of its own accord,
// and the other way round, whatever is recorded in between.
func TestWhatTheHubDoesOfItself(t *testing.T) {
	h := newHours(deployments())
	is := func(when, want string) {
		t.Helper()
		var got []string
		facts := assignment.NewFacts(h.w.clusters, h.w.losses.Lost(), &h.w.policies)
		for _, cluster := range []string{"aws", "azure", "google"} {
			if h.get("web").For(cluster, facts).OfItself {
				got = append(got, cluster)
			}
		}
		if fmt.Sprint(got) != want {
			t.Errorf("%s: %v, want %s", when, got, want)
		}
	}
	h.deployment("web", 10, 9, nil)
	h.pass(1)
	is("created", "[]")
	h.deployment("web", 10, 12, h.get("web").Object.GetAnnotations())
	h.pass(1)
	is("scaled", "[]")
	h.down["aws"] = true
	h.show(nil)
	h.pass(31)
	is("after a loss", "[aws azure google]")
	h.pass(10)
	is("a while after a loss", "[aws azure google]")
	if got := h.get("web").Decision.Division()["aws"]; got != 0 || h.get("web").Recorded == nil {
		t.Fatalf("aws has %d, recorded are %v", got, h.get("web").Recorded)
	}
	preferred := maps.Clone(h.get("web").Object.GetAnnotations())
	preferred[v1alpha1.AnnotationPreferences] = `{"clusters":{"azure":{"weight":2},"google":{"weight":1}}}`
	h.deployment("web", 10, 12, preferred)
	h.pass(1)
	is("divided otherwise by somebody", "[]")
}

// TestATotalThatFollowsIsTheHubs: what members scaled themselves is not what the last to write at the hub asked for.
func TestATotalThatFollowsIsTheHubs(t *testing.T) {
	r := newRig(deployments())
	r.clusters(ready("aws", 0), ready("azure", 0))
	r.engage("aws")
	r.engage("azure")
	a := r.deployment("web", 10, 4, map[string]string{v1alpha1.AnnotationReplicas: v1alpha1.ReplicasMember})
	r.record()
	five := there(a.UID, 5, nil)
	own := int32(5)
	five.Own = &own
	r.apply(Seen{Cluster: "aws", Key: a.Key, Observed: five})
	r.pass(10 * time.Second)
	r.record()
	if n, _, _ := unstructured.NestedInt64(r.get("web").Object.Object, "spec", "replicas"); n != 7 {
		t.Fatalf("the total is %d, want 7", n)
	}
	if got := slices.Sorted(maps.Keys(r.get("web").OfItself)); fmt.Sprint(got) != "[aws azure]" {
		t.Errorf("the hub's own are %v", got)
	}
}
