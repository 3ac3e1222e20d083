package kinds

import (
	"encoding/json"
	"strings"
)

// keyMatches says whether a list item has the key fields of a fieldsV1 path
// element such as k:{"port":80,"protocol":"TCP"}.
func keyMatches(element string, item map[string]any) bool {
	raw, ok := strings.CutPrefix(element, "k:")
	if !ok {
		return false
	}
	var key map[string]any
	if json.Unmarshal([]byte(raw), &key) != nil {
		return false
	}
	for name, want := range key {
		if !sameScalar(item[name], want) {
			return false
		}
	}
	return true
}

func sameScalar(a, b any) bool {
	if n, ok := a.(int64); ok {
		a = float64(n)
	}
	if n, ok := b.(int64); ok {
		b = float64(n)
	}
	return a == b
}
