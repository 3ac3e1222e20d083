package schedule_test

import (
	"maps"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/hanse-dev/hanse/internal/schedule"
)

// TestPreferencesDivide is what Federation v1 made of preferences; the ties
// fall as its hash of cluster and object let them.
func TestPreferencesDivide(t *testing.T) {
	tests := []struct {
		name, preferences, clusters, current, room string
		total                                      int32
		want                                       string
		unplaced                                   int32
	}{
		{name: "even, rounded up", preferences: `{"clusters":{"*":{"weight":1}}}`, total: 50, clusters: "A B C", want: "A=16,B=17,C=17"},
		{name: "one", preferences: `{"clusters":{"*":{"weight":1}}}`, total: 1, clusters: "A B C D", want: "D=1"},
		{name: "what runs stays", preferences: `{"clusters":{"*":{"weight":1}}}`, total: 50, clusters: "A B C", current: "C=30", want: "A=10,B=10,C=30"},
		{name: "what runs counts towards the part", preferences: `{"clusters":{"*":{"weight":1}}}`, total: 15, clusters: "A B", current: "A=4,B=8", want: "A=7,B=8"},
		{name: "scaled down", preferences: `{"clusters":{"*":{"weight":1}}}`, total: 1, clusters: "A B", current: "A=30", want: "A=1"},
		{name: "scaled down unevenly", preferences: `{"clusters":{"*":{"weight":1}}}`, total: 50, clusters: "A B", current: "A=10,B=70", want: "A=0,B=50"},
		{name: "rebalance moves", preferences: `{"rebalance":true,"clusters":{"*":{"weight":1}}}`, total: 50, clusters: "A B", current: "A=10,B=40", want: "A=25,B=25"},
		{name: "room in C for 10", preferences: `{"rebalance":true,"clusters":{"*":{"weight":1}}}`, total: 50, clusters: "A B C", room: "C=10", want: "A=20,B=20,C=10"},
		{name: "only B is listed", preferences: `{"rebalance":true,"clusters":{"A":{"weight":10000},"B":{"weight":1}}}`, total: 50, clusters: "B C", room: "B=10", want: "B=10", unplaced: 40},
		{name: "overflow goes to A", preferences: `{"clusters":{"A":{"weight":1},"B":{"weight":5}}}`, total: 60, clusters: "A B C", room: "B=10", want: "A=50,B=10"},
		{name: "both are full", preferences: `{"clusters":{"A":{"weight":1},"B":{"weight":1}}}`, total: 60, clusters: "A B C", room: "A=10,B=10", want: "A=10,B=10", unplaced: 40},
		{name: "a minimum without room", preferences: `{"clusters":{"*":{"minReplicas":20,"weight":0}}}`, total: 50, clusters: "A B C", room: "B=10", want: "A=20,B=10,C=20"},
		{name: "minima only", preferences: `{"clusters":{"*":{"minReplicas":2,"weight":0}}}`, total: 50, clusters: "A B C", want: "A=2,B=2,C=2", unplaced: 44},
		{name: "minima above the total", preferences: `{"clusters":{"*":{"minReplicas":20,"weight":0}}}`, total: 50, clusters: "A B C", want: "A=10,B=20,C=20"},
		{name: "the heavier has its minimum first", preferences: `{"clusters":{"*":{"minReplicas":20,"weight":0},"A":{"minReplicas":100,"weight":1}}}`, total: 50, clusters: "A B C", want: "A=50"},
		{name: "minimum and maximum", preferences: `{"clusters":{"*":{"minReplicas":10,"weight":1,"maxReplicas":12}}}`, total: 50, clusters: "A B C", want: "A=12,B=12,C=12", unplaced: 14},
		{name: "weights", preferences: `{"clusters":{"A":{"weight":1},"B":{"weight":2}}}`, total: 60, clusters: "A B C", want: "A=20,B=40"},
		{name: "weights and maxima", preferences: `{"clusters":{"A":{"weight":10000,"maxReplicas":10},"B":{"weight":1},"C":{"weight":1,"maxReplicas":21},"D":{"weight":1,"maxReplicas":10},"E":{"weight":1}}}`,
			total: 91, clusters: "A B C D E", want: "A=10,B=25,C=21,D=10,E=25"},
		{name: "keys in any case", preferences: `{"CLUSTERS":{"A":{"MAXREPLICAS":3,"Weight":9},"B":{"wEIGHT":1}}}`, total: 9, clusters: "A B", want: "A=3,B=6"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := schedule.ParsePreferences(tt.preferences)
			if err != nil {
				t.Fatal(err)
			}
			cs := clusters(tt.clusters)
			room := counts(t, tt.room)
			for i := range cs {
				if n, ok := room[cs[i].Name]; ok {
					cs[i].Domains = []schedule.Domain{{Free: &schedule.Resources{Pods: int64(n)}}}
				}
			}
			w := schedule.Workload{Key: "", Total: tt.total, Divided: true, Current: counts(t, tt.current), Preferences: p, Template: plainTemplate()}
			w.Template.Spec.Containers = nil
			d := decide(cs, w)
			if d.String() != tt.want || d.Unplaced != tt.unplaced {
				t.Errorf("got %s and %d unplaced, want %s and %d:\n%s", d, d.Unplaced, tt.want, tt.unplaced, explain(d))
			}
		})
	}
}

