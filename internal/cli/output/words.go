package output

import "github.com/dustin/go-humanize/english"

// Count is n with its noun: 1 object, 2 objects.
func Count[N ~int | ~int32 | ~int64](n N, noun string) string {
	return english.Plural(int(n), noun, "")
}

// Dash is s, or a dash where a table would have a hole.
func Dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
