package hub

import (
	"fmt"
	"iter"
	"maps"
	"net/http"
	"slices"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/fieldmerge"
	"github.com/hanse-dev/hanse/internal/policy"
	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/report"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

const webPath = "/apis/apps/v1/namespaces/shop/deployments/web"

func deployments() schema.GroupResource {
	return schema.GroupResource{Group: "apps", Resource: "deployments"}
}

func webKey() template.Key { return template.Key{GR: deployments(), Namespace: "shop", Name: "web"} }

func web(image string) map[string]any {
	return map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment",
		"metadata": map[string]any{"name": "web", "namespace": "shop", "uid": "uid-web-1234", "generation": int64(1)},
		"spec": map[string]any{"replicas": int64(2), "template": map[string]any{
			"metadata": map[string]any{"labels": map[string]any{"app": "web"}},
			"spec":     map[string]any{"containers": []any{map[string]any{"name": "c", "image": image}}},
		}},
	}
}

// heart is what was decided, as the root publishes it, and hears what the hub has to say.
type heart struct {
	mu      sync.Mutex
	all     map[template.Key]*decide.Assignment
	facts   *decide.Facts
	members []report.Member
	inputs  []decide.Input
	told    []decide.Event
	blamed  []map[string]string
}

func newHeart() *heart {
	return &heart{all: map[template.Key]*decide.Assignment{}, facts: &decide.Facts{
		Clusters: map[string]*decide.Cluster{}, Policies: policy.NewIndex(nil), Namespaces: map[string]map[string]string{}}}
}

func (h *heart) Assignment(key template.Key) *decide.Assignment {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.all[key]
}

func (h *heart) Assignments() iter.Seq[*decide.Assignment] {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Values(slices.Collect(maps.Values(h.all)))
}

func (h *heart) Facts() *decide.Facts {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.facts
}

func (h *heart) Members() []report.Member {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.members
}

func (h *heart) into(in decide.Input) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.inputs = append(h.inputs, in)
}

func (h *heart) tell(t decide.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.told = append(h.told, t)
}

func (h *heart) blame(_ template.Key, all map[string]string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.blamed = append(h.blamed, all)
}

// heard is the inputs of a type.
func heard[T decide.Input](h *heart) (all []T) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, in := range h.inputs {
		if one, ok := in.(T); ok {
			all = append(all, one)
		}
	}
	return all
}

// decided publishes an object with what is to be recorded on it.
func (h *heart) decided(t *testing.T, obj *unstructured.Unstructured, what *decide.Recording) *decide.Assignment {
	t.Helper()
	read, err := template.Read(deployments(), obj.DeepCopy(), fieldmerge.NewHasher().Content, nil)
	if err != nil {
		t.Fatal(err)
	}
	a := &decide.Assignment{Template: read, Policy: policy.NoPolicy(), Recording: what}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all[read.Key] = a
	return a
}

func (h *heart) recorder(t *testing.T, api *hubAPI, c clock.WithTicker) *Recorder {
	t.Helper()
	r := NewRecorder(RecorderConfig{Hub: api.client(t), Published: h, Into: h.into, Tell: h.tell, Blame: h.blame, Clock: c})
	running(t, r.Run)
	return r
}

// idle waits until a recorder has nothing to do.
func idle(t *testing.T, r *Recorder, api *hubAPI, requests int) {
	t.Helper()
	waitFor(t, fmt.Sprintf("%d requests", requests), func() bool { return api.asked("PATCH "+webPath) >= requests && r.recordings.Len() == 0 })
}

func of[T any](v T) *T { return &v }

func everything(a *template.Template) *decide.Recording {
	return &decide.Recording{
		Division: of("aws=3,azure=2"), Taken: of("aws=3"), Bounds: of("aws=1-3"), State: of("{}"), Hold: of(""), Replicas: of(int32(5)),
		Tell: []decide.Event{{Template: a, Type: corev1.EventTypeNormal, Reason: "ReplicasFollowed", Message: "aws has 3"}},
	}
}

