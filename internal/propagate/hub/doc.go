// Package hub is what propagation has to do with the hub's own API server: its watches become inputs of a decide.World, and
// what the World wants written there is written.
//
// Everything that is recorded on an object, and every status, is written by the one Recorder: a write per key, with the
// object's UID so that no namesake gets it, and where the content counts with its resourceVersion. A Conflict and a NotFound
// both mean that there is nothing to do: the watch brings what is there now, and what follows from that.
//
// A Watcher reads; a Recorder, Revisions and Policies write; a Run is the place of this run of the hub in its lineage.
package hub

import (
	"iter"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/report"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// Published is what was decided, and what is known. Its methods may be called from any goroutine and do not block.
type Published interface {
	// Assignment is nil where there is no template.
	Assignment(template.Key) *decide.Assignment
	// Assignments are all, in any order.
	Assignments() iter.Seq[*decide.Assignment]
	Facts() *decide.Facts
	// Members are sorted by name.
	Members() []report.Member
}

// gone says whether there is nothing to write any more: the object is gone, a namesake has taken its place, somebody else has
// written it since, or its kind has no status.
func gone(err error) bool { return apierrors.IsNotFound(err) || apierrors.IsConflict(err) }

// client is for objects like a template.
func client(hub dynamic.Interface, t *template.Template) dynamic.ResourceInterface {
	return hub.Resource(t.GVK.GroupVersion().WithResource(t.Key.GR.Resource)).Namespace(t.Key.Namespace)
}

func controllerRevisions() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "controllerrevisions"}
}
