package fleet

import (
	"net/http"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/hanse-dev/hanse/internal/fleet/access"
)

func TestARestoredHubIsSaid(t *testing.T) {
	t.Parallel()
	for last, restored := range map[string]bool{"": false, "known-before": false, "lost": true} {
		t.Run(last, func(t *testing.T) {
			t.Parallel()
			f := newFederation(t)
			const ns = "/api/v1/namespaces/hanse-system"
			f.member.put(ns, map[string]any{"kind": "Namespace", "apiVersion": "v1", "metadata": map[string]any{"name": "hanse-system",
				"annotations": map[string]any{access.AnnotationHub: "hub-uid", access.AnnotationSession: last}}})
			f.join(t)
			f.eventually(t, "engaged", func() bool { return f.prop.isEngaged("aws") })
			f.eventually(t, "the events are there", func() bool { return f.hub.hasEvent("Reachable") })
			if restored {
				f.eventually(t, "said", func() bool { return f.hub.hasEvent("HubRestored") })
			} else if f.hub.hasEvent("HubRestored") {
				t.Error("a restart is called a restore")
			}
			noted := func() any {
				return f.member.get(ns)["metadata"].(map[string]any)["annotations"].(map[string]any)[access.AnnotationSession]
			}
			if restored {
				f.eventually(t, "noted at once", func() bool { return noted() == "known-now" })
			} else if got := noted(); got != last {
				t.Errorf("%v is noted, and nothing was written", got)
			}
			f.member.writes()
			client := kubernetes.NewForConfigOrDie(f.prop.config("aws"))
			for _, name := range []string{"a", "b"} {
				_, err := client.CoreV1().ConfigMaps("default").Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
				if err != nil {
					t.Fatal(err)
				}
			}
			const maps = "POST /api/v1/namespaces/default/configmaps"
			want := []string{"PATCH " + ns, maps, maps}
			if restored {
				want = want[1:]
			}
			if got := f.member.writes(); !slices.Equal(got, want) || noted() != "known-now" {
				t.Errorf("wrote %v; %v is noted", got, noted())
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
	client := kubernetes.NewForConfigOrDie(f.prop.config("aws"))
	if _, err := client.CoreV1().ConfigMaps("default").Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "a"}}, metav1.CreateOptions{}); err != nil {
		t.Error(err)
	}
}
