package main

import "testing"

func TestWhatAMessageIsAbout(t *testing.T) {
	for message, want := range map[string]string{
		"field HealthCheck.Interval pointer should not use a Duration.":                              "HealthCheck.Interval",
		`naming convention "nophase": field ClusterStatus.Phase: phase fields are deprecated`:        "ClusterStatus.Phase",
		"embedded Cluster.metav1.ObjectMeta must be marked as optional or required":                  "Cluster.metav1.ObjectMeta",
		"Conditions field in ClusterStatus is missing the following markers: patchStrategy=merge":    "ClusterStatus.Conditions",
		"Rollout.Groups is an array of structs, but the struct has no required fields. At least one": "Rollout.Groups",
		"something else": "-",
	} {
		if got := fieldOf(message); got != want {
			t.Errorf("%s is about %s, want %s", message, got, want)
		}
	}
}

func TestCompare(t *testing.T) {
	known := readKnown([]byte("# why\nnomaps A.B # since v0\n\nnomaps C.D\n"))
	fresh, stale := compare([]finding{{rule: "nomaps", field: "A.B"}, {rule: "nobools", field: "A.B"}}, known)
	if len(fresh) != 1 || fresh[0].key() != "nobools A.B" || len(stale) != 1 || stale[0] != "nomaps C.D" {
		t.Errorf("new are %v, stale %v", fresh, stale)
	}
}
