// Package cli is hanse's command line: one file per verb. A verb parses its
// flags, calls the package that does the work, and prints: data on the standard
// output, progress and errors on the standard error.
package cli
