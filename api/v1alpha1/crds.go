package v1alpha1

import "embed"

// CRDs holds the generated CustomResourceDefinitions of this group, one YAML
// file each, below crds/. `make generate` writes them.
//
//go:embed crds/*.yaml
var CRDs embed.FS
