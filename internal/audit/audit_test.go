package audit

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/clock"
	testingclock "k8s.io/utils/clock/testing"

	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/record"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

func noon() time.Time { return time.Date(2025, 11, 27, 12, 0, 0, 0, time.UTC) }

// line is an event as API servers log it.
func line(at time.Time, id, user, verb, namespace, name string, more ...string) string {
	return fmt.Sprintf(`{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":%q,"stage":"ResponseComplete","requestURI":"/apis/apps/v1/namespaces/shop/deployments/web",`+
		`"verb":%q,"user":{"username":%q,"groups":["devs"]},%s"sourceIPs":["10.0.0.9"],"userAgent":"kubectl","objectRef":{"resource":"deployments","namespace":%q,"name":%q,"apiGroup":"apps","apiVersion":"v1"},`+
		`"responseStatus":{"metadata":{},"code":200},"requestReceivedTimestamp":%q,"stageTimestamp":%[8]q}`+"\n", id, verb, user, strings.Join(more, ""), namespace, name, at.Format(time.RFC3339Nano), at.Format(time.RFC3339Nano))
}

func web() template.Key {
	return template.Key{GR: schema.GroupResource{Group: "apps", Resource: "deployments"}, Namespace: "shop", Name: "web"}
}

// hub is what a hub leaves on the disk.
type hub struct {
	t *testing.T
	Sources
	clock *testingclock.FakeClock
	rec   *record.Recorder
}

func newHub(t *testing.T) *hub {
	t.Helper()
	dir := t.TempDir()
	h := &hub{t: t, Sources: Sources{Log: filepath.Join(dir, "audit.log"), Flight: filepath.Join(dir, "flight")}, clock: testingclock.NewFakeClock(noon())}
	var err error
	if h.rec, err = record.Open(h.Flight, 1<<20, decide.Options{}, h.clock); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *hub) log(lines ...string) { h.write(h.Log, lines...) }

func (h *hub) write(path string, lines ...string) {
	h.t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		h.t.Fatal(err)
	}
	_, err = f.WriteString(strings.Join(lines, ""))
	if err := errors.Join(err, f.Close()); err != nil {
		h.t.Fatal(err)
	}
}

// flush has what was recorded on the disk.
func (h *hub) flush() {
	ctx, cancel := context.WithCancel(h.t.Context())
	cancel()
	h.rec.Run(ctx)
}

func (h *hub) read(q Query) []string {
	h.t.Helper()
	report, err := Read(h.t.Context(), h.Sources, q)
	if err != nil {
		h.t.Fatal(err)
	}
	var all []string
	for _, e := range report.Entries {
		all = append(all, strings.TrimSpace(fmt.Sprintf("%s %s %s %s %s", e.At.Format("15:04:05"), e.User, e.Cluster, e.Verb, e.Error)))
	}
	return all
}

func wants(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %q\nwant %q", what, got, want)
	}
}

