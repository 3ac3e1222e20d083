// Package arch checks the shape of the project: the layers that
// docs/ARCHITECTURE.md draws, and habits that a reviewer would otherwise have to
// watch. Each check has a fixture below testdata that must fail.
package arch
