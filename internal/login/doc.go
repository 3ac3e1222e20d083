// Package login has a person log in at an OpenID Connect provider, by a browser or by a code that is entered elsewhere, and
// keeps the tokens in files that only their owner can read. Many commands may use them at once: one refreshes them, the
// others wait for it.
//
// The files are kept instead of a keyring: the keyrings of desktops need a running daemon, which servers and CI do not have,
// and give what they keep to every program of the user, as a file of mode 0600 does.
package login
