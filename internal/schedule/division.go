package schedule

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// FormatDivision is a division as the value of the annotation
// hanse.dev/division: a JSON object, cluster name to replicas, by name.
func FormatDivision(division map[string]int32) string {
	if division == nil {
		division = map[string]int32{}
	}
	b, err := json.Marshal(division) // a map of strings to numbers cannot fail
	if err != nil {
		return "{}"
	}
	return string(b)
}

// ParseDivision reads what FormatDivision wrote, or what somebody wrote by
// hand. The error says what is wrong with the value.
func ParseDivision(value string) (map[string]int32, error) {
	division, err := parseDivision(value)
	if err != nil {
		return nil, fmt.Errorf(`annotation %s: %w. Try: {"aws":2,"azure":1}`, v1alpha1.AnnotationDivision, err)
	}
	return division, nil
}

func parseDivision(value string) (map[string]int32, error) {
	var division map[string]int32
	if err := json.Unmarshal([]byte(value), &division); err != nil {
		return nil, fmt.Errorf("not a JSON object of cluster names to whole numbers: %w", err)
	}
	if division == nil {
		return nil, errors.New("null is no division")
	}
	for cluster, replicas := range division {
		if cluster == "" {
			return nil, errors.New("a cluster's name is empty")
		}
		if replicas < 0 {
			return nil, fmt.Errorf("%s has %d replicas, below zero", cluster, replicas)
		}
	}
	return division, nil
}
