package override

import (
	"errors"
	"fmt"
	"strings"

	"github.com/distribution/reference"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// image is a reference as it was written: nothing is added to it.
type image struct {
	registry   string // HOST[:PORT], or empty
	repository string
	tag        string
	digest     string
}

// parseImage takes a reference to an image apart.
func parseImage(s string) (image, error) {
	if _, err := reference.ParseNormalizedNamed(s); err != nil {
		return image{}, fmt.Errorf("%q is not a reference to an image: %w. Try: REGISTRY/REPOSITORY:TAG", s, err)
	}
	var i image
	rest, digest, _ := strings.Cut(s, "@")
	i.digest = digest
	if first, after, found := strings.Cut(rest, "/"); found && isRegistry(first) {
		i.registry, rest = first, after
	}
	i.repository, i.tag, _ = strings.Cut(rest, ":")
	return i, nil
}

// isRegistry tells library/nginx from registry.example/nginx, by the rule of
// Docker that every runtime keeps to.
func isRegistry(first string) bool {
	return first == "localhost" || strings.ContainsAny(first, ".:") || strings.ToLower(first) != first
}

func (i image) String() string {
	s := i.repository
	if i.registry != "" {
		s = i.registry + "/" + s
	}
	if i.tag != "" {
		s += ":" + i.tag
	}
	if i.digest != "" {
		s += "@" + i.digest
	}
	return s
}

// newImage is what an override makes of a reference.
func newImage(before string, o *v1alpha1.ImageOverride) (string, error) {
	if o.Image != "" {
		_, err := parseImage(o.Image)
		return o.Image, err
	}
	if before == "" {
		return "", errors.New("there is no image to change. Try: the whole image in the override")
	}
	i, err := parseImage(before)
	if err != nil {
		return "", err
	}
	if o.Registry != "" {
		i.registry = o.Registry
	}
	if o.Repository != "" {
		i.repository = o.Repository
	}
	if o.Tag != "" || o.Digest != "" {
		i.tag, i.digest = o.Tag, o.Digest
	}
	after := i.String()
	if _, err := parseImage(after); err != nil {
		return "", err
	}
	if o.Registry != "" && !isRegistry(registryHost(o.Registry)) {
		return "", fmt.Errorf("registry %q would be read as a part of the repository: a registry has a dot or a port. Try: %s:443", o.Registry, registryHost(o.Registry))
	}
	return after, nil
}

func registryHost(registry string) string {
	host, _, _ := strings.Cut(registry, "/")
	return host
}
