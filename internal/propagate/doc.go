// Package propagate brings what is created at the hub to the members and keeps it there, and the members' status back.
//
// This package is the wiring; each part is a package below it:
//
//	template  an object at the hub → what members are to have of it (pure)
//	decide    the World: inputs → where everything goes, as effects (pure)
//	hub       watches of the hub → inputs; the one recorder of what is written there
//	member    one cluster: its session, what is known of its objects, what is written there
//	report    what was decided + what members show → statuses, conditions, Placements (pure)
//	record    the flight recorder: what was given to the World and what it decided
//
// # The way of a change
//
// A watch of package hub reads an object and hands the loop an Input. The loop owns the World: it alone applies
// inputs to it, and has the Effects carried out. What was decided is published in values that do not change; the workers of
// the members read them, write, and tell the loop what they see. Nobody waits for a member but the member's own
// workers, and nobody for the loop but for questions that it answers at once.
//
// Nothing is stored per object and member. What has to survive a restart is in the objects themselves: managedFields say which
// fields are the hub's, the annotation hanse.dev/origin says from which template an object in a member comes (package lineage
// says when its absence at the hub is a reason to delete it), and annotations on the hub's object say how it is divided, where
// the formula alone would not say the same.
//
// # Locks
//
// The loop's mutex guards its queue, published's the maps that lead to what was decided, Engine.mu the set of members. None
// is held while another package is called, and none while anything is waited for. A member's own mutex is held while it tells the
// Listener, which does nothing then but put something on a queue.
package propagate
