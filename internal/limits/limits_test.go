package limits

import (
	"encoding/json"
	"errors"
	"testing"

	"pgregory.net/rapid"
)

func TestCheck(t *testing.T) {
	l := Limits{Objects: 3, Bytes: 2 << 20}
	for want, c := range map[string]struct{ objects, bytes int }{
		"":                           {3, 2 << 20},
		"more than 3 objects":        {4, 0},
		"objects of more than 2 MiB": {3, 2<<20 + 1},
	} {
		err := l.Check(c.objects, c.bytes)
		var exceeded *Exceeded
		if errors.As(err, &exceeded) != (want != "") || err != nil && err.Error() != want {
			t.Errorf("%d objects of %d bytes: %v, want %q", c.objects, c.bytes, err, want)
		}
	}
	if err := (Limits{}).Check(1<<40, 1<<40); err != nil {
		t.Errorf("no limit, and %v", err)
	}
}

// TestWeightGrows: what has more in it weighs more, and no less than its texts.
func TestWeightGrows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		texts := rapid.SliceOf(rapid.String()).Draw(t, "texts")
		list, object, length := []any{}, map[string]any{}, 0
		for _, s := range texts {
			list, length = append(list, s), length+len(s)
			object[s] = s
		}
		if w := Weight(list); w < length || Weight(append(list, 1)) <= w {
			t.Errorf("%d bytes in texts weigh %d", length, w)
		}
		encoded, err := json.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		if w := Weight(object); w < len(encoded)/6 { // a rune may be encoded as six bytes
			t.Errorf("%s weighs %d", encoded, w)
		}
	})
}
