package fleet

import (
	"context"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// Propagator is what fleet tells about members coming and going.
type Propagator interface {
	// Engage is called each time the member becomes reachable, also when it was
	// engaged before. ctx ends when the member is not reachable any more,
	// refuses the hub's credential, or leaves; a later Engage for the same name
	// comes only after that. cfg has no client-side throttling and no timeout,
	// reads the current token for every request, so that a rotation of the
	// credential needs no new Engage, and shares one connection with all who talk to
	// the member: its Transport may be wrapped, but not replaced. After ctx has ended
	// its requests fail, those under way too. Engage must not block.
	Engage(ctx context.Context, name string, cfg *rest.Config)
	// Session says which run of the hub this is, "" before it has begun, and whether
	// it comes from the one that wrote in the member last ("" if that is not known):
	// if not, the hub was restored from an older copy. It is called before the first
	// Engage and must not block.
	Session(name, last string) (now string, restored bool)
	// Withdraw deletes everything that the hub manages in the member, or with stay
	// takes the hub's marks off it. The member is engaged while it runs. It blocks
	// until that is done or ctx ends (then it returns an error) and is idempotent.
	Withdraw(ctx context.Context, name string, stay bool) error
	// Looked is called after each look at a member, with when it began and whether
	// the member is in reach: one that answers and refuses the hub's credential
	// is. It is called from any goroutine and must not block.
	Looked(name string, began time.Time, reached bool)
	// Report says how propagation to the member is doing. It is called at every
	// probe, from any goroutine, and must be cheap.
	Report(name string) Report
}

// Report is what propagation knows of a member, in numbers of objects.
type Report struct {
	// Held objects came from a hub, but this hub's database has never known them, or
	// somebody else put them back there: they wait for `hanse prune`.
	Held int
	// Pending objects are still to be written or deleted; none of them failed.
	Pending int
	// Failing objects were refused by the member, or are in conflict.
	Failing int
	// Message is the first failure, in one line, without any object's data.
	Message string
	// Unread is what cannot be read there, so that nobody knows how it is; empty: nothing.
	Unread string
	// Waiting is what the first of the pending deletions waits for; empty: nothing is known.
	Waiting string
	// FailedOver, Drained, Disengaged and FailoverReady are the conditions of these
	// types; nil: the Cluster has none.
	FailedOver, Drained, Disengaged, FailoverReady *metav1.Condition
}
