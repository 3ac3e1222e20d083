// Package record is the flight recorder: what a World was given and what it decided goes to a ring on disk (package
// flight), can be looked up by object and time, and can be decided again by another version of this program.
//
// What is in a recording: inputs, as far as they decide (of what is not divided no content, so of no Secret); an
// Outcome whenever the decision about an object is another than before; a Write for each request that changed
// something in a member. Every segment of the ring begins with inputs that rebuild the World, so that a
// recording can be read from any segment on.
package record
