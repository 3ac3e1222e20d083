package propagate

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	kuberecord "k8s.io/client-go/tools/record"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/aggregate"
)

// running has the members run what web's decision gives them, and answer if they are up.
func (h *hours) running(t *testing.T) {
	t.Helper()
	web := h.get("web")
	for name, m := range h.engine.members {
		n := web.shares[name].replicas
		m.update(web.key, func(r *record) {
			r.seen = observation{uid: types.UID(name), generation: 1, observed: 1, replicas: &n, status: map[string]any{
				"observedGeneration": int64(1), "replicas": int64(n), "readyReplicas": int64(n), "updatedReplicas": int64(n), "availableReplicas": int64(n),
				"conditions": []any{map[string]any{"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"}},
			}}
			r.seen.mark.Origin.Template = web.uid
			r.left = &left{hash: r.seen.hash, target: web.target(name)}
		})
		m.session = nil
		if !h.down[name] {
			m.session = h.session(name)
		}
	}
}

// session is one of a member whose Deployments have been read.
func (h *hours) session(name string) *session {
	return &session{
		engine: h.engine, member: h.engine.members[name], queue: newQueue(),
		watched: map[schema.GroupResource]bool{deployments(): true}, watching: map[schema.GroupResource]context.CancelFunc{deployments(): func() {}},
	}
}

// status is what would be written at the hub for web.
func (h *hours) status() map[string]any {
	web := h.get("web")
	members := h.engine.statusesOf(web)
	return web.withReached(aggregate.Status(schema.GroupKind{Group: "apps", Kind: "Deployment"}, web.obj.Object, members), members, h.now)
}

func said(status map[string]any) string {
	var all []string
	conditions, _ := status["conditions"].([]any)
	for _, c := range conditions {
		c := c.(map[string]any)
		all = append(all, fmt.Sprintf("%v=%v %v: %v", c["type"], c["status"], c["reason"], c["message"]))
	}
	return strings.Join(all, "\n")
}

// TestALostClusterIsNotReady, and before that is not known of; the workload says so, and
// what was made up for.
func TestALostClusterIsNotReady(t *testing.T) {
	h := newHours(deployments())
	told := kuberecord.NewFakeRecorder(10)
	h.engine.events = eventSink{recorder: told}
	h.deployment("web", 10, 6, nil)
	h.running(t)
	h.pass(1)
	if got := said(h.status()); strings.Contains(got, v1alpha1.ConditionReached) || h.status()["readyReplicas"] != int64(6) {
		t.Fatalf("all answer: %v", h.status())
	}

	h.down["azure"] = true
	h.show(nil)
	h.engine.members["azure"].session = nil
	h.pass(10)
	got := said(h.status())
	for _, want := range []string{
		"Available=Unknown ClusterAway: azure: the cluster is out of reach",
		"hanse.dev/Reached=Unknown ClusterAway: azure is out of reach: 2 replicas there are counted as last seen",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("away: %s, want %s", got, want)
		}
	}
	if h.status()["readyReplicas"] != int64(6) || len(told.Events) > 0 {
		t.Errorf("away: %v, %d events", h.status(), len(told.Events))
	}

	h.pass(21)
	for what, want := range map[string]int64{"replicas": 4, "readyReplicas": 4, "availableReplicas": 4} {
		if got := h.status()[what]; got != want {
			t.Errorf("lost: %s is %v, want %d", what, got, want)
		}
	}
	select {
	case got := <-told.Events:
		if want := "Normal FailedOver azure is lost: 2 of 2 replicas failed over to aws (2 to 3), google (2 to 3)"; got != want {
			t.Errorf("the event is %q, want %q", got, want)
		}
	default:
		t.Error("no event")
	}
	if got := said(h.status()); strings.Contains(got, "azure") {
		t.Errorf("made up for, and yet it says %s", got)
	}

	delete(h.down, "azure")
	h.show(nil)
	h.engine.members["azure"].session = h.session("azure")
	h.pass(1)
	if got := h.status(); got["replicas"] != int64(6) {
		t.Errorf("it is back, and still runs two: %v", got)
	}
}

// TestWhatNothingElseCanTakeIsNotReady, and the event says what is in the way.
func TestWhatNothingElseCanTakeIsNotReady(t *testing.T) {
	h := newHours(deployments())
	told := kuberecord.NewFakeRecorder(10)
	h.engine.events = eventSink{recorder: told}
	h.deployment("web", 10, 6, nil)
	h.running(t)
	h.pass(1)
	h.down["azure"] = true
	full := func(all map[string]*cluster) { all["aws"].cordoned, all["google"].cordoned = true, true }
	h.show(full)
	h.engine.members["azure"].session = nil
	h.pass(31)
	if got := h.status(); got["replicas"] != int64(6) || got["readyReplicas"] != int64(4) || got["unavailableReplicas"] != int64(2) {
		t.Errorf("lost: %v", got)
	}
	if got := said(h.status()); !strings.Contains(got, "Available=False ClusterLost") || !strings.Contains(got, "hanse.dev/Reached=False ClusterLost: azure is lost: 2 replicas there are not ready") {
		t.Errorf("lost: %s", got)
	}
	if n := len(told.Events); n != 1 {
		t.Fatalf("%d events", n)
	}
	if got := <-told.Events; !strings.HasPrefix(got, "Warning FailoverIncomplete azure is lost: 0 of 2 replicas failed over; nothing else can take 2: 2 clusters: cordoned") {
		t.Errorf("the event is %q", got)
	}
	h.show(nil)
	h.pass(1)
	if got := <-told.Events; !strings.HasPrefix(got, "Normal FailedOver azure is lost: 2 of 2 replicas failed over to aws") {
		t.Errorf("when there is room the event is %q", got)
	}
}

