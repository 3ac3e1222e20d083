package decide

import (
	"maps"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/internal/propagate/agenda"
	"github.com/hanse-dev/hanse/internal/propagate/assignment"
	"github.com/hanse-dev/hanse/internal/propagate/cluster"
	"github.com/hanse-dev/hanse/internal/propagate/drain"
	"github.com/hanse-dev/hanse/internal/propagate/needed"
	"github.com/hanse-dev/hanse/internal/propagate/outlook"
	"github.com/hanse-dev/hanse/internal/propagate/policies"
	"github.com/hanse-dev/hanse/internal/propagate/room"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// Options are what a World is told at the start, and never again.
type Options struct {
	// FailoverAfter is the hub's own failover time; 0: off.
	FailoverAfter time.Duration
	// Began is when this run of the hub did.
	Began time.Time
	// Measures says that somebody measures members' nodes and pods. Without it decisions go by what the Clusters'
	// statuses say of nodes, as if nothing ran there.
	Measures bool
	// Restored says that the hub was restored from an older copy once, in this run or before.
	Restored bool `json:",omitempty"`
	// Propagation is how objects propagate by default.
	Propagation policies.Defaults `json:",omitempty"`
}

// World is all that decisions depend on. It is not safe for concurrent use, but its forks are: see Fork.
type World struct {
	Options
	now time.Time // of the Apply, or the question, that goes on

	owner      *owner
	resources  map[schema.GroupResource]*resource
	clusters   map[string]*Cluster // replaced, never changed
	members    map[string]*member
	names      []string // of members, sorted; replaced, never changed
	unready    map[string]int
	policies   policies.Policies
	losses     cluster.Losses
	drains     drain.Drains
	stuck      stuck
	room       room.Room
	priorities map[string]int32 // the value of each PriorityClass; nil: to be read again
	outlooks   outlook.Outlooks
	scalers    map[template.Key]template.Key // of autoscalers, by what they scale
	quotas     map[string][]template.Key     // by namespace; replaced, never changed
	needed     needed.Index
	pasts      map[types.UID]past
	moving     map[template.Key]bool // of which some cluster runs more than it is to
	facts      *Facts

	backlog agenda.Backlog
	alarms  agenda.Alarms
	out     effects
}

// owner tells who may change a part of a World: the World that has the same. All others copy it first.
type owner struct{ _ byte }

// resource is one that is propagated.
type resource struct {
	owner   *owner
	gvk     schema.GroupVersionKind
	synced  bool // its templates are all there are
	objects map[types.NamespacedName]*object
}

// object is what is known of a key: what was decided, what members show, and what need not survive a restart.
type object struct {
	owner *owner
	key   template.Key
	a     *Assignment          // nil: there is no template
	seen  map[string]*Observed // by cluster

	// told is what members were last told to run, if that is less than was seen there; nil: nothing is in motion.
	told map[string]int32
	// begun is with how many pods at once members were let begin, until they show what came of it.
	begun map[string]int32
	// aside is a recorded division that does not count any more, because a policy came with the object.
	aside map[string]int32
	// late is what is to be recorded beside what was decided at once, as of a template.
	late    *Recording
	lateFor *template.Template
	// outdated are templates with lower revisions: they do not show yet what was recorded.
	outdated uint64
	followed time.Time // when the total was last recorded
	progress milestone
	keeping  string // the revision of the pod template that is being kept

	// What an Apply has done with it.
	touched, force, show, written bool
	before                        *Assignment
}

// member is what is known of a cluster's session. It is replaced, never changed.
type member struct {
	engaged bool
	read    map[schema.GroupResource]bool // it is known what it has of these
}

// NewWorld makes a World in which there is nothing.
func NewWorld(o Options) *World {
	// Objects say in whole seconds when they were made, and a hub takes more than one to start: what was made in the second in
	// which it began is new.
	o.Began = o.Began.Truncate(time.Second)
	w := &World{
		Options: o, owner: &owner{},
		resources: map[schema.GroupResource]*resource{}, clusters: map[string]*Cluster{}, members: map[string]*member{}, unready: map[string]int{},
		policies: policies.New(), losses: cluster.NewLosses(o.FailoverAfter),
		stuck: stuck{ceilings: room.NewCeilings()}, room: room.New(), outlooks: outlook.New(),
		scalers: map[template.Key]template.Key{}, quotas: map[string][]template.Key{}, needed: needed.New(), pasts: map[types.UID]past{}, moving: map[template.Key]bool{},
	}
	w.policies.Defaults = o.Propagation
	w.facts = assignment.NewFacts(w.clusters, w.losses.Lost(), &w.policies)
	return w
}

// Fork is a copy of w. Either may be used by another goroutine from then on, and several goroutines may ask the same fork.
func (w *World) Fork() *World {
	f := w.asking(w.now)
	f.resources, f.members, f.unready = maps.Clone(w.resources), maps.Clone(w.members), maps.Clone(w.unready)
	f.policies = w.policies.Clone()
	f.losses = w.losses.Clone()
	f.stuck.ceilings = w.stuck.ceilings.Clone()
	f.room = w.room.Clone()
	f.needed, f.quotas = w.needed.Clone(), maps.Clone(w.quotas)
	f.scalers, f.pasts, f.moving = maps.Clone(w.scalers), maps.Clone(w.pasts), maps.Clone(w.moving)
	f.backlog, f.alarms = w.backlog.Clone(), w.alarms.Clone()
	w.owner = &owner{}
	return f
}

// asking is a copy of w that may decide about anything, but nothing may be applied to it, and nothing to w as long as it is in use.
func (w *World) asking(now time.Time) *World {
	f := *w
	f.owner, f.now, f.out = &owner{}, now, effects{}
	f.outlooks = w.outlooks.Clone()
	f.room = w.room.Asking()
	return &f
}

// reached says whether there is a session with a member.
func (w *World) reached(cluster string) bool {
	m := w.members[cluster]
	return m != nil && m.engaged
}

// hasRead says whether it is known which objects of a resource a member has.
func (w *World) hasRead(cluster string, gr schema.GroupResource) bool {
	m := w.members[cluster]
	return m != nil && m.read[gr]
}

// stored is what is known of a key, not to be changed; nil if there is nothing.
func (w *World) stored(key template.Key) *object {
	if r := w.resources[key.GR]; r != nil {
		return r.objects[key.NamespacedName()]
	}
	return nil
}

// at is what was decided about a key; nil if there is no template.
func (w *World) at(key template.Key) *Assignment {
	if o := w.stored(key); o != nil {
		return o.a
	}
	return nil
}

// own is what is known of a key, to be changed; nil if its resource is not propagated.
func (w *World) own(key template.Key) *object {
	r := w.ownResource(key.GR)
	if r == nil {
		return nil
	}
	name := key.NamespacedName()
	o := r.objects[name]
	switch {
	case o == nil:
		o = &object{owner: w.owner, key: key}
		r.objects[name] = o
	case o.owner != w.owner:
		next := *o
		next.owner, next.seen, next.begun = w.owner, maps.Clone(o.seen), maps.Clone(o.begun)
		o = &next
		r.objects[name] = o
	}
	return o
}

func (w *World) ownResource(gr schema.GroupResource) *resource {
	r := w.resources[gr]
	if r != nil && r.owner != w.owner {
		next := *r
		next.owner, next.objects = w.owner, maps.Clone(r.objects)
		r = &next
		w.resources[gr] = r
	}
	return r
}

// keys are the templates that which selects, sorted.
func (w *World) keys(which func(o *object) bool) []template.Key {
	var keys []template.Key
	for _, r := range w.resources {
		for _, o := range r.objects {
			if o.a != nil && which(o) {
				keys = append(keys, o.key)
			}
		}
	}
	template.SortKeys(keys)
	return keys
}
