// Package grant says whose names are: which GlobalRoutes a DNSZone lets have which
// names, which names are the zone's own, and who came first. It is pure; what it has to
// remember is a Book, which the caller keeps over restarts.
//
// A name belongs to a namespace, with all names below it; a wildcard to a namespace, with
// all that it could answer for. Between two namespaces whose names overlap the one that
// has been given its name first keeps it, whatever the ages of the routes: whoever edits
// an old route takes nothing away. What a route gives up stays its namespace's for a
// grace time.
package grant