// TestWhoDidThisInGoogle joins the hub's log with what was written in members.
func TestWhoDidThisInGoogle(t *testing.T) {
	h := newHub(t)
	at := func(s int) time.Time { return noon().Add(time.Duration(s) * time.Second) }
	h.log(
		line(at(0), "1", "alice", "create", "shop", "web"),
		line(at(1), "1", "mallory", "patch", "shop", "db"), // her client chose the ID
		line(at(9), "1", "late", "patch", "shop", "web"),   // after what it would have led to
		line(at(3), "2", "system:admin", "patch", "shop", "web", `"impersonatedUser":{"username":"bob"},`),
		line(at(4), "3", "carol", "get", "shop", "web"),
		line(at(5), "4", "dave", "deletecollection", "shop", ""),
		"not json\n", `{"kind":"Event","auditID":"5","stage":"RequestReceived"}`+"\n", line(at(6), "6", "erin", "patch", "shop", "web")[:40],
	)
	for i, w := range []struct {
		cluster, verb, id string
		err               error
	}{{"google", "create", "1", nil}, {"aws", "create", "1", errors.New("quota")}, {"google", "patch", "2", nil}, {"google", "patch", "", nil}, {"google", "delete", "4", nil}, {"google", "patch", "99", nil}} {
		h.clock.SetTime(at(2*i + 2))
		h.rec.Wrote(w.cluster, web(), w.verb, w.id, w.err)
	}
	h.flush()

	wants(t, "in google", h.read(Query{Cluster: "google"}),
		"12:00:02 alice google create", "12:00:06 bob google patch", "12:00:08  google patch", "12:00:10 dave google delete", "12:00:12 unknown google patch")
	wants(t, "by alice", h.read(Query{User: "alice"}), "12:00:00 alice  create", "12:00:02 alice google create", "12:00:04 alice aws create quota")
	wants(t, "by bob, whom somebody impersonated", h.read(Query{User: "bob"}), "12:00:03 bob  patch", "12:00:06 bob google patch")
	wants(t, "by who did", h.read(Query{User: "system:admin"}), "12:00:03 bob  patch")
	wants(t, "to the database", h.read(Query{Resource: "deployments.apps", Namespace: "shop", Name: "db"}), "12:00:01 mallory  patch")
	wants(t, "lately", h.read(Query{Since: at(8)}), "12:00:08  google patch", "12:00:09 late  patch", "12:00:10 dave google delete", "12:00:12 unknown google patch")
	wants(t, "until", h.read(Query{Until: at(1)}), "12:00:00 alice  create", "12:00:01 mallory  patch")
	wants(t, "the last", h.read(Query{Limit: 1}), "12:00:12 unknown google patch")

	report, err := Read(t.Context(), h.Sources, Query{User: "bob", Limit: 1})
	if e := report.Entries[0]; err != nil || e.By != "system:admin" || e.Object != "deployments.apps/shop/web" || e.AuditID != "2" {
		t.Errorf("%+v, %v", e, err)
	}
}

// TestNobodyHidesBehindAnID: who sends the ID of somebody else's request to the same object is named beside them.
func TestNobodyHidesBehindAnID(t *testing.T) {
	h := newHub(t)
	h.log(line(noon(), "1", "alice", "patch", "shop", "web"), line(noon(), "1", "mallory", "patch", "shop", "web"))
	h.clock.SetTime(noon().Add(time.Second))
	h.rec.Wrote("aws", web(), "patch", "1", nil)
	h.flush()
	wants(t, "both", h.read(Query{Cluster: "aws"}), "12:00:01 alice, mallory aws patch")
	wants(t, "by mallory", h.read(Query{Cluster: "aws", User: "mallory"}), "12:00:01 alice, mallory aws patch")
}

// TestRotatedLogs reads what was rotated away, compressed or not, and finds in it who led to what came much later.
func TestRotatedLogs(t *testing.T) {
	h := newHub(t)
	dir := filepath.Dir(h.Log)
	zipped, err := os.Create(filepath.Join(dir, "audit-2025-11-20T00-00-00.000.log.gz"))
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(zipped)
	_, err = z.Write([]byte(line(noon().AddDate(0, 0, -7), "1", "alice", "create", "shop", "web")))
	if err := errors.Join(err, z.Close(), zipped.Close()); err != nil {
		t.Fatal(err)
	}
	h.write(filepath.Join(dir, "audit-2025-11-26T00-00-00.000.log"), line(noon().AddDate(0, 0, -1), "2", "bob", "patch", "shop", "web"))
	h.write(filepath.Join(dir, "other.log"), line(noon(), "3", "mallory", "patch", "shop", "web"))
	h.log(line(noon(), "4", "carol", "patch", "shop", "web"))
	h.rec.Wrote("aws", web(), "create", "1", nil)
	h.flush()
	wants(t, "all", h.read(Query{}), "12:00:00 alice  create", "12:00:00 bob  patch", "12:00:00 carol  patch", "12:00:00 alice aws create")
	wants(t, "today", h.read(Query{Since: noon()}), "12:00:00 carol  patch", "12:00:00 alice aws create")
}

// TestALongLogIsReadFromNearTheEnd: whatever is asked for since when, nothing is missed.
func TestALongLogIsReadFromNearTheEnd(t *testing.T) {
	h := newHub(t)
	var all strings.Builder
	const many = 12_000 // some 6 MB, in which a minute has ten
	for i := range many {
		all.WriteString(line(noon().Add(time.Duration(i)*6*time.Second), fmt.Sprint(i), "alice", "patch", "shop", "web"))
	}
	h.log(all.String())
	for _, back := range []int{1, 99, 1000, 5000, many} {
		if got := h.read(Query{Since: noon().Add(time.Duration(many-back) * 6 * time.Second)}); len(got) != min(back, MostEntries) {
			t.Errorf("the last %d: %d", back, len(got))
		}
	}
}

