package metrics

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var noon = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// moves is for each metric what moves it, and the series and value that it then has.
func moves() map[string]struct {
	move func(*Metrics)
	want map[string]float64
} {
	yes, three := true, 3
	at := float64(noon.Unix())
	dns := func(s DNSSnapshot) func(*Metrics) {
		return func(m *Metrics) { m.DNS.Source(func() DNSSnapshot { return s }) }
	}
	objects := func(c ClusterObjects) func(*Metrics) {
		return func(m *Metrics) {
			m.Objects.Source(func() ObjectsSnapshot { return ObjectsSnapshot{map[string]ClusterObjects{"a": c}, &three} })
		}
	}
	losses := func(all ...Loss) func(*Metrics) {
		return func(m *Metrics) { m.Losses.Source(func() []Loss { return all }) }
	}
	queue := func(do func(*Queue)) func(*Metrics) {
		return func(m *Metrics) {
			if q := m.Workqueues.Open("member", "a"); q != nil {
				do(q)
			}
		}
	}
	return map[string]struct {
		move func(*Metrics)
		want map[string]float64
	}{
		"hanse_hub_leading":            {func(m *Metrics) { m.Hub.Leading(true) }, map[string]float64{"": 1}},
		"hanse_panics_recovered_total": {func(m *Metrics) { m.Hub.Panicked("fleet") }, map[string]float64{`{component="fleet"}`: 1}},

		"hanse_cluster_ready": {func(m *Metrics) { m.Fleet.Ready("a", true) }, map[string]float64{`{cluster="a"}`: 1}},
		"hanse_cluster_last_answer_timestamp_seconds": {
			func(m *Metrics) { m.Fleet.Looked("a", "Reachable", true, time.Second, noon) }, map[string]float64{`{cluster="a"}`: at}},
		"hanse_cluster_probes_total": {
			func(m *Metrics) { m.Fleet.Looked("a", "NotReady", false, time.Second, noon) }, map[string]float64{`{cluster="a",result="NotReady"}`: 1}},
		"hanse_cluster_probe_duration_seconds": {
			func(m *Metrics) { m.Fleet.Looked("a", "NotReady", false, 2*time.Second, noon) }, map[string]float64{"_count": 1, "_sum": 2}},
		"hanse_cluster_session_open":          {func(m *Metrics) { m.Fleet.Session("a", true) }, map[string]float64{`{cluster="a"}`: 1}},
		"hanse_cluster_sessions_opened_total": {func(m *Metrics) { m.Fleet.Session("a", true); m.Fleet.Session("a", false) }, map[string]float64{`{cluster="a"}`: 1}},
		"hanse_cluster_credential_expiry_timestamp_seconds": {
			func(m *Metrics) { m.Fleet.Credential("a", noon) }, map[string]float64{`{cluster="a"}`: at}},
		"hanse_cluster_ca_expiry_timestamp_seconds": {
			func(m *Metrics) { m.Fleet.Authority("a", noon) }, map[string]float64{`{cluster="a"}`: at}},
		"hanse_cluster_credential_rotations_total": {
			func(m *Metrics) { m.Fleet.Rotated("a", nil); m.Fleet.Rotated("a", errors.New("no")) },
			map[string]float64{`{cluster="a",result="success"}`: 1, `{cluster="a",result="failure"}`: 1}},

		"hanse_decision_duration_seconds": {func(m *Metrics) { m.Propagation.Decided(time.Second) }, map[string]float64{"_count": 1, "_sum": 1}},
		"hanse_member_writes_total": {
			func(m *Metrics) { m.Propagation.Wrote("a", "create", nil, time.Second) },
			map[string]float64{`{cluster="a",code="2xx",reason="OK",verb="create"}`: 1}},
		"hanse_member_write_duration_seconds": {
			func(m *Metrics) { m.Propagation.Wrote("a", "patch", nil, 2*time.Second) },
			map[string]float64{`_count{verb="patch"}`: 1, `_sum{verb="patch"}`: 2}},
		"hanse_propagation_duration_seconds": {
			func(m *Metrics) { m.Propagation.Confirmed("a", 2*time.Second) },
			map[string]float64{`_count{cluster="a"}`: 1, `_sum{cluster="a"}`: 2}},

		"hanse_objects":                    {objects(ClusterObjects{States: map[string]int{Synced: 7}}), map[string]float64{`{cluster="a",state="synced"}`: 7}},
		"hanse_deletions_held":             {objects(ClusterObjects{Held: 2}), map[string]float64{`{cluster="a"}`: 2}},
		"hanse_cluster_objects_unreadable": {objects(ClusterObjects{Unreadable: true}), map[string]float64{`{cluster="a"}`: 1}},
		"hanse_cluster_failed_over":        {objects(ClusterObjects{FailedOver: true}), map[string]float64{`{cluster="a"}`: 1}},
		"hanse_unplaced_replicas":          {objects(ClusterObjects{}), map[string]float64{"": 3}},

		"hanse_loss_unplaced_replicas": {
			losses(Loss{Kind: LossOfCluster, Name: "a", UnplacedReplicas: 4}), map[string]float64{`{kind="cluster",name="a"}`: 4}},
		"hanse_loss_unanswered_names": {
			losses(Loss{Kind: LossOfRegion, Name: "r", UnansweredNames: 4}), map[string]float64{`{kind="region",name="r"}`: 4}},
		"hanse_loss_quorums_lost": {
			losses(Loss{Kind: LossOfProvider, Name: "p", QuorumsLost: 4}), map[string]float64{`{kind="provider",name="p"}`: 4}},

		"hanse_workqueue_adds_total":    {queue(func(q *Queue) { q.NewAddsMetric("").Inc() }), map[string]float64{`{cluster="a",name="member"}`: 1}},
		"hanse_workqueue_retries_total": {queue(func(q *Queue) { q.NewRetriesMetric("").Inc() }), map[string]float64{`{cluster="a",name="member"}`: 1}},
		"hanse_workqueue_depth":         {queue(func(q *Queue) { q.NewDepthMetric("").Inc() }), map[string]float64{`{cluster="a",name="member"}`: 1}},
		"hanse_workqueue_queue_duration_seconds": {
			queue(func(q *Queue) { q.NewLatencyMetric("").Observe(2) }), map[string]float64{`_count{name="member"}`: 1, `_sum{name="member"}`: 2}},
		"hanse_workqueue_work_duration_seconds": {
			queue(func(q *Queue) { q.NewWorkDurationMetric("").Observe(2) }), map[string]float64{`_count{name="member"}`: 1, `_sum{name="member"}`: 2}},
		"hanse_workqueue_unfinished_work_seconds": {
			queue(func(q *Queue) { q.NewUnfinishedWorkSecondsMetric("").Set(2) }), map[string]float64{`{cluster="a",name="member"}`: 2}},
		"hanse_workqueue_longest_running_processor_seconds": {
			queue(func(q *Queue) { q.NewLongestRunningProcessorSecondsMetric("").Set(2) }), map[string]float64{`{cluster="a",name="member"}`: 2}},

		"hanse_dns_responses_total": {
			dns(DNSSnapshot{Zones: map[string]DNSResponses{"example.org.": {"NOERROR": 5}}, Outside: DNSResponses{"REFUSED": 2}}),
			map[string]float64{`{rcode="NOERROR",zone="example.org."}`: 5, `{rcode="REFUSED",zone=""}`: 2}},
		"hanse_dns_tcp_responses_total":       {dns(DNSSnapshot{TCP: 4}), map[string]float64{"": 4}},
		"hanse_dns_truncated_responses_total": {dns(DNSSnapshot{Truncated: 4}), map[string]float64{"": 4}},
		"hanse_dns_dropped_messages_total":    {dns(DNSSnapshot{Dropped: 4}), map[string]float64{"": 4}},
		"hanse_dns_transfer_messages_total":   {dns(DNSSnapshot{Transfers: 4}), map[string]float64{"": 4}},
		"hanse_dns_listening":                 {dns(DNSSnapshot{Listening: &yes}), map[string]float64{"": 1}},
		"hanse_dns_zone_ready": {
			dns(DNSSnapshot{DNSZones: map[string]DNSZone{"z": {"example.org.", true}}}), map[string]float64{`{dnszone="z",zone="example.org."}`: 1}},
		"hanse_dns_probes_total": {
			dns(DNSSnapshot{Passed: 4, Failed: 1}), map[string]float64{`{result="passed"}`: 4, `{result="failed"}`: 1}},
		"hanse_dns_probe_targets": {dns(DNSSnapshot{Targets: map[string]int{"up": 4}}), map[string]float64{`{state="up"}`: 4}},

		"hanse_certificate_expiry_timestamp_seconds": {
			func(m *Metrics) {
				m.Certificates.Source(func() map[string]Certificate {
					return map[string]Certificate{"ca": {Expires: noon}}
				})
			},
			map[string]float64{`{certificate="ca"}`: at}},
		"hanse_certificate_renewal_timestamp_seconds": {
			func(m *Metrics) {
				m.Certificates.Source(func() map[string]Certificate {
					return map[string]Certificate{"ca": {Renews: noon}, "ca-previous": {}}
				})
			},
			map[string]float64{`{certificate="ca"}`: at}},
	}
}

