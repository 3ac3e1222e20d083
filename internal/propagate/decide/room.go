package decide

import (
	"cmp"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/propagate/agenda"
	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/schedule"
)

const (
	// restPerDecision is how long it takes, after a look at all that waits for room, until the next one, for each decision of
	// it: looking takes a small part of one core's time.
	restPerDecision = time.Millisecond
	// longestRest bounds that: what waits is moved within some seconds of the room.
	longestRest = 5 * time.Second
	// lookAnyway is how often what waits for room is looked at without any news: reservations that were not used end.
	lookAnyway = 30 * time.Second
)

// measured takes over what a member has free.
func (w *World) measured(in Measured) {
	if w.members[in.Cluster] == nil || in.View == nil {
		return
	}
	w.around.views[in.Cluster] = in.View
	delete(w.around.asked, in.Cluster)
	w.around.forgetRooms(w.owner, func(cluster string) bool { return cluster == in.Cluster })
	w.roomNews()
	w.stuckChanged()
}

// roomNews has all that waits for room looked at before long.
func (w *World) roomNews() {
	s := &w.around
	if len(s.short) == 0 {
		return
	}
	at := w.now
	if s.rest.After(at) {
		at = s.rest
	}
	if s.news.IsZero() || at.Before(s.news) {
		s.news = at
	}
}

// stepRoom has decided again what waits for room, if there is news: what is placed nowhere, and what is where it is only
// because nothing else can take it. All else is not touched: a decision stays although there is less room.
func (w *World) stepRoom() {
	s := &w.around
	if due(s.anyway, w.now) {
		s.anyway = time.Time{}
		s.forgetRooms(w.owner, nil)
		w.roomNews()
	}
	if due(s.patience, w.now) {
		s.patience = time.Time{}
		for _, since := range s.asked {
			s.waitsUntil(since.Add(patience), w.now)
		}
		w.roomNews()
	}
	if !due(s.news, w.now) {
		return
	}
	s.news = time.Time{}
	keys := w.shortKeys()
	w.backlog.Add(keys, agenda.Work{Decide: true})
	s.rest = w.now.Add(min(restPerDecision*time.Duration(len(keys)), longestRest))
}

// waitsUntil notes when a wait for a member's nodes and pods is over.
func (s *surroundings) waitsUntil(at, now time.Time) {
	if at.After(now) && (s.patience.IsZero() || at.Before(s.patience)) {
		s.patience = at
	}
}

// next is when stepRoom has something to do.
func (s *surroundings) next(now time.Time) time.Time {
	switch {
	case len(s.short) == 0:
		s.anyway = time.Time{}
	case s.anyway.IsZero():
		s.anyway = now.Add(lookAnyway)
	}
	return earliest(s.news, s.patience, s.anyway)
}

// earliest of some times, those that are zero left out.
func earliest(all ...time.Time) (first time.Time) {
	for _, at := range all {
		if !at.IsZero() && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	return first
}

// shortKeys is what waits for room, the oldest first.
func (w *World) shortKeys() []template.Key {
	var all []*Assignment
	for key := range w.around.short {
		if a := w.at(key); a != nil {
			all = append(all, a)
		}
	}
	slices.SortFunc(all, func(a, b *Assignment) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.Key.String(), b.Key.String()))
	})
	keys := make([]template.Key, len(all))
	for i, a := range all {
		keys[i] = a.Key
	}
	return keys
}

// awaited lowers wl to what a has already, while nodes and pods of members that answer have not been measured; why then says so.
// What has nothing is held.
func (w *World) awaited(a *Assignment, o *outlook, wl *schedule.Workload) (why string) {
	d := a.Under(o.policy)
	if d == nil || a.Division == kinds.Everywhere {
		return ""
	}
	var has int32
	for name, n := range wl.Current {
		if w.clusters[name] != nil {
			has += n
		}
	}
	if has >= wl.Total && !(o.policy != nil && o.policy.Rebalance) {
		return ""
	}
	unread := w.unread(d)
	if unread == "" {
		return ""
	}
	if more := w.withRunning(a, wl.Current, wl.Total-has); more != nil {
		wl.Current, has = more, 0
		for name, n := range more {
			if w.clusters[name] != nil {
				has += n
			}
		}
	}
	wl.Total = min(wl.Total, has)
	return "waiting until the hub knows what is free in " + unread
}

// movesUnread says that d gives clusters more of what others have while nodes and pods of members that answer have not been
// measured; empty otherwise. A hub that has just started would move things to where there is no room for them.
func (w *World) movesUnread(a *Assignment, o *outlook, wl *schedule.Workload, d *schedule.Decision) string {
	demand := a.Under(o.policy)
	if demand == nil || a.Division == kinds.Everywhere || d.Hold || len(wl.Current) == 0 {
		return ""
	}
	if !slices.ContainsFunc(d.Shares, func(s schedule.Share) bool { return s.Replicas > wl.Current[s.Cluster] }) {
		return ""
	}
	if unread := w.unread(demand); unread != "" {
		return "waiting until the hub knows what is free in " + unread
	}
	return ""
}

// useVolumes adds to wl what the claims of a say.
func (w *World) useVolumes(a *Assignment, wl *schedule.Workload) {
	if a.Demand != nil && len(a.Demand.Claims) > 0 {
		wl.VolumeZones = w.volumeZones(a, wl.Current)
	}
}

// volumeZones is the zones that the claims of a are bound to in members, or nil if nothing binds it: what is in a volume
// is in no other cluster. Where replicas are already, they stay, also if their claim is not bound yet.
func (w *World) volumeZones(a *Assignment, current map[string]int32) (zones []string) {
	for _, name := range a.Demand.Claims {
		bound, anywhere := w.boundZones(types.NamespacedName{Namespace: a.Key.Namespace, Name: name})
		if anywhere {
			continue
		}
		if zones == nil {
			zones = bound
			continue
		}
		common := slices.DeleteFunc(slices.Clone(zones), func(zone string) bool { return !slices.Contains(bound, zone) })
		if len(common) > 0 { // else it runs nowhere, and the member says so
			zones = common
		}
	}
	if zones == nil {
		return nil
	}
	for cluster, n := range current {
		view := w.around.views[cluster]
		if n <= 0 || view == nil {
			continue
		}
		own := view.Zones()
		if len(own) == 0 {
			return nil // it could not be told from the others
		}
		zones = append(zones, own...)
	}
	slices.Sort(zones)
	return slices.Compact(zones)
}

// boundZones is where a claim is bound, over all members. anywhere: nowhere yet, or to a volume that every zone reaches.
func (w *World) boundZones(claim types.NamespacedName) (zones []string, anywhere bool) {
	for _, view := range w.around.views {
		in, bound := view.Volume(claim)
		if bound && len(in) == 0 {
			return nil, true
		}
		zones = append(zones, in...)
	}
	return zones, len(zones) == 0
}
