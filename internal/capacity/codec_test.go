package capacity

import (
	"encoding/json"
	"reflect"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"pgregory.net/rapid"
)

// TestViewsAreRecordedWhole: what is read of a recorded View decides as the View did, because it is the same.
func TestViewsAreRecordedWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var nodes []*corev1.Node
		for i := range rapid.IntRange(0, 4).Draw(t, "nodes") {
			nodes = append(nodes, exampleNode(i))
		}
		var running []*corev1.Pod
		for range rapid.IntRange(0, 20).Draw(t, "pods") {
			running = append(running, examplePod(rapid.IntRange(0, 9).Draw(t, "which"), rapid.IntRange(0, 3).Draw(t, "place")))
		}
		view := NewView(nodes, running)
		encoded, err := json.Marshal(view)
		if err != nil {
			t.Fatal(err)
		}
		read := &View{}
		if err := json.Unmarshal(encoded, read); err != nil {
			t.Fatal(err)
		}
		again, err := json.Marshal(read)
		if err != nil || string(again) != string(encoded) {
			t.Fatalf("%v\n%s\nis read as\n%s", err, encoded, again)
		}
		profile, err := NewProfile(&corev1.PodSpec{Containers: []corev1.Container{{Name: "c"}}}, 0)
		if err != nil {
			t.Fatal(err)
		}
		labels := map[string]string{corev1.LabelTopologyRegion: "eu"}
		if was, is := view.Room(profile, labels), read.Room(profile, labels); !reflect.DeepEqual(was, is) {
			t.Fatalf("room was\n%v\nand is\n%v", was, is)
		}
		if !reflect.DeepEqual(view.Pods(true), read.Pods(true)) || !reflect.DeepEqual(view.Zones(), read.Zones()) {
			t.Fatal("pods or zones are others")
		}
	})
}

// FuzzView: what is no View is an error.
func FuzzView(f *testing.F) {
	f.Add([]byte(`{"domains":[["a","b"]],"nodes":[{"name":"n","domain":1}]}`))
	f.Add([]byte(`{"running":[{}],"repelling":[0,-1]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		v := &View{}
		if json.Unmarshal(data, v) != nil {
			return
		}
		profile, err := NewProfile(&corev1.PodSpec{}, 0)
		if err != nil {
			t.Fatal(err)
		}
		v.Room(profile, nil)
	})
}
