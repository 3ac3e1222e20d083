package decide

import (
	"cmp"
	"slices"

	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/propagate/agenda"
	"github.com/hanse-dev/hanse/internal/propagate/outlook"
	"github.com/hanse-dev/hanse/internal/propagate/room"
	"github.com/hanse-dev/hanse/internal/propagate/template"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// measured takes over what a member has free.
func (w *World) measured(in Measured) {
	if w.members[in.Cluster] == nil || in.View == nil {
		return
	}
	w.room.Measured(in.Cluster, in.View, w.now)
	w.stuckChanged()
}

// stepRoom has decided again what waits for room, if there is news.
func (w *World) stepRoom() {
	if !w.room.Step(w.now) {
		return
	}
	keys := w.shortKeys()
	w.backlog.Add(keys, agenda.Work{Decide: true})
	w.room.Rest(len(keys), w.now)
}

// shortKeys is what waits for room, the oldest first.
func (w *World) shortKeys() []template.Key {
	var all []*Assignment
	for key := range w.room.Short() {
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
func (w *World) awaited(a *Assignment, o *outlook.Outlook, wl *schedule.Workload) (why string) {
	d := a.Under(o.Policy)
	if d == nil || a.Division == kinds.Everywhere {
		return ""
	}
	var has int32
	for name, n := range wl.Current {
		if w.clusters[name] != nil {
			has += n
		}
	}
	if has >= wl.Total && !(o.Policy != nil && o.Policy.Rebalance) {
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
func (w *World) movesUnread(a *Assignment, o *outlook.Outlook, wl *schedule.Workload, d *schedule.Decision) string {
	demand := a.Under(o.Policy)
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

// demanded is plain with what is known of the members' nodes and pods, and wl with all that its pods ask for, if they ask for
// anything or the policy divides by what is free. Else it is plain.
func (w *World) demanded(a *Assignment, o *outlook.Outlook, plain *schedule.Snapshot, wl *schedule.Workload) *schedule.Snapshot {
	d := a.Under(o.Policy)
	switch {
	case d == nil:
		return plain
	case !w.Measures:
		snapshot, pods := room.BySize(plain, d, w.clusters)
		wl.Template = pods
		return snapshot
	}
	classes := w.priorityClasses()
	profile, err := room.ProfileOf(d, classes)
	if err != nil {
		return plain // the API server would not have let it in
	}
	wl.Template = d.Template
	w.room.Withdraw(a.Key, wl.Current, w.now)
	if a.Demand != nil && len(a.Demand.Claims) > 0 {
		wl.VolumeZones = w.room.VolumeZones(a.Key.Namespace, a.Demand.Claims, wl.Current)
	}
	return w.room.Snapshot(plain, d, profile, room.Around{Clusters: w.clusters, Priorities: classes, Now: w.now})
}

// grant notes what a was given, so that what is decided after it finds that much less free, and whether it waits for room, or for room
// elsewhere.
func (w *World) grant(a *Assignment) {
	short := !a.Decision.Kept && (a.Decision.Unplaced > 0 || a.Decision.Waits)
	w.room.Grant(a.Key, a.Under(w.outlook(a.Policy).Policy), short, w.clusters, a.Reserves, w.now)
}

// unread are the clusters that answer and of which what d is about will soon be known.
func (w *World) unread(d *template.Demand) string {
	if !w.Measures {
		return ""
	}
	volumes := len(d.Claims) > 0
	w.watch(volumes)
	return w.room.Unread(w.clusters, volumes, w.now)
}

// watch has members measured from now on.
func (w *World) watch(volumes bool) {
	if with, tell := w.room.Watch(volumes); tell {
		w.out.others = append(w.out.others, Watch{Volumes: with})
	}
}

// Values of the PriorityClasses that every cluster has.
const (
	systemClusterCritical = 2000000000
	systemNodeCritical    = 2000001000
)

// priorityClasses is the value of each PriorityClass at the hub; that without a name is of pods that name none.
func (w *World) priorityClasses() map[string]int32 {
	if w.priorities != nil {
		return w.priorities
	}
	out := map[string]int32{"system-cluster-critical": systemClusterCritical, "system-node-critical": systemNodeCritical}
	for _, key := range w.keys(func(o *object) bool { return o.key.GR == template.PriorityClasses() }) {
		object := w.at(key).Content.Object
		value, _ := object["value"].(int64)
		out[key.Name] = int32(value)
		if byDefault, _ := object["globalDefault"].(bool); byDefault {
			out[""] = int32(value)
		}
	}
	w.priorities = out
	return out
}

// mayRun says whether an object without a recorded division may have been divided by an earlier run of the hub: its
// pods are there, or it is older than this run and not all is known of where they might be.
func (w *World) mayRun(a *Assignment) bool {
	unknown := false
	for name, c := range w.clusters {
		view := w.room.View(name)
		if view != nil && view.Count(a.Key.String()) > 0 {
			return true
		}
		elsewhere := c.Joined.After(a.Created) || !c.Ready && !c.Since.After(a.Created)
		unknown = unknown || (view == nil || !c.Ready) && !elsewhere
	}
	return unknown && a.Created.Before(w.Began)
}