// Every metric is moved by what it measures, and there is none that this does not show.
func TestEveryMetricMoves(t *testing.T) {
	_, r := fresh(t)
	if got, want := slices.Sorted(maps.Keys(moves())), slices.Sorted(maps.Keys(r.names)); !slices.Equal(got, want) {
		t.Fatalf("moved are\n%v, there are\n%v", got, want)
	}
	for name, c := range moves() {
		t.Run(name, func(t *testing.T) {
			m, r := fresh(t)
			m.Fleet.Joined("a")
			before := r.scrape(t)
			c.move(m)
			after := r.scrape(t)
			for labels, want := range c.want {
				if got, ok := after[name+labels]; !ok || got != want || before[name+labels] == want {
					t.Errorf("%s%s is %v, was %v, want %v; there are %v", name, labels, got, before[name+labels], want, of(after, name))
				}
			}
		})
	}
}

// Nothing is measured by nobody, and nothing panics.
func TestNil(t *testing.T) {
	for name, c := range moves() {
		t.Run(name, func(*testing.T) { c.move(&Metrics{}) })
	}
	(&Metrics{}).Fleet.Joined("a")
	(&Metrics{}).Fleet.Left("a")
	q := (&Metrics{}).Workqueues.Open("member", "a")
	q.Put()
	q.Taken(time.Second)
	q.Close()
	if q.Name() != "" {
		t.Error("a nil queue has a name")
	}
	if q.Provider() != nil {
		t.Error("a nil queue is a provider")
	}
}

