package decide

import (
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/capacity"
	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/rollout"
)

// Input is something that happened, at the hub or in a member.
type Input interface{ input() }

// Served: the hub serves a resource that is propagated. Its templates are not known until they are Listed.
type Served struct {
	GVR schema.GroupVersionResource
	GVK schema.GroupVersionKind
}

// Unserved: the hub serves a resource no more; its templates are gone.
type Unserved struct{ GR schema.GroupResource }

// Listed: these are all the templates of a resource.
type Listed struct {
	GR        schema.GroupResource
	Templates []*template.Template
}

// Written: an object was made or changed at the hub.
type Written struct{ Template *template.Template }

// Deleted: an object is gone from the hub, or stays at it from now on.
type Deleted struct {
	Key template.Key
	UID types.UID
}

// ClustersListed: these are all the Clusters.
type ClustersListed struct{ Clusters []*v1alpha1.Cluster }

// ClusterWritten: a Cluster was made or changed.
type ClusterWritten struct{ Cluster *v1alpha1.Cluster }

// ClusterDeleted: a Cluster is gone.
type ClusterDeleted struct{ Name string }

// NamespacesListed: these are the labels of all Namespaces at the hub.
type NamespacesListed struct{ Labels map[string]map[string]string }

// NamespaceWritten: a Namespace was made or changed.
type NamespaceWritten struct {
	Name   string
	Labels map[string]string
}

// NamespaceDeleted: a Namespace is gone.
type NamespaceDeleted struct{ Name string }

// PoliciesChanged: PlacementPolicies or ClusterPlacementPolicies were written, or are gone.
type PoliciesChanged struct {
	Written []*unstructured.Unstructured
	Gone    []types.UID
}

// Looked: somebody looked, from Began on, whether a member is in reach.
type Looked struct {
	Cluster string
	Began   time.Time
	Reached bool
}

// Measured: what a member has free, and what runs and waits there, was added up again.
type Measured struct {
	Cluster string
	View    *capacity.View
}

// Engaged: a session with a member began, or ended.
type Engaged struct {
	Cluster string
	Engaged bool
}

// Read: it is known which objects of a resource a member has, also if that is because it does not serve
// the resource; or it is not known any more.
type Read struct {
	Cluster string
	GR      schema.GroupResource
	Read    bool
}

// Seen: what is known of an object in a member has changed. Only for what is divided, and for autoscalers: what members
// show of all else decides nothing.
type Seen struct {
	Cluster  string
	Key      template.Key
	Observed *Observed // nil: nothing is known of it any more
}

// Begins: a member is about to be written what it is to have of work that stays put. The effect is a Verdict: where
// it does not go ahead, something else was decided by now. What was let begin may have begun from then on.
type Begins struct {
	Cluster string
	Key     template.Key
	UID     types.UID
	Share   template.Share
}

// Lowers: a member is about to be told to run fewer replicas than it is seen to run. The effect is a Verdict: it goes ahead only
// if, with what the member shows now, the others can do without them.
type Lowers struct {
	Cluster  string
	Key      template.Key
	UID      types.UID
	Observed *Observed
	Replicas int32
}

// Revised: the earlier pod templates of a workload were read at the hub, or one was kept there.
type Revised struct {
	UID     types.UID
	History rollout.History
}

// Recorded: what was to be recorded on an object at the hub was written; the template that shows it has at least this
// revision.
type Recorded struct {
	Key      template.Key
	UID      types.UID
	Revision uint64
}

// Tick: a time that an At asked for has come, or More is to be gone on with.
type Tick struct{}

func (Served) input()           {}
func (Unserved) input()         {}
func (Listed) input()           {}
func (Written) input()          {}
func (Deleted) input()          {}
func (ClustersListed) input()   {}
func (ClusterWritten) input()   {}
func (ClusterDeleted) input()   {}
func (NamespacesListed) input() {}
func (NamespaceWritten) input() {}
func (NamespaceDeleted) input() {}
func (PoliciesChanged) input()  {}
func (Looked) input()           {}
func (Measured) input()         {}
func (Engaged) input()          {}
func (Read) input()             {}
func (Seen) input()             {}
func (Begins) input()           {}
func (Lowers) input()           {}
func (Revised) input()          {}
func (Recorded) input()         {}
func (Tick) input()             {}
