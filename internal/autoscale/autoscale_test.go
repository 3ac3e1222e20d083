package autoscale

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func text(bounds map[string]Bounds) string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(bounds)) {
		b := bounds[name]
		one := fmt.Sprintf("%s=%d-%d", name, b.Min, b.Max)
		if b.Had > 0 {
			one += fmt.Sprintf("(%d)", b.Had)
		}
		out = append(out, one)
	}
	return strings.Join(out, " ")
}

func TestDivide(t *testing.T) {
	has := func(name string, replicas, least, most int32) Cluster {
		return Cluster{Name: name, Replicas: replicas, Uses: replicas, Bounds: Bounds{Min: least, Max: most}, Confirmed: true}
	}
	with := func(c Cluster, change func(*Cluster)) Cluster { change(&c); return c }
	wants := func(c *Cluster) { c.Wants, c.Uses = true, c.Bounds.Max }
	away := func(c *Cluster) { c.Away, c.Confirmed = true, false }
	for name, c := range map[string]struct {
		min, max int32
		clusters []Cluster
		want     string
	}{
		"new":                     {3, 10, []Cluster{{Name: "a", Replicas: 1}, {Name: "b", Replicas: 1}, {Name: "c", Replicas: 1}}, "a=1-4 b=1-3 c=1-3"},
		"in one cluster":          {3, 10, []Cluster{{Name: "a", Replicas: 1}, {Name: "b"}}, "a=3-10"},
		"more clusters than max":  {1, 2, []Cluster{{Name: "a", Replicas: 1}, {Name: "b", Replicas: 2}, {Name: "c", Replicas: 1}}, "a=1-1 b=1-1"},
		"as it is":                {2, 10, []Cluster{has("a", 2, 1, 7), has("b", 1, 1, 3)}, "a=1-7 b=1-3"},
		"max is lower":            {2, 6, []Cluster{has("a", 2, 1, 7), has("b", 1, 1, 3)}, "a=1-3(7) b=1-3"},
		"max is higher":           {2, 12, []Cluster{has("a", 2, 1, 5), has("b", 1, 1, 5)}, "a=1-6 b=1-6"},
		"min is higher":           {6, 10, []Cluster{has("a", 2, 1, 5), has("b", 1, 1, 5)}, "a=3-5 b=3-5"},
		"first it is taken away":  {2, 10, []Cluster{with(has("a", 5, 1, 5), wants), has("b", 1, 1, 5)}, "a=1-5 b=1-3(5)"},
		"then it is given":        {2, 10, []Cluster{with(has("a", 5, 1, 5), wants), has("b", 1, 1, 3)}, "a=1-7 b=1-3"},
		"not before confirmed":    {2, 10, []Cluster{with(has("a", 5, 1, 5), wants), {Name: "b", Replicas: 1, Uses: 1, Bounds: Bounds{1, 3, 5}}}, "a=1-5 b=1-3(5)"},
		"all want":                {2, 10, []Cluster{with(has("a", 5, 1, 5), wants), with(has("b", 5, 1, 5), wants)}, "a=1-5 b=1-5"},
		"away keeps what it has":  {2, 6, []Cluster{with(has("a", 3, 1, 5), away), has("b", 1, 1, 5)}, "a=1-5 b=1-1(5)"},
		"gone from a cluster":     {2, 10, []Cluster{has("a", 2, 1, 5), has("b", 0, 1, 5)}, "a=2-5 b=0-0(5)"},
		"gone, and confirmed":     {2, 10, []Cluster{has("a", 2, 2, 5), has("b", 0, 0, 0)}, "a=2-10"},
		"a rule allows only two":  {2, 10, []Cluster{with(has("a", 1, 1, 2), func(c *Cluster) { c.Limit = 2; wants(c) }), has("b", 1, 1, 8)}, "a=1-2 b=1-8"},
		"a cluster more":          {2, 4, []Cluster{has("a", 1, 1, 2), has("b", 1, 1, 2), {Name: "c", Replicas: 1}}, "a=1-2 b=1-1(2)"},
		"a cluster more, in time": {2, 4, []Cluster{has("a", 1, 1, 2), has("b", 1, 1, 1), {Name: "c", Replicas: 1}}, "a=1-2 b=1-1 c=1-1"},
		"very many":               {1, 1 << 30, []Cluster{{Name: "a", Replicas: 1}, {Name: "b", Replicas: 1}}, "a=1-536870912 b=1-536870912"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := text(Divide(c.min, c.max, c.clusters)); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
			slices.Reverse(c.clusters)
			if got := text(Divide(c.min, c.max, c.clusters)); got != c.want {
				t.Errorf("in another order %s, want %s", got, c.want)
			}
		})
	}
}

