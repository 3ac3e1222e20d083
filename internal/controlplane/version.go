package controlplane

import (
	"runtime/debug"
	"strings"
	_ "unsafe" // for go:linkname

	"k8s.io/component-base/version"
)

// The release builds of Kubernetes write these with the linker's -X. A program
// that is built by `go install` cannot ask for that, and clients choke on the
// v0.0.0-master+$Format that is there otherwise, so they are written at run time.
//
//go:linkname kubeGitVersion k8s.io/component-base/version.gitVersion
var kubeGitVersion string

//go:linkname kubeGitMajor k8s.io/component-base/version.gitMajor
var kubeGitMajor string

//go:linkname kubeGitMinor k8s.io/component-base/version.gitMinor
var kubeGitMinor string

// SetKubernetesVersion makes the embedded servers and kubectl report the version of the
// module k8s.io/kubernetes that is linked in. Idempotent.
func SetKubernetesVersion() error {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return nil
	}
	for _, module := range info.Deps {
		if module.Path != "k8s.io/kubernetes" {
			continue
		}
		kubeGitVersion = module.Version
		kubeGitMajor, kubeGitMinor, _ = strings.Cut(version.DefaultKubeBinaryVersion, ".")
		return version.SetDynamicVersion(module.Version)
	}
	return nil
}
