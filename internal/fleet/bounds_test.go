package fleet

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/fleet/access"
)

// nodePath is where the member of these tests has its only node.
const nodePath = "/api/v1/nodes/n"

// putNode gives the member one ready node in a place of its own making.
func (f *federation) putNode(providerID, region, zone string) {
	f.member.put(nodePath, map[string]any{"kind": "Node", "apiVersion": "v1",
		"metadata": map[string]any{"name": "n", "labels": map[string]any{corev1.LabelTopologyRegion: region, corev1.LabelTopologyZone: zone}},
		"spec":     map[string]any{"providerID": providerID},
		"status":   map[string]any{"conditions": []any{map[string]any{"type": "Ready", "status": "True"}}},
	})
}

// refuseInvalidLabels has the hub refuse what the API server would.
func (f *federation) refuseInvalidLabels(t *testing.T) {
	t.Helper()
	f.hub.setIntercept(func(r *http.Request) int {
		if r.Method != http.MethodPatch || r.URL.Path != clusterPath {
			return 0
		}
		for _, value := range labelsIn(t, r) {
			if len(validation.IsValidLabelValue(value)) > 0 {
				return http.StatusUnprocessableEntity
			}
		}
		return 0
	})
}

func TestAPlaceThatIsNoLabelStopsNothing(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	f.putNode("My Cloud!/ Über:://vm/1", "Bremen (Nord)", strings.Repeat("z", 90))
	f.refuseInvalidLabels(t)
	f.join(t) // waits until the status says ready
	f.eventually(t, "labelled", func() bool {
		labels, _ := f.hub.get(clusterPath)["metadata"].(map[string]any)["labels"].(map[string]any)
		return labels[corev1.LabelTopologyRegion] == "Bremen--Nord" && labels[corev1.LabelTopologyZone] == strings.Repeat("z", 63)
	})
}

func TestRefusedLabelsDoNotStopTheStatus(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	f.putNode("aws:///us-east-1a/i", "us-east-1", "us-east-1a")
	f.hub.setIntercept(func(r *http.Request) int {
		if r.Method == http.MethodPatch && r.URL.Path == clusterPath {
			return http.StatusUnprocessableEntity
		}
		return 0
	})
	f.join(t)
	f.eventually(t, "said by an event", func() bool { return f.hub.hasEvent("LabelsRefused") })
	f.hub.setIntercept(func(*http.Request) int { return 0 })
	f.eventually(t, "labelled once it is possible", func() bool {
		labels, _ := f.hub.get(clusterPath)["metadata"].(map[string]any)["labels"].(map[string]any)
		return labels[corev1.LabelTopologyRegion] == "us-east-1"
	})
}

func TestARefusedStatusStillSaysReady(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	f.putNode("aws:///us-east-1a/i", "us-east-1", "us-east-1a")
	f.hub.setIntercept(func(r *http.Request) int {
		if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/status") && strings.Contains(bodyOf(t, r), `"region":"us-east-1"`) {
			return http.StatusUnprocessableEntity
		}
		return 0
	})
	f.join(t)
}

func TestConditionsAreBounded(t *testing.T) {
	long := strings.Repeat("endless ", 1<<17)
	well := newHealth().next(verdict{reason: v1alpha1.ReasonReachable})
	away := newHealth()
	for range 3 {
		away = away.next(judge("aws", "https://aws", access.Classify(&access.NotReadyError{Checks: long})))
	}
	condition := func(kind string) *metav1.Condition {
		return &metav1.Condition{Type: kind, Status: metav1.ConditionTrue, Reason: "R", Message: long}
	}
	for _, h := range []health{well, away} {
		s := render(&v1alpha1.Cluster{}, view{health: h, report: Report{Failing: 1, Message: long,
			FailedOver: condition(v1alpha1.ConditionFailedOver), Drained: condition(v1alpha1.ConditionDrained)}})
		for _, c := range s.Conditions {
			if len(c.Message) > maxCondition+len("…") {
				t.Errorf("%s has a message of %d bytes", c.Type, len(c.Message))
			}
		}
	}
	if meta.FindStatusCondition(render(&v1alpha1.Cluster{}, view{health: away}).Conditions, v1alpha1.ConditionReady).Reason != v1alpha1.ReasonNotReady {
		t.Error("the test proves nothing")
	}
}

func TestVersionsAreBounded(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	f.member.setVersion("v1." + strings.Repeat("9", 1<<20) + "\x1b[2J")
	f.join(t)
	version := f.hub.get(clusterPath)["status"].(map[string]any)["version"].(string)
	if len(version) > 64+len("…") || slices.Contains([]byte(version), '\x1b') {
		t.Errorf("a version of %d bytes", len(version))
	}
}
