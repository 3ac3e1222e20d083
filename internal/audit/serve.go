package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"k8s.io/utils/clock"
)

const (
	// longestLook bounds how long one question reads, longestFollow how long one is answered that follows: API servers end
	// what lasts for a minute.
	longestLook   = 30 * time.Second
	longestFollow = 50 * time.Second
	// lookAgain is how often who follows is told of what is new.
	lookAgain = time.Second
	// Overlap is how far back is looked again for what was logged late: a request is when it is answered.
	Overlap = 30 * time.Second
)

// server answers at Path.
type server struct {
	sources Sources
	clock   clock.WithTicker
	// turns are how many questions are answered at once: each reads a large part of the logs. Those that follow have others.
	turns, followers chan struct{}
}

// Filter answers Path, and passes on all else. Who may ask is settled before.
func Filter(sources Sources, clock clock.WithTicker) func(http.Handler) http.Handler {
	s := &server{sources: sources, clock: clock, turns: make(chan struct{}, 1), followers: make(chan struct{}, 4)}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != Path {
				next.ServeHTTP(w, r)
				return
			}
			if status, err := s.serve(w, r); err != nil {
				http.Error(w, err.Error(), status)
			}
		})
	}
}

func (s *server) serve(w http.ResponseWriter, r *http.Request) (status int, err error) {
	if r.Method != http.MethodGet {
		return http.StatusMethodNotAllowed, fmt.Errorf("%s takes a GET", Path)
	}
	if s.sources.Log == "" {
		return http.StatusNotFound, errors.New("this hub keeps its audit log in no file. Try: hanse audit --file FILE with what --audit-log-path=- or the webhook brought there")
	}
	q, err := queryOf(r.URL.Query())
	if err != nil {
		return http.StatusBadRequest, err
	}
	turns, longest := s.turns, longestLook
	follow := r.URL.Query().Get("follow") == "true"
	if follow {
		turns, longest = s.followers, longestFollow
	}
	ctx, cancel := context.WithTimeout(r.Context(), longest)
	defer cancel()
	select {
	case turns <- struct{}{}:
		defer func() { <-turns }()
	case <-ctx.Done():
		return http.StatusTooManyRequests, errors.New("the hub is answering other requests. Try: again in a moment")
	}
	w.Header().Set("Content-Type", "application/json")
	if follow {
		return 0, s.follow(ctx, w, q)
	}
	report, err := Read(ctx, s.sources, q)
	if err != nil {
		return http.StatusInternalServerError, err
	}
	return 0, json.NewEncoder(w).Encode(report)
}

// follow tells of entries, a line each, until ctx ends.
func (s *server) follow(ctx context.Context, w http.ResponseWriter, q Query) error {
	out, flusher, seen := json.NewEncoder(w), http.NewResponseController(w), Seen{}
	w.WriteHeader(http.StatusOK)
	if err := flusher.Flush(); err != nil {
		return nil // whoever asked is gone
	}
	ticker := s.clock.NewTicker(lookAgain)
	defer ticker.Stop()
	for {
		report, err := Read(ctx, s.sources, q)
		if err != nil {
			return nil // it has begun to answer: the next question says what is wrong
		}
		for _, e := range report.Entries {
			if seen.Before(e) {
				continue
			}
			if out.Encode(e) != nil {
				return nil
			}
		}
		if flusher.Flush() != nil {
			return nil
		}
		q.Since = seen.From(q.Since)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C():
		}
	}
}

// Seen are entries that somebody was told of, with when each was.
type Seen map[string]time.Time

// Before says whether an entry was told already, and notes that it is now.
func (s Seen) Before(e Entry) bool {
	key := fmt.Sprintf("%s %s %s %s %d", e.AuditID, e.Cluster, e.Verb, e.Object, e.At.UnixNano())
	_, known := s[key]
	s[key] = e.At
	return known
}

// From is from when on to look again, and forgets what is before: Overlap before the newest entry.
func (s Seen) From(since time.Time) time.Time {
	for _, at := range s {
		if from := at.Add(-Overlap); from.After(since) {
			since = from
		}
	}
	for key, at := range s {
		if at.Before(since) {
			delete(s, key)
		}
	}
	return since
}

func queryOf(v url.Values) (q Query, err error) {
	q = Query{User: v.Get("user"), Resource: v.Get("resource"), Namespace: v.Get("namespace"), Name: v.Get("name"), Cluster: v.Get("cluster"), Limit: 1000}
	if text := v.Get("limit"); text != "" {
		if q.Limit, err = strconv.Atoi(text); err != nil || q.Limit < 1 || q.Limit > MostEntries {
			return q, fmt.Errorf("limit=%s: it must be a number from 1 to %d", text, MostEntries)
		}
	}
	for name, into := range map[string]*time.Time{"since": &q.Since, "until": &q.Until} {
		if text := v.Get(name); text != "" {
			if *into, err = time.Parse(time.RFC3339Nano, text); err != nil {
				return q, fmt.Errorf("%s=%s: it must be a time such as 2026-01-31T12:00:00Z", name, text)
			}
		}
	}
	return q, nil
}
