package propagate

import (
	"fmt"
	"strings"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"

	"github.com/hanse-dev/hanse/internal/fieldmerge"
)

// maxRestored bounds the events about single objects that follow a restore, in
// each member.
const maxRestored = 200

// Session says which run of the hub this is, "" before it has begun, and whether
// the hub was restored since the run that wrote in a member last ("" if that is
// not known). From then on what is put back in that member is said.
func (e *Engine) Session(name, last string) (now string, restored bool) {
	e.mu.RLock()
	begun := e.running != nil
	e.mu.RUnlock()
	if !begun {
		return "", false
	}
	if last == "" || e.history.Lived(last) {
		return e.session, false
	}
	e.restored.LoadOrStore(name, &atomic.Int32{})
	return e.session, true
}

// tellRestored says what became of an object that the restored hub has as it was
// before this run, if it was restored. Only the first write of this run can be
// about that.
func (t *task) tellRestored(what string) {
	said, ok := t.engine.restored.Load(t.member.name)
	sessions := t.engine.history.Sessions
	if !ok || len(sessions) == 0 || t.template.rv >= sessions[len(sessions)-1].From || said.(*atomic.Int32).Add(1) > maxRestored {
		return
	}
	t.tell(corev1.EventTypeWarning, reasonRestored, what+", since the hub was restored from an older copy")
}

// changedBack says which fields a patch has put back.
func changedBack(patch map[string]any) string {
	paths := fieldmerge.Paths(patch)
	if more := len(paths) - 5; more > 0 {
		return fmt.Sprintf("%s and %d more fields changed back", strings.Join(paths[:5], ", "), more)
	}
	return strings.Join(paths, ", ") + " changed back"
}
