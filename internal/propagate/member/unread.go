package member

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-dev/hanse/internal/propagate/report"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// HasRead says whether it is known which objects of a resource the member has.
func (m *Member) HasRead(gr schema.GroupResource) bool {
	s := m.engaged()
	if s == nil {
		return false
	}
	read, _ := s.state(gr)
	return read
}

// Heard says whether the member answers, and its objects of a resource are known, also if that is because it does not
// serve the resource.
func (m *Member) Heard(gr schema.GroupResource) bool {
	s := m.engaged()
	if s == nil {
		return false
	}
	read, missing := s.state(gr)
	return read || missing
}

// Unread is why the objects of a resource are not known as they are now in a member that is engaged, nil if they are.
func (m *Member) Unread(gr schema.GroupResource) error {
	s := m.engaged()
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.kinds[gr]; k != nil {
		return k.unread
	}
	return nil
}

// certain says whether there is no resource whose objects cannot be read.
func (s *session) certain() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.kinds {
		if k.unread != nil {
			return false
		}
	}
	return true
}

// setUnread notes why the objects of a resource cannot be read, nil: they can. ctx is that of their watch.
func (s *session) setUnread(ctx context.Context, gr schema.GroupResource, err error) {
	s.mu.Lock()
	if k := s.kinds[gr]; k != nil && ctx.Err() == nil {
		k.unread = err
	}
	s.mu.Unlock()
	s.member.touch()
	s.tellOf(gr)
}

// undiscovered notes which of the resources that are wanted are neither known nor known to be missing, because the member could
// not be asked for them.
func (s *session) undiscovered(wanted []Resource, why func(schema.GroupResource) error) {
	var news []schema.GroupResource
	s.mu.Lock()
	for _, r := range wanted {
		gr := r.GVR.GroupResource()
		k := s.kinds[gr]
		if k != nil && (k.stop != nil || k.missing || k.read) {
			continue // as it was; its watch says whether it can be read
		}
		err := why(gr)
		if k == nil {
			if err == nil {
				continue
			}
			k = &kind{resource: r}
			s.kinds[gr] = k
		}
		before := k.unread
		if k.unread = nil; err != nil {
			k.unread = fmt.Errorf("it could not be discovered: %w", err)
		}
		if (before == nil) != (err == nil) || err != nil && before.Error() != k.unread.Error() {
			news = append(news, gr)
		}
	}
	s.mu.Unlock()
	if len(news) > 0 {
		s.member.touch()
	}
	for _, gr := range news {
		s.tellOf(gr)
	}
}

// touch has the version rise, because something that the session knows is another.
func (m *Member) touch() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.version++
}

// tellOf has the Placements and statuses of a resource's objects made again.
func (s *session) tellOf(gr schema.GroupResource) {
	m := s.member
	if keys := m.keys(gr); len(keys) > 0 {
		m.listener.Changed(keys...)
		m.listener.StatusChanged(m.name, keys...)
	}
}

// Unreadable is what cannot be read in the member, and why, in words. more are others that cannot be.
func (m *Member) Unreadable(more map[string]error) string {
	s := m.engaged()
	if s == nil {
		return ""
	}
	var said []string
	s.mu.Lock()
	unread := map[schema.GroupResource]error{}
	for gr, k := range s.kinds {
		if k.unread != nil {
			unread[gr] = k.unread
		}
	}
	s.mu.Unlock()
	for gr, err := range unread {
		if len(m.keys(gr)) > 0 {
			said = append(said, gr.String()+": "+short(err))
		}
	}
	scalers := template.Autoscalers().GroupResource()
	if err := s.scalers.unreadNow(); err != nil && unread[scalers] == nil {
		said = append(said, scalers.String()+": "+short(err))
	}
	for resource, err := range more {
		said = append(said, resource+": "+short(err))
	}
	slices.Sort(said)
	if more := len(said) - shownUnread; more > 0 {
		said = append(said[:shownUnread], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(said, "; ")
}

// shownUnread bounds a condition's message.
const shownUnread = 4

// short is an error in one line that is not too long: a member that answers errors may answer long ones.
func short(err error) string { return report.Shorten(err.Error()) }
