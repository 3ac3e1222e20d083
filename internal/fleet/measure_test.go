package fleet

import (
	"bytes"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// logged is a log that is read while it is written.
type logged struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(b)
}

// lines are those that have a text.
func (l *logged) lines(text string) (found []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.all.String()) {
		if strings.Contains(line, text) {
			found = append(found, line)
		}
	}
	return found
}

// metric is the value of a series, as name{label="value"}; -1 if there is none.
func (f *federation) metric(t *testing.T, series string) float64 {
	t.Helper()
	families, err := f.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
			}
			if family.GetName()+"{"+strings.Join(labels, ",")+"}" == series {
				return m.GetGauge().GetValue() + m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return -1
}

// What happens to a member moves its metrics, and they go with it.
func TestMemberIsMeasured(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	f.join(t)
	now := float64(time.Now().Unix())
	for series, want := range map[string]float64{
		`hanse_cluster_ready{cluster="aws"}`:                               1,
		`hanse_cluster_session_open{cluster="aws"}`:                        1,
		`hanse_cluster_sessions_opened_total{cluster="aws"}`:               1,
		`hanse_cluster_probes_total{cluster="aws",result="Reachable"}`:     1,
		`hanse_cluster_probe_duration_seconds{}`:                           1,
		`hanse_cluster_last_answer_timestamp_seconds{cluster="aws"}`:       now - 30,
		`hanse_cluster_credential_expiry_timestamp_seconds{cluster="aws"}`: now + 60,
		`hanse_cluster_ca_expiry_timestamp_seconds{cluster="aws"}`:         now + 60,
	} {
		f.eventually(t, series, func() bool { return f.metric(t, series) >= want })
	}
	f.member.setIntercept(func(*http.Request) int { return http.StatusInternalServerError })
	for series, want := range map[string]float64{
		`hanse_cluster_ready{cluster="aws"}`:                 0,
		`hanse_cluster_session_open{cluster="aws"}`:          0,
		`hanse_cluster_sessions_opened_total{cluster="aws"}`: 1,
		`hanse_cluster_probe_duration_seconds{}`:             f.metric(t, `hanse_cluster_probe_duration_seconds{}`) + 1,
	} {
		f.eventually(t, series, func() bool {
			got := f.metric(t, series)
			return got == want || got > want && strings.Contains(series, "duration")
		})
	}
	if f.metric(t, `hanse_cluster_probes_total{cluster="aws",result="NotReady"}`) < 1 {
		t.Error("looks that failed are not counted")
	}
	f.member.setIntercept(func(*http.Request) int { return 0 })
	f.eventually(t, "a second session", func() bool { return f.metric(t, `hanse_cluster_sessions_opened_total{cluster="aws"}`) == 2 })
	f.unjoinNamed(t, "aws", `{}`)
	if left := f.log.lines("Cluster left"); len(left) > 1 {
		t.Errorf("%q", left)
	}
	f.eventually(t, "no series", func() bool {
		families, err := f.registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		return !strings.Contains(fmt.Sprint(families), `"aws"`)
	})
}

// What fails at every look is one line until it works again.
func TestRepeatedFailuresAreOneLine(t *testing.T) {
	t.Parallel()
	f := newFederation(t)
	f.join(t)
	f.eventually(t, "engaged", func() bool { return f.prop.isEngaged("aws") })
	var mu sync.Mutex
	refused := 0
	f.hub.setIntercept(func(r *http.Request) int {
		if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/status") {
			mu.Lock()
			defer mu.Unlock()
			refused++
			return http.StatusInternalServerError
		}
		return 0
	})
	f.member.setIntercept(func(*http.Request) int { return http.StatusServiceUnavailable })
	f.eventually(t, "refused again and again", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return refused >= 4
	})
	f.hub.setIntercept(func(*http.Request) int { return 0 })
	f.eventually(t, "written", func() bool { return f.reason() == v1alpha1.ReasonNotReady })
	f.eventually(t, "said", func() bool { return len(f.log.lines("status was written")) == 1 })
	if lines := f.log.lines("status could not be written"); len(lines) != 1 || !strings.Contains(lines[0], `cluster="aws"`) {
		t.Errorf("%q", lines)
	}
	if lines := f.log.lines("Cluster changed health"); len(lines) != 2 || !regexp.MustCompile(`from="Reachable" to="NotReady"`).MatchString(lines[1]) {
		t.Errorf("%q", lines)
	}
}