// A cluster that leaves takes all its series along, and what comes late brings none back.
func TestLeft(t *testing.T) {
	m, r := fresh(t)
	everything := func() {
		for _, c := range moves() {
			c.move(m)
		}
	}
	m.Fleet.Joined("a")
	everything()
	if got := of(r.scrape(t), `cluster="a"`); len(got) < 15 {
		t.Fatalf("only %v", got)
	}
	m.Fleet.Left("a")
	everything()
	for _, series := range of(r.scrape(t), `cluster="a"`) {
		if !strings.HasPrefix(series, "hanse_workqueue_") { // goes when it is closed
			t.Error(series)
		}
	}
	m.Fleet.Joined("a")
	m.Propagation.Confirmed("a", time.Second)
	if got := of(r.scrape(t), "propagation"); len(got) == 0 {
		t.Error("nothing is measured of a cluster that came back")
	}
}

// What a member answers cannot make labels, nor can clusters that nobody joined.
func TestLabelsAreBounded(t *testing.T) {
	m, r := fresh(t)
	m.Fleet.Joined("a")
	for i := range 1000 {
		name := fmt.Sprint("x", i)
		m.Propagation.Wrote("a", name, &apierrors.StatusError{ErrStatus: metav1.Status{Code: int32(i * 7), Reason: metav1.StatusReason(name)}}, 0)
		m.Propagation.Wrote(name, "create", nil, 0)
		m.Propagation.Confirmed(name, 0)
		m.Fleet.Looked(name, "Reachable", true, 0, noon)
		m.Fleet.Ready(name, true)
		m.Fleet.Session(name, true)
		m.Fleet.Credential(name, noon)
		m.Fleet.Authority(name, noon)
		m.Fleet.Rotated(name, nil)
		m.Workqueues.Open("member", name).NewAddsMetric("").Inc()
	}
	m.Objects.Source(func() ObjectsSnapshot {
		return ObjectsSnapshot{Clusters: map[string]ClusterObjects{"x": {Held: 1, States: map[string]int{Synced: 1}}}}
	})
	m.Losses.Source(func() []Loss { return []Loss{{Kind: LossOfCluster, Name: "x"}, {Kind: "pair", Name: "x+a"}} })
	all := r.scrape(t)
	for series := range all {
		if strings.Contains(series, `"x`) && !strings.HasPrefix(series, "hanse_workqueue_") {
			t.Error(series)
		}
	}
	if n := len(of(all, "hanse_member_writes_total")); n > 6 {
		t.Errorf("%d series of writes", n)
	}
}

