// Package credentials has the verbs about who one is to a hub: hanse login, logout and token, and for a hub's owner its
// certificates and its administrator's kubeconfig.
package credentials
