// Package federation runs real federations for tests and measurements: a hub
// and member clusters, each a process of the hanse binary, all of them in one
// temporary directory and on loopback ports of their own. Processes can be
// killed and started again, and a Proxy between the hub and a member misbehaves
// on demand.
//
// Whatever happens to the process that uses this package, a panic, a timeout or
// a kill, its guard ends everything that it started and removes the directory.
package federation
