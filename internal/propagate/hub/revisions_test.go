package hub

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/report"
	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/rollout"
)

const revisionsPath = "/apis/apps/v1/namespaces/shop/controllerrevisions/"

// history is what has been told last of web's.
func (h *heart) history() (images []string) {
	all := heard[decide.Revised](h)
	if len(all) == 0 {
		return nil
	}
	for _, entry := range all[len(all)-1].History {
		images = append(images, imageOf(entry.Template))
	}
	return images
}

func imageOf(pods map[string]any) string {
	containers, _, _ := unstructured.NestedSlice(pods, "spec", "containers")
	return containers[0].(map[string]any)["image"].(string)
}

// kept is what is kept at the hub, by age.
func kept(t *testing.T, api *hubAPI) (images []string) {
	t.Helper()
	var history rollout.History
	for _, path := range api.paths(revisionsPath) {
		entry, ok := rollout.ReadEntry(api.get(path))
		if !ok {
			t.Errorf("%s cannot be read", path)
		}
		history = append(history, entry)
	}
	history.Sort()
	for _, entry := range history {
		images = append(images, imageOf(entry.Template))
	}
	return images
}

// has publishes web with an image.
func (h *heart) has(t *testing.T, api *hubAPI, image string) *template.Template {
	t.Helper()
	return h.decided(t, api.put(webPath, web(image)), nil).Template
}

func (h *heart) revisions(t *testing.T, api *hubAPI) *Revisions {
	t.Helper()
	r := NewRevisions(api.client(t), h, h.into, nil, clock.RealClock{})
	running(t, r.Run)
	return r
}

// TestWhatWasReplacedIsKept, the latest last; what comes back is renumbered, and not kept twice.
func TestWhatWasReplacedIsKept(t *testing.T) {
	api, h := newHubAPI(t), newHeart()
	r := h.revisions(t, api)
	for _, image := range []string{"web:1", "web:2", "web:3", "web:1"} {
		r.Keep(h.has(t, api, image))
	}
	h.has(t, api, "web:2")
	want := []string{"web:2", "web:3", "web:1"}
	waitFor(t, "the history", func() bool { return slices.Equal(h.history(), want) })
	if got := kept(t, api); !slices.Equal(got, want) {
		t.Errorf("%v is kept, want %v", got, want)
	}
	obj := api.get(api.paths(revisionsPath)[0])
	if owner := obj.GetOwnerReferences(); len(owner) != 1 || owner[0].UID != "uid-web-1234" || owner[0].Kind != "Deployment" || owner[0].Controller == nil {
		t.Errorf("its owner is %v", owner)
	}
	if labels := obj.GetLabels(); labels["app"] != "web" || labels[v1alpha1.LabelRevisionOf] != "uid-web-1234" {
		t.Errorf("its labels are %v", labels)
	}
	if n := api.asked("GET " + strings.TrimSuffix(revisionsPath, "/")); n != 1 {
		t.Errorf("they were listed %d times", n)
	}
}

// TestTheHistoryIsReadAtTheHub by a hub that has just started, and nothing is written.
func TestTheHistoryIsReadAtTheHub(t *testing.T) {
	api, h := newHubAPI(t), newHeart()
	before := h.has(t, api, "web:1")
	h.revisions(t, api).Keep(before)
	waitFor(t, "the first", func() bool { return len(h.history()) == 1 })
	other := named("apps/v1", "ControllerRevision", "shop", "theirs")
	other["metadata"].(map[string]any)["labels"] = map[string]any{v1alpha1.LabelRevisionOf: "another"}
	api.put(revisionsPath+"theirs", other)

	again := newHeart()
	now := again.has(t, api, "web:2")
	again.revisions(t, api).Read(now)
	waitFor(t, "the history", func() bool { return slices.Equal(again.history(), []string{"web:1"}) })
	if in := heard[decide.Revised](again)[0]; in.UID != now.UID || in.History.Find(before.Content.Revision) == nil {
		t.Errorf("told is %v", in)
	}
	if n := len(api.paths(revisionsPath)); n != 2 {
		t.Errorf("%d revisions are there", n)
	}
}

