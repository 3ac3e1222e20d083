package demo

import (
	"reflect"
	"strings"
	"testing"
)

func TestValidate(t *testing.T) {
	good := Options{Clusters: []string{"aws", "b-2"}, Nodes: 1}
	if err := good.validate(); err != nil {
		t.Errorf("good: %v", err)
	}
	for what, change := range map[string]func(*Options){
		"none":      func(o *Options) { o.Clusters = nil },
		"hub":       func(o *Options) { o.Clusters = []string{"federation"} },
		"twice":     func(o *Options) { o.Clusters = []string{"a", "b", "a"} },
		"path":      func(o *Options) { o.Clusters = []string{"../a"} },
		"long":      func(o *Options) { o.Clusters = []string{strings.Repeat("a", 41)} },
		"empty":     func(o *Options) { o.Clusters = []string{""} },
		"no nodes":  func(o *Options) { o.Nodes = 0 },
		"bad port":  func(o *Options) { o.Port = -1 },
		"high port": func(o *Options) { o.Port = 65536 },
	} {
		o := good
		change(&o)
		if err := o.validate(); err == nil || !strings.Contains(err.Error(), "Try: ") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestMembers(t *testing.T) {
	o := Options{Clusters: []string{"google", "x", "y", "aws"}, Nodes: 2}
	want := []Cluster{
		{"google", "google", "asia-southeast1", 2},
		{"x", "azure", "westeurope", 2},
		{"y", "google", "asia-southeast1", 2},
		{"aws", "aws", "us-east-1", 2},
	}
	if got := o.members(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
