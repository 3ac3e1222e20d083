package autoscale

import (
	"encoding/json"
	"fmt"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// Format is bounds as the value of the annotation hanse.dev/bounds: a JSON object
// by name of the cluster.
func Format(bounds map[string]Bounds) string {
	if bounds == nil {
		bounds = map[string]Bounds{}
	}
	b, err := json.Marshal(bounds) // numbers cannot fail
	if err != nil {
		return "{}"
	}
	return string(b)
}

// Parse reads what Format wrote. The error says what is wrong with the value.
func Parse(value string) (map[string]Bounds, error) {
	bounds := map[string]Bounds{}
	if err := json.Unmarshal([]byte(value), &bounds); err != nil {
		return nil, fmt.Errorf(`annotation %s is not of the form {"aws":{"min":1,"max":3}}: %w. Try: remove the annotation`, v1alpha1.AnnotationBounds, err)
	}
	for name, b := range bounds {
		if name == "" || b.Min < 0 || b.Max < b.Min || b.Had < 0 {
			return nil, fmt.Errorf("annotation %s: cluster %q has the bounds %d to %d. Try: remove the annotation", v1alpha1.AnnotationBounds, name, b.Min, b.Max)
		}
	}
	return bounds, nil
}
