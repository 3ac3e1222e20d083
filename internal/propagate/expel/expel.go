// Package expel says in which order what a Residency expels from a cluster leaves it: nothing goes before what needs it, and no data
// without somebody's approval. It is pure.
package expel

import (
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/propagate/assignment"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// Object is one in a member that has to leave.
type Object struct {
	Want *assignment.Wanted
	// Replicas that its spec has there, nil without; Status of it, which is about that spec if it is Current.
	Replicas *int32
	Status   map[string]any
	Current  bool
	// Of its namespace, or of the Namespace that it is: Runs says whether the hub has workloads in it there, Left how many objects.
	Runs bool
	Left int
	// Holds is the resource of what others have in the Namespace that it is, and what would go with it.
	Holds    string
	Approved bool // somebody was shown the object, and wants it deleted
}

// Action is what becomes of an object now.
type Action int

// Actions.
const (
	Delete Action = iota
	Lower         // it is to run as many replicas as is wanted now
	Wait
	Ask // somebody has to approve, as data would go with it
)

// Claims are what data is in, as resource and as kind are called.
const Claims = "persistentvolumeclaims"

// Next is what becomes of an object now, and what it waits for, in words.
//
// Workloads run fewer as others are ready, and go when none of their pods is left. Work that has begun ends first, since
// nobody may do it twice. Then goes all else, and at last the Namespace. A claim, and a Namespace in which others have claims,
// goes only once somebody approves: the data may be nowhere else.
func Next(o Object) (Action, string) {
	key := o.Want.Key
	isNamespace := key.GR == template.Namespaces()
	switch {
	case isNamespace && o.Left > 0:
		return Wait, "what is in it to leave"
	case o.Approved:
		return Delete, ""
	case isNamespace && o.Holds == Claims, key.GR.String() == Claims && !o.Runs:
		return Ask, ""
	case isNamespace && o.Holds != "":
		return Wait, o.Holds + " in it to end"
	case o.Want.Division == kinds.Replicas && !o.empty():
		return o.lower()
	case o.Want.StaysPut() && o.Want.Placed && !o.Want.Finished():
		return Wait, "its work, which has begun there, to end"
	case o.Runs && needed(key.GR, o.Want.Division):
		return Wait, "the workloads of its namespace to leave"
	}
	return Delete, ""
}

// needed says whether workloads may need what a resource has: all but workloads, and autoscalers, which would have them run more.
func needed(gr schema.GroupResource, d kinds.Division) bool {
	switch gr {
	case template.Autoscalers().GroupResource(), schema.GroupResource{Group: "apps", Resource: "daemonsets"}:
		return false
	}
	return d == kinds.Everywhere
}

// empty says whether a workload runs nothing, and has nothing more to end.
func (o *Object) empty() bool {
	n, _ := o.Status["replicas"].(int64)
	return o.Replicas != nil && *o.Replicas == 0 && n == 0 && o.Current
}

// lower tells a workload how many replicas it is to run now, if that is fewer than it does.
func (o *Object) lower() (Action, string) {
	switch {
	case o.Replicas == nil || *o.Replicas == 0:
		return Wait, "its pods to end"
	case o.Want.Share.Replicas >= *o.Replicas:
		return Wait, "others to be ready in its place"
	}
	return Lower, ""
}

// Runs says whether an object is a workload that has pods, or will.
func Runs(gr schema.GroupResource, replicas *int32, status map[string]any) bool {
	switch gr {
	case template.Jobs():
		return !template.JobEnds(status, "Complete", "Failed")
	case schema.GroupResource{Resource: "pods"}:
		return status["phase"] != "Succeeded" && status["phase"] != "Failed"
	}
	n, _ := status["replicas"].(int64)
	return replicas != nil && *replicas > 0 || n > 0
}
