package kinds

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Division says how a kind's number is divided over clusters.
type Division int

const (
	// Everywhere: the object is the same in every cluster.
	Everywhere Division = iota
	// Replicas: spec.replicas is divided.
	Replicas
	// Completions: spec.completions of a Job are divided, for good when it is
	// made. How many pods run at once goes where some of them are left.
	Completions
	// One: the object is a unit of work that must not be done twice; it is in
	// one cluster.
	One
	// OneActive: the object is in every cluster, suspended in all but one, so
	// that a schedule fires once.
	OneActive
)

// DivisionOf says how obj is divided.
func DivisionOf(gr schema.GroupResource, obj map[string]any) Division {
	switch gr {
	case schema.GroupResource{Group: "apps", Resource: "deployments"},
		schema.GroupResource{Group: "apps", Resource: "replicasets"},
		schema.GroupResource{Group: "apps", Resource: "statefulsets"},
		schema.GroupResource{Resource: "replicationcontrollers"}:
		return Replicas
	case schema.GroupResource{Group: "batch", Resource: "jobs"}:
		if mode, _, _ := unstructured.NestedString(obj, "spec", "completionMode"); mode == "Indexed" {
			return One // two clusters would both run index 0
		}
		return Completions
	case schema.GroupResource{Group: "batch", Resource: "cronjobs"}:
		return OneActive
	case schema.GroupResource{Resource: "pods"}:
		return One
	}
	return Everywhere
}

// Total is the number to divide: replicas, or how many pods of a Job run at
// once.
func Total(d Division, obj map[string]any) int32 {
	switch d {
	case Replicas:
		return int32At(obj, 1, "spec", "replicas")
	case Completions:
		parallelism := Parallelism(obj)
		return min(parallelism, int32At(obj, parallelism, "spec", "completions"))
	case One, OneActive:
		return 1
	}
	return 0
}

// Parallelism is how many pods of a Job run at once, in all clusters.
func Parallelism(obj map[string]any) int32 { return int32At(obj, 1, "spec", "parallelism") }

// Share is one cluster's part of what is divided.
type Share struct {
	Replicas int32
	// Before is the sum of the shares of the clusters that come before this one
	// by name, and Total the sum of all: a Job's completions are cut so that the
	// pieces add up. They are those of the division when the Job was made,
	// whatever its parallelism is now.
	Before, Total int32
	// Parallelism is how many pods of a Job the cluster is to run at once now.
	Parallelism int32
}

// SetShare writes one cluster's share into desired, a template of obj that the
// caller owns down to spec.
func SetShare(d Division, desired map[string]any, s Share) {
	spec, ok := desired["spec"].(map[string]any)
	if !ok {
		return
	}
	switch d {
	case Replicas:
		spec["replicas"] = int64(s.Replicas)
	case Completions:
		spec["parallelism"] = int64(s.Parallelism)
		if completions, ok := spec["completions"].(int64); ok {
			spec["completions"] = s.Cut(completions)
		}
	case OneActive:
		if s.Replicas == 0 {
			spec["suspend"] = true
		}
	}
}

// Cut is the share's piece of a Job's completions.
func (s Share) Cut(completions int64) int64 {
	if s.Total <= 0 {
		return completions
	}
	upTo := func(n int32) int64 { return completions * int64(n) / int64(s.Total) }
	return upTo(s.Before+s.Replicas) - upTo(s.Before)
}

func int32At(obj map[string]any, absent int32, path ...string) int32 {
	v, found, err := unstructured.NestedFieldNoCopy(obj, path...)
	if !found || err != nil {
		return absent
	}
	switch n := v.(type) {
	case int64:
		return int32(n)
	case float64:
		return int32(n)
	}
	return absent
}
