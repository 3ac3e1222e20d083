package hub

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/metrics"
	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/propagate/work"
)

// How many Recordings and how many statuses are written at once: when a cluster is lost, all that it ran waits for Recordings.
const (
	recordingWorkers = 16
	statusWorkers    = 4
)

// Recorder writes what is recorded on the hub's objects, and their statuses. It alone does.
type Recorder struct {
	hub       dynamic.Interface
	published Published
	into      func(decide.Input)
	tell      func(decide.Event)
	blame     func(template.Key, map[string]string)
	clock     clock.WithTicker
	began     time.Time

	recordings, statuses work.Queue

	mu      sync.Mutex
	written map[template.Key]status
	blamed  map[template.Key]bool
	busy    time.Time // since when Recordings have been waiting; zero: they are not
}

// RecorderConfig is what a Recorder needs.
type RecorderConfig struct {
	Hub       dynamic.Interface
	Published Published
	// Into is told what was Recorded. It must not block.
	Into func(decide.Input)
	// Tell makes the events of a Recording once it is written.
	Tell func(decide.Event)
	// Blame is told of the clusters of which the words about an object make a fault, with what to say of it; and with nil
	// that there are none any more.
	Blame func(template.Key, map[string]string)
	Clock clock.WithTicker
	// Workqueues may be nil.
	Workqueues *metrics.Workqueues
	// Began is when this run of the hub began.
	Began time.Time
}

// NewRecorder makes a Recorder. It writes once Run is called.
func NewRecorder(c RecorderConfig) *Recorder {
	return &Recorder{
		hub: c.Hub, published: c.Published, into: c.Into, tell: c.Tell, blame: c.Blame, clock: c.Clock, began: c.Began,
		recordings: work.NewQueue(c.Workqueues.Open("recordings", ""), c.Clock), statuses: work.NewQueue(c.Workqueues.Open("statuses", ""), c.Clock),
		written: map[template.Key]status{}, blamed: map[template.Key]bool{},
	}
}

// Run writes until ctx ends.
func (r *Recorder) Run(ctx context.Context) {
	log := klog.FromContext(ctx)
	var workers sync.WaitGroup
	defer workers.Wait()
	for range recordingWorkers {
		workers.Go(func() { work.Off(ctx, r.recordings, r.record, telling(log, "What is recorded on an object")) })
	}
	for range statusWorkers {
		workers.Go(func() { work.Off(ctx, r.statuses, r.writeStatus, telling(log, "The status of an object")) })
	}
	<-ctx.Done()
	r.recordings.ShutDown()
	r.statuses.ShutDown()
}

// telling logs that something begins to fail, and that it does no more.
func telling(log klog.Logger, what string) func(template.Key, error) {
	return func(key template.Key, err error) {
		if err != nil {
			log.Error(err, what+" could not be written, and will be tried again", "key", key.String())
			return
		}
		log.Info(what+" could be written again", "key", key.String())
	}
}

// Record has the Recording of an object's Assignment written, as it is published by then. It does not block.
func (r *Recorder) Record(key template.Key) { r.recordings.Add(key) }

// Forget drops what is remembered of an object that is gone.
func (r *Recorder) Forget(key template.Key) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.written, key)
	delete(r.blamed, key)
}

// record writes a Recording, all of it or nothing. It is idempotent: once it is written, the resourceVersion is another.
func (r *Recorder) record(ctx context.Context, key template.Key) error {
	a := r.published.Assignment(key)
	if a == nil || a.Recording == nil {
		return nil
	}
	made, err := r.patch(ctx, a.Template, recordingPatch(a))
	switch {
	case gone(err):
		return nil
	case err != nil:
		return fmt.Errorf("record at the hub what was decided about %s: %w", key, err)
	}
	r.into(decide.Recorded{Key: key, UID: a.UID, Revision: template.RevisionOf(made.GetResourceVersion())})
	for _, t := range a.Recording.Tell {
		r.tell(t)
	}
	return nil
}

// recordingPatch is for the version of the object that was decided about, and no other.
func recordingPatch(a *decide.Assignment) map[string]any {
	annotations := map[string]any{}
	for name, value := range map[string]*string{
		v1alpha1.AnnotationDivision:     a.Recording.Division,
		v1alpha1.AnnotationTaken:        a.Recording.Taken,
		v1alpha1.AnnotationBounds:       a.Recording.Bounds,
		v1alpha1.AnnotationRolloutState: a.Recording.State,
		v1alpha1.AnnotationRollout:      a.Recording.Hold,
	} {
		switch {
		case value == nil:
		case *value == "":
			annotations[name] = nil
		default:
			annotations[name] = *value
		}
	}
	metadata := map[string]any{"resourceVersion": a.Object.GetResourceVersion()}
	if len(annotations) > 0 {
		metadata["annotations"] = annotations
	}
	patch := map[string]any{"metadata": metadata}
	if a.Recording.Replicas != nil {
		patch["spec"] = map[string]any{"replicas": *a.Recording.Replicas}
	}
	return patch
}

// patch writes an object, and no namesake of it.
func (r *Recorder) patch(ctx context.Context, t *template.Template, patch map[string]any, subresource ...string) (*unstructured.Unstructured, error) {
	metadata, _ := patch["metadata"].(map[string]any)
	patch["metadata"] = template.With(metadata, "uid", t.UID)
	body, err := json.Marshal(patch)
	if err != nil {
		return nil, fmt.Errorf("encode it: %w", err)
	}
	return client(r.hub, t).Patch(ctx, t.Key.Name, types.MergePatchType, body, metav1.PatchOptions{FieldManager: v1alpha1.FieldManager}, subresource...)
}
