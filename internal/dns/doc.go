// Package dns is global DNS: it watches GlobalRoutes, DNSZones and what they lead
// to at the hub and in the members, has addresses probed, and keeps the answers of
// the hub's name server, the records of external zones and the statuses in
// step with that.
//
// What is known is in the caches (store.go), which watches fill. One goroutine
// (loop.go) works out what has changed: objects become package route's Resolved,
// these become zones, and the zones become a snapshot that the server answers
// from. Whatever writes to an API or asks a server has a goroutine of its own, so
// that an answer never waits for any of them.
package dns
