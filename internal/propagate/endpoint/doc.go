// Package endpoint is what the hub asks of a member's API server beside the objects that it has there: which resources it
// serves, the rights to custom ones, and events about what the hub does there.
package endpoint
