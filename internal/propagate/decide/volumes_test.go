package decide

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/hanse-dev/hanse/internal/capacity"
)

// inZone is a cluster of one node in a zone of its own, with a volume for claim data if
// bound.
func inZone(zone string, bound bool) *capacity.View {
	n := &corev1.Node{}
	n.Name, n.Labels = zone+"-node", map[string]string{corev1.LabelTopologyZone: zone}
	n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
	v := &corev1.PersistentVolume{}
	v.Name, v.Labels = "pv", n.Labels
	v.Spec.ClaimRef = &corev1.ObjectReference{Namespace: "shop", Name: "data"}
	if bound {
		v.Status.Phase = corev1.VolumeBound
	}
	return capacity.NewView([]*corev1.Node{n}, nil, v)
}

func claiming(zone string) *Cluster {
	c := ready(zone, 0)
	c.Labels = map[string]string{corev1.LabelTopologyZone: zone}
	return c
}

// TestVolumesBindToTheirZone places what uses a volume where the volume is, and moves
// nothing that runs.
func TestVolumesBindToTheirZone(t *testing.T) {
	r := demandingRig(claiming("aws-1"), claiming("azure-1"))
	r.apply(Measured{"aws-1", inZone("aws-1", false)})
	r.apply(Measured{"azure-1", inZone("azure-1", true)})
	const uses = `
volumes: [{name: d, persistentVolumeClaim: {claimName: data}}]
nodeSelector: {kubernetes.io/os: linux}`
	volume := func(name string, replicas int64, recorded map[string]string) *Assignment {
		return r.plainWith(t, name, replicas, recorded, uses)
	}
	if got := volume("new", 2, nil); got.Decision.String() != "azure-1=2" || !got.Undecided {
		t.Errorf("the volume is in azure-1, and it is %s", got.Decision)
	}
	running := map[string]string{"hanse.dev/division": `{"aws-1":1,"azure-1":1}`}
	if got := volume("old", 2, running); got.Decision.String() != "aws-1=1,azure-1=1" {
		t.Errorf("what runs is moved: %s", got.Decision)
	}
	r.apply(Measured{"aws-1", inZone("aws-1", true)})
	if got := volume("both", 2, nil); got.Decision.String() != "aws-1=1,azure-1=1" {
		t.Errorf("each has its volume, and it is %s", got.Decision)
	}
}
