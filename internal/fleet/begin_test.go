package fleet

import (
	"net/http"
	"testing"
)

func TestARestoredHubIsSaid(t *testing.T) {
	t.Parallel()
	for last, restored := range map[string]bool{"": false, "known-before": false, "lost": true} {
		t.Run(last, func(t *testing.T) {
			t.Parallel()
			f := newFederation(t)
			const ns = "/api/v1/namespaces/hanse-system"
			f.member.put(ns, map[string]any{"kind": "Namespace", "apiVersion": "v1", "metadata": map[string]any{"name": "hanse-system",
				"annotations": map[string]any{annotationHub: "hub-uid", annotationSession: last}}})
			f.join(t)
			f.eventually(t, "engaged", func() bool { return f.prop.isEngaged("aws") })
			f.eventually(t, "the events are there", func() bool { return f.hub.hasEvent("Reachable") })
			if restored {
				f.eventually(t, "said", func() bool { return f.hub.hasEvent("HubRestored") })
			} else if f.hub.hasEvent("HubRestored") {
				t.Error("a restart is called a restore")
			}
			if got := f.member.get(ns)["metadata"].(map[string]any)["annotations"].(map[string]any)[annotationSession]; got != "known-now" {
				t.Errorf("the member has %v", got)
			}
		})
	}
}

func TestANoteThatIsRefusedStopsNothing(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	f.member.setIntercept(func(r *http.Request) int {
		if r.Method == http.MethodPatch {
			return http.StatusForbidden
		}
		return 0
	})
	f.join(t)
	f.eventually(t, "engaged", func() bool { return f.prop.isEngaged("aws") })
}
