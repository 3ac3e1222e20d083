// Package finsolutions holds the example application: the manifests of the
// tutorial that Hanse's README walks through, in today's APIs.
package finsolutions

import (
	"bytes"
	"embed"
	"fmt"
)

//go:embed *.yaml
var files embed.FS

// Host is the name under which the application is reached, and that its
// certificate is for; www.Host is the other one.
const Host = "devfest.example"

// federated lists what is applied to the federation, in the tutorial's order.
// db-cluster.yaml is not in it: it is the tutorial's way around a federation
// that could not place databases.
func federated() []string {
	return []string{
		"db-federation.yaml",
		"wordpress.yaml",
		"traefik-role.yaml",
		"traefik.yaml",
		"traefik-lb.yaml",
		"whoami.yaml",
		"ingress.yaml",
		"globalroute.yaml",
	}
}

// Manifests is what is applied to a federation of so many clusters, as one YAML
// stream. No two databases of a kind may be in one region, so that of three a
// federation of two regions could never run the third: there are only as many
// as there are clusters, if these are fewer. The Secret traefik-cert that the
// application mounts is not in it: it is made on the spot.
func Manifests(clusters int) ([]byte, error) {
	var parts [][]byte
	for _, name := range federated() {
		data, err := files.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read the example's manifests: %w", err)
		}
		if name == "db-federation.yaml" {
			data = bytes.ReplaceAll(data, []byte("\n  replicas: 3\n"), fmt.Appendf(nil, "\n  replicas: %d\n", min(3, clusters)))
		}
		parts = append(parts, data)
	}
	return bytes.Join(parts, []byte("---\n")), nil
}
