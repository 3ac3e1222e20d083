package hub

import (
	"context"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/client-go/dynamic"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/lineage"
	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/propagate/work"
)

// ConfigMaps in SystemNamespace: historyName holds the lineage; by seenName a run says how far it has come, of which the
// resourceVersion is what counts.
const (
	historyName = "hanse-lineage"
	seenName    = "hanse-session"
)

// seenInterval is how often that is said. What the hub made in the last moments before a snapshot that is restored with
// bumped revisions is asked about.
const seenInterval = 30 * time.Second

// maxRestored bounds the events about single objects that follow a restore, in each member.
const maxRestored = 200

// Run is one run of the hub, in its lineage. The nil Run has not begun.
type Run struct {
	// Name is a random one.
	Name    string
	History lineage.History // with this run as the last
	Began   time.Time

	maps  dynamic.ResourceInterface
	clock clock.WithTicker
	ends  []uint64

	mu       sync.Mutex
	restored map[string]int // by the name of a member: events about what is put back in it
}

// Begin adds a run to the hub's history. It must be written before the first object goes to a member. ends are the last
// revisions of the hub's database before each time that it was set forward, oldest first; nil: nobody knows.
func Begin(ctx context.Context, hub dynamic.Interface, ends []uint64, c clock.WithTicker) (*Run, error) {
	r := &Run{
		Name: string(uuid.NewUUID())[:8], Began: c.Now(), clock: c, ends: ends, restored: map[string]int{},
		maps: hub.Resource(schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}).Namespace(v1alpha1.SystemNamespace),
	}
	found, err := r.maps.Get(ctx, historyName, metav1.GetOptions{})
	missing := apierrors.IsNotFound(err)
	if err != nil && !missing {
		return nil, fmt.Errorf("read the hub's history: %w", err)
	}
	var past lineage.History
	if !missing {
		encoded, _, _ := unstructured.NestedString(found.Object, "data", "history")
		if past, err = lineage.Decode(encoded); err != nil {
			return nil, fmt.Errorf("ConfigMap %s/%s: %w. Try: delete it; objects in members that have no template are then held", v1alpha1.SystemNamespace, historyName, err)
		}
	}
	db := lineage.Database{Ends: ends}
	if db.Revision, err = r.revision(ctx); err != nil {
		return nil, err
	}
	if !missing && ends == nil {
		if db.Seen, err = r.lastSeen(ctx, template.RevisionOf(found.GetResourceVersion())); err != nil {
			return nil, err
		}
	}
	r.History = past.Begin(r.Name, db)
	return r, r.write(ctx, found, missing)
}

// write writes the history in the place of what was found.
func (r *Run) write(ctx context.Context, found *unstructured.Unstructured, missing bool) error {
	encoded, err := r.History.Encode()
	if err != nil {
		return err
	}
	cm := configMap(historyName, map[string]any{"history": encoded})
	if missing {
		_, err = r.maps.Create(ctx, cm, metav1.CreateOptions{FieldManager: v1alpha1.FieldManager})
	} else {
		cm.SetResourceVersion(found.GetResourceVersion()) // two hubs on one database: one of them loses here
		_, err = r.maps.Update(ctx, cm, metav1.UpdateOptions{FieldManager: v1alpha1.FieldManager})
	}
	if err != nil {
		return fmt.Errorf("write the hub's history: %w", err)
	}
	return nil
}

// revision is the database's current revision.
func (r *Run) revision(ctx context.Context) (uint64, error) {
	list, err := r.maps.List(ctx, metav1.ListOptions{Limit: 1})
	if err != nil {
		return 0, fmt.Errorf("read the hub's revision: %w", err)
	}
	return template.RevisionOf(list.GetResourceVersion()), nil
}

// lastSeen is a revision that the last run lived through. The history was written at revision began.
func (r *Run) lastSeen(ctx context.Context, began uint64) (uint64, error) {
	found, err := r.maps.Get(ctx, seenName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return began, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read how far the last run came: %w", err)
	}
	return max(began, template.RevisionOf(found.GetResourceVersion())), nil
}

// SayHowFar writes every now and then how far this run has come, until ctx ends. Only where nobody knows the ends of
// revisions: it costs a write each time.
func (r *Run) SayHowFar(ctx context.Context) {
	log, failing := klog.FromContext(ctx), false
	for ctx.Err() == nil && r.ends == nil {
		cm := configMap(seenName, map[string]any{"session": r.Name, "at": r.clock.Now().UTC().Format(time.RFC3339)})
		_, err := r.maps.Apply(ctx, seenName, cm, metav1.ApplyOptions{FieldManager: v1alpha1.FieldManager, Force: true})
		switch {
		case ctx.Err() != nil:
		case err != nil && !failing:
			log.Error(err, "Cannot write how far this run has come")
		case err == nil && failing:
			log.Info("Can write again how far this run has come")
		}
		failing = err != nil
		work.Rest(ctx, r.clock, seenInterval, nil)
	}
}

// Session says which run of the hub this is, "" before it has begun, and whether the hub was restored since the run that
// wrote in a member last ("" if that is not known). From then on what is put back in that member is said.
func (r *Run) Session(member, last string) (now string, restored bool) {
	if r == nil {
		return "", false
	}
	if last == "" || r.History.Lived(last) {
		return r.Name, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.restored[member] += 0 // known from now on, with as many events as there were
	return r.Name, true
}

// TellsRestored says whether an event is to say of an object in a member that it was put back by a restored hub, which has it as
// of that revision: only the first write of this run can be about that. It counts the events, which are bounded.
func (r *Run) TellsRestored(member string, revision uint64) bool {
	if r == nil || revision >= r.History.Sessions[len(r.History.Sessions)-1].From {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	said, was := r.restored[member]
	if !was || said >= maxRestored {
		return false
	}
	r.restored[member]++
	return true
}

func configMap(name string, data map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]any{"name": name, "namespace": v1alpha1.SystemNamespace},
		"data":     data,
	}}
}
