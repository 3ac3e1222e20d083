// Package scripts runs transcripts (testscript) of every command that README,
// docs and examples show, against the built binary and real local clusters.
//
// Most transcripts share one demo with the application on it, $SHARED, and keep
// to a namespace of their own. Those that break things start their own in
// $HOME. A command in a document that no transcript runs fails TestDocs.
package scripts
