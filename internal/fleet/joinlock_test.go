package fleet

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/fleet/join"
)

// joinAtOnce runs joins at once and returns the names of those that succeeded,
// and the errors of the others.
func joinAtOnce(t *testing.T, all ...join.Options) (won []int, failed []error) {
	t.Helper()
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i, o := range all {
		wg.Go(func() {
			_, err := join.Run(t.Context(), clock.RealClock{}, o)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won = append(won, i)
			} else {
				failed = append(failed, err)
			}
		})
	}
	wg.Wait()
	return won, failed
}

// slowly makes each write take a moment, so that joins overlap.
func slowly(apis ...*fakeAPI) {
	for _, api := range apis {
		api.setIntercept(func(r *http.Request) int {
			if r.Method == http.MethodPost {
				<-time.After(5 * time.Millisecond)
			}
			return 0
		})
	}
}

func TestTwoJoinsOfOneClusterAtOnce(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	slowly(f.hub, f.member)
	var all []join.Options
	for i := range 4 {
		o := f.options()
		o.Name = fmt.Sprint("az", i)
		all = append(all, o)
	}
	won, failed := joinAtOnce(t, all...)
	if len(won) != 1 {
		t.Fatalf("%d joins have won: %v", len(won), failed)
	}
	name := all[won[0]].Name
	for _, err := range failed {
		if !strings.Contains(err.Error(), "is a member already, as "+name) {
			t.Errorf("unexpected error: %v", err)
		}
	}
	want := []string{"/api/v1/namespaces/hanse-system", "/api/v1/namespaces/hanse-system/secrets/cluster-" + name, "/api/v1/namespaces/kube-system", "/apis/hanse.dev/v1alpha1/clusters/" + name}
	if got := f.hub.paths(); !slices.Equal(got, want) {
		t.Errorf("at the hub:\n%s", strings.Join(got, "\n"))
	}
	if n := len(f.member.paths()); n != 7 {
		t.Errorf("in the member: %v", f.member.paths())
	}
	f.eventually(t, "engaged", func() bool { return f.prop.isEngaged(name) })
}

func TestTwoClustersUnderOneNameAtOnce(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	other := newFakeAPI(t, "other-uid")
	slowly(f.hub, f.member, other)
	o := f.options()
	o.Member = other.config()
	won, failed := joinAtOnce(t, f.options(), o)
	if len(won) != 1 || !strings.Contains(failed[0].Error(), "the name aws is taken") {
		t.Fatalf("%d have won: %v", len(won), failed)
	}
	loser := other
	if won[0] == 1 {
		loser = f.member
	}
	if got := loser.paths(); !slices.Equal(got, []string{"/api/v1/namespaces/kube-system"}) {
		t.Errorf("left in the loser: %v", got)
	}
	f.eventually(t, "the winner is used", func() bool { return f.prop.isEngaged("aws") })
}

// A join that was killed must not keep others away for good.
func TestALockOfAJoinThatWasKilledIsTaken(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	path := "/apis/coordination.k8s.io/v1/namespaces/hanse-system/leases/join-name-aws"
	f.hub.put(path, map[string]any{"kind": "Lease", "apiVersion": "coordination.k8s.io/v1", "metadata": map[string]any{"name": "join-name-aws", "uid": "dead"},
		"spec": map[string]any{"leaseDurationSeconds": 1}})
	o := f.options()
	o.Timeout = 300 * time.Millisecond
	if _, err := join.Run(t.Context(), clock.RealClock{}, o); err == nil || !strings.Contains(err.Error(), "another join") || !strings.Contains(err.Error(), "Try: ") {
		t.Errorf("unexpected error: %v", err)
	}
	waiting := make(chan struct{})
	o = f.options()
	o.Progress = func(what string) {
		if strings.Contains(what, "another join") {
			close(waiting)
		}
	}
	done := make(chan error, 1)
	go func() { _, err := join.Run(t.Context(), clock.RealClock{}, o); done <- err }()
	<-waiting
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// secondCluster makes a Cluster by hand that is the same cluster as aws.
func (f *federation) secondCluster(name string) {
	first := f.hub.get(clusterPath)
	secret := f.hub.get("/api/v1/namespaces/hanse-system/secrets/cluster-aws")
	f.hub.put("/api/v1/namespaces/hanse-system/secrets/cluster-"+name, map[string]any{"kind": "Secret", "apiVersion": "v1",
		"metadata": map[string]any{"name": "cluster-" + name, "namespace": "hanse-system"}, "data": secret["data"]})
	spec := map[string]any{}
	for k, v := range first["spec"].(map[string]any) {
		spec[k] = v
	}
	spec["credentialSecret"] = "cluster-" + name
	f.hub.put("/apis/hanse.dev/v1alpha1/clusters/"+name, map[string]any{"kind": "Cluster", "apiVersion": "hanse.dev/v1alpha1", "spec": spec,
		"metadata": map[string]any{"name": name, "uid": "second", "generation": 1, "finalizers": []any{v1alpha1.FinalizerUnjoin}, "creationTimestamp": "2026-01-02T00:00:00Z"}})
}

func TestTwoClustersWithOneUID(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	f.join(t)
	f.eventually(t, "engaged", func() bool { return f.prop.isEngaged("aws") })
	f.secondCluster("again")
	f.eventually(t, "said", func() bool {
		reason, message := f.readyOf("again")
		return reason == v1alpha1.ReasonDuplicate && strings.Contains(message, "aws")
	})
	if f.prop.isEngaged("again") || !f.prop.isEngaged("aws") || f.reason() != v1alpha1.ReasonReachable {
		t.Error("it is not the first that is used")
	}

	// The second leaves, with what runs there to be deleted: the first has it.
	before := f.member.paths()
	f.unjoinNamed(t, "again", deleteWorkloads)
	f.eventually(t, "the second is gone", func() bool { return f.hub.get("/apis/hanse.dev/v1alpha1/clusters/again") == nil })
	if got := f.member.paths(); !slices.Equal(got, before) {
		t.Errorf("taken from the first: it has %v", got)
	}
	if _, n := f.prop.counts(); n != 0 || !f.prop.isEngaged("aws") {
		t.Error("the first has lost its workloads")
	}
}

func TestTheSecondTakesOverWhenTheFirstLeaves(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	f.join(t)
	f.secondCluster("again")
	f.eventually(t, "said", func() bool { reason, _ := f.readyOf("again"); return reason == v1alpha1.ReasonDuplicate })
	f.unjoin(t, `{}`)
	f.eventually(t, "the second is used", func() bool { return f.gone() && f.prop.isEngaged("again") })
}
