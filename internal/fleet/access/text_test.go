package access

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestTextIsPrintableAndBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })).Draw(t, "s")
		s = strings.Repeat(s, rapid.IntRange(1, 50).Draw(t, "times"))
		limit := rapid.IntRange(1, 100).Draw(t, "limit")
		got := Printable(s, limit)
		if len(got) > limit+len("…") || !utf8.ValidString(got) || strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Fatalf("%q became %q", s, got)
		}
	})
	if got := OneLine("a\n\x1b[31mb\tc."); got != "a [31mb c" {
		t.Errorf("%q", got)
	}
}
