// Package sim has the hub live through random histories in virtual time, and compares what it does with the truth.
//
// What is real is all of internal/propagate: the Engine with its goroutines, its World, its members and its recorder. What
// is a model is everything around it: the API servers of the hub and of the members, the controllers in members that start
// pods and end Jobs, the ways between them, and what package fleet does. All of it runs in one process within a bubble of
// testing/synctest, where time passes only while nobody has anything to do: a minute takes some milliseconds.
//
// After each step, and with each write of the hub, these must hold; monitor.go has the details, and what is no violation:
//
//   - Nothing is deleted in a member that the hub did not put there, or that nobody has deleted at the hub; a copy is not
//     written.
//   - Replicas that are ready and wanted stay until others are ready, unless faults took them.
//   - No cluster gains what the rules do not let it have.
//   - A running Job stays, and no more work is given away than there is.
//   - The hub does not tell of more ready replicas than there are, and says what it cannot read.
//   - What waited for a Namespace in a member comes soon once it can.
//   - Once the faults have ended all is as it should be within a time, and then nothing is written any more. What is changed
//     then is observed although a cluster is lost, and what is to leave a cluster leaves when others have room.
//
// A history comes from its seed: what happens, when, and what each request meets on its way. It is the same again as far as
// the order goes in which goroutines run that have something to do at the same instant of virtual time, and ranges over
// maps in the hub; requests take a time of their own each, by the seed, so that few instants have two.
package sim
