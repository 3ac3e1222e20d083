package transition

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestNext(t *testing.T) {
	for _, c := range []struct {
		name    string
		ordered bool
		members []Member
		want    []int32
	}{
		{"created", false, []Member{{2, 0, 0}, {1, 0, 0}}, []int32{2, 1}},
		{"moved: first more", false, []Member{{0, 3, 3}, {6, 3, 3}}, []int32{3, 6}},
		{"moved: then less, as it gets ready", false, []Member{{0, 3, 3}, {6, 6, 4}}, []int32{2, 6}},
		{"moved: all is ready", false, []Member{{0, 3, 3}, {6, 6, 6}}, []int32{0, 6}},
		{"what is not ready goes at once", false, []Member{{1, 5, 2}, {8, 4, 4}}, []int32{2, 8}},
		{"nothing is ready", false, []Member{{0, 3, 0}, {6, 3, 0}}, []int32{0, 6}},
		{"surplus of two", false, []Member{{1, 3, 3}, {1, 3, 3}, {1, 1, 0}}, []int32{1, 2, 1}},
		{"surplus that is ready", false, []Member{{0, 3, 3}, {3, 3, 3}, {3, 3, 3}}, []int32{0, 3, 3}},
		{"a status from before it was told", false, []Member{{0, 1, 3}, {3, 3, 3}}, []int32{0, 3}},
		{"ordered: a ready one may go instead", true, []Member{{1, 5, 2}, {8, 4, 4}}, []int32{5, 8}},
		{"ordered: one to spare", true, []Member{{1, 5, 3}, {3, 3, 2}}, []int32{4, 3}},
		{"ordered: all that is ready is to spare", true, []Member{{0, 5, 1}, {3, 3, 3}}, []int32{0, 3}},
	} {
		if got := Next(c.members, c.ordered); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// TestLaws plays moves to their end: replicas get ready in any order, and those
// that are taken away are the worst that the kind allows.
func TestLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ordered := rapid.Bool().Draw(t, "ordered")
		members := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Member {
			has := rapid.Int32Range(0, 9).Draw(t, "has")
			return Member{Target: rapid.Int32Range(0, 9).Draw(t, "target"), Has: has, Ready: rapid.Int32Range(0, has).Draw(t, "ready")}
		}), 1, 5).Draw(t, "members")
		wanted, _ := sums(members)
		for step := 0; ; step++ {
			_, before := sums(members)
			next := Next(members, ordered)
			if !slices.Equal(next, Next(members, ordered)) {
				t.Fatal("not the same twice")
			}
			for i, n := range next {
				m := &members[i]
				if low, high := min(m.Target, m.Has), max(m.Target, m.Has); n < low || n > high {
					t.Fatalf("%+v is told to run %d", *m, n)
				}
				if m.Target >= m.Has && n != m.Target {
					t.Fatalf("%+v has to wait for more", *m)
				}
				gone := max(0, m.Has-n)
				if m.Has = n; ordered {
					m.Ready = max(0, min(n, m.Ready-gone))
				} else {
					m.Ready = min(n, m.Ready)
				}
			}
			if _, after := sums(members); after < min(wanted, before) {
				t.Fatalf("%d are ready, %d were, %d are wanted", after, before, wanted)
			}
			if step > 100 {
				t.Fatalf("no end: %+v", members)
			}
			done, ready := true, true
			for _, m := range members {
				done, ready = done && m.Has == m.Target, ready && m.Ready == m.Has
			}
			if done {
				return
			}
			if ready {
				continue
			}
			i := rapid.IntRange(0, len(members)-1).Draw(t, "who gets ready")
			for members[i].Ready == members[i].Has {
				i = (i + 1) % len(members)
			}
			members[i].Ready = rapid.Int32Range(members[i].Ready+1, members[i].Has).Draw(t, "ready")
		}
	})
}

func sums(members []Member) (wanted, ready int32) {
	for _, m := range members {
		wanted, ready = wanted+m.Target, ready+m.ready()
	}
	return wanted, ready
}
