package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// beginPoll is how often a member asks whether the hub's run has begun.
const beginPoll = 50 * time.Millisecond

// begin notes in the member which run of the hub it is engaged with, and finds out
// from the note of the last one whether the hub was restored since; that is said.
// It is false as long as the run has not begun. A note that cannot be written
// costs no more than that a restore is not said.
func (m *member) begin(ctx context.Context, c *v1alpha1.Cluster) bool {
	if m.begun {
		return true
	}
	session, restored := m.fleet.prop.Session(m.name, m.said.session)
	if session == "" {
		return false
	}
	m.begun = true
	if restored {
		m.fleet.events.restored(c)
	}
	if session == m.said.session {
		return true
	}
	if err := m.note(ctx, session); err != nil {
		klog.FromContext(ctx).V(2).Info("The hub's run is not noted in the member", "err", err)
	}
	return true
}

func (m *member) note(ctx context.Context, session string) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]any{annotationSession: session}}})
	if err != nil {
		return fmt.Errorf("encode the hub's run: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, err = m.link.client.CoreV1().Namespaces().Patch(ctx, v1alpha1.SystemNamespace, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: v1alpha1.FieldManager})
	return err
}

// wakeIn has the member looked at again after a while.
func (m *member) wakeIn(ctx context.Context, d time.Duration) {
	timer := time.AfterFunc(d, m.wake)
	context.AfterFunc(ctx, func() { timer.Stop() })
}
