// Package globaldns is the verbs below hanse dns: what the hub answers to whom, and
// why. A verb parses its flags, asks the hub, and prints: data on the standard output,
// errors on the standard error.
package globaldns
