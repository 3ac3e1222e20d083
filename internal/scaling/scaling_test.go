package scaling

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/hanse-dev/hanse/internal/schedule"
)

// hub decides as a hub with these clusters does.
func hub(clusters map[string]bool, allowed ...string) Decide {
	var all []schedule.Cluster
	for name, ready := range clusters {
		all = append(all, schedule.Cluster{Name: name, Ready: ready})
	}
	return func(total int32, current map[string]int32, p *schedule.Preferences) (schedule.Decision, error) {
		w := schedule.Workload{Key: "deployments.apps/shop/web", Divided: true, Total: total, Current: current, Preferences: p, ByRemainder: true}
		if len(allowed) > 0 {
			w.Policy = &schedule.Policy{Name: "PlacementPolicy shop/web", Groups: [][]string{allowed}}
		}
		return schedule.Schedule(w, all), nil
	}
}

func three() map[string]bool { return map[string]bool{"aws": true, "azure": true, "google": true} }

// ask reads a command line as hanse scale does.
func ask(t *testing.T, line string) *Request {
	t.Helper()
	var counts, least, most, weights []string
	r := &Request{}
	for _, word := range strings.Fields(line) {
		flag, value, _ := strings.Cut(word, "=")
		switch flag {
		case "--replicas":
			n := int32(0)
			if _, err := fmt.Sscan(value, &n); err != nil {
				t.Fatal(err)
			}
			r.Replicas = &n
		case "--min":
			least = strings.Split(value, ",")
		case "--max":
			most = strings.Split(value, ",")
		case "--weight":
			weights = strings.Split(value, ",")
		case "--even":
			r.Even = true
		default:
			counts = append(counts, word)
		}
	}
	var err error
	for _, parse := range []func() error{
		func() error { r.Counts, err = ParseCounts(counts); return err },
		func() error { r.Min, err = ParseNumbers("--min", least); return err },
		func() error { r.Max, err = ParseMaxima(most); return err },
		func() error { r.Weight, err = ParseNumbers("--weight", weights); return err },
	} {
		if err := parse(); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func preferences(t *testing.T, value string) *schedule.Preferences {
	t.Helper()
	if value == "" {
		return nil
	}
	p, err := schedule.ParsePreferences(value)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestApply(t *testing.T) {
	for _, c := range []struct {
		ask, now, preferences string
		want                  string // total and division
	}{
		{ask: "aws=2 azure=2 google=2", now: "aws=1,azure=1,google=1", want: "6 aws=2,azure=2,google=2"},
		{ask: "azure=4", now: "aws=1,azure=1,google=1", want: "6 aws=1,azure=4,google=1"},
		{ask: "aws=0", now: "aws=1,azure=1", want: "1 aws=0,azure=1"},
		{ask: "--replicas=5", now: "aws=1,azure=1,google=1", want: "5 aws=2,azure=1,google=2"},
		{ask: "--min=aws=3", now: "aws=1,azure=1,google=1", want: "3 aws=3,azure=0,google=0"},
		{ask: "--max=aws=1", now: "aws=4,azure=1,google=1", want: "6 aws=1,azure=2,google=3"},
		{ask: "--weight=aws=4", now: "aws=2,azure=2,google=2", want: "6 aws=4,azure=1,google=1"},
		{ask: "--weight=*=0,aws=1,azure=1", now: "aws=2,azure=2,google=2", want: "6 aws=3,azure=3,google=0"},
		{ask: "--weight=aws=2,azure=1,google=1", now: "aws=2,azure=0,google=0", want: "2 aws=1,azure=0,google=1"},
		{ask: "--weight=aws=1,azure=1,google=1", now: "aws=3,azure=0,google=1", want: "4 aws=1,azure=1,google=2"},
		{ask: "--max=aws=none", now: "aws=1,azure=3,google=2", preferences: `{"clusters":{"aws":{"maxReplicas":1,"weight":1},"*":{"weight":1}}}`, want: "6 aws=1,azure=3,google=2"},
		{ask: "--even", now: "aws=6,azure=0,google=0", preferences: `{"clusters":{"aws":{"weight":1}}}`, want: "6 aws=2,azure=2,google=2"},
		{ask: "--even --replicas=3", now: "aws=6,azure=0,google=0", want: "3 aws=1,azure=1,google=1"},
		{ask: "aws=3 --max=aws=3,azure=1", now: "aws=1,azure=1,google=1", want: "5 aws=3,azure=1,google=1"},
	} {
		t.Run(c.ask, func(t *testing.T) {
			change, err := ask(t, c.ask).Apply(state(t, c.now, preferences(t, c.preferences)), hub(three()))
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(change.Total, " ", text(change.Division)); got != c.want {
				t.Errorf("%s becomes %s, want %s", c.now, got, c.want)
			}
			// What is written is what the hub goes by: it moves nothing.
			if again, _ := hub(three())(change.Total, change.Division, change.Preferences); !maps.Equal(again.Division(), change.Division) {
				t.Errorf("the hub makes of %s: %s", text(change.Division), again)
			}
		})
	}
}

func TestApplyRefuses(t *testing.T) {
	for _, c := range []struct{ ask, now, preferences, want string }{
		{ask: "", want: "no replicas are given for deployment/web"},
		{ask: "mars=2", want: "there is no cluster mars"},
		{ask: "--min=mars=2", want: "there is no cluster mars"},
		{ask: "*=2", want: "a count is for one cluster"},
		{ask: "aws=2 --replicas=3", want: "the total is the sum"},
		{ask: "--even --min=aws=1", want: "--even removes"},
		{ask: "--min=aws=3 --max=aws=2", want: "minimum 3 and the maximum 2"},
		{ask: "--min=aws=3", preferences: `{"clusters":{"aws":{"maxReplicas":2,"weight":1}}}`, want: "minimum 3 and the maximum 2"},
		{ask: "--min=aws=9", want: "Try: --replicas=9"},
		{ask: "--max=*=0,aws=1", want: "the maxima leave no place for 2 of 3"},
		{ask: "--weight=*=0", want: "all weights are zero"},
		{ask: "aws=2147483647 azure=1", want: "the counts add up to 2147483649"},
		{ask: "aws=5", preferences: `{"clusters":{"aws":{"maxReplicas":2,"weight":1},"*":{"weight":1}}}`, want: "Try: --max aws=5"},
		{ask: "aws=0", preferences: `{"clusters":{"aws":{"minReplicas":1,"weight":1},"*":{"weight":1}}}`, want: "Try: --min aws=0"},
		{ask: "aws=1", preferences: `{"clusters":{"azure":{"weight":1}}}`, want: "not in the preferences"},
	} {
		t.Run(c.ask, func(t *testing.T) {
			now := c.now
			if now == "" {
				now = "aws=1,azure=1,google=1"
			}
			_, err := ask(t, c.ask).Apply(state(t, now, preferences(t, c.preferences)), hub(three()))
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "Try: ") {
				t.Errorf("error %v, want one with %q that says what to try", err, c.want)
			}
		})
	}
}

func TestApplySaysWhatThePolicyRefuses(t *testing.T) {
	for _, line := range []string{"google=1", "--min=google=1"} {
		_, err := ask(t, line).Apply(state(t, "aws=2,azure=2", nil), hub(three(), "aws", "azure"))
		if err == nil || !strings.Contains(err.Error(), "cluster google cannot have") || !strings.Contains(err.Error(), "not allowed by PlacementPolicy shop/web") {
			t.Errorf("%s: %v", line, err)
		}
	}
}

func TestApplyToAClusterThatIsAway(t *testing.T) {
	clusters := map[string]bool{"aws": false, "azure": true}
	now := state(t, "aws=3,azure=3", nil)
	now.Clusters = clusters
	change, err := ask(t, "aws=1 azure=5").Apply(now, hub(clusters))
	if err != nil || len(change.Notes) != 1 || !strings.Contains(change.Notes[0], "aws is not ready") {
		t.Errorf("%+v, %v", change, err)
	}
	change, err = ask(t, "--even").Apply(now, hub(clusters))
	if err != nil || text(change.Division) != "aws=3,azure=3" {
		t.Errorf("what runs in a cluster that is away counts: %+v, %v", change, err)
	}
}

func TestWeightsOfAnEvenDivision(t *testing.T) {
	now := state(t, "aws=4,azure=1,google=1", nil)
	now.Total = 6
	change, err := (&Request{Weight: map[string]int64{"aws": 1}}).Apply(now, hub(three()))
	if err != nil || change.Preferences != nil || change.Division["aws"] != 2 {
		t.Errorf("%+v, %v, want two in each and nothing to keep", change, err)
	}
}

// Whatever is asked for, what comes of it adds up, is stable, and keeps to the
// limits; or there is an error that says what to try.
func TestApplyProperties(t *testing.T) {
	names := []string{"aws", "azure", "google"}
	rapid.Check(t, func(t *rapid.T) {
		small := rapid.Int64Range(0, 6)
		draw := func(label string) map[string]int64 {
			return rapid.MapOfN(rapid.SampledFrom(append(names, "*")), small, 0, 3).Draw(t, label)
		}
		r := &Request{Min: draw("min"), Weight: draw("weight"), Max: map[string]*int64{}, Counts: map[string]int32{}}
		for name, n := range draw("max") {
			r.Max[name] = &n
		}
		for name, n := range draw("counts") {
			if name != "*" {
				r.Counts[name] = int32(n)
			}
		}
		if rapid.Bool().Draw(t, "even") {
			r = &Request{Even: true}
		}
		now := State{Object: "deployment/web", Clusters: three(), Division: map[string]int32{}}
		for _, name := range names {
			now.Division[name] = int32(small.Draw(t, name))
			now.Total += now.Division[name]
		}
		change, err := r.Apply(now, hub(three()))
		if err != nil {
			if !strings.Contains(err.Error(), "Try: ") {
				t.Fatalf("%v", err)
			}
			return
		}
		var sum int32
		for name, n := range change.Division {
			sum += n
			if change.Preferences == nil {
				continue
			}
			if c, _ := of(change.Preferences, name); c.MaxReplicas != nil && int64(n) > *c.MaxReplicas {
				t.Fatalf("%s has %d, its maximum is %d", name, n, *c.MaxReplicas)
			}
		}
		for name, n := range r.Counts {
			if change.Division[name] != n {
				t.Fatalf("%s has %d, was asked to have %d", name, change.Division[name], n)
			}
		}
		if sum != change.Total && len(change.Notes) == 0 {
			t.Fatalf("%v adds up to %d, the total is %d, and nothing is said of it", change.Division, sum, change.Total)
		}
		if again, _ := hub(three())(change.Total, change.Division, change.Preferences); !maps.Equal(again.Division(), change.Division) {
			t.Fatalf("the hub makes of %v: %s", change.Division, again)
		}
	})
}

func state(t *testing.T, division string, p *schedule.Preferences) State {
	t.Helper()
	counts, err := ParseCounts(strings.Split(division, ","))
	if err != nil {
		t.Fatal(err)
	}
	s := State{Object: "deployment/web", Division: counts, Preferences: p, Clusters: three()}
	for _, n := range counts {
		s.Total += n
	}
	return s
}

func text(division map[string]int32) string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(division)) {
		out = append(out, fmt.Sprintf("%s=%d", name, division[name]))
	}
	return strings.Join(out, ",")
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"aws=2", "aws=", "=2", "aws=-1", "aws=none", "aws=99999999999", "*=1", "a=b=c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, arg string) {
		for _, err := range []error{
			func() error { _, err := ParseCounts([]string{arg}); return err }(),
			func() error { _, err := ParseMaxima([]string{arg}); return err }(),
			func() error { _, err := ParseNumbers("--min", []string{arg}); return err }(),
		} {
			if err != nil && !strings.Contains(err.Error(), "Try: ") {
				t.Errorf("%q: %v", arg, err)
			}
		}
	})
}
