package room

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hanse-dev/hanse/internal/capacity"
	"github.com/hanse-dev/hanse/internal/propagate/agenda"
	"github.com/hanse-dev/hanse/internal/propagate/cluster"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

const (
	// restPerDecision is how long it takes, after a look at all that waits for room, until the next one, for each decision of
	// it: looking takes a small part of one core's time.
	restPerDecision = time.Millisecond
	// longestRest bounds that: what waits is moved within some seconds of the room.
	longestRest = 5 * time.Second
	// lookAnyway is how often what waits for room is looked at without any news: reservations that were not used end.
	lookAnyway = 30 * time.Second
	// patience is how long a decision about resources waits until the nodes and pods of a member that answers have been measured. A
	// hub that has just started knows of none, and would fill clusters that are full. One whose nodes or pods it may not
	// read holds nothing up for longer: such a cluster then has no limit.
	patience = 10 * time.Second
)

// Room is what members have free, as decisions see it.
type Room struct {
	owner    *owner
	views    map[string]*capacity.View
	asked    map[string]time.Time // since when a View is waited for
	accounts map[string]*account  // what was reserved, by cluster
	cache    *cache
	// short are the workloads that clusters may have room for later, or other clusters.
	short map[template.Key]bool
	// demanding are those that something was reserved for once.
	demanding map[template.Key]bool

	watching, watchingVolumes bool // somebody was told to measure
	// news is when to look again at what is short, zero if there is none; rest is until when it is not looked at again.
	news, rest time.Time
	patience   time.Time // when the next wait for a View is over
	anyway     time.Time // when to look again without news
}

// owner tells which Room may change what several share. All others copy it first.
type owner struct{ _ byte }

// New is the Room of which nothing is known.
func New() Room {
	return Room{
		owner: &owner{}, views: map[string]*capacity.View{}, asked: map[string]time.Time{}, accounts: map[string]*account{}, cache: newCache(),
		short: map[template.Key]bool{}, demanding: map[template.Key]bool{},
	}
}

// Clone is a copy. Either may be changed without the other, by another goroutine, from then on.
func (r *Room) Clone() Room {
	out := r.Granting()
	out.views = maps.Clone(r.views)
	r.owner = &owner{}
	return out
}

// Asking is a copy that may be asked anything, but has to be granted nothing. r is not to be changed as long as it is in use.
func (r *Room) Asking() Room {
	out := *r
	out.owner = &owner{}
	out.accounts, out.asked = maps.Clone(r.accounts), maps.Clone(r.asked)
	return out
}

// Granting is Asking, and what is granted in the copy is so in the copy only.
func (r *Room) Granting() Room {
	out := r.Asking()
	out.short, out.demanding = maps.Clone(r.short), maps.Clone(r.demanding)
	return out
}

// Measured takes over what a cluster has free, and what runs and waits there.
func (r *Room) Measured(name string, view *capacity.View, now time.Time) {
	r.views[name] = view
	delete(r.asked, name)
	r.changed(name)
	r.News(now)
}

// Left forgets a cluster.
func (r *Room) Left(name string) {
	delete(r.views, name)
	delete(r.asked, name)
	delete(r.accounts, name)
}

// View is what was measured in a cluster; nil: nothing yet.
func (r *Room) View(name string) *capacity.View { return r.views[name] }

// Views are what was measured, by cluster, not to be changed.
func (r *Room) Views() map[string]*capacity.View { return r.views }

// News has all that is short looked at before long.
func (r *Room) News(now time.Time) {
	if len(r.short) == 0 {
		return
	}
	at := now
	if r.rest.After(at) {
		at = r.rest
	}
	if r.news.IsZero() || at.Before(r.news) {
		r.news = at
	}
}

// Step says whether all that is Short is to be decided again now: what is placed nowhere, and what is where it is only because
// nothing else can take it. All else is not touched: a decision stays although there is less room.
func (r *Room) Step(now time.Time) bool {
	if agenda.Due(r.anyway, now) {
		r.anyway = time.Time{}
		r.Changed()
		r.News(now)
	}
	if agenda.Due(r.patience, now) {
		r.patience = time.Time{}
		for _, since := range r.asked {
			r.waitsUntil(since.Add(patience), now)
		}
		r.News(now)
	}
	if !agenda.Due(r.news, now) {
		return false
	}
	r.news = time.Time{}
	return true
}

// Rest has it be for a while after so many decisions.
func (r *Room) Rest(decisions int, now time.Time) {
	r.rest = now.Add(min(restPerDecision*time.Duration(decisions), longestRest))
}

// Short is what waits for room, not to be changed.
func (r *Room) Short() map[template.Key]bool { return r.short }

// waitsUntil notes when a wait for a member's nodes and pods is over.
func (r *Room) waitsUntil(at, now time.Time) {
	if at.After(now) && (r.patience.IsZero() || at.Before(r.patience)) {
		r.patience = at
	}
}

// Next is when Step has something to do.
func (r *Room) Next(now time.Time) time.Time {
	switch {
	case len(r.short) == 0:
		r.anyway = time.Time{}
	case r.anyway.IsZero():
		r.anyway = now.Add(lookAnyway)
	}
	return agenda.Earliest(r.news, r.patience, r.anyway)
}

// Unread are the clusters that answer and of which it will soon be known what they have free, with volumes also which claims are bound there.
func (r *Room) Unread(clusters map[string]*cluster.Cluster, volumes bool, now time.Time) string {
	var names []string
	for name, c := range clusters {
		if view := r.views[name]; !c.Ready || view != nil && (!volumes || view.Volumes()) {
			continue
		}
		since, asked := r.asked[name]
		if !asked {
			since = now
			r.asked[name] = since
			r.waitsUntil(since.Add(patience), now)
		}
		if now.Sub(since) < patience {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// Watch has members measured from now on, with their volumes if anything has asked for these by now. It says whether somebody is to be told.
func (r *Room) Watch(volumes bool) (withVolumes, tell bool) {
	if r.watching && (r.watchingVolumes || !volumes) {
		return r.watchingVolumes, false
	}
	r.watching, r.watchingVolumes = true, r.watchingVolumes || volumes
	return r.watchingVolumes, true
}