// world plays the members: autoscalers that follow a load, within the bounds that
// have arrived.
type world struct {
	load, has map[string]int32 // what is asked for; the maximum that the autoscaler has
	bounds    map[string]Bounds
	away      map[string]bool
}

func (w *world) clusters() []Cluster {
	var out []Cluster
	for _, name := range slices.Sorted(maps.Keys(w.load)) {
		b := w.bounds[name]
		c := Cluster{Name: name, Bounds: b, Away: w.away[name], Confirmed: !w.away[name] && w.has[name] == b.Max, Replicas: 1}
		if most := w.has[name]; most > 0 {
			c.Uses = min(max(w.load[name], 1), most)
			c.Replicas, c.Wants = c.Uses, c.Uses == most
		}
		out = append(out, c)
	}
	return out
}

// arrive lets bounds come to the members: to all, or only to some of them.
func (w *world) arrive(at func(string) bool) {
	for name := range w.load {
		if !w.away[name] && at(name) {
			w.has[name] = w.bounds[name].Max
		}
	}
}

func (w *world) sum() (sum int64) {
	for _, n := range w.has {
		sum += int64(n)
	}
	return sum
}

// Whatever loads, bounds and members that are away do, and whenever bounds arrive:
// the autoscalers together never may do more than the maximum, or than they could
// before it was lowered. When all is quiet, it comes to rest.
func TestLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &world{load: map[string]int32{}, has: map[string]int32{}, bounds: map[string]Bounds{}, away: map[string]bool{}}
		for i := range rapid.IntRange(1, 5).Draw(t, "clusters") {
			w.load[string(rune('a'+i))] = 1
		}
		names := slices.Sorted(maps.Keys(w.load))
		least := rapid.Int32Range(0, 5).Draw(t, "min")
		most := least + rapid.Int32Range(1, 20).Draw(t, "more")
		allowed := int64(most)
		step := func() map[string]Bounds {
			next := Divide(least, most, w.clusters())
			if again := Divide(least, most, w.clusters()); !maps.Equal(next, again) {
				t.Fatalf("%s, and again %s", text(next), text(again))
			}
			for name, b := range next {
				if b.Max > 0 && (b.Min < 1 && !w.away[name] || b.Min > b.Max) {
					t.Fatalf("%s has %d to %d", name, b.Min, b.Max)
				}
			}
			w.bounds = next
			return next
		}
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				w.load[rapid.SampledFrom(names).Draw(t, "where")] = rapid.Int32Range(0, 20).Draw(t, "load")
			case 1:
				least = rapid.Int32Range(0, 5).Draw(t, "min")
				most = least + rapid.Int32Range(1, 20).Draw(t, "more")
				allowed = max(allowed, int64(most))
			case 2:
				name := rapid.SampledFrom(names).Draw(t, "who")
				w.away[name] = !w.away[name]
			}
			step()
			some := rapid.SliceOfDistinct(rapid.SampledFrom(names), rapid.ID).Draw(t, "arrive")
			w.arrive(func(name string) bool { return slices.Contains(some, name) })
			if sum := w.sum(); sum > allowed {
				t.Fatalf("the autoscalers may have %d, at most %d were ever allowed: %v", sum, allowed, w.has)
			}
		}
		clear(w.away)
		everywhere := func(string) bool { return true }
		before := ""
		for i := 0; ; i++ {
			now := text(step())
			w.arrive(everywhere)
			if now == before {
				break
			}
			if before = now; i > 200 {
				t.Fatalf("it does not come to rest: %s", now)
			}
		}
		sum, minima := int64(0), int64(0)
		for _, b := range w.bounds {
			sum, minima = sum+int64(b.Max), minima+int64(b.Min)
		}
		if sum > int64(most) || sum != w.sum() || len(w.bounds) != min(len(names), int(most)) {
			t.Fatalf("at rest %s, the maximum is %d", text(w.bounds), most)
		}
		if want := max(int64(least), int64(len(w.bounds))); minima != want {
			t.Fatalf("at rest %s, the minima are to add up to %d", text(w.bounds), want)
		}
		for _, c := range w.clusters() {
			for _, d := range w.clusters() {
				if c.Wants && w.load[c.Name] > c.Bounds.Max && !d.Wants && int64(d.Bounds.Max) > (&part{Cluster: d}).reserved() {
					t.Fatalf("%s wants more and %s has it to spare: %s with loads %v", c.Name, d.Name, text(w.bounds), w.load)
				}
			}
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{`{}`, `{"aws":{"min":1,"max":3,"had":5}}`, `{"aws":{"min":3,"max":1}}`, `{"":{}}`, `null`, `[`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		bounds, err := Parse(value)
		if err != nil {
			return
		}
		again, err := Parse(Format(bounds))
		if err != nil || !maps.Equal(bounds, again) {
			t.Errorf("%q is %v, and then %v, %v", value, bounds, again, err)
		}
	})
}
