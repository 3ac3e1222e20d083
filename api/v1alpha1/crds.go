package v1alpha1

import "embed"

// CRDs holds the CustomResourceDefinitions that a hub installs, one YAML file
// each, below crds/. `make generate` writes them.
//
//go:embed crds/*.yaml
var CRDs embed.FS
