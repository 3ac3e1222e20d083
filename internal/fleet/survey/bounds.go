package survey

import (
	"math"
	"strings"
	"unicode"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"
)

// What a member says of itself ends in labels, conditions and the status of its
// Cluster, is kept in memory and printed in terminals. Whoever may write to the
// member's nodes decides what it is, so all of it is bounded and made printable
// where it is read; nothing that it may be keeps a status from being written.
const (
	maxVersion   = 64                                   // of a Kubernetes version
	maxPlace     = validation.LabelValueMaxLength       // of a provider, region or zone
	maxZones     = 64                                   // in a status
	maxPlaces    = 1024                                 // that are counted to find the commonest
	maxResources = 64                                   // that are added up
	maxNameOf    = validation.DNS1123SubdomainMaxLength // of a resource
)

// LabelValue is s if it may be the value of a label, else what is most like it;
// "" if there is nothing like it.
func LabelValue(s string) string {
	if len(s) <= maxPlace && len(validation.IsValidLabelValue(s)) == 0 {
		return s
	}
	s = strings.Map(func(r rune) rune {
		if r < utf8.RuneSelf && (r == '-' || r == '_' || r == '.' || unicode.IsLetter(r) || unicode.IsDigit(r)) {
			return r
		}
		return '-'
	}, s[:min(len(s), 4*maxPlace)])
	s = strings.Trim(s, "-_.")
	return strings.Trim(s[:min(len(s), maxPlace)], "-_.")
}

// countable says whether an amount of a resource is to be added to sum.
func countable(sum corev1.ResourceList, name corev1.ResourceName, q resource.Quantity) bool {
	if q.Sign() < 0 || q.CmpInt64(math.MaxInt64) > 0 || len(name) > 2*maxNameOf {
		return false
	}
	if _, known := sum[name]; known || len(sum) < maxResources {
		return true
	}
	switch name {
	case corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourcePods, corev1.ResourceEphemeralStorage:
		return true
	}
	return false
}
