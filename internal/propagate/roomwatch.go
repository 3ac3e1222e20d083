package propagate

import (
	"cmp"
	"context"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-dev/hanse/internal/capacity"
	"github.com/hanse-dev/hanse/internal/kinds"
	"github.com/hanse-dev/hanse/internal/schedule"
)

// Looking again at all that waits for room takes at most this part of one core's time:
// after each look, this many times what it took goes by until the next.
const restFactor = 20

// longestRest bounds that: what waits is moved within some seconds of the room.
const longestRest = 5 * time.Second

// lookAnyway is how often what waits for room is looked at without any news: promises
// that were not kept end.
const lookAnyway = 30 * time.Second

// lookChunk is how many decisions are made before others may have Engine.mu.
const lookChunk = 50

// capacityChanged is called by the watcher.
func (e *Engine) capacityChanged(cluster string) {
	e.around.mu.Lock()
	e.around.dirty[cluster] = true
	e.around.mu.Unlock()
	e.around.wake()
}

// watchSurroundings takes over what is new of members' nodes and pods, and decides again
// about what waits for room, until ctx ends: what is placed nowhere, and what is where it
// is only because nothing else can take it. All else is not touched: a decision stays
// although there is less room.
func (e *Engine) watchSurroundings(ctx context.Context) {
	ticker := time.NewTicker(lookAnyway)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			e.around.forgetAllRooms()
		case <-e.around.news:
		}
		began := time.Now()
		e.takeViews()
		e.decideShort()
		rest := time.NewTimer(min(restFactor*time.Since(began), longestRest))
		select {
		case <-ctx.Done():
			rest.Stop()
			return
		case <-rest.C:
		}
	}
}

func (s *surroundings) forgetAllRooms() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forgetRooms(func(string) bool { return true })
}

// takeViews takes over the Views of the clusters that have changed.
func (e *Engine) takeViews() {
	s := e.around
	s.mu.Lock()
	dirty := s.dirty
	s.dirty = map[string]bool{}
	s.mu.Unlock()
	next := map[string]*capacity.View{}
	for name := range dirty { // adds up without a lock that decisions need
		if view := s.watcher.View(name); view != nil {
			next[name] = view
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, view := range next {
		s.views[name] = view
		delete(s.asked, name)
	}
	s.forgetRooms(func(cluster string) bool { return next[cluster] != nil })
}

// decideShort decides again about what waits for room, the oldest first.
func (e *Engine) decideShort() {
	for keys := e.shortKeys(); len(keys) > 0; {
		n := min(len(keys), lookChunk)
		e.decideAgain(keys[:n])
		keys = keys[n:]
	}
}

func (e *Engine) shortKeys() []Key {
	e.mu.RLock()
	defer e.mu.RUnlock()
	e.around.mu.Lock()
	defer e.around.mu.Unlock()
	var all []*template
	for key := range e.around.short {
		if t := e.stored(key); t != nil {
			all = append(all, t)
		}
	}
	slices.SortFunc(all, func(a, b *template) int {
		return cmp.Or(a.created.Compare(b.created), cmp.Compare(a.key.String(), b.key.String()))
	})
	keys := make([]Key, len(all))
	for i, t := range all {
		keys[i] = t.key
	}
	return keys
}

// stored is the template of a key, nil if there is none. Engine.mu is held at least for
// reading.
func (e *Engine) stored(key Key) *template {
	if r := e.resources[key.GR]; r != nil {
		return r.templates[types.NamespacedName{Namespace: key.Namespace, Name: key.Name}]
	}
	return nil
}

// decideAgain renews the decisions of some templates.
func (e *Engine) decideAgain(keys []Key) {
	var changed []Key
	e.locked(func() {
		for _, key := range keys {
			if t := e.stored(key); t != nil && e.renew(e.resources[key.GR], t) {
				changed = append(changed, key)
			}
		}
	})
	e.toMembers(changed...)
	e.changes.notify(changed...)
}

// awaited lowers w to what t has already, while nodes and pods of members that answer
// have not been read; why then says so. What has nothing is held. Engine.mu is held at
// least for reading.
func (e *Engine) awaited(t *template, o *outlook, w *schedule.Workload) (why string) {
	d := t.demandUnder(o.policy)
	if d == nil || t.division == kinds.Everywhere {
		return ""
	}
	var has int32
	for name, n := range w.Current {
		if e.clusters[name] != nil {
			has += n
		}
	}
	if has >= w.Total && !(o.policy != nil && o.policy.Rebalance) {
		return ""
	}
	unread := e.unread(d)
	if unread == "" {
		return ""
	}
	w.Total = min(w.Total, has)
	return "waiting until it is known what is free in " + unread
}

// movesUnread says that d gives clusters more of what others have while nodes and pods of
// members that answer have not been read; empty otherwise. A hub that has just started
// would move things to where there is no room for them. Engine.mu is held at least for
// reading.
func (e *Engine) movesUnread(t *template, o *outlook, w *schedule.Workload, d *schedule.Decision) string {
	demand := t.demandUnder(o.policy)
	if demand == nil || t.division == kinds.Everywhere || d.Hold || len(w.Current) == 0 {
		return ""
	}
	if !slices.ContainsFunc(d.Shares, func(s schedule.Share) bool { return s.Replicas > w.Current[s.Cluster] }) {
		return ""
	}
	if unread := e.unread(demand); unread != "" {
		return "waiting until it is known what is free in " + unread
	}
	return ""
}

// mayRun says whether a template without a recorded division may have been divided by
// an earlier run of the hub: its pods are there, or it is older than this run and not
// all is known of where they might be. Engine.mu is held at least for reading.
func (e *Engine) mayRun(t *template) bool {
	s := e.around
	s.mu.Lock()
	defer s.mu.Unlock()
	unknown := false
	for name, c := range e.clusters {
		view := s.views[name]
		if view != nil && view.Count(t.key.String()) > 0 {
			return true
		}
		elsewhere := c.joined.After(t.created) || !c.ready && !c.since.After(t.created)
		unknown = unknown || (view == nil || !c.ready) && !elsewhere
	}
	return unknown && t.created.Before(e.began)
}
