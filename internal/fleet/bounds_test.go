package fleet

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"pgregory.net/rapid"

	"github.com/hanse-dev/hanse/api/v1alpha1"
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

func TestLabelValuesAreValidAndStable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.String(), rapid.StringMatching(`[-._a-zA-Z0-9/: ]{0,80}`)).Draw(t, "s")
		got := labelValue(s)
		if problems := validation.IsValidLabelValue(got); len(problems) > 0 {
			t.Fatalf("%q became %q: %v", s, got, problems)
		}
		if len(validation.IsValidLabelValue(s)) == 0 && got != s {
			t.Fatalf("%q is valid and became %q", s, got)
		}
		if again := labelValue(got); again != got {
			t.Fatalf("%q became %q and then %q", s, got, again)
		}
	})
}

func TestTextIsPrintableAndBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })).Draw(t, "s")
		s = strings.Repeat(s, rapid.IntRange(1, 50).Draw(t, "times"))
		limit := rapid.IntRange(1, 100).Draw(t, "limit")
		got := printable(s, limit)
		if len(got) > limit+len("…") || !utf8.ValidString(got) || strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Fatalf("%q became %q", s, got)
		}
	})
	if got := oneLine("a\n\x1b[31mb\tc."); got != "a [31mb c" {
		t.Errorf("%q", got)
	}
}

func TestAMemberCannotFillItsCluster(t *testing.T) {
	s := newSurvey()
	for i := range 3000 {
		huge := strings.Repeat("x", 1<<16)
		n := node(fmt.Sprintf("cloud%d://%s", i, huge), map[string]string{
			corev1.LabelTopologyRegion: fmt.Sprint("region", i, huge), corev1.LabelTopologyZone: fmt.Sprint("zone", i, huge),
		}, true, "1")
		for j := range 50 {
			n.Status.Capacity[corev1.ResourceName(fmt.Sprintf("example.com/r%d-%d", i, j))] = resource.MustParse("1")
		}
		n.Status.Capacity[corev1.ResourceName(huge)] = resource.MustParse("1")
		n.Status.Capacity["example.com/negative"] = resource.MustParse("-5")
		s.add(n)
	}
	f := s.result()
	if len(f.zones) > maxZones || len(f.region) > maxPlace || len(f.provider) > maxPlace || len(f.capacity) > maxResources {
		t.Errorf("%d zones, region of %d, provider of %d bytes, %d resources", len(f.zones), len(f.region), len(f.provider), len(f.capacity))
	}
	if len(s.zones) > maxPlaces || len(s.regions) > maxPlaces || len(s.providers) > maxPlaces {
		t.Errorf("%d zones, %d regions, %d providers are kept", len(s.zones), len(s.regions), len(s.providers))
	}
	if cpu := f.capacity[corev1.ResourceCPU]; cpu.Value() != 3000 {
		t.Errorf("%s cores, want 3000", cpu.String())
	}
	if q, ok := f.capacity["example.com/negative"]; ok && q.Sign() < 0 {
		t.Error("a node takes away from the others")
	}
}

func TestConditionsAreBounded(t *testing.T) {
	long := strings.Repeat("endless ", 1<<17)
	well := newHealth().next(verdict{reason: v1alpha1.ReasonReachable})
	away := newHealth()
	for range 3 {
		away = away.next(judge("aws", "https://aws", classify(&notReadyError{long})))
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
	if len(version) > maxVersion+len("…") || slices.Contains([]byte(version), '\x1b') {
		t.Errorf("a version of %d bytes", len(version))
	}
}
