// Package localcluster manages member clusters on this machine: each is a child process of the same binary, with its
// own directory below HOME/local. Package cluster is what runs in that process.
//
// A directory NAME holds cluster.json (the Spec, written once), state.json (what the process says about itself), pid,
// log, and data/ (the control plane's).
package localcluster
