package objects

import (
	"encoding/json"
	"slices"
	"strconv"
)

// appendValue appends a value as JSON, as package json has it but for the order of fields, which it would sort. ok is false for what is
// none of the types that objects are made of.
func appendValue(to []byte, value any) (out []byte, ok bool) {
	switch v := value.(type) {
	case nil:
		return append(to, "null"...), true
	case bool:
		return strconv.AppendBool(to, v), true
	case string:
		return appendText(to, v)
	case int64:
		return strconv.AppendInt(to, v, 10), true
	case map[string]any:
		return appendFields(to, v)
	case []any:
		return appendItems(to, v)
	}
	encoded, err := json.Marshal(value)
	return append(to, encoded...), err == nil
}

func appendFields(to []byte, fields map[string]any) (out []byte, ok bool) {
	if fields == nil {
		return append(to, "null"...), true
	}
	to = append(to, '{')
	first := true
	for name, value := range fields {
		if !first {
			to = append(to, ',')
		}
		first = false
		if to, ok = appendText(to, name); !ok {
			return nil, false
		}
		if to, ok = appendValue(append(to, ':'), value); !ok {
			return nil, false
		}
	}
	return append(to, '}'), true
}

func appendItems(to []byte, items []any) (out []byte, ok bool) {
	if items == nil {
		return append(to, "null"...), true
	}
	to = append(to, '[')
	for i, item := range items {
		if i > 0 {
			to = append(to, ',')
		}
		if to, ok = appendValue(to, item); !ok {
			return nil, false
		}
	}
	return append(to, ']'), true
}

func appendText(to []byte, text string) (out []byte, ok bool) {
	for i := range len(text) {
		if special(text[i]) {
			encoded, err := json.Marshal(text)
			return append(to, encoded...), err == nil
		}
	}
	to = append(slices.Grow(to, len(text)+2), '"')
	return append(append(to, text...), '"'), true
}

// special says whether a byte may not stand for itself in a text.
func special(c byte) bool {
	return c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&'
}
