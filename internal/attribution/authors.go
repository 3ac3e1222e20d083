package attribution

import (
	"fmt"
	"sync"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/lru"
)

// Tell is what members are told of the authors of writes.
type Tell string

// What members are told.
const (
	TellUser    Tell = "user"     // the user's name and the audit ID
	TellAuditID Tell = "audit-id" // the audit ID, which says nothing to those who cannot read the hub's audit log
	TellNothing Tell = "nothing"
)

// ParseTell reads what a user asks for.
func ParseTell(text string) (Tell, error) {
	switch t := Tell(text); t {
	case TellUser, TellAuditID, TellNothing:
		return t, nil
	}
	return "", fmt.Errorf("%q is not something that members can be told about the author of a write. Try: user, audit-id or nothing", text)
}

// Key is an object of the hub's.
type Key struct {
	schema.GroupResource
	Namespace, Name string
}

// remembered is of how many objects the author of the last write is remembered: those that were written last. With names
// and IDs at their bounds this is some 10 MB.
const remembered = 16384

// Authors remember who wrote which object last. They are in memory only: what was written before this run of the hub, by
// way of another hub on the same etcd, or too long ago has no author. Any number of goroutines may use it; nil
// remembers nothing.
type Authors struct {
	tell Tell

	mu   sync.Mutex
	last *lru.Cache
}

// NewAuthors remembers nobody yet.
func NewAuthors(tell Tell) *Authors { return &Authors{tell: tell, last: lru.New(remembered)} }

// Wrote remembers the author of a write that is about to be stored, and returns what takes that back if it is not. It
// comes before the write, since members may hear of it before whoever wrote does.
func (s *Authors) Wrote(key Key, by Author) (undo func()) {
	if s == nil || s.tell == TellNothing {
		return func() {}
	}
	by.AuditID = bound(by.AuditID, maxAuditID)
	by.User = bound(by.User, maxUser)
	if s.tell != TellUser {
		by.User = ""
	}
	entry := &by
	s.mu.Lock()
	defer s.mu.Unlock()
	before, had := s.last.Get(key)
	s.last.Add(key, entry)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if now, _ := s.last.Get(key); now != any(entry) {
			return // somebody wrote since
		}
		if had {
			s.last.Add(key, before)
		} else {
			s.last.Remove(key)
		}
	}
}

// Of is who wrote an object last, the zero Author if that is not known. Of one that was deleted it is who deleted it.
func (s *Authors) Of(key Key) Author {
	if s == nil {
		return Author{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if entry, ok := s.last.Get(key); ok {
		return *entry.(*Author)
	}
	return Author{}
}

// bound keeps what is remembered of a text small: encoded it is cut there or before. One byte more than fits shows that
// it was cut.
func bound(text string, most int) string {
	if len(text) <= most+1 {
		return text
	}
	return string([]byte(text[:most+1])) // a copy: the whole is not kept for it
}