func counts(t *testing.T, s string) map[string]int32 {
	t.Helper()
	m := map[string]int32{}
	for pair := range strings.SplitSeq(s, ",") {
		if name, n, ok := strings.Cut(pair, "="); ok {
			m[name] = int32(number(t, n))
		}
	}
	return m
}

func TestParsePreferences(t *testing.T) {
	for value, want := range map[string]string{
		``:                                  "not of the form",
		`null x`:                            "not of the form",
		`[]`:                                "the value is a array, not a JSON object",
		`{"clusters":{"a":{"weight":"2"}}}`: "clusters.weight is a string, not a whole number",
		`{"clusters":{"a":{"weight":1.5}}}`: "clusters.weight is a number 1.5, not a whole number",
		`{"rebalance":"yes"}`:               "rebalance is a string, not a boolean",
		`{"clusters":{"a":{"weight":-1}}}`:  `cluster "a" has a number below zero`,
		`{"clusters":{"a":{"weight":9223372036854775807}}}`:    `cluster "a" has a number above 2147483647`,
		`{"clusters":{"a":{"minReplicas":3,"maxReplicas":2}}}`: `cluster "a" has the minimum 3 and the maximum 2`,
	} {
		if p, err := schedule.ParsePreferences(value); err == nil || p != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v and error %q, want %q", value, p, err, want)
		}
	}
	for _, value := range []string{`{}`, `null`, `{"clusters":null}`, `{"clusters":{"a":{}},"more":1}`, `{"clusters":{"a":{"maxReplicas":null}}}`} {
		if _, err := schedule.ParsePreferences(value); err != nil {
			t.Errorf("%s: %v", value, err)
		}
	}
}

func TestClusterSelector(t *testing.T) {
	cluster := map[string]string{"location": "europe", "environment": "prod", "version": "15"}
	tests := []struct {
		value   string
		matches bool
	}{
		{`[]`, true},
		{`null`, true},
		{`[{"key":"location","operator":"in","values":["europe"]}]`, true},
		{`[{"key":"location","operator":"In","values":["usa","europe"]},{"key":"environment","operator":"==","values":["prod"]}]`, true},
		{`[{"key":"location","operator":"In","values":["europe"]},{"key":"environment","operator":"=","values":["test"]}]`, false},
		{`[{"key":"location","operator":"!=","values":["usa"]}]`, true},
		{`[{"key":"location","operator":"NotIn","values":["usa","europe"]}]`, false},
		{`[{"key":"location","operator":"notin","values":["usa"]}]`, true},
		{`[{"key":"location","operator":"Exists"},{"key":"pci","operator":"!"}]`, true},
		{`[{"key":"location","operator":"exists"},{"key":"pci","operator":"DoesNotExist"}]`, true},
		{`[{"key":"version","operator":">","values":["14"]},{"key":"version","operator":"<","values":["16"]}]`, true},
		{`[{"key":"version","operator":"Gt","values":["15"]}]`, false},
		{`[{"key":"version","operator":"gt","values":["14"]},{"key":"version","operator":"Lt","values":["15"]}]`, false},
		{`[{"key":"location","operator":"lt","values":["15"]}]`, false},
		{`[{"KEY":"location","Operator":"in","VALUES":["europe"]}]`, true},
	}
	for _, tt := range tests {
		s, err := schedule.ParseClusterSelector(tt.value)
		if err != nil || s.Matches(cluster) != tt.matches || keptAtHub(s) {
			t.Errorf("%s: %v, want %v", tt.value, err, tt.matches)
		}
	}
	for _, value := range []string{``, `{}`, `[{"not able to parse",}]`, `[{"key":"a","operator":"Is","values":["b"]}]`, `[{"key":"a","operator":"","values":["b"]}]`,
		`[{"key":"a","operator":"In"}]`, `[{"key":"a","operator":"Exists","values":["b"]}]`, `[{"key":"a","operator":">","values":["b"]}]`,
		`[{"key":"a b","operator":"Exists"}]`, `[{"key":"","operator":"Exists"}]`, `[{"key":"a","operator":"In","values":[1]}]`} {
		if s, err := schedule.ParseClusterSelector(value); err == nil || s != nil || !strings.Contains(err.Error(), "Try: ") {
			t.Errorf("%s: %v, %v", value, s, err)
		}
	}
	for value, want := range map[string]bool{
		`[{"key":"federation.kubernetes.io/federation-control-plane","operator":"=","values":["true"]}]`:     true,
		`[{"key":"federation.kubernetes.io/federation-control-plane","operator":"In","values":["true"]}]`:    true,
		`[{"key":"federation.kubernetes.io/federation-control-plane","operator":"NotIn","values":["true"]}]`: false,
	} {
		if s, err := schedule.ParseClusterSelector(value); err != nil || keptAtHub(s) != want {
			t.Errorf("%s: %v", value, err)
		}
	}
}

