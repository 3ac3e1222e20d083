// Package local is the verbs about clusters and hubs on this machine: hanse local
// and hanse demo. What they start are processes of this very binary; these packages
// link no API server.
package local