// TestARecordingIsOneRequest, whatever is in it; then it is told which version shows it, and the events are.
func TestARecordingIsOneRequest(t *testing.T) {
	api, h := newHubAPI(t), newHeart()
	obj := web("web:1")
	_ = unstructured.SetNestedStringMap(obj, map[string]string{v1alpha1.AnnotationRollout: "stopped", "example.com/theirs": "x"}, "metadata", "annotations")
	made := api.put(webPath, obj)
	a := h.decided(t, made, nil)
	a.Recording = everything(a.Template)
	r := h.recorder(t, api, clock.RealClock{})
	r.Record(webKey())
	waitFor(t, "the recording", func() bool { return len(heard[decide.Recorded](h)) == 1 })

	got := api.get(webPath)
	want := map[string]string{v1alpha1.AnnotationDivision: "aws=3,azure=2", v1alpha1.AnnotationTaken: "aws=3",
		v1alpha1.AnnotationBounds: "aws=1-3", v1alpha1.AnnotationRolloutState: "{}", "example.com/theirs": "x"}
	if !maps.Equal(got.GetAnnotations(), want) {
		t.Errorf("annotations %v, want %v", got.GetAnnotations(), want)
	}
	if n, _, _ := unstructured.NestedInt64(got.Object, "spec", "replicas"); n != 5 {
		t.Errorf("%d replicas, want 5", n)
	}
	if n := api.asked("PATCH " + webPath); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
	if in := heard[decide.Recorded](h)[0]; in.Key != webKey() || in.UID != "uid-web-1234" || in.Revision != template.RevisionOf(got.GetResourceVersion()) {
		t.Errorf("it is told %+v, and the object has version %s", in, got.GetResourceVersion())
	}
	waitFor(t, "its event", func() bool { h.mu.Lock(); defer h.mu.Unlock(); return len(h.told) == 1 })
}

// TestFieldsThatAreNotRecordedStay: what is nil is not written, and without a number spec is not either.
func TestFieldsThatAreNotRecordedStay(t *testing.T) {
	a := &decide.Assignment{Template: &template.Template{Object: &unstructured.Unstructured{Object: web("web:1")}}, Recording: &decide.Recording{State: of("s")}}
	patch := recordingPatch(a)
	annotations := patch["metadata"].(map[string]any)["annotations"].(map[string]any)
	if _, spec := patch["spec"]; spec || len(annotations) != 1 || annotations[v1alpha1.AnnotationRolloutState] != "s" {
		t.Errorf("it writes %v", patch)
	}
	a.Recording = &decide.Recording{Replicas: of(int32(0))}
	patch = recordingPatch(a)
	if _, some := patch["metadata"].(map[string]any)["annotations"]; some || patch["spec"].(map[string]any)["replicas"] != int32(0) {
		t.Errorf("it writes %v", patch)
	}
}

// TestWhatIsOutOfDateWritesNothing, tells nothing and is not tried again: the watch brings what is.
func TestWhatIsOutOfDateWritesNothing(t *testing.T) {
	for name, change := range map[string]func(*hubAPI){
		"somebody else has written since": func(api *hubAPI) { api.put(webPath, web("web:2")) },
		"a namesake": func(api *hubAPI) {
			api.remove(webPath)
			other := web("web:1")
			_ = unstructured.SetNestedField(other, "another", "metadata", "uid")
			api.put(webPath, other)
		},
		"gone": func(api *hubAPI) { api.remove(webPath) },
	} {
		t.Run(name, func(t *testing.T) {
			api, h := newHubAPI(t), newHeart()
			a := h.decided(t, api.put(webPath, web("web:1")), nil)
			a.Recording = everything(a.Template)
			change(api)
			before := api.get(webPath)
			r := h.recorder(t, api, clock.RealClock{})
			r.Record(webKey())
			idle(t, r, api, 1)
			r.Record(webKey()) // whatever else is done with the key has been by then
			idle(t, r, api, 2)
			if n := r.recordings.NumRequeues(webKey()); n != 0 {
				t.Errorf("it is tried again: %d times", n)
			}
			if n := api.asked("PATCH " + webPath); n != 2 {
				t.Errorf("%d requests for 2 that it was asked for", n)
			}
			if after := api.get(webPath); fmt.Sprint(after) != fmt.Sprint(before) {
				t.Errorf("it wrote %v", after)
			}
			h.mu.Lock()
			defer h.mu.Unlock()
			if len(h.inputs)+len(h.told) > 0 {
				t.Errorf("it is told %v %v", h.inputs, h.told)
			}
		})
	}
}

// TestOfTwoWritersOneWrites, and the other does nothing.
func TestOfTwoWritersOneWrites(t *testing.T) {
	api, hearts := newHubAPI(t), []*heart{newHeart(), newHeart()}
	made := api.put(webPath, web("web:1"))
	var recorders []*Recorder
	for i, h := range hearts {
		h.decided(t, made, &decide.Recording{Division: of(fmt.Sprintf("aws=%d", i)), Replicas: of(int32(i))})
		recorders = append(recorders, h.recorder(t, api, clock.RealClock{}))
	}
	for _, r := range recorders {
		r.Record(webKey())
	}
	for _, r := range recorders {
		idle(t, r, api, 2)
	}
	waitFor(t, "one of them", func() bool { return len(heard[decide.Input](hearts[0]))+len(heard[decide.Input](hearts[1])) > 0 })
	got := api.get(webPath)
	n, _, _ := unstructured.NestedInt64(got.Object, "spec", "replicas")
	if division := got.GetAnnotations()[v1alpha1.AnnotationDivision]; division != fmt.Sprintf("aws=%d", n) {
		t.Errorf("%s with %d replicas: half of each", division, n)
	}
	if len(heard[decide.Input](hearts[n])) != 1 || len(heard[decide.Input](hearts[1-n])) != 0 {
		t.Errorf("%d was written, and told are %v and %v", n, heard[decide.Input](hearts[0]), heard[decide.Input](hearts[1]))
	}
}