// keptAtHub reports whether a decision says that a selector keeps an object at the hub.
func keptAtHub(s *schedule.ClusterSelector) bool {
	d := schedule.Schedule(schedule.Workload{Key: "k", Total: 1, Divided: true, Selector: s}, []schedule.Cluster{{Name: "a", Ready: true}})
	return strings.Contains(d.Reason, "keeps it at the hub")
}

func FuzzParsePreferences(f *testing.F) {
	for _, seed := range []string{`{"rebalance":true,"clusters":{"aws":{"minReplicas":1,"maxReplicas":5,"weight":2},"*":{"weight":1}}}`, `{}`, `null`,
		`{"clusters":{"aws":{"weight":2147483647}}}`, `{"clusters":{"*":{"minReplicas":5}}}`, `{"Clusters":{"":{"weight":1}}}`} {
		f.Add(seed, int32(7), int32(3))
	}
	f.Fuzz(func(t *testing.T, value string, total, current int32) {
		p, err := schedule.ParsePreferences(value)
		if err != nil {
			return
		}
		w := schedule.Workload{Key: "deployments.apps/default/a", Total: total, Divided: true, Preferences: p, Current: map[string]int32{"aws": current}}
		d := schedule.Schedule(w, clusters("aws azure google"))
		if got := sum(d); got != max(0, int64(total)) {
			t.Fatalf("%d of %d:\n%s", got, total, explain(d))
		}
		for _, s := range d.Shares {
			c, ok := p.Clusters[s.Cluster]
			if !ok {
				c, ok = p.Clusters["*"]
			}
			if s.Replicas > 0 && (!ok || c.MaxReplicas != nil && int64(s.Replicas) > *c.MaxReplicas) {
				t.Fatalf("%s has %d:\n%s", s.Cluster, s.Replicas, explain(d))
			}
		}
	})
}

func FuzzParseClusterSelector(f *testing.F) {
	for _, seed := range []string{`[{"key":"pci","operator":"In","values":["true"]}]`, `[]`, `null`, `[{"key":"v","operator":">","values":["14"]}]`, `[{}]`, `{"key":1}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		s, err := schedule.ParseClusterSelector(value)
		if (s == nil) == (err == nil) {
			t.Fatalf("%v and %v", s, err)
		}
		if err == nil {
			_ = s.String()
			s.Matches(map[string]string{"pci": "true", "v": "15"})
		}
	})
}

func sum(d schedule.Decision) int64 { return total(d) + int64(d.Unplaced) }

// TestPreferencesConserve: with any room, minima and maxima, what is not placed
// is said to be.
func TestPreferencesConserve(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cs, w := drawCase(t, everyConstraint...)
		w.Policy = nil
		w.Preferences = &schedule.Preferences{Rebalance: rapid.Bool().Draw(t, "rebalance"), Clusters: map[string]schedule.ClusterPreferences{}}
		for _, name := range []string{"c0", "c1", "*"} {
			if rapid.Bool().Draw(t, "named") {
				c := schedule.ClusterPreferences{MinReplicas: rapid.Int64Range(0, 3).Draw(t, "min"), Weight: rapid.Int64Range(0, 3).Draw(t, "weight")}
				if rapid.Bool().Draw(t, "bounded") {
					most := c.MinReplicas + 2
					c.MaxReplicas = &most
				}
				w.Preferences.Clusters[name] = c
			}
		}
		before := maps.Clone(w.Current)
		d := decide(cs, w)
		var away int64
		for _, c := range cs {
			if !c.Ready && !c.Lost || c.Cordoned || len(c.Taints) > 0 && c.Taints[0].Effect == "NoSchedule" {
				away += int64(before[c.Name])
			}
		}
		if got := sum(d); got < int64(w.Total) || got > max(int64(w.Total), away) {
			t.Fatalf("%d of %d, %d cannot be changed:\n%s", got, w.Total, away, explain(d))
		}
	})
}
