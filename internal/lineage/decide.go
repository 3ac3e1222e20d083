package lineage

import "k8s.io/apimachinery/pkg/types"

// Found is an object in a member.
type Found struct {
	Mark   Mark
	Marked bool // Mark is about this object
	// Written: this run of the hub has written this very object, by its UID.
	Written bool
	// Lasting: what others made goes with it, and it was there before the hub managed
	// it, or always is. It is let go, never deleted.
	Lasting bool
}

// Wanted is what a hub has to say about the place where an object was found.
type Wanted struct {
	Hub      types.UID
	History  History
	Template types.UID // of the object of that name at the hub, empty: none
	Placed   bool      // the template is to be in this member
	Leaving  bool      // the member leaves: what the hub put there is to go
	Stays    bool      // … or, when it leaves, to stay without the hub's marks
	Approved bool      // somebody was shown this very object and wants it deleted
}

// Action is what becomes of an object.
type Action int

// Actions.
const (
	Ignore  Action = iota // it is none of the hub's business
	Keep                  // it is the template's: what differs is written
	Adopt                 // it was there before: equal, it is taken over; differing, it is a conflict
	Hold                  // it is left alone, and somebody is asked
	Release               // the hub's marks are taken off
	Delete                // also where a template wants a new one in its place
)

// Reason is why an object is held.
type Reason string

// Reasons.
const (
	// AnotherHub: the mark is that of another hub.
	AnotherHub Reason = "AnotherHub"
	// UnknownSession: the hub's database has not lived through the moment at which the
	// object was made: it was restored from an older copy.
	UnknownSession Reason = "UnknownSession"
	// RestoredInCluster: the mark was not written there by a hub, so the object was put there by
	// somebody else under the same name: restored from a backup, or copied from another cluster.
	RestoredInCluster Reason = "RestoredInCluster"
	// MayHoldData: a Residency does not let it be there, but data may go with it that is nowhere else. It is not Decide's.
	MayHoldData Reason = "MayHoldData"
)

// Decide says what is to become of an object. It never answers Delete or Release for what the hub
// did not put there by itself, unless somebody has approved of that very object.
func Decide(f Found, w Wanted) (Action, Reason) {
	placed := w.Placed && w.Template != "" && !w.Leaving
	switch {
	case !f.Marked && placed:
		return Adopt, ""
	case !f.Marked:
		return Ignore, ""
	}
	mine := f.Mark.Origin.Hub == w.Hub
	same := mine && f.Mark.Origin.Template == w.Template
	known := same || mine && w.History.Knows(f.Mark.Origin)
	sure := f.Mark.Proven || f.Written
	switch {
	case placed && same:
		return Keep, ""
	case placed && (!known || !sure || f.Lasting):
		return Adopt, ""
	case placed:
		return Delete, "" // a namesake that was deleted at the hub, so that the new one can be made
	case w.Leaving && w.Stays && mine:
		return Release, ""
	case w.Leaving && (w.Stays || !mine || !sure):
		return Ignore, ""
	case w.Leaving, w.Approved:
		return gone(f), ""
	case !mine:
		return Hold, AnotherHub
	case !known:
		return Hold, UnknownSession
	case !sure:
		return Hold, RestoredInCluster
	}
	return gone(f), ""
}

func gone(f Found) Action {
	if f.Lasting {
		return Release
	}
	return Delete
}
