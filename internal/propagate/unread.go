package propagate

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// setUnread notes why the objects of a resource cannot be read, nil: they can. ctx is
// that of their watch.
func (s *session) setUnread(ctx context.Context, gr schema.GroupResource, err error) {
	s.mu.Lock()
	delete(s.unread, gr)
	if err != nil && ctx.Err() == nil {
		s.unread[gr] = err
	}
	s.mu.Unlock()
	s.tellOf(gr)
}

// undiscovered notes which of the resources that are wanted are neither watched nor
// known to be missing, because the member could not be asked for them.
func (s *session) undiscovered(wanted []*resource, why func(schema.GroupResource) error) {
	var news []schema.GroupResource
	s.mu.Lock()
	for _, r := range wanted {
		gr := r.gvr.GroupResource()
		if s.watching[gr] != nil || s.missing[gr] {
			continue // as it was; its watch says whether it can be read
		}
		err, before := why(gr), s.unread[gr]
		switch {
		case err == nil:
			delete(s.unread, gr)
		default:
			s.unread[gr] = fmt.Errorf("it could not be discovered: %w", err)
		}
		if (before == nil) != (err == nil) || err != nil && before.Error() != s.unread[gr].Error() {
			news = append(news, gr)
		}
	}
	s.mu.Unlock()
	for _, gr := range news {
		s.tellOf(gr)
	}
}

// tellOf has the placements and statuses of a resource's objects made again.
func (s *session) tellOf(gr schema.GroupResource) {
	keys := s.keysOf(gr)
	s.engine.changes.notify(keys...)
	for _, key := range keys {
		s.engine.statusSoon(key)
	}
}

// keysOf is what of a resource has a template or a record.
func (s *session) keysOf(gr schema.GroupResource) []Key {
	keys := s.member.keysOf(gr)
	s.engine.mu.RLock()
	defer s.engine.mu.RUnlock()
	if r := s.engine.resources[gr]; r != nil {
		for _, t := range r.templates {
			keys = append(keys, t.key)
		}
	}
	return keys
}

// engaged is the session of the member, nil while it is away.
func (m *member) engaged() *session {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.session
}

// unread is why the objects of a resource are not known as they are now in a member that
// is engaged, nil if they are.
func (m *member) unread(gr schema.GroupResource) error {
	s := m.engaged()
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.unread[gr]
}

// unreadable is what cannot be read in a member, and why, in words; empty: nothing.
func (e *Engine) unreadable(m *member) string {
	s := m.engaged()
	if s == nil {
		return ""
	}
	var said []string
	s.mu.Lock()
	unread := make(map[schema.GroupResource]error, len(s.unread))
	for gr, err := range s.unread {
		unread[gr] = err
	}
	s.mu.Unlock()
	for gr, err := range unread {
		if len(s.keysOf(gr)) > 0 {
			said = append(said, gr.String()+": "+short(err))
		}
	}
	if err := s.scaled.unreadNow(); err != nil && unread[autoscalersResource().GroupResource()] == nil {
		said = append(said, autoscalersResource().GroupResource().String()+": "+short(err))
	}
	if e.around.watcher != nil {
		for resource, err := range e.around.watcher.Unread(m.name) {
			said = append(said, resource+": "+short(err))
		}
	}
	slices.Sort(said)
	if more := len(said) - shownUnread; more > 0 {
		said = append(said[:shownUnread], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(said, "; ")
}

// shownUnread and shownError bound a condition's message: a member that answers errors
// may answer long ones.
const (
	shownUnread = 4
	shownError  = 200
)

// short is an error in one line that is not too long.
func short(err error) string { return shorten(err.Error()) }

func shorten(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > shownError {
		text = strings.ToValidUTF8(text[:shownError], "") + "…"
	}
	return text
}
