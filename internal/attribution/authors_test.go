package attribution

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

func key(name string) Key {
	return Key{GroupResource: schema.GroupResource{Group: "apps", Resource: "deployments"}, Namespace: "shop", Name: name}
}

func TestAuthors(t *testing.T) {
	s := NewAuthors(TellUser)
	alice, bob := Author{"alice", "1"}, Author{"bob", "2"}
	if s.Of(key("web")) != (Author{}) {
		t.Error("somebody wrote before anybody did")
	}
	s.Wrote(key("web"), alice)
	undo := s.Wrote(key("web"), bob)
	if s.Of(key("web")) != bob || s.Of(key("db")) != (Author{}) {
		t.Error(s.Of(key("web")), s.Of(key("db")))
	}
	undo()
	if s.Of(key("web")) != alice {
		t.Error("a write that failed has an author")
	}
	undo = s.Wrote(key("web"), bob)
	s.Wrote(key("web"), Author{"carol", "3"})
	undo()
	if s.Of(key("web")).User != "carol" {
		t.Error("what failed took back what somebody wrote later")
	}
	first := s.Wrote(key("new"), alice)
	first()
	if s.Of(key("new")) != (Author{}) {
		t.Error("a create that failed has an author")
	}
}

func TestWhatMembersAreTold(t *testing.T) {
	for tell, want := range map[Tell]Author{TellUser: {"alice", "1"}, TellAuditID: {"", "1"}, TellNothing: {}} {
		s := NewAuthors(tell)
		s.Wrote(key("web"), Author{"alice", "1"})()
		s.Wrote(key("web"), Author{"alice", "1"})
		if got := s.Of(key("web")); got != want {
			t.Errorf("%s: %v, want %v", tell, got, want)
		}
		if parsed, err := ParseTell(string(tell)); err != nil || parsed != tell {
			t.Error(parsed, err)
		}
	}
	if _, err := ParseTell("everything"); err == nil || !strings.Contains(err.Error(), "Try:") {
		t.Error(err)
	}
	var none *Authors
	none.Wrote(key("web"), Author{"alice", "1"})()
	if none.Of(key("web")) != (Author{}) {
		t.Error("nil remembers")
	}
}

// Who writes many objects, or has a long name, does not fill the hub's memory.
func TestAuthorsAreBounded(t *testing.T) {
	s := NewAuthors(TellUser)
	for i := range remembered + 100 {
		s.Wrote(key(fmt.Sprint(i)), Author{strings.Repeat("x", 1<<16), strings.Repeat("y", 1<<16)})
	}
	if n := s.last.Len(); n != remembered {
		t.Errorf("%d are remembered", n)
	}
	a := s.Of(key(fmt.Sprint(remembered + 99)))
	if len(a.User) > maxUser+1 || len(a.AuditID) > maxAuditID+1 || !strings.Contains(a.comment(), "x~; ") {
		t.Errorf("%d and %d bytes: %s", len(a.User), len(a.AuditID), a.comment())
	}
}
