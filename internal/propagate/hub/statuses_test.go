package hub

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/report"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// seenMember shows one object in one member.
type seenMember struct {
	name     string
	observed *decide.Observed
	unheard  bool
}

func (m *seenMember) Name() string                           { return m.name }
func (m *seenMember) Reachable() bool                        { return !m.unheard }
func (m *seenMember) Heard(schema.GroupResource) bool        { return !m.unheard }
func (m *seenMember) Unread(schema.GroupResource) error      { return nil }
func (m *seenMember) Observed(template.Key) *decide.Observed { return m.observed }

// shows has cluster aws run and show so many ready replicas of web.
func (h *heart) shows(a *decide.Assignment, ready int64) {
	status := map[string]any{"observedGeneration": int64(1), "replicas": ready, "readyReplicas": ready, "updatedReplicas": ready, "availableReplicas": ready}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.facts.Clusters["aws"] = &decide.Cluster{Name: "aws", Ready: true}
	h.members = []report.Member{&seenMember{name: "aws", observed: &decide.Observed{UID: types.UID("x"), Template: a.UID, Ours: true, Generation: 1, ObservedGeneration: 1, Status: status}}}
}

func readyAtHub(api *hubAPI) int64 {
	n, _, _ := unstructured.NestedInt64(api.get(webPath).Object, "status", "readyReplicas")
	return n
}

// TestStatusesAreWrittenOnceASecond, however often they change, and the last of them is.
func TestStatusesAreWrittenOnceASecond(t *testing.T) {
	api, h := newHubAPI(t), newHeart()
	a := h.decided(t, api.put(webPath, web("web:1")), nil)
	a.Shares = map[string]template.Share{"aws": {Replicas: 2, Total: 2}}
	c := clocktesting.NewFakeClock(time.Unix(1000, 0))
	r := h.recorder(t, api, c)
	for n := range int64(50) {
		h.shows(a, n+1)
		r.Status(webKey(), 0)
	}
	c.Step(statusDelay)
	// A timer that is set while the clock is on its way is late, so the clock goes on.
	waitFor(t, "the first", func() bool { c.Step(time.Millisecond); return readyAtHub(api) == 50 })
	r.mu.Lock()
	written := r.written[webKey()].at
	r.mu.Unlock()
	next := h.decided(t, api.get(webPath), nil)
	next.Shares = a.Shares
	for n := range int64(50) {
		h.shows(a, n+51)
		r.Status(webKey(), 0)
	}
	other := web("web:1")
	other["metadata"] = map[string]any{"name": "other", "namespace": "shop", "uid": "uid-other", "generation": int64(1)}
	const otherPath = "/apis/apps/v1/namespaces/shop/deployments/other"
	b := h.decided(t, api.put(otherPath, other), nil)
	b.Shares = a.Shares
	r.Status(b.Key, statusInterval/2)
	waitFor(t, "another's to be written, which comes later", func() bool {
		if c.Since(written) < statusInterval-statusDelay {
			c.Step(time.Millisecond)
		}
		return api.asked("PATCH "+otherPath+"/status") == 1
	})
	if n := readyAtHub(api); n != 50 {
		t.Errorf("%d is written within a second", n)
	}
	waitFor(t, "the last", func() bool { c.Step(time.Millisecond); return readyAtHub(api) == 100 })
	if took := c.Since(written); took < statusInterval {
		t.Errorf("it is written after %s", took)
	}
	if n := api.asked("PATCH " + webPath + "/status"); n != 2 {
		t.Errorf("%d writes", n)
	}
	r.Forget(webKey())
	r.Forget(b.Key)
	r.noteRevision(webKey(), 5) // by a write that was on its way
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.written) != 0 {
		t.Errorf("of what is gone it remembers %v", r.written)
	}
}

// TestAStatusIsNotComparedWithAnOldOne: until the watch shows what was written last, nobody knows what differs.
func TestAStatusIsNotComparedWithAnOldOne(t *testing.T) {
	api, h := newHubAPI(t), newHeart()
	a := h.decided(t, api.put(webPath, web("web:1")), nil)
	a.Shares = map[string]template.Share{"aws": {Replicas: 2, Total: 2}}
	c := clocktesting.NewFakeClock(time.Unix(1000, 0))
	r := h.recorder(t, api, c)
	h.shows(a, 2)
	r.Status(webKey(), 0)
	c.Step(statusDelay)
	waitFor(t, "the first", func() bool { c.Step(time.Millisecond); return readyAtHub(api) == 2 })
	now := c.Now()
	waitFor(t, "the version of the first to be known", func() bool { return r.outdated(a.Template, now) })
	h.shows(a, 1)
	if err := r.writeStatus(t.Context(), webKey()); err != nil || api.asked("PATCH "+webPath+"/status") != 1 {
		t.Errorf("it is written against the old version: %v", err)
	}
	h.shows(a, 0) // which is as the version before the first says
	next := h.decided(t, api.get(webPath), nil)
	next.Shares = a.Shares
	c.Step(statusInterval)
	waitFor(t, "the second", func() bool { c.Step(time.Millisecond); return readyAtHub(api) == 0 })
	if r.outdated(a.Template, c.Now().Add(2*statusInterval)) {
		t.Error("it waits for the watch for ever")
	}
}

// TestRecordingsGoFirst, but not for ever.
func TestRecordingsGoFirst(t *testing.T) {
	h := newHeart()
	c := clocktesting.NewFakeClock(time.Unix(1000, 0))
	r := NewRecorder(RecorderConfig{Published: h, Clock: c})
	now := c.Now()
	if r.yields(now) {
		t.Error("there are none, and statuses wait")
	}
	r.Record(webKey())
	if !r.yields(now) || !r.yields(now.Add(statusYield-time.Millisecond)) {
		t.Error("statuses go first")
	}
	if r.yields(now.Add(statusYield)) {
		t.Error("statuses wait for ever")
	}
	key, _ := r.recordings.Get()
	r.recordings.Done(key)
	if r.yields(now.Add(statusYield)); !r.busy.IsZero() {
		t.Error("the next that come are late from the start")
	}
}

func TestStatusesOfAnotherGenerationOfNamesAreNotWritten(t *testing.T) {
	api, h := newHubAPI(t), newHeart()
	a := h.decided(t, api.put(webPath, web("web:1")), nil)
	a.Shares = map[string]template.Share{"aws": {Replicas: 2, Total: 2}}
	h.shows(a, 2)
	api.remove(webPath)
	other := web("web:1")
	_ = unstructured.SetNestedField(other, "another", "metadata", "uid")
	api.put(webPath, other)
	r := NewRecorder(RecorderConfig{Hub: api.client(t), Published: h, Into: h.into, Blame: h.blame, Clock: clock.RealClock{}})
	if err := r.writeStatus(t.Context(), webKey()); err != nil {
		t.Error(err)
	}
	if n := readyAtHub(api); n != 0 || api.asked("PATCH "+webPath+"/status") != 1 {
		t.Errorf("the namesake was given %d", n)
	}
	if strings.Contains(fmt.Sprint(api.get(webPath).Object), "readyReplicas") {
		t.Error("the namesake has a status")
	}
}
