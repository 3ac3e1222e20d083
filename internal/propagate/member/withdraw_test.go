package member

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// marksOf are what the hub has written on an object beside what is wanted.
func marksOf(obj map[string]any) (marks []string) {
	u := unstructuredOf(obj)
	for key := range u.GetLabels() {
		marks = append(marks, key)
	}
	for key := range u.GetAnnotations() {
		marks = append(marks, key)
	}
	return marks
}

// TestWorkloadsThatStayLoseTheMarks: a member that leaves with its workloads has nothing
// of the hub on them, and they are as they were; also when the hub was restarted while the
// member left, and has not read the member yet.
func TestWorkloadsThatStayLoseTheMarks(t *testing.T) {
	for name, restart := range map[string]bool{"at once": false, "after a restart of the hub": true} {
		t.Run(name, func(t *testing.T) {
			m := newMemberAPI(t)
			h := newHub()
			member, leave := m.joined(t, h, "aws")
			defer func() { leave() }()
			key := h.put(configMaps(), configMap("settings"))
			h.waitForState(t, member, key, v1alpha1.StateSynced)
			if restart {
				leave()
				member, leave = m.joined(t, h, "aws")
			}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			if err := member.Withdraw(ctx, true, func() bool { return true }); err != nil {
				t.Fatal(err)
			}
			obj := m.get(settings)
			if obj == nil || len(marksOf(obj)) > 0 || unstructuredOf(obj).Object["data"].(map[string]any)["key"] != "value" {
				t.Errorf("the object is %v", obj)
			}
		})
	}
}

// TestWithdrawingWaitsForWhatIsNotRead: nothing is said to be gone before it is known.
func TestWithdrawingWaitsForWhatIsNotRead(t *testing.T) {
	h := newHub()
	member := New("aws", h.options(), h, h)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := member.Withdraw(ctx, false, func() bool { return true }); err == nil || !strings.Contains(err.Error(), "not everything in cluster aws has been read") {
		t.Errorf("nothing is known of the member, and it is said: %v", err)
	}
}
