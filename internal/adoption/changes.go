package adoption

import (
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/fieldmerge"
)

// OnlyMarks says whether a patch changes nothing but the hub's own label and annotations: the object is what the hub wants.
func OnlyMarks(patch map[string]any) bool {
	for _, path := range fieldmerge.Paths(patch) {
		switch path {
		case "metadata.labels." + v1alpha1.LabelManaged,
			"metadata.annotations." + v1alpha1.AnnotationOrigin,
			"metadata.annotations." + v1alpha1.AnnotationAdopted:
		default:
			if !marksOnly(patch) {
				return false
			}
		}
	}
	return true
}

// OnlyCount says whether, beside the hub's own label and annotations, a patch changes nothing but the number of replicas that a
// hub gave an object before it let go of it: a cluster that left and is back is given another number, as a rule.
func OnlyCount(live *unstructured.Unstructured, patch map[string]any) bool {
	spec, _ := patch["spec"].(map[string]any)
	_, count := spec["replicas"]
	_, marked := live.GetAnnotations()[v1alpha1.AnnotationOrigin]
	if !count || len(spec) > 1 || marked || !fieldmerge.ReadOwners(live, v1alpha1.FieldManager).Mine("spec", "replicas") {
		return false
	}
	rest := maps.Clone(patch)
	delete(rest, "spec")
	return OnlyMarks(rest)
}

// marksOnly is OnlyMarks for an object that had no labels or annotations at all, which a patch then sets as a whole.
func marksOnly(patch map[string]any) bool {
	meta, ok := patch["metadata"].(map[string]any)
	if !ok || len(patch) != 1 {
		return false
	}
	for _, v := range meta {
		entries, ok := v.(map[string]any)
		if !ok {
			return false
		}
		for key := range entries {
			if key != v1alpha1.LabelManaged && key != v1alpha1.AnnotationOrigin && key != v1alpha1.AnnotationAdopted {
				return false
			}
		}
	}
	return true
}

// namedDifferences is how many fields Differences names.
const namedDifferences = 3

// Differences names the fields that a patch would change, without the hub's own labels and annotations, which no object that it
// has not made has.
func Differences(patch map[string]any) string {
	paths := slices.DeleteFunc(fieldmerge.Paths(patch), func(path string) bool {
		for _, of := range []string{"metadata.labels.", "metadata.annotations."} {
			if key, ok := strings.CutPrefix(path, of); ok && strings.HasPrefix(key, v1alpha1.GroupVersion().Group+"/") {
				return true
			}
		}
		return false
	})
	switch {
	case len(paths) == 0:
		return "its content"
	case len(paths) > namedDifferences:
		return strings.Join(paths[:namedDifferences], ", ") + ", …"
	}
	return strings.Join(paths, ", ")
}
