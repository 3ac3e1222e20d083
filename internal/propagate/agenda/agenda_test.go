package agenda

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hanse-dev/hanse/internal/propagate/template"
)

func key(name string) template.Key { return template.Key{Namespace: "shop", Name: name} }

func TestBacklog(t *testing.T) {
	var b Backlog
	if _, _, ok := b.Take(); ok || b.Some() {
		t.Error("something waits in an empty backlog")
	}
	b.Add([]template.Key{key("a"), key("b"), key("c")}, Work{Decide: true})
	b.Hurry([]template.Key{key("c")}, Work{Look: true})
	copied := b.Clone()
	if what, ok := b.TakeOf(key("a")); !ok || what != (Work{Decide: true}) {
		t.Errorf("a waits for %v, %t", what, ok)
	}
	want := []string{"c {false true true}", "b {false true false}"}
	for _, w := range want {
		if k, what, ok := b.Take(); !ok || fmt.Sprint(k.Name, " ", what) != w {
			t.Errorf("next is %s %v, %t; want %s", k.Name, what, ok, w)
		}
	}
	if k, _, ok := b.Take(); ok || b.Some() {
		t.Errorf("%s waits again", k)
	}
	if k, _, _ := copied.Take(); !copied.Some() || k != key("c") {
		t.Errorf("the copy has %s next", k)
	}
}

// Alarms ring in order, each at the earliest time that it was set for since it last rang, and as many at once as asked for.
func TestAlarms(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var a Alarms
		began := time.Unix(1000, 0)
		want := map[Alarm]time.Time{}
		for range rapid.IntRange(0, 30).Draw(t, "steps") {
			one := Alarm{key(rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "name")), rapid.Bool().Draw(t, "decide")}
			at := began.Add(time.Duration(rapid.IntRange(0, 9).Draw(t, "at")) * time.Second)
			if rapid.Bool().Draw(t, "set") {
				a.Set(at, one)
				if is, set := want[one]; !set || at.Before(is) {
					want[one] = at
				}
				continue
			}
			first := time.Time{}
			for _, is := range want {
				if first.IsZero() || is.Before(first) {
					first = is
				}
			}
			if next := a.Next(); !next.Equal(first) {
				t.Fatalf("next rings %v, want %v", next, first)
			}
			due := a.Due(at, 2)
			for _, one := range due {
				if is, set := want[one]; !set || is.After(at) || is.After(first) && len(due) == 1 {
					t.Fatalf("%v rings at %v", one, at)
				}
				delete(want, one)
			}
			for one, is := range want {
				if !is.After(at) && len(due) < 2 {
					t.Fatalf("%v does not ring", one)
				}
			}
		}
	})
}
