package propagate

import (
	"context"
	"fmt"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/uuid"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/lineage"
)

// historyName is the ConfigMap in SystemNamespace that holds the lineage.
const historyName = "hanse-lineage"

// beginSession adds this run to the hub's history. It must be written before
// the first object goes to a member.
func (e *Engine) beginSession(ctx context.Context) error {
	client := e.hub.Resource(schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}).Namespace(v1alpha1.SystemNamespace)
	now, newest, err := e.revisions(ctx)
	if err != nil {
		return err
	}
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
	e.began = time.Now()
	e.session = string(uuid.NewUUID())[:8]
	e.history = past.Begin(e.session, now, newest)
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

// revisions are the database's current revision and the highest one of any
// lease or namespace in it: leases are renewed every few seconds, so newest is
// close behind now unless the database was restored with bumped revisions.
func (e *Engine) revisions(ctx context.Context) (now, newest uint64, err error) {
	for _, gvr := range []schema.GroupVersionResource{
		{Group: "coordination.k8s.io", Version: "v1", Resource: "leases"},
		{Version: "v1", Resource: "namespaces"},
		{Version: "v1", Resource: "configmaps"},
	} {
		list, err := e.hub.Resource(gvr).Namespace(corev1.NamespaceAll).List(ctx, metav1.ListOptions{})
		if err != nil {
			return 0, 0, fmt.Errorf("read the hub's revision: %w", err)
		}
		now = max(now, revision(list.GetResourceVersion()))
		for i := range list.Items {
			newest = max(newest, revision(list.Items[i].GetResourceVersion()))
		}
	}
	return now, newest, nil
}

// revision is a resourceVersion as a number, 0 where it is none.
func revision(rv string) uint64 {
	n, err := strconv.ParseUint(rv, 10, 64)
	if err != nil {
		return 0
	}
	return n
}
