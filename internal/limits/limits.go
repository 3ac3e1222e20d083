// Package limits bounds what is taken in from an API server that somebody else runs: how large an answer may be, how
// large one event of a watch, and how many objects of how many bytes may be kept of it.
//
// Without that, whoever may write objects in one member could fill the memory of the process that serves all of them.
package limits

import "fmt"

// Limits bound what is kept of one API server, or of one of its resources. A zero is no limit.
type Limits struct{ Objects, Bytes int }

// Exceeded is that there was more than Limits allow.
type Exceeded struct{ Limits }

func (e *Exceeded) Error() string {
	if e.Bytes > 0 {
		return fmt.Sprintf("objects of more than %d MiB", e.Bytes>>20)
	}
	return fmt.Sprintf("more than %d objects", e.Objects)
}

// Check returns an *Exceeded that names the limit beyond which so many objects of so many bytes are; nil: none.
func (l Limits) Check(objects, bytes int) error {
	switch {
	case l.Objects > 0 && objects > l.Objects:
		return &Exceeded{Limits{Objects: l.Objects}}
	case l.Bytes > 0 && bytes > l.Bytes:
		return &Exceeded{Limits{Bytes: l.Bytes}}
	}
	return nil
}

// Weight is about how many bytes of memory a value of decoded JSON takes.
func Weight(v any) int {
	switch v := v.(type) {
	case map[string]any:
		n := 48
		for k, field := range v {
			n += 32 + len(k) + Weight(field)
		}
		return n
	case []any:
		n := 24
		for _, item := range v {
			n += 16 + Weight(item)
		}
		return n
	case string:
		return 16 + len(v)
	}
	return 8
}
