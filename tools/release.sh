#!/bin/sh
# Builds a release of HEAD for the platforms that are named, as linux/amd64, into dist/: the program, its SBOM (CycloneDX), and
# the SHA-256 sums of all. Each is built a second time from a clone in another folder, and has to be the same, byte for byte.
set -eu
cd "$(dirname "$0")/.."
go=${GO:-go}
if [ -n "$(git status --porcelain)" ]; then
	echo "There are changes that are not committed, which would not be in a second build. Try: git stash" >&2
	exit 1
fi
version=$(git describe --tags --always)
second=$(mktemp -d)
trap 'rm -rf "$second"' EXIT
git clone -q . "$second/hanse"
rm -rf dist
mkdir dist
for platform in "$@"; do
	name=hanse-$version-$(echo "$platform" | tr / -)
	for folder in . "$second/hanse"; do
		(cd "$folder" && CGO_ENABLED=0 GOFLAGS= GOOS=${platform%/*} GOARCH=${platform#*/} \
			"$go" build -trimpath -buildvcs=true -ldflags='-s -w -buildid=' -o "dist/$name" .)
	done
	if ! cmp "dist/$name" "$second/hanse/dist/$name"; then
		echo "$name is another in another folder" >&2
		exit 1
	fi
	GOFLAGS='' GOTOOLCHAIN=auto "$go" tool -modfile=tools/go.mod cyclonedx-gomod bin -json -noserial -notimestamp -version "$version" -output "dist/$name.cdx.json" "dist/$name"
done
(cd dist && sha256sum hanse-* >SHA256SUMS)
cat dist/SHA256SUMS