// TestWithoutFailoverTheLostAreNotReadyEither: nothing is made up for, and nothing is
// taken for ready that nobody has heard of for long.
func TestWithoutFailoverTheLostAreNotReadyEither(t *testing.T) {
	h := newHours(deployments())
	h.engine.losses = newLosses(0)
	h.show(nil)
	h.deployment("web", 10, 6, nil)
	h.running(t)
	h.pass(1)
	h.down["azure"] = true
	h.show(nil)
	h.engine.members["azure"].session = nil
	h.pass(31)
	h.want(t, "failover is off", "aws=2,azure=2,google=2")
	if got := h.status(); got["readyReplicas"] != int64(4) {
		t.Errorf("lost: %v", got)
	}
}

// TestFewerReplicasAreNoFailover: what a lost cluster has is taken away first.
func TestFewerReplicasAreNoFailover(t *testing.T) {
	h := newHours(deployments())
	told := kuberecord.NewFakeRecorder(10)
	h.engine.events = eventSink{recorder: told}
	h.deployment("web", 10, 6, nil)
	h.pass(1)
	h.down["azure"] = true
	full := func(all map[string]*cluster) { all["aws"].cordoned, all["google"].cordoned = true, true }
	h.show(full)
	h.pass(31)
	<-told.Events
	h.deployment("web", 10, 4, nil)
	h.want(t, "fewer", "aws=2,azure=0,google=2")
	if len(told.Events) > 0 {
		t.Errorf("an event says %q", <-told.Events)
	}
}

// TestConditionsTurnWhenTheyAreToldTo, not when members saw them last.
func TestConditionsTurnWhenTheyAreToldTo(t *testing.T) {
	condition := func(status, since string) map[string]any {
		return map[string]any{"conditions": []any{map[string]any{"type": "Available", "status": status, "lastTransitionTime": since}}}
	}
	now := at(2000)
	for _, tt := range []struct{ status, since, want string }{
		{"False", "1970-01-01T00:10:00Z", now.UTC().Format(time.RFC3339)},
		{"False", "1970-01-01T00:20:00Z", "1970-01-01T00:20:00Z"},
		{"True", "1970-01-01T00:10:00Z", "1970-01-01T00:10:00Z"},
	} {
		merged := condition(tt.status, tt.since)
		turnNow(condition("True", "1970-01-01T00:15:00Z"), merged, now)
		if got := merged["conditions"].([]any)[0].(map[string]any)["lastTransitionTime"]; got != tt.want {
			t.Errorf("%s since %s: %v, want %s", tt.status, tt.since, got, tt.want)
		}
	}
}

// TestStatusesWaitForWhatIsRead after the start of a hub, but not for ever, and not for a
// cluster that was away before.
func TestStatusesWaitForWhatIsRead(t *testing.T) {
	h := newHours(deployments())
	h.engine.clock = func() time.Time { return h.now }
	h.engine.began = h.now
	h.deployment("web", 10, 6, nil)
	h.running(t)
	if rest := h.engine.awaitsMembers(h.get("web")); rest != 0 {
		t.Errorf("all have been read, and it waits for %s", rest)
	}
	session := h.engine.members["azure"].session
	delete(session.watched, deployments())
	if rest := h.engine.awaitsMembers(h.get("web")); rest != membersPatience {
		t.Errorf("one has not been read, and it waits for %s", rest)
	}
	if n := h.status()["readyReplicas"]; n != int64(6) || !strings.Contains(said(h.status()), "azure is out of reach") {
		t.Errorf("as long as it has not been read it counts as seen last: %v", h.status())
	}
	session.setWatched(deployments())
	if rest := h.engine.awaitsMembers(h.get("web")); rest != 0 {
		t.Errorf("it has been read, and it waits for %s", rest)
	}
	delete(session.watched, deployments())
	h.down["azure"] = true
	h.show(nil)
	if rest := h.engine.awaitsMembers(h.get("web")); rest != 0 {
		t.Errorf("it was away before, and it waits for %s", rest)
	}
	delete(h.down, "azure")
	h.show(nil)
	h.now = h.now.Add(membersPatience)
	if rest := h.engine.awaitsMembers(h.get("web")); rest != 0 {
		t.Errorf("after a while it waits for %s", rest)
	}
}

// TestStatusesFollowWhatIsReached: when a member does not answer any more, and when it is
// lost, the statuses of what it runs are written, though nothing of it says anything.
func TestStatusesFollowWhatIsReached(t *testing.T) {
	h := newHours(deployments())
	h.deployment("web", 10, 6, nil)
	h.running(t)
	h.pass(1)
	written := func(when string, change func()) {
		t.Helper()
		for h.engine.statuses.Len() > 0 {
			key, _ := h.engine.statuses.Get()
			h.engine.statuses.Done(key)
		}
		change()
		deadline := time.After(5 * time.Second)
		for h.engine.statuses.Len() == 0 {
			select {
			case <-deadline:
				t.Fatalf("%s: no status is written", when)
			case <-time.After(5 * time.Millisecond):
			}
		}
	}
	written("away", func() { h.engine.reachChanged("azure") })
	written("read", func() { h.engine.members["azure"].session.setWatched(deployments()) })
	h.engine.losses.after = 0 // nothing is decided anew
	h.down["azure"] = true
	h.show(nil)
	h.pass(29)
	written("lost", func() { h.pass(2) })
}
