package schedule_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/hanse-dev/hanse/internal/schedule"
)

func TestDivision(t *testing.T) {
	tests := []struct{ value, want, err string }{
		{value: `{"google":1,"aws":2}`, want: `{"aws":2,"google":1}`},
		{value: ` { "aws" : 0 } `, want: `{"aws":0}`},
		{value: `{}`, want: `{}`},
		{value: ``, err: "not a JSON object"},
		{value: `null`, err: "null is no division"},
		{value: `[1]`, err: "not a JSON object"},
		{value: `aws=2`, err: "not a JSON object"},
		{value: `{"aws":2} x`, err: "not a JSON object"},
		{value: `{"aws":"2"}`, err: "not a JSON object"},
		{value: `{"aws":2.5}`, err: "not a JSON object"},
		{value: `{"aws":2147483648}`, err: "not a JSON object"},
		{value: `{"aws":-1}`, err: "aws has -1 replicas, below zero"},
		{value: `{"":1}`, err: "a cluster's name is empty"},
	}
	for _, tt := range tests {
		division, err := schedule.ParseDivision(tt.value)
		switch {
		case tt.err == "" && err != nil:
			t.Errorf("%s: %v", tt.value, err)
		case tt.err == "" && schedule.FormatDivision(division) != tt.want:
			t.Errorf("%s: got %s, want %s", tt.value, schedule.FormatDivision(division), tt.want)
		case tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err) || !strings.Contains(err.Error(), "Try: ")):
			t.Errorf("%s: error %q does not say %q and what to try", tt.value, err, tt.err)
		}
	}
	if got := schedule.FormatDivision(nil); got != "{}" {
		t.Errorf("nothing is written as %s", got)
	}
}

func FuzzParseDivision(f *testing.F) {
	for _, seed := range []string{`{"aws":2,"azure":1}`, `{}`, `null`, `{"aws":-1}`, `{"":0}`, `{"a":1e3}`, `{"a":1,"a":2}`, `{"\ud800":1}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		division, err := schedule.ParseDivision(value)
		if err != nil {
			if division != nil {
				t.Fatalf("an error and %v", division)
			}
			return
		}
		again, err := schedule.ParseDivision(schedule.FormatDivision(division))
		if err != nil || !maps.Equal(again, division) {
			t.Fatalf("%v became %v: %v", division, again, err)
		}
		var clusters []schedule.Cluster
		for name, replicas := range division {
			if replicas < 0 {
				t.Fatalf("%s has %d", name, replicas)
			}
			clusters = append(clusters, schedule.Cluster{Name: name, Ready: replicas%2 == 0})
		}
		schedule.Schedule(schedule.Workload{Key: value, Total: 7, Divided: true, Current: division}, clusters)
	})
}
