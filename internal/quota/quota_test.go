package quota

import (
	"maps"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func pods(n Amount) map[string]Amount { return map[string]Amount{"pods": n} }

func TestDivide(t *testing.T) {
	in := func(name string, hard, used Amount) Cluster {
		c := Cluster{Name: name, Permitted: true, Runs: true, Used: pods(used)}
		if hard >= 0 {
			c.Part, c.Shown = Part{Hard: pods(hard)}, pods(hard)
		}
		return c
	}
	change := func(c Cluster, change func(*Cluster)) Cluster {
		change(&c)
		return c
	}
	for name, c := range map[string]struct {
		total    Amount
		clusters []Cluster
		want     string
	}{
		"new":                        {10, []Cluster{in("aws", -1, 0), in("azure", -1, 0), in("google", -1, 0)}, "aws=4 azure=3 google=3"},
		"new, with what runs there":  {10, []Cluster{in("aws", -1, 6), in("azure", -1, 0)}, "aws=8 azure=2"},
		"fewer units than clusters":  {2, []Cluster{in("aws", -1, 0), in("azure", -1, 0), in("google", -1, 0)}, "aws=1 azure=1 google=0"},
		"none":                       {0, []Cluster{in("aws", -1, 0), in("azure", -1, 0)}, "aws=0 azure=0"},
		"as it is":                   {10, []Cluster{in("aws", 5, 2), in("azure", 5, 2)}, "aws=5 azure=5"},
		"one wants more: taken away": {20, []Cluster{in("aws", 10, 10), in("azure", 10, 2)}, "aws=10 azure=5<10"},
		"one wants more: given": {20, []Cluster{in("aws", 10, 10), change(in("azure", 5, 2), func(c *Cluster) { c.Part.Had, c.Shown = pods(10), pods(5) })},
			"aws=15 azure=5"},
		"one wants more: not confirmed": {20, []Cluster{in("aws", 10, 10), change(in("azure", 5, 2), func(c *Cluster) { c.Part.Had, c.Shown = pods(10), pods(10) })},
			"aws=10 azure=5<10"},
		"both want more":    {20, []Cluster{in("aws", 10, 10), in("azure", 10, 9)}, "aws=10 azure=10"},
		"nothing runs":      {2, []Cluster{in("aws", 1, 1), change(in("azure", 1, 0), func(c *Cluster) { c.Runs = false })}, "aws=1 azure=0<1"},
		"more in all":       {14, []Cluster{in("aws", 5, 4), in("azure", 5, 2)}, "aws=8 azure=6"},
		"less in all":       {6, []Cluster{in("aws", 5, 4), in("azure", 5, 1)}, "aws=5 azure=1<5"},
		"less than is used": {4, []Cluster{in("aws", 5, 4), in("azure", 5, 4)}, "aws=2<5 azure=2<5"},
		"away":              {12, []Cluster{change(in("aws", 6, 6), func(c *Cluster) { c.Away = true }), in("azure", 6, 6)}, "aws=6 azure=6"},
		"lost":              {12, []Cluster{change(in("aws", 6, 6), func(c *Cluster) { c.Away, c.Lost = true, true }), in("azure", 6, 6)}, "aws=0<6 azure=12"},
		"may not be there":  {12, []Cluster{change(in("aws", 6, 0), func(c *Cluster) { c.Permitted = false }), in("azure", 6, 6)}, "aws=0<6 azure=6"},
		"was not there":     {12, []Cluster{{Name: "aws"}, in("azure", 12, 6)}, "azure=12"},
		"joins":             {12, []Cluster{change(in("aws", -1, 0), func(c *Cluster) { c.Runs = false }), in("azure", 12, 6)}, "aws=0 azure=12"},
	} {
		var said []string
		out := Divide(pods(c.total), c.clusters)
		for _, one := range c.clusters {
			if p, in := out[one.Name]; in {
				s := one.Name + "=" + Write("pods", p.Hard["pods"])
				if had := p.Had["pods"]; had > 0 {
					s += "<" + Write("pods", had)
				}
				said = append(said, s)
			}
		}
		if got := strings.Join(said, " "); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
		if back, err := Parse(Format(out)); err != nil || !Same(back, out) {
			t.Errorf("%s: %s is read as %v, %v", name, Format(out), back, err)
		}
	}
}

func TestReadAndWrite(t *testing.T) {
	got := Read(map[string]any{"requests.cpu": "2500m", "limits.memory": "3Gi", "requests.nvidia.com/gpu": "4", "pods": "5", "count/deployments.apps": "3", "secrets": "3",
		"requests.storage": "1.5Gi", "fast.storageclass.storage.k8s.io/persistentvolumeclaims": "7", "cpu": "nonsense", "memory": int64(3), "requests.memory": "-1", "hugepages-2Mi": "99999E"})
	want := map[string]Amount{"requests.cpu": 2500, "limits.memory": 3 << 30, "requests.nvidia.com/gpu": 4, "pods": 5, "requests.storage": 3 << 29,
		"fast.storageclass.storage.k8s.io/persistentvolumeclaims": 7, "requests.memory": 0, "hugepages-2Mi": most}
	if !maps.Equal(got, want) {
		t.Errorf("%v", got)
	}
	for name, written := range map[string]string{"requests.cpu": "2500m", "limits.memory": "3Gi", "pods": "5", "requests.storage": "1536Mi"} {
		if s := Write(name, want[name]); s != written {
			t.Errorf("%s is written %s", name, s)
		}
	}
	for _, wrong := range []string{"x", `{"":{"hard":{"pods":1}}}`, `{"aws":{"hard":{"pods":-1}}}`, `{"aws":{"had":{"secrets":1}}}`, `{"aws":{"hard":{"pods":9007199254740993}}}`} {
		if _, err := Parse(wrong); err == nil || !strings.Contains(err.Error(), "Try: remove the annotation") {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}

// member is a cluster with bounds in force.
type member struct {
	in, written, used Amount
	away, lost, there bool
}

// TestPartsNeverAddUpToMore than the total, whatever members do and whenever they hear of it; and once nothing happens any more, all of
// it is given.
func TestPartsNeverAddUpToMore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		total := rapid.Int64Range(0, 40).Draw(t, "total")
		names := []string{"aws", "azure", "google"}
		members, recorded := map[string]*member{}, map[string]Part(nil)
		for _, name := range names {
			members[name] = &member{there: true}
		}
		divide := func() {
			var all []Cluster
			for _, name := range names {
				m := members[name]
				c := Cluster{Name: name, Part: recorded[name], Permitted: m.there, Runs: true, Away: m.away, Lost: m.lost, Used: pods(m.used)}
				if !m.away && m.written == recorded[name].Hard["pods"] { // what it shows is of what it was last told
					c.Shown = pods(m.in)
				}
				all = append(all, c)
			}
			recorded = Divide(pods(total), all)
		}
		check := func() {
			sum := Amount(0)
			for _, name := range names {
				m := members[name]
				sum += max(m.in, 0)
				if m.lost {
					sum -= m.in
				}
			}
			if sum > total {
				t.Fatalf("%d of %d: %v", sum, total, recorded)
			}
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			m := members[rapid.SampledFrom(names).Draw(t, "member")]
			name := ""
			for n, one := range members {
				if one == m {
					name = n
				}
			}
			switch rapid.IntRange(0, 6).Draw(t, "what") {
			case 0, 1:
				divide()
			case 2: // the hub writes what is recorded; whether it has arrived is another matter
				if !m.away {
					m.written = recorded[name].Hard["pods"]
				}
			case 3: // the member's controller gets on
				if !m.away {
					m.in = m.written
				}
			case 4:
				m.used = rapid.Int64Range(0, max(0, m.in)).Draw(t, "used")
			case 5:
				m.away = !m.away
			default:
				m.there = !m.there
			}
			check()
		}
		for _, m := range members {
			m.away, m.there = false, true
		}
		for range 60 {
			divide()
			for name, m := range members {
				m.written = recorded[name].Hard["pods"]
				m.in, m.used = m.written, min(m.used, m.written)
			}
			check()
		}
		sum := Amount(0)
		before := recorded
		for _, p := range recorded {
			sum += p.Hard["pods"]
		}
		if divide(); sum != total || !Same(before, recorded) {
			t.Fatalf("%d of %d are given; %v, then %v", sum, total, before, recorded)
		}
	})
}

// FuzzParse reads anything as the annotation.
func FuzzParse(f *testing.F) {
	f.Add(`{"aws":{"hard":{"pods":3},"had":{"pods":4}}}`)
	f.Fuzz(func(t *testing.T, value string) {
		parts, err := Parse(value)
		if err != nil {
			return
		}
		if back, err := Parse(Format(parts)); err != nil || len(back) != len(parts) {
			t.Fatalf("%q is %v, then %v: %v", value, parts, back, err)
		}
		Divide(map[string]Amount{"pods": 3}, []Cluster{{Name: "aws", Part: parts["aws"], Permitted: true}})
	})
}
