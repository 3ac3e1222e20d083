package metrics

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// registered is a Registerer that knows the names of what was registered.
type registered struct {
	*prometheus.Registry
	names map[string]bool
}

func (r *registered) Register(c prometheus.Collector) error {
	descs := make(chan *prometheus.Desc, 100)
	c.Describe(descs)
	close(descs)
	for d := range descs {
		r.names[regexp.MustCompile(`fqName: "([^"]+)"`).FindStringSubmatch(d.String())[1]] = true
	}
	return r.Registry.Register(c)
}

// fresh is a hub's metrics, and where they are registered.
func fresh(t *testing.T) (*Metrics, *registered) {
	t.Helper()
	r := &registered{prometheus.NewPedanticRegistry(), map[string]bool{}}
	m, err := New(r)
	if err != nil {
		t.Fatal(err)
	}
	return m, r
}

// scrape is everything that is gathered: name{label="value",…} to value. A histogram is its count and sum.
func (r *registered) scrape(t *testing.T) map[string]float64 {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
			}
			suffix := ""
			if len(labels) > 0 {
				suffix = "{" + strings.Join(labels, ",") + "}"
			}
			switch {
			case m.GetHistogram() != nil:
				all[f.GetName()+"_count"+suffix] = float64(m.GetHistogram().GetSampleCount())
				all[f.GetName()+"_sum"+suffix] = m.GetHistogram().GetSampleSum()
			case m.GetCounter() != nil:
				all[f.GetName()+suffix] = m.GetCounter().GetValue()
			default:
				all[f.GetName()+suffix] = m.GetGauge().GetValue()
			}
		}
	}
	return all
}

// of is the series whose labels or name contain text.
func of(all map[string]float64, text string) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(all)), func(s string) bool { return !strings.Contains(s, text) })
}