// TestTheHistoryIsLimited, but what a member has stays, and what a rollout may go back to.
func TestTheHistoryIsLimited(t *testing.T) {
	api, h := newHubAPI(t), newHeart()
	r := h.revisions(t, api)
	var all []*template.Template
	for n := range defaultHistoryLimit + 4 {
		all = append(all, h.has(t, api, fmt.Sprintf("web:%d", n)))
	}
	obj := web("web:now")
	proven := all[1].Content.Revision
	obj["metadata"].(map[string]any)["annotations"] = map[string]any{
		v1alpha1.AnnotationRolloutState: (&rollout.State{Revision: "x", Proven: proven, Step: "a"}).String()}
	h.decided(t, api.put(webPath, obj), nil)
	h.mu.Lock()
	h.members = []report.Member{&seenMember{name: "aws", observed: &decide.Observed{UID: "x", Revision: all[0].Content.Revision}}, &seenMember{name: "azure"}}
	h.mu.Unlock()
	for _, t := range all {
		r.Keep(t)
	}
	waitFor(t, "the history", func() bool { return len(h.history()) == defaultHistoryLimit+2 })
	if got := kept(t, api); len(got) != defaultHistoryLimit+2 || got[0] != "web:0" || got[1] != "web:1" || got[2] != "web:4" {
		t.Errorf("%v is kept", got)
	}
}

// TestWhatSomebodyHasDeletedIsKeptAgain.
func TestWhatSomebodyHasDeletedIsKeptAgain(t *testing.T) {
	api, h := newHubAPI(t), newHeart()
	r := h.revisions(t, api)
	first := h.has(t, api, "web:1")
	r.Keep(first)
	r.Keep(h.has(t, api, "web:2"))
	waitFor(t, "both", func() bool { return len(h.history()) == 2 })
	for _, path := range api.paths(revisionsPath) {
		api.remove(path)
	}
	r.Keep(first)
	waitFor(t, "it", func() bool {
		return slices.Equal(kept(t, api), []string{"web:1"}) && slices.Equal(h.history(), []string{"web:2", "web:1"})
	})
}

// TestWhatCannotBeKeptIsTriedAgain, with what came meanwhile after it; an answer that is lost is no second revision.
func TestWhatCannotBeKeptIsTriedAgain(t *testing.T) {
	api, h := newHubAPI(t), newHeart()
	attempts := 0
	api.setFault(func(r *http.Request) fault {
		if r.Method != http.MethodPost {
			return fault{}
		}
		switch attempts++; attempts {
		case 1:
			return fault{code: 500}
		case 2:
			return fault{lost: true}
		}
		return fault{}
	})
	r := h.revisions(t, api)
	r.Keep(h.has(t, api, "web:1"))
	waitFor(t, "the second attempt", func() bool { return api.asked("POST "+strings.TrimSuffix(revisionsPath, "/")) > 1 })
	r.Keep(h.has(t, api, "web:2"))
	want := []string{"web:1", "web:2"}
	waitFor(t, "both", func() bool { return slices.Equal(h.history(), want) })
	if got := kept(t, api); !slices.Equal(got, want) {
		t.Errorf("%v is kept, want %v", got, want)
	}
}

// TestANamesakeHasNoHistory of the one before, and of what is gone nothing is remembered.
func TestANamesakeHasNoHistory(t *testing.T) {
	api, h := newHubAPI(t), newHeart()
	before := h.has(t, api, "web:1")
	api.remove(webPath)
	other := web("web:2")
	other["metadata"].(map[string]any)["uid"] = "another-uid"
	now := h.decided(t, api.put(webPath, other), nil).Template
	r := h.revisions(t, api)
	r.Keep(before)
	waitFor(t, "that to be passed over", func() bool { r.mu.Lock(); defer r.mu.Unlock(); return r.pending[webKey()] == nil })
	r.Read(now)
	waitFor(t, "its history", func() bool { return len(heard[decide.Revised](h)) == 1 })
	if len(kept(t, api))+len(h.history()) != 0 {
		t.Errorf("kept is %v, told is %v", kept(t, api), h.history())
	}
	waitFor(t, "it to be remembered", func() bool { r.mu.Lock(); defer r.mu.Unlock(); return len(r.read) == 1 })
	r.Forget(webKey())
	if len(r.read)+len(r.pending) != 0 {
		t.Error("it is remembered for ever")
	}
}
