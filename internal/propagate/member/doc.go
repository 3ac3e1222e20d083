// Package member is one cluster of the federation: what it has of the hub, as far as the hub knows, and what is written
// there so that it has what it is to. It knows of no policy and of no other cluster.
//
// What a member is to have is asked of a Source, what it sees and does is told to a Listener. What is known of an
// object outlives the session in which it was seen: a session is one connection, and ends with it. What follows for
// one object from what is wanted, known and there is worked out by next and answered, which are pure;
// task carries it out.
package member

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/internal/adoption"
	"github.com/hanse-dev/hanse/internal/fieldmerge"
	"github.com/hanse-dev/hanse/internal/limits"
	"github.com/hanse-dev/hanse/internal/lineage"
	"github.com/hanse-dev/hanse/internal/metrics"
	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/rights"
)

// Resource is one that is propagated, as the hub serves it.
type Resource struct {
	GVR schema.GroupVersionResource
	GVK schema.GroupVersionKind
}

// Source is the hub, as a member sees it. It never waits for a server, and may be called from any goroutine.
type Source interface {
	// Wanted is what a cluster is to have of an object now. nil, true: the hub has no such object; false: that is not known
	// yet. The key is enqueued once it is another.
	Wanted(cluster string, key template.Key) (w *decide.Wanted, known bool)
	// Resources are all that are propagated. After a change of them, members are told by Refresh.
	Resources() []Resource
	// Resource is one of them; false: it is not propagated.
	Resource(gr schema.GroupResource) (Resource, bool)
	// Has says whether a cluster may be to have any object of a resource. It may say so where it is not.
	Has(cluster string, gr schema.GroupResource) bool
	// Keys are the objects of a resource that a cluster may be to have, KeysIn those in a namespace, with it.
	Keys(cluster string, gr schema.GroupResource) []template.Key
	KeysIn(cluster, namespace string) []template.Key
	// Bounds are those of what the hub does in a cluster. After a change of them, the member is told by Rebound, or Restart.
	Bounds(cluster string) Bounds
	// Begins asks before work that must not be done twice is written to a cluster; false: something else was decided by
	// now. It waits for nothing but the owner of the World.
	Begins(cluster string, w *decide.Wanted) bool
	// Lowers asks before a cluster is told to run fewer replicas than it is seen to run; false: by now it is to run
	// others. It waits for nothing but the owner of the World.
	Lowers(cluster string, w *decide.Wanted, seen *decide.Observed) bool
	// Accepts says whether the rules for an object let a cluster have n replicas.
	Accepts(cluster string, key template.Key, n int32) bool
}

// Bounds of what the hub does in a member: in which namespaces, and what its account there may do.
type Bounds struct {
	Namespaces adoption.Namespaces
	Access     rights.Access
}

// Listener hears of a member. Its methods are called with locks of the Member held: they must neither block nor call
// the Member. They may be called from any goroutine; what is said of one object comes in order.
type Listener interface {
	// Seen is called with each change of what is known of an object that decides something (template.Decides). It is without
	// Spec; nil: nothing is known of it any more.
	Seen(cluster string, key template.Key, o *decide.Observed)
	// StatusChanged: the statuses of objects at the hub may be others.
	StatusChanged(cluster string, keys ...template.Key)
	// Changed: the Placements of objects may be others.
	Changed(keys ...template.Key)
	// Read: it is known, or not any more, which objects of a resource the member has.
	Read(cluster string, gr schema.GroupResource, read bool)
	// Engaged: a session began, or ended.
	Engaged(cluster string, engaged bool)
	// Tell is an event about an object, for the hub; what is about the one in the member the Member writes itself.
	Tell(cluster string, w *decide.Wanted, eventType, reason, message string)
}

// Metrics counts what a member is written.
type Metrics interface {
	// Wrote: a request about an object came to err. verb is create, update, patch or delete; ctx is the request's.
	Wrote(ctx context.Context, cluster string, key template.Key, verb string, err error, took time.Duration)
	// Confirmed: the member has taken over what was changed at the hub.
	Confirmed(cluster string, w *decide.Wanted)
}

// Options are what is the same for all members.
type Options struct {
	// Hub is the hub's identity, Run the name of this run of it, and History its past with this run.
	Hub     types.UID
	Run     string
	History lineage.History
	Hasher  fieldmerge.Hasher
	// Limits of what is remembered of one member; zero: DefaultLimits.
	Limits limits.Limits
	// Clock is the real one if nil.
	Clock clock.WithTicker
	// Metrics and Workqueues may be nil.
	Metrics    Metrics
	Workqueues *metrics.Workqueues
	// Attribute, if not nil, is the context of a write that follows from a change of an object at the hub, so that the
	// member may be told who made it. It must not block.
	Attribute func(ctx context.Context, key template.Key) context.Context
	// Version is the Kubernetes version of a cluster, for messages; it may be nil.
	Version func(cluster string) string
}

// readMark is the mark of obj, if it is about obj. It costs a few look-ups in maps.
func readMark(key template.Key, obj *unstructured.Unstructured) (lineage.Mark, bool) {
	metadata, _ := obj.Object["metadata"].(map[string]any)
	return lineage.ReadMark(key.Object(), metadata)
}
