// Package lineage tells an object that was deleted at the hub from one that
// the hub has never known. It is pure.
//
// When the hub finds an object of its own in a member and has no template for
// it, there are two explanations. Either it was deleted at the hub while the
// member (or the hub) was away: then it has to go. Or the hub's database does
// not come from the one that made it: it was restored from an older snapshot,
// or it is a fresh hub. Then deleting would destroy production on the word of
// a database that knows nothing of it.
//
// So the hub keeps a history of its own runs: each start of the hub adds a
// session with a random name and the revision of the database at that moment.
// Every object in a member carries an Origin: which hub, which session, and a
// revision at which its template existed. A history knows an origin if in its
// own past that session lived through that revision. A restored database lacks
// the sessions after the snapshot, and the session that was running then ends,
// in its history, at the revision of the snapshot; later origins are strangers.
//
// Where that end is cannot be read from the revision at which the next session
// begins: a hub sets its database's revision forward at each start, and whoever
// restores a snapshot of etcd should. So the end is recorded where the revision
// is set forward, in the database itself; where somebody else does that, the
// session says every now and then how far it has come.
//
// An Origin is data, and data is copied: by controllers that hand their parent's
// labels and annotations on, by people who edit an export, by backups. So it names
// the object that it stands on, and on any other it says nothing (ReadMark). What
// was copied under its own name, a restored backup, is told by a proof that the
// member's API server keeps (proof.go). Decide puts all of this together.
package lineage

import (
	"encoding/json"
	"fmt"
	"slices"
)

// Session is one run of the hub.
type Session struct {
	Name string `json:"name"`
	// From is the revision of the database when the session began.
	From uint64 `json:"from"`
	// To is the last revision of the database that it can have lived through; 0:
	// the next session's From.
	To uint64 `json:"to,omitempty"`
}

// History is the hub's past, oldest first.
type History struct {
	Sessions []Session `json:"sessions"`
}

// maxSessions bounds the history: 80 bytes each, a hub that is restarted daily
// remembers a year and more. An origin from a forgotten session counts as
// unknown: it is asked about, not deleted.
const maxSessions = 500

// MaxEnds is how many ends of revisions are to be remembered. Only those since
// the last session matter: so many starts of a hub may fail before a session.
const MaxEnds = 500

// revisionJump is how far a database can plausibly move while no session of the
// hub runs without having been restored with bumped revisions (etcdutl snapshot
// restore --bump-revision, usually 1e9).
const revisionJump = 100_000_000

// Database is what a session finds when it begins.
type Database struct {
	// Revision is the current one.
	Revision uint64
	// Ends are the last revisions before each time that the revision was set
	// forward, oldest first, at most MaxEnds of the last. nil: nobody knows.
	Ends []uint64
	// Seen is a revision that the last session is known to have lived through, not
	// long before it ended. It counts where there are no Ends.
	Seen uint64
}

// endOf is the last revision that s, the last session before, can have lived
// through.
func (d Database) endOf(s Session) uint64 {
	if len(d.Ends) >= MaxEnds && d.Ends[0] > s.From {
		return s.From // its end may be among those that are forgotten
	}
	for _, end := range d.Ends {
		if end >= s.From {
			return min(end, d.Revision)
		}
	}
	if d.Ends == nil && d.Seen >= s.From && d.Revision > d.Seen+revisionJump {
		return d.Seen
	}
	return d.Revision
}

// Begin is the history with a new session.
func (h History) Begin(name string, found Database) History {
	sessions := append([]Session{}, h.Sessions...)
	if n := len(sessions); n > 0 {
		if end := found.endOf(sessions[n-1]); end < found.Revision {
			sessions[n-1].To = end
		}
	}
	sessions = append(sessions, Session{Name: name, From: found.Revision})
	if len(sessions) > maxSessions {
		sessions = sessions[len(sessions)-maxSessions:]
	}
	return History{Sessions: sessions}
}

// Knows says whether the database that this is the history of has lived
// through the moment that o speaks of. The last session is still running, so
// it has lived through all of its revisions.
func (h History) Knows(o Origin) bool {
	for i, s := range h.Sessions {
		switch {
		case s.Name != o.Session:
			continue
		case i == len(h.Sessions)-1:
			return true
		case s.To > 0:
			return o.Revision <= s.To
		}
		return o.Revision <= h.Sessions[i+1].From
	}
	return false
}

// Restored says whether the hub was restored from an older copy, as far as the history goes back.
func (h History) Restored() bool {
	return slices.ContainsFunc(h.Sessions, func(s Session) bool { return s.To != 0 })
}

// Lived says whether the database has lived through the beginning of a session.
func (h History) Lived(session string) bool {
	return slices.ContainsFunc(h.Sessions, func(s Session) bool { return s.Name == session })
}

// Encode is the history as JSON.
func (h History) Encode() (string, error) {
	b, err := json.Marshal(h)
	if err != nil {
		return "", fmt.Errorf("encode the hub's history: %w", err)
	}
	return string(b), nil
}

// Decode reads what Encode wrote; an empty string is an empty history.
func Decode(s string) (History, error) {
	var h History
	if s == "" {
		return h, nil
	}
	if err := json.Unmarshal([]byte(s), &h); err != nil {
		return History{}, fmt.Errorf("decode the hub's history: %w", err)
	}
	return h, nil
}
