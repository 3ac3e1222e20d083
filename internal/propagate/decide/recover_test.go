package decide

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// restored has the hub start from a copy without the division.
func (w *works) restored() {
	w.hub.SetAnnotations(nil)
	w.rig = newRigWith(template.Jobs(), Options{Began: at(5000), Restored: true})
	w.show()
	w.change(nil)
}

// reread has a session with a member begin, as a member tells of it: what it has before that this is all.
func (w *works) reread(name string) {
	w.apply(Engaged{name, true})
	w.apply(Seen{name, w.key("web"), w.sites[name].observed()})
	w.apply(Read{name, w.gr, true})
	w.record()
}

func TestARestoredHubDoesNoWorkTwice(t *testing.T) {
	w := newJob(t, 7, 7)
	w.policy("web", map[string]any{"clusters": map[string]any{"names": []any{"aws", "azure"}}})
	w.stepAll()
	before := w.numbers("completions")
	w.noPolicy("web")
	w.restored()
	for _, name := range []string{"aws", "google"} {
		w.reread(name)
		if a := w.get("web"); a.Placed() > 0 || a.Undecided || !strings.Contains(a.Decision.Reason, "azure") {
			t.Fatalf("azure has not been read, and it is %s (to be recorded: %t), because %q", a.Decision, a.Undecided, a.Decision.Reason)
		}
	}
	w.reread("azure")
	w.stepAll()
	if now := w.numbers("completions"); now != before {
		t.Errorf("%s became %s; %s", before, now, w.get("web").Decision)
	}
	if a := w.get("web"); !a.Decision.Kept || w.hub.GetAnnotations()["hanse.dev/division"] == "" {
		t.Errorf("it is %s, recorded as %v", a.Decision, w.hub.GetAnnotations())
	}
}

func TestARestoredHubBeginsWhatHasNotBegun(t *testing.T) {
	w := newJob(t, 7, 7)
	w.restored()
	for _, name := range []string{"aws", "azure", "google"} {
		w.reread(name)
	}
	w.stepAll()
	if now := w.numbers("completions"); now != "aws=3,azure=2,google=2" {
		t.Errorf("it is %s; %s", now, w.get("web").Decision)
	}
	w = newJob(t, 7, 7)
	w.hub.SetCreationTimestamp(metav1.NewTime(at(6000)))
	w.sites["aws"].away = true
	w.restored()
	if a := w.get("web"); a.Placed() == 0 {
		t.Errorf("it was made after the restore, and is %s because %q", a.Decision, a.Decision.Reason)
	}
}
