// Package audit answers who did what in which cluster: it joins a hub's audit log, which has users, with its flight recorder,
// which has what was decided and written in members, by the IDs of the requests.
package audit

import "time"

// Path is where a hub answers a GET with a Report. It takes the right to get this path, which no role has by default but
// cluster-admin: users, their addresses and what they read are in it. Query parameters: user; resource, namespace, name; cluster;
// since and until (RFC 3339); limit; follow.
const Path = "/hanse/audit"

// MostEntries bounds a Report.
const MostEntries = 10_000

// Query says what is asked for. What is empty is not asked about.
type Query struct {
	User string
	// Resource is RESOURCE.GROUP.
	Resource, Namespace, Name string
	// Cluster leaves what was written there alone.
	Cluster      string
	Since, Until time.Time
	// Limit is how many entries are wanted at most: the newest.
	Limit int
}

// Report is what was done, the oldest first.
type Report struct {
	Entries []Entry `json:"entries"`
}

// Entry is a request to the hub, or one of the hub's to a member.
type Entry struct {
	At time.Time `json:"at"`
	// User did it. Of a write in a member that is whose write at the hub led to it; empty: the hub did it of its own accord. If
	// several requests had the same ID, which clients may choose, it is all of their users.
	User string `json:"user,omitempty"`
	// By is who impersonated User.
	By string `json:"by,omitempty"`
	// Cluster is where; empty: at the hub.
	Cluster string `json:"cluster,omitempty"`
	Verb    string `json:"verb"`
	// Object is RESOURCE.GROUP/NAMESPACE/NAME, with /SUBRESOURCE if there is one; of a request about none it is the path.
	Object string `json:"object"`
	// Code is the hub's answer, Error the member's.
	Code  int    `json:"code,omitempty"`
	Error string `json:"error,omitempty"`
	// Decision is what was decided about the object, and Cause why.
	Decision string `json:"decision,omitempty"`
	Cause    string `json:"cause,omitempty"`
	// AuditID is in the hub's audit log, and in the member's, in the User-Agent.
	AuditID   string   `json:"auditID,omitempty"`
	Groups    []string `json:"groups,omitempty"`
	SourceIPs []string `json:"sourceIPs,omitempty"`
	UserAgent string   `json:"userAgent,omitempty"`
}
