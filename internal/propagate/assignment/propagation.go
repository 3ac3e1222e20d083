package assignment

import (
	"slices"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/policy"
	"github.com/hanse-dev/hanse/internal/propagate/references"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// Why an object that follows what names it is not in a cluster in which it may be.
const (
	Unnamed = "nothing that goes there names it"
	Unread  = "not all that may name it has been read yet: it stays as it is there"
)

// Propagation is how a propagates.
func (f *Facts) Propagation(a *Assignment) policy.Propagated {
	return f.defaults.Propagation(a.Template, a.Policy, f.Namespaces[a.Key.Namespace])
}

// propagate fills in what follows from how a propagates. What stays at the hub does so from the moment on at which that is said,
// before anything is decided about it, but for work that has begun.
func (w *Wanted) propagate(a *Assignment, cluster string, how policy.Propagated) {
	switch {
	case how.How == v1alpha1.PropagateNone && !a.Decision.Kept:
		w.Stays, w.Withheld = true, false
	case how.How != v1alpha1.PropagateNeeded:
	default:
		w.Needed = true
		why := a.rejected(cluster)
		w.Unnamed = !w.Placed && (why == Unnamed || why == Unread)
		w.Withheld = w.Withheld || !w.Placed && why == Unread
	}
}

// rejected is why a cluster does not have a; empty: it has, or nobody knows it.
func (a *Assignment) rejected(cluster string) string {
	if i := slices.IndexFunc(a.Decision.Rejected, func(r schedule.Rejection) bool { return r.Cluster == cluster }); i >= 0 {
		return a.Decision.Rejected[i].Reason
	}
	return ""
}

// Runs says whether something is to run of it in the cluster now or in the end, or to be there, that uses what it names: see Naming.
func (w *Wanted) Runs() bool {
	return !w.Stays && (w.Division == kinds.Everywhere && w.Placed || w.Share.Replicas > 0 || w.FinalReplicas > 0)
}

// sameNeed compares why clusters do not have what follows those that name it.
func sameNeed(b, a *Assignment) bool {
	return !references.Named(a.Key.GR) || sameSlice(b.Decision.Rejected, a.Decision.Rejected)
}
