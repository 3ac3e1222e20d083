package propagate

import (
	"context"
	"fmt"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/klog/v2"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/lineage"
)

// historyName is the ConfigMap in SystemNamespace that holds the lineage.
const historyName = "hanse-lineage"

// beginSession adds this run to the hub's history. It must be written before
// the first object goes to a member.
func (e *Engine) beginSession(ctx context.Context) error {
	client := e.systemConfigMaps()
	found, err := client.Get(ctx, historyName, metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("read the hub's history: %w", err)
	}
	missing := err != nil
	var past lineage.History
	if !missing {
		encoded, _, _ := unstructured.NestedString(found.Object, "data", "history")
		if past, err = lineage.Decode(encoded); err != nil {
			return fmt.Errorf("ConfigMap %s/%s: %w. Try: delete it; objects in members that have no template are then held back", v1alpha1.SystemNamespace, historyName, err)
		}
	}
	db := lineage.Database{Ends: e.ends}
	if db.Revision, err = e.revision(ctx); err != nil {
		return err
	}
	if !missing && e.ends == nil {
		if db.Seen, err = e.lastSeen(ctx, revision(found.GetResourceVersion())); err != nil {
			return err
		}
	}
	e.began = time.Now()
	e.session = string(uuid.NewUUID())[:8]
	e.history = past.Begin(e.session, db)
	encoded, err := e.history.Encode()
	if err != nil {
		return err
	}
	cm := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]any{"name": historyName, "namespace": v1alpha1.SystemNamespace},
		"data":     map[string]any{"history": encoded},
	}}
	if missing {
		_, err = client.Create(ctx, cm, metav1.CreateOptions{FieldManager: v1alpha1.FieldManager})
	} else {
		cm.SetResourceVersion(found.GetResourceVersion()) // two hubs on one database: one of them loses here
		_, err = client.Update(ctx, cm, metav1.UpdateOptions{FieldManager: v1alpha1.FieldManager})
	}
	if err != nil {
		return fmt.Errorf("write the hub's history: %w", err)
	}
	return nil
}

// revision is the database's current revision.
func (e *Engine) revision(ctx context.Context) (uint64, error) {
	list, err := e.systemConfigMaps().List(ctx, metav1.ListOptions{Limit: 1})
	if err != nil {
		return 0, fmt.Errorf("read the hub's revision: %w", err)
	}
	return revision(list.GetResourceVersion()), nil
}

func (e *Engine) systemConfigMaps() dynamic.ResourceInterface {
	return e.hub.Resource(schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}).Namespace(v1alpha1.SystemNamespace)
}

// SetEnds tells the last revisions of the hub's database before each time that
// it was set forward, oldest first; nil: nobody knows. Before Run.
func (e *Engine) SetEnds(ends []uint64) { e.ends = ends }

// seenName is the ConfigMap in SystemNamespace by which a session says how far
// it has come: its resourceVersion is what counts.
const seenName = "hanse-session"

// seenInterval is how often that is said. What the hub made in the last moments
// before a snapshot that is restored with bumped revisions is asked about.
const seenInterval = 30 * time.Second

// lastSeen is a revision that the last session lived through. The history was
// written at revision began.
func (e *Engine) lastSeen(ctx context.Context, began uint64) (uint64, error) {
	found, err := e.systemConfigMaps().Get(ctx, seenName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return began, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read how far the last session came: %w", err)
	}
	return max(began, revision(found.GetResourceVersion())), nil
}

// sayHowFar writes every now and then how far this session has come, until ctx
// ends. Only where nobody knows the ends of revisions: it costs a write each time.
func (e *Engine) sayHowFar(ctx context.Context) {
	if e.ends != nil {
		return
	}
	wait.UntilWithContext(ctx, func(ctx context.Context) {
		cm := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "v1", "kind": "ConfigMap",
			"metadata": map[string]any{"name": seenName, "namespace": v1alpha1.SystemNamespace},
			"data":     map[string]any{"session": e.session, "at": time.Now().UTC().Format(time.RFC3339)},
		}}
		_, err := e.systemConfigMaps().Apply(ctx, seenName, cm, metav1.ApplyOptions{FieldManager: v1alpha1.FieldManager, Force: true})
		if err != nil && ctx.Err() == nil {
			klog.FromContext(ctx).Error(err, "Cannot write how far this session has come")
		}
	}, seenInterval)
}

// revision is a resourceVersion as a number, 0 where it is none.
func revision(rv string) uint64 {
	n, err := strconv.ParseUint(rv, 10, 64)
	if err != nil {
		return 0
	}
	return n
}