func TestOutcome(t *testing.T) {
	resource := schema.GroupResource{Resource: "pods"}
	for want, err := range map[[2]string]error{
		{"2xx", "OK"}:              nil,
		{"4xx", "Conflict"}:        fmt.Errorf("write: %w", apierrors.NewConflict(resource, "x", errors.New("changed"))),
		{"4xx", "Forbidden"}:       apierrors.NewForbidden(resource, "x", nil),
		{"5xx", "InternalError"}:   apierrors.NewInternalError(errors.New("x")),
		{"4xx", "TooManyRequests"}: apierrors.NewTooManyRequests("x", 1),
		{"4xx", "Other"}:           &apierrors.StatusError{ErrStatus: metav1.Status{Code: 418, Reason: "Teapot"}},
		{"none", "Other"}:          &apierrors.StatusError{ErrStatus: metav1.Status{Code: 99999999, Reason: "Lies"}},
		{"none", "Canceled"}:       fmt.Errorf("write: %w", context.Canceled),
		{"none", "Timeout"}:        context.DeadlineExceeded,
		{"none", "Unreachable"}:    &net.OpError{Op: "dial", Err: errors.New("refused")},
	} {
		if code, reason := outcome(err); code != want[0] || reason != want[1] {
			t.Errorf("%v: %s %s, want %v", err, code, reason, want)
		}
	}
}

// A source that panics ends neither the process nor the scrape.
func TestSourceThatPanics(t *testing.T) {
	m, r := fresh(t)
	m.Hub.Leading(true)
	m.DNS.Source(func() DNSSnapshot { panic("a zone that is none") })
	all := r.scrape(t)
	if got := of(all, "hanse_dns"); len(got) > 0 || all["hanse_hub_leading"] != 1 {
		t.Error(all)
	}
	if r.scrape(t)[`hanse_panics_recovered_total{component="metrics"}`] == 0 {
		t.Error("its panics are not counted")
	}
}

// Times that are not known have no series.
func TestUnknownTimes(t *testing.T) {
	m, r := fresh(t)
	m.Fleet.Joined("a")
	m.Fleet.Credential("a", noon)
	m.Fleet.Credential("a", time.Time{})
	if got := of(r.scrape(t), "expiry"); len(got) > 0 {
		t.Error(got)
	}
}

func TestTwice(t *testing.T) {
	r := prometheus.NewRegistry()
	if _, err := New(r); err != nil {
		t.Fatal(err)
	}
	if _, err := New(r); err == nil {
		t.Error("registered twice")
	}
}

// Joins, leaves, writes and scrapes at once.
func TestConcurrent(t *testing.T) {
	m, r := fresh(t)
	var wg sync.WaitGroup
	for i := range 4 {
		name := fmt.Sprint("c", i%2)
		wg.Go(func() {
			for range 200 {
				m.Fleet.Joined(name)
				m.Propagation.Wrote(name, "create", nil, 0)
				q := m.Workqueues.Open("member", name)
				q.NewDepthMetric("").Inc()
				q.Close()
				m.Fleet.Left(name)
			}
		})
		wg.Go(func() {
			for range 20 {
				if _, err := r.Gather(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got := of(r.scrape(t), `cluster="`); len(got) > 0 {
		t.Error(got)
	}
}

// A nil Metrics' parts are all there is.
func TestNewMakesAll(t *testing.T) {
	m, _ := fresh(t)
	v := reflect.ValueOf(*m)
	for i := range v.NumField() {
		if v.Field(i).IsNil() {
			t.Errorf("%s is nil", v.Type().Field(i).Name)
		}
	}
}