func TestLinesAreBounded(t *testing.T) {
	var got []int
	text := strings.Repeat("x", 100_000) + "\n" + strings.Repeat("y", longestLine+10) + "\nz\ncut"
	if err := lines(strings.NewReader(text), func(l []byte) error { got = append(got, len(l)); return nil }); err != nil || !slices.Equal(got, []int{100_001, 2}) {
		t.Error(got, err)
	}
}

func FuzzLog(f *testing.F) {
	f.Add([]byte(line(noon(), "1", "alice", "create", "shop", "web")))
	f.Add([]byte("{\"objectRef\":null}\n{\"auditID\":\"\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		path := filepath.Join(t.TempDir(), "audit.log")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(t.Context(), Sources{Log: path}, Query{Since: noon(), Resource: "pods"}); err != nil {
			t.Fatal(err)
		}
	})
}

func ask(t *testing.T, handler http.Handler, method string, q url.Values) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, Path+"?"+q.Encode(), nil))
	return w
}

func TestServe(t *testing.T) {
	h := newHub(t)
	h.log(line(noon(), "1", "alice", "create", "shop", "web"))
	next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	handler := Filter(h.Sources, h.clock)(next)
	w := ask(t, handler, http.MethodGet, url.Values{"user": {"alice"}, "since": {noon().Format(time.RFC3339)}, "limit": {"5"}})
	var report Report
	if err := json.Unmarshal(w.Body.Bytes(), &report); err != nil || len(report.Entries) != 1 || report.Entries[0].SourceIPs[0] != "10.0.0.9" {
		t.Error(w.Code, w.Body, err)
	}
	for want, w := range map[int]*httptest.ResponseRecorder{
		http.StatusMethodNotAllowed: ask(t, handler, http.MethodPost, nil),
		http.StatusBadRequest:       ask(t, handler, http.MethodGet, url.Values{"limit": {"0"}}),
		http.StatusNotFound:         ask(t, Filter(Sources{}, h.clock)(next), http.MethodGet, nil),
	} {
		if w.Code != want {
			t.Errorf("%d, want %d: %s", w.Code, want, w.Body)
		}
	}
	if w := ask(t, handler, http.MethodGet, url.Values{"since": {"yesterday"}}); w.Code != http.StatusBadRequest {
		t.Error(w.Code)
	}
	other := httptest.NewRecorder()
	handler.ServeHTTP(other, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/hanse/auditing", nil))
	if other.Code != http.StatusTeapot {
		t.Error(other.Code)
	}
}

// TestFollow tells of each entry once, also of those that are logged late, and ends.
func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		start := time.Now()
		h.log(line(start, "1", "alice", "create", "shop", "web"))
		answered := make(chan *httptest.ResponseRecorder, 1)
		go func() {
			answered <- ask(t, Filter(h.Sources, clock.RealClock{})(nil), http.MethodGet, url.Values{"follow": {"true"}, "since": {start.Format(time.RFC3339Nano)}})
		}()
		wait := func(d time.Duration) { timer := time.NewTimer(d); <-timer.C }
		wait(5 * time.Second)
		h.log(line(start.Add(3*time.Second), "2", "bob", "patch", "shop", "web"))
		wait(5 * time.Second)
		h.log(line(start.Add(time.Second), "3", "carol", "patch", "shop", "web")) // it took nine seconds
		w := <-answered
		var users []string
		for l := range strings.Lines(w.Body.String()) {
			var e Entry
			if err := json.Unmarshal([]byte(l), &e); err != nil {
				t.Fatal(err)
			}
			users = append(users, e.User)
		}
		wants(t, "followed", users, "alice", "bob", "carol")
		if took := time.Since(start); took != longestFollow {
			t.Errorf("it took %s", took)
		}
	})
}

func TestSeenForgets(t *testing.T) {
	seen := Seen{}
	for i := range 100 {
		if e := (Entry{AuditID: fmt.Sprint(i), At: noon().Add(time.Duration(i) * time.Second)}); seen.Before(e) || !seen.Before(e) {
			t.Fatal("it is told not once")
		}
	}
	if from := seen.From(noon()); !from.Equal(noon().Add(69*time.Second)) || len(seen) != 31 {
		t.Errorf("from %s, %d are remembered", from, len(seen))
	}
}
