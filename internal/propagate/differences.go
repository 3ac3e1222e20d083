package propagate

import (
	"slices"
	"strings"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/fieldmerge"
)

// namedDifferences is how many fields a conflict names.
const namedDifferences = 3

// differences names the fields that a patch would change, without the hub's own
// labels and annotations, which no object that it has not made has.
func differences(patch map[string]any) string {
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
