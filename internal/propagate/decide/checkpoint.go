package decide

import (
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/internal/capacity"
	"github.com/hanse-dev/hanse/internal/propagate/cluster"
	"github.com/hanse-dev/hanse/internal/propagate/drain"
	"github.com/hanse-dev/hanse/internal/propagate/room"
	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/rollout"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// Remembered: another World knew this. It decides nothing. Only a World to which nothing but the inputs of one Checkpoint was
// applied takes it in.
type Remembered struct {
	Clusters *RememberedClusters // nil: not in this part
	Objects  []RememberedObject
	Rest     *RememberedRest // nil: not in this part; it is in the last one
}

// RememberedClusters is the clusters and what was measured there.
type RememberedClusters struct {
	Clusters []*Cluster
	Members  map[string]RememberedMember
	Views    map[string]*capacity.View
}

// RememberedMember is a session.
type RememberedMember struct {
	Engaged bool                   `json:",omitempty"`
	Read    []schema.GroupResource `json:",omitempty"`
}

// RememberedObject is a key with what was decided about it.
type RememberedObject struct {
	Key      template.Key
	Template *template.Template // nil: there is none, but members show something
	Decision schedule.Decision
	Shares   map[string]template.Share
	Now      map[string]int32
	Turns    map[string]template.Turn

	Undecided, AwaitsNamespace, FollowsMembers bool

	Progressed time.Time
	Recording  *Recording
	Seen       map[string]*Observed
	Told       map[string]int32
	Begun      map[string]int32
	Aside      map[string]int32
	Late       *Recording
	LateNow    bool // Late is of Template
	Outdated   uint64
	Followed   time.Time
	Keeping    string
	Milestone  RememberedMilestone
}

// RememberedMilestone is how far a rollout had come.
type RememberedMilestone struct {
	Revision string
	Count    int64
	At       time.Time
}

// RememberedRest is what was remembered beside that. Keys are as Key.String says.
type RememberedRest struct {
	Now     time.Time
	Synced  []schema.GroupResource
	Unready map[string]int

	Losses cluster.Remembered

	drain.State

	Ceilings  map[string]map[string]room.RememberedCeiling
	Unwell    time.Time // since when something is unready
	StuckNext time.Time

	room.Remembered

	Scalers map[string]string
	Pasts   map[types.UID]RememberedPast
	Moving  []string
	Alarms  []RememberedAlarm
}

// The parts of RememberedRest.
type (
	// RememberedPast is the earlier pod templates of a workload.
	RememberedPast struct {
		Key     string
		History rollout.History
		Loaded  bool
	}
	// RememberedAlarm is when an object is to be looked at.
	RememberedAlarm struct {
		Key    string
		Decide bool
		At     time.Time
	}
)

func (Remembered) input() {}

// rememberedAtOnce bounds the objects of one Remembered.
const rememberedAtOnce = 500

// Checkpoint is inputs that make of a new World one that decides as w from now on; nil while w has work left. What w has
// worked out and could work out again it forgets, because the other does not know it. Only the owner of w may
// call it. It blocks nobody for longer than it takes to copy pointers.
func (w *World) Checkpoint() []Input {
	if w.backlog.Some() {
		return nil
	}
	w.forgetWorkedOut()
	var all []Input
	for _, gr := range w.served() {
		r := w.resources[gr]
		all = append(all, Served{GVR: gr.WithVersion(r.gvk.Version), GVK: r.gvk})
	}
	all = append(all, NamespacesListed{Labels: w.policies.Namespaces()})
	for _, p := range w.policies.Known() {
		for _, obj := range p.Written() {
			all = append(all, PoliciesChanged{Written: []*unstructured.Unstructured{obj}})
		}
	}
	all = append(all, Remembered{Clusters: w.rememberClusters()})
	for _, gr := range w.served() {
		var keys []template.Key
		for _, o := range w.resources[gr].objects {
			keys = append(keys, o.key)
		}
		template.SortKeys(keys)
		for some := range slices.Chunk(keys, rememberedAtOnce) {
			part := Remembered{Objects: make([]RememberedObject, 0, len(some))}
			for _, key := range some {
				part.Objects = append(part.Objects, w.stored(key).remember())
			}
			all = append(all, part)
		}
	}
	return append(all, Remembered{Rest: w.rememberRest()})
}

// forgetWorkedOut has w work out again what it could have kept for longer than is right: rooms with reservations that have
// ended, outlooks of a moment ago.
func (w *World) forgetWorkedOut() {
	w.surroundingsChanged()
	w.room.Renew(w.now)
	w.rereadBudgets()
}

// rereadBudgets has drains go by the budgets that there are now, if somebody has seen any.
func (w *World) rereadBudgets() {
	if w.drains.Known() {
		w.drains.Read(w.readBudgets())
	}
}

func (w *World) served() []schema.GroupResource {
	return slices.SortedFunc(maps.Keys(w.resources), func(a, b schema.GroupResource) int {
		return template.Key{GR: a}.Compare(template.Key{GR: b})
	})
}

func (w *World) rememberClusters() *RememberedClusters {
	out := &RememberedClusters{Members: make(map[string]RememberedMember, len(w.members)), Views: maps.Clone(w.room.Views())}
	for _, name := range slices.Sorted(maps.Keys(w.clusters)) {
		out.Clusters = append(out.Clusters, w.clusters[name])
	}
	for name, m := range w.members {
		out.Members[name] = RememberedMember{m.engaged, slices.Collect(maps.Keys(m.read))}
	}
	return out
}

func (o *object) remember() RememberedObject {
	r := RememberedObject{
		Key: o.key, Seen: maps.Clone(o.seen), Told: maps.Clone(o.told), Begun: maps.Clone(o.begun), Aside: o.aside, Late: o.late,
		Outdated: o.outdated, Followed: o.followed, Keeping: o.keeping,
		Milestone: RememberedMilestone{o.progress.revision, o.progress.count, o.progress.at},
	}
	if a := o.a; a != nil {
		r.Template, r.Decision, r.Shares, r.Now, r.Turns = a.Template, a.Decision, a.Shares, a.Now, a.Turns
		r.Undecided, r.AwaitsNamespace, r.FollowsMembers = a.Undecided, a.AwaitsNamespace, a.FollowsMembers
		r.Progressed, r.Recording, r.LateNow = a.Progressed, a.Recording, o.lateFor == a.Template
	}
	return r
}

func (w *World) rememberRest() *RememberedRest {
	r := &RememberedRest{
		Now: w.now, Unready: maps.Clone(w.unready), Losses: w.losses.Remember(),
		State:  w.drains.Remember(),
		Unwell: w.stuck.unready, StuckNext: w.stuck.next, Ceilings: w.stuck.ceilings.Remember(), Remembered: w.room.Remember(),
		Scalers: map[string]string{}, Pasts: map[types.UID]RememberedPast{}, Moving: template.KeyNames(w.moving),
	}
	for gr, resource := range w.resources {
		if resource.synced {
			r.Synced = append(r.Synced, gr)
		}
	}
	for of, by := range w.scalers {
		r.Scalers[of.String()] = by.String()
	}
	for uid, p := range w.pasts {
		r.Pasts[uid] = RememberedPast{p.key.String(), p.history, p.loaded}
	}
	for one, at := range w.alarms.All() {
		r.Alarms = append(r.Alarms, RememberedAlarm{one.Key.String(), one.Decide, at})
	}
	return r
}
