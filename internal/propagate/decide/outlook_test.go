package decide

import "testing"

// The formula goes by the clusters of now, and by those that had joined when an object was made.
func TestTheFormulaFollowsTheClusters(t *testing.T) {
	r := newRig(deployments())
	r.clusters(ready("aws", 0), ready("azure", 0))
	if a := r.deployment("before", 10, 4, nil); a.Undecided || a.Decision.String() != "aws=2,azure=2" {
		t.Fatalf("%s, to be recorded: %t", a.Decision, a.Undecided)
	}
	r.clusters(ready("aws", 0), ready("azure", 0), ready("google", 0))
	if a := r.deployment("after", 10, 6, nil); a.Undecided || a.Decision.String() != "aws=2,azure=2,google=2" {
		t.Errorf("%s, to be recorded: %t", a.Decision, a.Undecided)
	}
}
