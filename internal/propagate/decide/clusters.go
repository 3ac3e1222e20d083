package decide

import (
	"maps"
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/propagate/agenda"
	"github.com/hanse-dev/hanse/internal/propagate/cluster"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// clustersAfter is the clusters as they are after an input about them. What is the same is the same pointer.
func (w *World) clustersAfter(in Input) map[string]*Cluster {
	next := maps.Clone(w.clusters)
	put := func(c *v1alpha1.Cluster) {
		if now := cluster.Read(c); !reflect.DeepEqual(now, next[c.Name]) {
			next[c.Name] = now
		}
	}
	switch in := in.(type) {
	case ClustersListed:
		there := map[string]bool{}
		for _, c := range in.Clusters {
			there[c.Name] = true
			put(c)
		}
		maps.DeleteFunc(next, func(name string, _ *Cluster) bool { return !there[name] })
	case ClusterWritten:
		put(in.Cluster)
	case ClusterDeleted:
		delete(next, in.Name)
	}
	return next
}

// setClusters takes over the clusters and has everything that is divided decided again, if they are different for that.
func (w *World) setClusters(next map[string]*Cluster) {
	before := w.clusters
	if maps.Equal(before, next) {
		return
	}
	w.clusters = next
	w.out.facts = true
	w.losses.Keep(next, w.now)
	w.keepDrains()
	for name := range next {
		if w.members[name] == nil {
			w.members[name] = &member{}
		}
	}
	for name := range before {
		if next[name] == nil {
			w.left(name)
		}
	}
	w.nameMembers()
	if !cluster.Same(before, next) {
		w.surroundingsChanged()
		w.backlog.Add(w.keys(func(*object) bool { return true }), agenda.Work{Decide: true})
		w.boundsSoon()
		w.out.count = true
	}
	w.weigh()
}

// nameMembers keeps the names of members, sorted.
func (w *World) nameMembers() { w.names = slices.Sorted(maps.Keys(w.members)) }

// left forgets a member, and what it showed.
func (w *World) left(name string) {
	delete(w.members, name)
	delete(w.unready, name)
	w.room.Left(name)
	for _, gr := range w.served() {
		for _, key := range w.shown(gr, name) {
			o := w.own(key)
			delete(o.seen, name)
			delete(o.begun, name)
			if o.a != nil {
				w.show(o)
			}
			w.forgetEmpty(o)
		}
	}
}

// shown are the objects of a resource of which a member shows something, or may.
func (w *World) shown(gr schema.GroupResource, cluster string) (keys []template.Key) {
	for _, o := range w.resources[gr].objects {
		_, begun := o.begun[cluster]
		if begun || o.seen[cluster] != nil {
			keys = append(keys, o.key)
		}
	}
	template.SortKeys(keys)
	return keys
}
