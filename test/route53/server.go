// Package route53test is Route 53 for tests: the part of its API that DNS needs,
// as a state machine behind an http.Handler that the SDK is pointed at with
// BaseEndpoint. It validates as the real one does, takes its time to propagate,
// throttles, fails on demand, and answers as Route 53's name servers would.
package route53test

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"
)

// Options of a Server; the zero value is one that does everything at once.
type Options struct {
	// Delay until changes are INSYNC and answered.
	Delay time.Duration
	// PerSecond requests are taken, as many at once, and more throttled; 0: any.
	PerSecond int
	// PageSize of lists; 0: 300 record sets, 100 health checks.
	PageSize int
	// MaxChecks is the limit of health checks; 0: 200.
	MaxChecks int
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// Server is one account. Its methods may be called from anywhere.
type Server struct {
	// URL for BaseEndpoint.
	URL string

	http    *httptest.Server
	options Options

	mu      sync.Mutex
	serial  int
	zones   map[string]*zone
	checks  map[string]*check
	refs    map[string]string // caller reference → ID, also of what was deleted
	changes map[string]time.Time
	down    map[string]bool // addresses and names that the checkers cannot reach
	faults  []*Fault
	calls   map[string]int
	tokens  float64
	last    time.Time
}

// Fault is what goes wrong with a request.
type Fault struct {
	// Operation as ListResourceRecordSets; empty: any.
	Operation string
	// Skip as many requests first; then as many as Times (0: one) fail.
	Skip, Times int
	// Status and Code of the error; Status 0: no answer at all, the connection ends.
	Status int
	Code   string
	// After: it is done before it fails.
	After bool
	// Cut: the answer is right but ends in its middle. Endless: a list says that
	// there is more without saying where. Empty: a list says that there is nothing.
	Cut, Endless, Empty bool
}

// New starts a server; the caller has to Close it.
func New(o Options) *Server {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.MaxChecks == 0 {
		o.MaxChecks = 200
	}
	s := &Server{options: o, zones: map[string]*zone{}, checks: map[string]*check{}, refs: map[string]string{},
		changes: map[string]time.Time{}, down: map[string]bool{}, calls: map[string]int{}, tokens: float64(o.PerSecond), last: o.Now()}
	s.http = httptest.NewServer(s)
	s.URL = s.http.URL
	return s
}

// Close ends it.
func (s *Server) Close() { s.http.Close() }

// Inject makes requests fail, after the faults that were injected before.
func (s *Server) Inject(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.Times = max(f.Times, 1)
	s.faults = append(s.faults, &f)
}

// Calls is how often an operation was asked for; "Throttled" counts refusals.
func (s *Server) Calls(operation string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[operation]
}

// apiError is an error that the API answers with.
type apiError struct {
	status        int
	code, message string
	messages      []string // of InvalidChangeBatch
}

func fail(status int, code, format string, args ...any) *apiError {
	return &apiError{status: status, code: code, message: fmt.Sprintf(format, args...)}
}

// request is one with its path divided.
type request struct {
	*http.Request
	id   string
	body bytes.Buffer
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	req := &request{Request: r}
	if _, err := req.body.ReadFrom(r.Body); err != nil {
		return
	}
	s.mu.Lock()
	operation, handle := s.route(req)
	s.calls[operation]++
	var fault Fault
	if f := s.fault(operation); f != nil {
		fault = *f
	}
	var answer any
	var failed *apiError
	switch failing := fault.Status != 0 || fault.Operation != "" && !fault.Cut && !fault.Endless && !fault.Empty; {
	case handle == nil:
		failed = fail(404, "InvalidAction", "no such operation: %s %s", r.Method, r.URL.Path)
	case s.throttled():
		s.calls["Throttled"]++
		failed = fail(400, "Throttling", "Rate exceeded")
	case failing && !fault.After:
		failed = fail(fault.Status, fault.Code, "injected")
	default:
		answer, failed = handle(req)
		if failing {
			failed = fail(fault.Status, fault.Code, "injected")
		}
	}
	s.mu.Unlock()
	if list, ok := answer.(*recordList); ok && fault.Endless && failed == nil {
		list.IsTruncated, list.NextName, list.NextType, list.NextID = true, "", "", ""
	}
	if list, ok := answer.(*recordList); ok && fault.Empty && failed == nil {
		list.IsTruncated, list.Sets = false, nil
	}
	reply(w, answer, failed, fault.Cut)
}

// fault is the one that this request meets; s.mu is held.
func (s *Server) fault(operation string) *Fault {
	for _, f := range s.faults {
		switch {
		case f.Operation != "" && f.Operation != operation, f.Times == 0:
		case f.Skip > 0:
			f.Skip--
		default:
			f.Times--
			copied := *f
			copied.Operation = operation
			return &copied
		}
	}
	return nil
}

// throttled takes a token; s.mu is held.
func (s *Server) throttled() bool {
	if s.options.PerSecond == 0 {
		return false
	}
	now := s.options.Now()
	s.tokens = min(float64(s.options.PerSecond), s.tokens+now.Sub(s.last).Seconds()*float64(s.options.PerSecond))
	s.last = now
	if s.tokens < 1 {
		return true
	}
	s.tokens--
	return false
}

// route finds the operation of a request.
func (s *Server) route(r *request) (string, func(*request) (any, *apiError)) {
	path := strings.Split(strings.Trim(strings.TrimPrefix(r.URL.Path, "/2013-04-01/"), "/"), "/")
	if len(path) > 1 {
		r.id = path[len(path)-1]
		if path[len(path)-1] == "rrset" {
			r.id = path[1]
			path = append(path[:1], "ID", "rrset")
		} else {
			path[len(path)-1] = "ID"
		}
	}
	switch r.Method + " " + strings.Join(path, "/") {
	case "POST hostedzone":
		return "CreateHostedZone", s.createHostedZone
	case "GET hostedzone/ID":
		return "GetHostedZone", s.getHostedZone
	case "GET hostedzonesbyname":
		return "ListHostedZonesByName", s.listHostedZonesByName
	case "POST hostedzone/ID/rrset":
		return "ChangeResourceRecordSets", s.changeResourceRecordSets
	case "GET hostedzone/ID/rrset":
		return "ListResourceRecordSets", s.listResourceRecordSets
	case "GET change/ID":
		return "GetChange", s.getChange
	case "POST healthcheck":
		return "CreateHealthCheck", s.createHealthCheck
	case "POST healthcheck/ID":
		return "UpdateHealthCheck", s.updateHealthCheck
	case "GET healthcheck":
		return "ListHealthChecks", s.listHealthChecks
	case "DELETE healthcheck/ID":
		return "DeleteHealthCheck", s.deleteHealthCheck
	case "POST tags/healthcheck/ID":
		return "ChangeTagsForResource", s.changeTags
	case "GET tags/healthcheck/ID":
		return "ListTagsForResource", s.listTags
	}
	return "", nil
}

// reply writes an answer or an error.
func reply(w http.ResponseWriter, answer any, failed *apiError, cut bool) {
	status := http.StatusOK
	switch {
	case failed == nil:
	case failed.status == 0:
		panic(http.ErrAbortHandler) // the connection ends without an answer
	case failed.messages != nil:
		status, answer = failed.status, &invalidChangeBatch{Messages: failed.messages, RequestID: "test"}
	default:
		e := &errorResponse{Type: "Sender", Code: failed.code, Message: failed.message, RequestID: "test"}
		status, answer = failed.status, e
	}
	body, err := xml.Marshal(answer)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if cut {
		body = body[:len(body)/2]
	}
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(status)
	_, _ = w.Write(append([]byte(xml.Header), body...)) // a client that has gone needs no answer
}

// newID is the next one with a prefix; s.mu is held.
func (s *Server) newID(prefix string) string {
	s.serial++
	return fmt.Sprintf("%s%06d", prefix, s.serial)
}

// parse reads the body of a request.
func parse(r *request, document any) *apiError {
	if err := xml.Unmarshal(r.body.Bytes(), document); err != nil {
		return fail(400, "MalformedXML", "%v", err)
	}
	return nil
}