// TestALostAnswerIsNoSecondWrite: it is tried again, which the version of the object forbids.
func TestALostAnswerIsNoSecondWrite(t *testing.T) {
	api, h := newHubAPI(t), newHeart()
	a := h.decided(t, api.put(webPath, web("web:1")), nil)
	a.Recording = everything(a.Template)
	var lost sync.Once
	api.setFault(func(r *http.Request) (f fault) {
		if r.Method == http.MethodPatch {
			lost.Do(func() { f.lost = true })
		}
		return f
	})
	r := h.recorder(t, api, clock.RealClock{})
	r.Record(webKey())
	idle(t, r, api, 2)
	if got := api.get(webPath); got.GetResourceVersion() != "102" {
		t.Errorf("it is version %s, and was 101 before the one write", got.GetResourceVersion())
	}
}

// TestARefusalIsTriedAgain with what is decided by then.
func TestARefusalIsTriedAgain(t *testing.T) {
	api, h := newHubAPI(t), newHeart()
	made := api.put(webPath, web("web:1"))
	h.decided(t, made, &decide.Recording{Division: of("aws=1")})
	refused := 0
	api.setFault(func(r *http.Request) fault {
		if r.Method != http.MethodPatch {
			return fault{}
		}
		if refused++; refused > 2 {
			return fault{}
		}
		h.decided(t, made, &decide.Recording{Division: of("aws=2")})
		return fault{code: 500}
	})
	r := h.recorder(t, api, clock.RealClock{})
	r.Record(webKey())
	waitFor(t, "the recording", func() bool { return len(heard[decide.Recorded](h)) == 1 })
	if got := api.get(webPath).GetAnnotations()[v1alpha1.AnnotationDivision]; got != "aws=2" {
		t.Errorf("%s is recorded, and aws=2 is decided", got)
	}
}

// TestNothingToRecordIsNoRequest, also of what is gone.
func TestNothingToRecordIsNoRequest(t *testing.T) {
	api, h := newHubAPI(t), newHeart()
	h.decided(t, api.put(webPath, web("web:1")), nil)
	r := h.recorder(t, api, clock.RealClock{})
	if err := r.record(t.Context(), webKey()); err != nil {
		t.Error(err)
	}
	if err := r.record(t.Context(), template.Key{GR: deployments(), Namespace: "shop", Name: "gone"}); err != nil {
		t.Error(err)
	}
	if n := api.asked("PATCH " + webPath); n != 0 {
		t.Errorf("%d requests", n)
	}
}

// TestAFaultInOneRecordingIsOnlyThat: others are written, and it is, too, once it is none.
func TestAFaultInOneRecordingIsOnlyThat(t *testing.T) {
	api, h := newHubAPI(t), newHeart()
	a := h.decided(t, api.put(webPath, web("web:1")), &decide.Recording{Division: of("aws=1")})
	broken := *a
	broken.Template = nil
	other := template.Key{GR: deployments(), Namespace: "shop", Name: "broken"}
	h.mu.Lock()
	h.all[other] = &broken
	h.mu.Unlock()
	r := h.recorder(t, api, clock.RealClock{})
	r.Record(other)
	waitFor(t, "a second attempt", func() bool { return r.recordings.NumRequeues(other) > 1 })
	r.Record(webKey())
	waitFor(t, "the other", func() bool { return len(heard[decide.Recorded](h)) == 1 })
}

// TestWhoIsBlamedIsTold, and once that nobody is any more.
func TestWhoIsBlamedIsTold(t *testing.T) {
	h := newHeart()
	r := NewRecorder(RecorderConfig{Published: h, Clock: clock.RealClock{}, Blame: h.blame})
	fault := map[string]string{"aws": "rubbish"}
	r.tellBlame(webKey(), nil, nil)
	r.tellBlame(webKey(), fault, nil)
	r.tellBlame(webKey(), nil, fmt.Errorf("nobody knows"))
	r.tellBlame(webKey(), nil, nil)
	r.tellBlame(webKey(), nil, nil)
	if len(h.blamed) != 2 || h.blamed[0]["aws"] == "" || h.blamed[1] != nil {
		t.Errorf("told are %v", h.blamed)
	}
}
