package access

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxText bounds, in bytes, what somebody else says in a message.
const maxText = 300

// Printable is s on one line, without what terminals obey, and cut to limit
// bytes.
func Printable(s string, limit int) string {
	cut := len(s) > 4*limit
	if cut {
		s = s[:4*limit] // what is longer is not worth the reading
	}
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case r == utf8.RuneError || !unicode.IsPrint(r):
			return -1
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > limit {
		s, cut = s[:limit], true
		for !utf8.ValidString(s) {
			s = s[:len(s)-1]
		}
	}
	if cut {
		s += "…"
	}
	return s
}

// OneLine makes text fit for a condition: one line, not endless.
func OneLine(s string) string { return strings.TrimSuffix(Printable(s, maxText), ".") }
