package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/fleet/access"
)

// beginPoll is how often a member asks whether the hub's run has begun.
const beginPoll = 50 * time.Millisecond

// begin finds out which run of the hub this is, and from the note of the last one that
// wrote in the member whether the hub was restored since; that is said, once: it is
// noted at once. It is false as long as the run has not begun.
func (m *member) begin(ctx context.Context, c *v1alpha1.Cluster) bool {
	if m.session != "" {
		return true
	}
	session, restored := m.fleet.prop.Session(m.name, m.said.session)
	if session == "" {
		return false
	}
	m.session = session
	if restored {
		m.fleet.events.restored(c)
		m.noting(ctx)()
		m.said.session = session // or the first write would note it again
	}
	return true
}

// noting is what notes in the member that this run of the hub is the last one that
// wrote there, when it is called first. It comes before the first write: a run that has
// left nothing behind need not be known, and so a restart in which nothing has changed
// writes nothing. A note that cannot be written costs no more than that a restore is
// not said.
func (m *member) noting(ctx context.Context) func() {
	if m.session == m.said.session {
		return func() {}
	}
	link, session := m.link, m.session
	return sync.OnceFunc(func() {
		if err := link.note(ctx, session); err != nil {
			klog.FromContext(ctx).V(2).Info("The hub's run is not noted in the member", "err", err)
		}
	})
}

func (l *link) note(ctx context.Context, session string) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]any{access.AnnotationSession: session}}})
	if err != nil {
		return fmt.Errorf("encode the hub's run: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, err = l.client().CoreV1().Namespaces().Patch(ctx, v1alpha1.SystemNamespace, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: v1alpha1.FieldManager})
	return err
}

// wakeIn has the member looked at again after a while.
func (m *member) wakeIn(ctx context.Context, d time.Duration) {
	timer := time.AfterFunc(d, m.wake)
	context.AfterFunc(ctx, func() { timer.Stop() })
}
