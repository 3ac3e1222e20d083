package grant

import "testing"

// FuzzPage: whatever is in a page, what is read of it is written as it is read.
func FuzzPage(f *testing.F) {
	for _, page := range []string{
		`{"www.example":{"route":"web","since":"2026-01-01T00:00:00Z","until":"2027-01-01T00:00:00Z"}}`, `{"www.example":null,"":{}}`, `{"*.a.example":{"since":"9999-12-31T23:59:59.999999999Z"}}`, `[]`, ``,
	} {
		f.Add([]byte(page))
	}
	f.Fuzz(func(t *testing.T, page []byte) {
		b := NewBook()
		if b.Load("shop", page) != nil {
			return
		}
		again := NewBook()
		if err := again.Load("shop", b.Page("shop")); err != nil && b.Len() > 0 {
			t.Fatalf("what it writes cannot be read: %v", err)
		}
		if again.Len() != b.Len() || !again.Next().Equal(b.Next()) || string(again.Page("shop")) != string(b.Page("shop")) {
			t.Errorf("%s is read as %s", b.Page("shop"), again.Page("shop"))
		}
	})
}
