package v1alpha1

import "embed"

// CRDs holds the CustomResourceDefinitions that a hub installs, one YAML file
// each, below crds/. `make generate` writes them, and those of the placement
// policies, which are not among them before the propagator heeds them: a policy
// that is accepted and does nothing would be worse than none.
//
//go:embed crds/hanse.dev_clusters.yaml crds/hanse.dev_placements.yaml
//go:embed crds/hanse.dev_globalroutes.yaml crds/hanse.dev_dnszones.yaml
var CRDs embed.FS
