package main

import (
	"bytes"
	"maps"
	"strings"
	"testing"
	"time"
)

func TestCountWrites(t *testing.T) {
	const metrics = `# TYPE apiserver_request_total counter
apiserver_request_total{code="201",component="apiserver",dry_run="",group="apps",resource="deployments",scope="resource",subresource="",verb="POST",version="v1"} 300
apiserver_request_total{code="200",component="apiserver",dry_run="",group="apps",resource="deployments",scope="resource",subresource="",verb="APPLY",version="v1"} 1.5e+03
apiserver_request_total{code="200",component="apiserver",dry_run="",group="apps",resource="deployments",scope="cluster",subresource="",verb="LIST",version="v1"} 7
apiserver_request_total{code="200",component="apiserver",dry_run="",group="coordination.k8s.io",resource="leases",scope="resource",subresource="",verb="PUT",version="v1"} 9
apiserver_request_total_of_another{resource="pods",verb="POST"} 1
`
	if got, want := countWrites(metrics), (map[string]int{"deployments": 1800}); !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestParseStat(t *testing.T) {
	got, err := parseStat("42 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 1 0 9 9 9")
	if err != nil || got != 2*time.Second {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := parseStat("42 (x) S"); err == nil {
		t.Error("no error without times")
	}
}

func TestParseMemory(t *testing.T) {
	got, err := parseMemory("Rss:  1 kB\nVmHWM:\t9 kB\nVmRSS:\t  2048 kB\n", "VmRSS")
	if err != nil || got != 2 {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := parseMemory("Rss: 1 kB\n", "VmRSS"); err == nil {
		t.Error("no error without the field")
	}
}

func TestQuantile(t *testing.T) {
	sorted := make([]time.Duration, 100)
	for i := range sorted {
		sorted[i] = time.Duration(i)
	}
	for share, want := range map[float64]time.Duration{0: 0, 0.5: 50, 0.99: 99, 1: 99} {
		if got := quantile(sorted, share); got != want {
			t.Errorf("quantile %v is %d, want %d", share, got, want)
		}
	}
}

func TestReportMarks(t *testing.T) {
	var r report
	r.add(row{Group: "a", Name: "good", Value: 2, Target: 2}, row{Group: "a", Name: "bad", Value: 2.5, Target: 2},
		row{Group: "b", Name: "none", Value: 1, None: true}, row{Group: "b", Name: "free", Value: 7})
	var out bytes.Buffer
	r.print(&out)
	for name, mark := range map[string]string{"good": "✓", "bad": "✗", "none": "✗", "free": ""} {
		for line := range strings.Lines(out.String()) {
			if strings.HasPrefix(line, "  "+name) && (strings.Contains(line, "✓") != (mark == "✓") || strings.Contains(line, "✗") != (mark == "✗")) {
				t.Errorf("want %q in %q", mark, line)
			}
		}
	}
}
