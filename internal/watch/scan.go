package watch

import (
	"bytes"
	"encoding/json"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// An event is looked at before it is decoded: what is decoded is most of what a watch costs, and of much that is said, such as what
// follows a write of one's own, nothing has to be known but its version. The scanner knows of JSON where its
// values end. It does not check them, and says so wherever it is not sure: then all is decoded, and that decides.

// Head is what names an object and its version.
type Head struct {
	Namespace, Name string
	UID             types.UID
	ResourceVersion string
}

// headOf reads the head of an object in JSON. If ok, whoever decodes the object finds the same.
func headOf(object []byte) (h Head, ok bool) {
	once := false
	ok = eachField(object, func(key, value []byte) bool {
		if string(key) != "metadata" {
			return true
		}
		if once {
			return false
		}
		once = true
		return h.read(value)
	})
	return h, ok && h.UID != "" && h.ResourceVersion != ""
}

// read reads metadata. It is false if that is not all that simple.
func (h *Head) read(metadata []byte) bool {
	return eachField(metadata, func(key, value []byte) bool {
		var into *string
		switch string(key) {
		case "namespace":
			into = &h.Namespace
		case "name":
			into = &h.Name
		case "uid":
			into = (*string)(&h.UID)
		case "resourceVersion":
			into = &h.ResourceVersion
		default:
			return true
		}
		text, simple := plain(value)
		if !simple || *into != "" {
			return false
		}
		*into = string(text)
		return true
	})
}

// eventOf parts an event in JSON.
func eventOf(frame []byte) (kind string, object []byte, err error) {
	var simple bool
	fields := 0
	if eachField(frame, func(key, value []byte) bool {
		fields++
		switch string(key) {
		case "type":
			var text []byte
			text, simple = plain(value)
			kind = string(text)
		case "object":
			object = value
		default:
			return false
		}
		return true
	}) && simple && fields == 2 && len(object) > 0 && object[0] == '{' {
		return kind, object, nil
	}
	var raw metav1.WatchEvent
	if err := json.Unmarshal(frame, &raw); err != nil {
		return "", nil, err
	}
	return raw.Type, raw.Object.Raw, nil
}

// plain is a text in which each byte stands for itself.
func plain(value []byte) (text []byte, ok bool) {
	if len(value) < 2 || value[0] != '"' {
		return nil, false
	}
	text = value[1 : len(value)-1]
	for _, c := range text {
		if c < ' ' || c == '\\' || c == '"' || c > '~' {
			return nil, false
		}
	}
	return text, true
}

// eachField calls do with each field of an object, as it is written, until it is false. It is false then, too, and if data is
// no object, or one with names that are not written plainly.
func eachField(data []byte, do func(key, value []byte) bool) bool {
	i := afterBlank(data, 0)
	if i >= len(data) || data[i] != '{' {
		return false
	}
	for i = afterBlank(data, i+1); i < len(data) && data[i] == '"'; i = afterBlank(data, i+1) {
		end := afterText(data, i)
		if end < 0 {
			return false
		}
		key, ok := plain(data[i:end])
		if !ok {
			return false
		}
		if i = afterBlank(data, end); i >= len(data) || data[i] != ':' {
			return false
		}
		i = afterBlank(data, i+1)
		if end = afterValue(data, i); end < 0 || !do(key, data[i:end]) {
			return false
		}
		if i = afterBlank(data, end); i >= len(data) {
			return false
		}
		if data[i] == '}' {
			return afterBlank(data, i+1) == len(data)
		}
		if data[i] != ',' {
			return false
		}
	}
	return false
}

func afterBlank(data []byte, i int) int {
	for i < len(data) && (data[i] == ' ' || data[i] == '\n' || data[i] == '\t' || data[i] == '\r') {
		i++
	}
	return i
}

// afterText is where a text ends that begins at i, -1 if it does not.
func afterText(data []byte, i int) int {
	for i++; i < len(data); i++ {
		quote := bytes.IndexByte(data[i:], '"')
		if quote < 0 {
			return -1
		}
		escape := bytes.IndexByte(data[i:i+quote], '\\')
		if escape < 0 {
			return i + quote + 1
		}
		i += escape + 1 // what follows is part of the text
	}
	return -1
}

// afterValue is where a value ends that begins at i, -1 if it does not, or there is none.
func afterValue(data []byte, i int) int {
	if i >= len(data) {
		return -1
	}
	switch data[i] {
	case '"':
		return afterText(data, i)
	case '{', '[':
		return afterNested(data, i)
	}
	begin := i
	for i < len(data) && data[i] != ',' && data[i] != '}' && data[i] != ']' && data[i] > ' ' {
		i++
	}
	if i == begin {
		return -1
	}
	return i
}

// afterNested is afterValue for what begins with a bracket.
func afterNested(data []byte, i int) int {
	for depth := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			if i = afterText(data, i) - 1; i < 0 {
				return -1
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return -1
}
