package member

import (
	"fmt"

	"github.com/hanse-dev/hanse/internal/adoption"
	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// surrounding is what is known of the namespace in the member that an object is in.
type surrounding struct {
	ours     bool // it is there, and this hub made it or has taken it over
	deleting bool
	fault    *decide.Problem // why it is not as the hub wants it
	wanted   bool            // the hub is to make it; not filled in where it is ours

	// Of an object that has to leave the cluster: of a Namespace what is in it, else what is in its namespace.
	runs  bool   // workloads of the hub's, which may need it
	left  int    // objects of the hub's
	holds string // what else keeps a Namespace from being deleted; empty: nothing
}

// keptOut is what follows where the hub may not write an object, because of its kind or its namespace, or cannot know yet. It decides for
// everything that is placed, before anything is asked of the member: no write goes by it.
func (v *view) keptOut() (s step, is bool) {
	name := v.key.Namespace
	if v.key.GR == template.Namespaces() {
		name = v.key.Name
	}
	if missing := v.bounds.Access.Missing(v.cluster, v.key.GR, v.key.Namespace, v.key.Name); missing != "" {
		return step{err: conflictError{missing}}, true
	}
	switch {
	case name == "":
		return step{}, false
	case v.bounds.Namespaces.Denied(name):
		return v.stopped(conflictError{adoption.Denying(v.cluster, name)}), true
	case v.in.ours && v.in.deleting: // somebody else may make one of that name afterwards
		return waits("namespace " + name + " in the member, which is being deleted"), true
	case v.key.Namespace == "", v.in.ours:
		return step{}, false // adopt decides about a Namespace
	case v.in.fault != nil && v.in.fault.Conflict:
		return step{err: conflictError{"held, because of its namespace: " + v.in.fault.Message}}, true
	case v.in.wanted:
		return waits("namespace " + name), true
	case v.bounds.Namespaces.Allowed(name):
		return step{}, false
	}
	return step{err: conflictError{fmt.Sprintf("held: the hub is not to make namespace %s in cluster %s, so one that may be there is not its own. %s", name, v.cluster, adoption.Allowing(v.cluster, name))}}, true
}

// mayTakeOver says whether a Namespace that is there may be written: it came from this hub, or its name is allowed.
func (v *view) mayTakeOver() bool {
	mark, marked := readMark(v.key, v.live)
	return marked && mark.Origin.Hub == v.hub || v.rec.wrote == v.live.GetUID() || v.bounds.Namespaces.Allowed(v.key.Name)
}

// strange is for a Namespace that the hub did not make and that nobody has allowed it to take over.
func (v *view) strange() step {
	by := "was not made by this hub"
	if _, marked := readMark(v.key, v.live); marked {
		by = "was made by another hub"
	}
	return v.stopped(conflictError{fmt.Sprintf("namespace %s in cluster %s %s, so nothing is written in it. %s", v.key.Name, v.cluster, by, adoption.Allowing(v.cluster, v.key.Name))})
}
