// Package endpoint is what the hub asks of a member's API server beside the objects that it has there: the rights to custom
// resources, and events about what the hub does there.
package endpoint
