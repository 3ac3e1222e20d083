package record

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-dev/hanse/internal/propagate/decide"
)

// TestARevisionSurvivesItsRecording, although it does not follow from what is recorded of the pod template; and what is recorded is
// a copy.
func TestARevisionSurvivesItsRecording(t *testing.T) {
	d := newDriver(options)
	in := d.written(d.manifest("Deployment", "web", 3)).(decide.Written)
	out := copyOf(t, newEncoder(), newDecoder(), in).(decide.Written)
	if got, want := out.Template.Content.Revision, in.Template.Content.Revision; got != want || want == "" {
		t.Errorf("the revision is %q, was %q", got, want)
	}
	value := func(in decide.Written) any {
		containers, _, _ := unstructured.NestedSlice(in.Template.Object.Object, "spec", "template", "spec", "containers")
		return containers[0].(map[string]any)["env"].([]any)[0].(map[string]any)["value"]
	}
	if got := value(out); got != unrecorded {
		t.Errorf("the recording has the value %v", got)
	}
	if got := value(in); got != "hunter1" {
		t.Errorf("the template that was recorded has the value %v", got)
	}
}
