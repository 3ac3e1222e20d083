package propagate

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

func claiming(zone string) *cluster {
	c := ready(zone, 0)
	c.labels = map[string]string{corev1.LabelTopologyZone: zone}
	return c
}

// TestVolumesBindToTheirZone places what uses a volume where the volume is, and moves
// nothing that runs.
func TestVolumesBindToTheirZone(t *testing.T) {
	r := demandingRig(claiming("aws-1"), claiming("azure-1"))
	s := r.engine.around
	s.views["aws-1"], s.views["azure-1"] = inZone("aws-1", false), inZone("azure-1", true)
	const uses = `
volumes: [{name: d, persistentVolumeClaim: {claimName: data}}]
nodeSelector: {kubernetes.io/os: linux}`
	volume := func(name string, replicas int64, recorded map[string]string) *template {
		return r.plainWith(t, name, replicas, recorded, uses)
	}
	if got := volume("new", 2, nil); got.decision.String() != "azure-1=2" || !got.undecided {
		t.Errorf("the volume is in azure-1, and it is %s", got.decision)
	}
	running := map[string]string{"hanse.dev/division": `{"aws-1":1,"azure-1":1}`}
	if got := volume("old", 2, running); got.decision.String() != "aws-1=1,azure-1=1" {
		t.Errorf("what runs is moved: %s", got.decision)
	}
	s.views["aws-1"] = inZone("aws-1", true)
	s.forgetAllRooms()
	if got := volume("both", 2, nil); got.decision.String() != "aws-1=1,azure-1=1" {
		t.Errorf("each has its volume, and it is %s", got.decision)
	}
}
