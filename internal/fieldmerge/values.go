package fieldmerge

import (
	"hash/maphash"
	"math"
)

// Equal compares two JSON values; numbers by value, and an empty map or list
// is not nothing.
func Equal(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		bm, ok := b.(map[string]any)
		if !ok || len(a) != len(bm) {
			return false
		}
		for k, v := range a {
			w, there := bm[k]
			if !there || !Equal(v, w) {
				return false
			}
		}
		return true
	case []any:
		bl, ok := b.([]any)
		if !ok || len(a) != len(bl) {
			return false
		}
		for i := range a {
			if !Equal(a[i], bl[i]) {
				return false
			}
		}
		return true
	case int64, float64, int, int32:
		x, _ := number(a)
		y, ok := number(b)
		return ok && x == y
	}
	switch b.(type) {
	case map[string]any, []any:
		return false
	}
	return a == b
}

func number(v any) (float64, bool) {
	switch n := v.(type) {
	case int64:
		return float64(n), true
	case float64:
		return n, true
	case int:
		return float64(n), true
	case int32:
		return float64(n), true
	}
	return 0, false
}

// Hasher hashes the part of an object that Wanted and Patch look at, so that a
// change of it is noticed without keeping the object. Hashes are comparable
// within one Hasher only.
type Hasher struct{ seed maphash.Seed }

// NewHasher makes a Hasher.
func NewHasher() Hasher { return Hasher{seed: maphash.MakeSeed()} }

// Content hashes obj without status and without metadata other than labels,
// annotations, and whether it is being deleted.
func (h Hasher) Content(obj map[string]any) uint64 {
	var sum uint64
	for k, v := range obj {
		switch k {
		case "apiVersion", "kind", "status", "metadata":
		default:
			sum += h.pair(k, v)
		}
	}
	meta := mapAt(obj, "metadata")
	for _, k := range []string{"labels", "annotations", "deletionTimestamp"} {
		if v, ok := meta[k]; ok {
			sum += h.pair("metadata."+k, v)
		}
	}
	return sum
}

// pair mixes so that sums of pairs, which do not depend on map order, still
// tell {a:x, b:y} from {a:y, b:x}.
func (h Hasher) pair(k string, v any) uint64 {
	return mix(maphash.String(h.seed, k) ^ mix(h.value(v)))
}

func (h Hasher) value(v any) uint64 {
	switch v := v.(type) {
	case map[string]any:
		sum := uint64(len(v)) + 0x51ed
		for k, child := range v {
			sum += h.pair(k, child)
		}
		return sum
	case []any:
		sum := uint64(len(v)) + 0xabcd
		for _, child := range v {
			sum = mix(sum) + h.value(child)
		}
		return sum
	case string:
		return maphash.String(h.seed, v)
	case bool:
		if v {
			return 0x9e37
		}
		return 0x79b9
	}
	if n, ok := number(v); ok {
		return mix(math.Float64bits(n) + 7)
	}
	return 1
}

// mix is the finalizer of SplitMix64 (Steele, Lea, Flood 2014).
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

func shallow(m map[string]any) map[string]any {
	out := make(map[string]any, len(m))
	for k, v := range m {
		out[k] = v
	}
	return out
}

func mapAt(m map[string]any, k string) map[string]any {
	child, _ := m[k].(map[string]any)
	return child
}

func unionKeys(a, b map[string]any) []string {
	keys := make([]string, 0, len(a)+len(b))
	for k := range a {
		keys = append(keys, k)
	}
	for k := range b {
		if _, both := a[k]; !both {
			keys = append(keys, k)
		}
	}
	return keys
}

func containsValue(list []any, v any) bool {
	for _, x := range list {
		if Equal(x, v) {
			return true
		}
	}
	return false
}

func sameMembers(a, b []any) bool {
	if len(a) != len(b) {
		return false
	}
	for _, x := range a {
		if !containsValue(b, x) {
			return false
		}
	}
	return true
}
