// Package propagate brings what is created at the hub to the members and keeps
// it there: template → Decision → members, and the members' status back.
//
// # How it works
//
// The Engine watches, at the hub, every resource that is propagated (package
// kinds says which are not), and builds a template from each object. In each
// member that is engaged, a session watches the same resources, narrowed to
// objects with the label hanse.dev/managed. A worker compares the two and
// writes the difference (package fieldmerge), one write per change.
//
// Nothing is stored per object and member. What has to survive a restart is in
// the objects themselves: managedFields say which fields are the hub's, the
// annotation hanse.dev/origin says from which template an object in a member
// comes (package lineage says when its absence at the hub is a reason to
// delete it), and the annotation hanse.dev/division on the hub's object says
// how its replicas are divided where the formula alone would not say the same.
// In memory, a record per object and member holds a hash of what was last seen
// there and of what the last write left, not the object.
//
// # Who does what
//
// hub*.go watch the hub; member.go and session.go run members; observe.go
// takes in what a member's watch says; reconcile.go decides, create.go,
// update.go, adopt.go and remove.go write; status.go writes the merged status
// at the hub; placements.go shows what is known as Placements. rollout*.go let a
// change of a pod template out step by step: one worker per workload writes at the
// hub how far it has gone, and only then do the members' workers act upon it.
// follow.go lets a total follow what members set themselves; bounds.go divides the
// bounds of autoscalers.
//
// # Locks
//
// Engine.mu guards templates, resources, clusters and the set of members;
// member.mu guards a member's records. Engine.mu is taken before member.mu,
// never after, and neither is held over a call to a server.
package propagate
