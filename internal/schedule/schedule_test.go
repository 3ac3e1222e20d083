package schedule_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hanse-dev/hanse/internal/schedule"
)

// clusters reads "aws azure! google": a ! marks a cluster that is not ready.
func clusters(spec string) []schedule.Cluster {
	var cs []schedule.Cluster
	for name := range strings.FieldsSeq(spec) {
		name, away := strings.CutSuffix(name, "!")
		cs = append(cs, schedule.Cluster{Name: name, Ready: !away})
	}
	return cs
}

// explain prints a decision with all its reasons.
func explain(d schedule.Decision) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", d)
	for _, s := range d.Shares {
		fmt.Fprintf(&b, "  %s %d: %s\n", s.Cluster, s.Replicas, s.Reason)
	}
	for _, r := range d.Rejected {
		fmt.Fprintf(&b, "  not %s: %s\n", r.Cluster, r.Reason)
	}
	if d.Unplaced != 0 || d.Reason != "" {
		fmt.Fprintf(&b, "  unplaced %d: %s\n", d.Unplaced, d.Reason)
	}
	return b.String()
}

func TestSchedule(t *testing.T) {
	const key = "deployments.apps/default/whoami"
	tests := []struct {
		name     string
		clusters string
		total    int32
		whole    bool
		current  map[string]int32
		want     string
	}{{
		name:     "six over three clouds",
		clusters: "aws azure google", total: 6,
		want: `
aws=2,azure=2,google=2
  aws 2: even share
  azure 2: even share
  google 2: even share
`,
	}, {
		name:     "not divided: everywhere, also where it has to wait",
		clusters: "aws azure! google", whole: true,
		want: `
aws,azure,google
  aws 0: every cluster
  azure 0: every cluster, once it is ready
  google 0: every cluster
`,
	}, {
		name:     "a cluster that is away at the beginning gets nothing",
		clusters: "aws azure! google", total: 6,
		want: `
aws=3,google=3
  aws 3: even share
  google 3: even share
  not azure: not ready
`,
	}, {
		name:     "fewer replicas than clusters",
		clusters: "aws azure google", total: 1,
		want: `
aws=1
  aws 1: even share
  not azure: no replicas left for it
  not google: no replicas left for it
`,
	}, {
		name:     "none wanted: it exists in one place",
		clusters: "aws azure google", total: 0,
		want: `
aws=0
  aws 0: keeps the object, with 0 replicas
  not azure: no replicas left for it
  not google: no replicas left for it
`,
	}, {
		name:     "a new cluster gets nothing until there is more to place",
		clusters: "aws azure google oracle", total: 6, current: map[string]int32{"aws": 2, "azure": 2, "google": 2},
		want: `
aws=2,azure=2,google=2
  aws 2: as before
  azure 2: as before
  google 2: as before
  not oracle: no replicas left for it
`,
	}, {
		name:     "more to place goes where there is least",
		clusters: "aws azure google oracle", total: 8, current: map[string]int32{"aws": 2, "azure": 2, "google": 2},
		want: `
aws=2,azure=2,google=2,oracle=2
  aws 2: as before
  azure 2: as before
  google 2: as before
  oracle 2: raised from 0: had the fewest
`,
	}, {
		name:     "a cluster that is away keeps what it has, and it counts",
		clusters: "aws azure! google", total: 9, current: map[string]int32{"aws": 2, "azure": 2, "google": 2},
		want: `
aws=4,azure=2,google=3
  aws 4: raised from 2: had the fewest
  azure 2: kept: not ready
  google 3: raised from 2: had the fewest
`,
	}, {
		name:     "a cluster that is away holds more than the total",
		clusters: "aws azure! google", total: 1, current: map[string]int32{"aws": 2, "azure": 2, "google": 2},
		want: `
aws=0,azure=2,google=0
  aws 0: lowered from 2: had the most
  azure 2: kept: not ready
  google 0: lowered from 2: had the most
  unplaced 0: clusters that are not ready hold 2, more than the total of 1
`,
	}, {
		name:     "a cluster that left: what it had goes to the others",
		clusters: "aws google", total: 6, current: map[string]int32{"aws": 2, "azure": 2, "google": 2},
		want: `
aws=3,google=3
  aws 3: raised from 2: had the fewest
  google 3: raised from 2: had the fewest
  not azure: no longer a member
`,
	}, {
		name:     "scaled to zero: the object stays",
		clusters: "aws azure google", total: 0, current: map[string]int32{"aws": 1, "google": 1},
		want: `
aws=0,google=0
  aws 0: lowered from 1: had the most
  google 0: lowered from 1: had the most
  not azure: no replicas left for it
`,
	}, {
		name:     "nobody is ready",
		clusters: "aws! azure!", total: 3,
		want: `

  not aws: not ready
  not azure: not ready
  unplaced 3: no cluster is ready
`,
	}, {
		name:     "nobody is ready, but it is all there",
		clusters: "aws! azure!", total: 3, current: map[string]int32{"aws": 2, "azure": 1},
		want: `
aws=2,azure=1
  aws 2: kept: not ready
  azure 1: kept: not ready
`,
	}, {
		name:  "nobody has joined",
		total: 3,
		want: `

  unplaced 3: no cluster has joined
`,
	}, {
		name:  "nobody has joined, not divided",
		whole: true,
		want: `

  unplaced 0: no cluster has joined
`,
	}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := schedule.Schedule(schedule.Workload{Key: key, Total: tt.total, Divided: !tt.whole, Current: tt.current}, clusters(tt.clusters))
			if got := "\n" + explain(got); got != tt.want {
				t.Errorf("got:%s\nwant:%s", got, tt.want)
			}
		})
	}
}
