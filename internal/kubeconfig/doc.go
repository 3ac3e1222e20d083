// Package kubeconfig brings contexts into a kubeconfig without disturbing what
// is there. Merge is pure and works on the file's YAML, so that entries of
// others keep even their comments and the fields that this program does not
// know; it replaces only entries that it made itself, from the same source, and
// reports every other clash of names. Update does the file handling: client-go's
// lock, a backup, an atomic write with mode 0600.
package kubeconfig
