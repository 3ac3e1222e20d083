package propagate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	apirequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/hanse-dev/hanse/internal/propagate/hub"
	"github.com/hanse-dev/hanse/internal/propagate/record"
)

// PathHistory answers a GET with a History: what was decided about an object, and what was written where, as far as the
// flight recorder has it. It wants the right to get the object. Query parameters: resource (RESOURCE.GROUP), namespace,
// name; since and until (RFC 3339), limit; or at, for what held at that time.
const PathHistory = "/hanse/history"

// longestHistory bounds an answer, in entries; longestLook the time that the recording is read for one.
const (
	longestHistory = 1000
	longestLook    = 30 * time.Second
)

// History is the answer to PathHistory.
type History struct {
	// Object is RESOURCE.GROUP/NAMESPACE/NAME.
	Object string `json:"object"`
	// Entries are the oldest first; of more than were asked for, the newest.
	Entries []record.Entry `json:"entries"`
}

// historyOf is the question in a request.
func historyOf(q url.Values) (query record.Query, at time.Time, err error) {
	query.Key = Key{GR: schema.ParseGroupResource(q.Get("resource")), Namespace: q.Get("namespace"), Name: q.Get("name")}
	if query.Key.GR.Resource == "" || query.Key.Name == "" {
		return query, at, errors.New("resource and name are needed")
	}
	query.Limit = 100
	if value := q.Get("limit"); value != "" {
		if query.Limit, err = strconv.Atoi(value); err != nil || query.Limit < 1 || query.Limit > longestHistory {
			return query, at, fmt.Errorf("limit=%s: it must be a number from 1 to %d", value, longestHistory)
		}
	}
	for name, into := range map[string]*time.Time{"since": &query.Since, "until": &query.Until, "at": &at} {
		if value := q.Get(name); value != "" {
			if *into, err = time.Parse(time.RFC3339Nano, value); err != nil {
				return query, at, fmt.Errorf("%s=%s: it must be a time such as 2026-01-31T12:00:00Z", name, value)
			}
		}
	}
	return query, at, nil
}

// serveHistory answers one question at a time: each reads the whole recording.
func serveHistory(e *Engine, turn chan struct{}, w http.ResponseWriter, r *http.Request) (status int, err error) {
	if r.Method != http.MethodGet {
		return http.StatusMethodNotAllowed, fmt.Errorf("%s takes a GET", PathHistory)
	}
	who, ok := apirequest.UserFrom(r.Context())
	if !ok {
		return http.StatusForbidden, errors.New("the request has no authenticated user")
	}
	query, at, err := historyOf(r.URL.Query())
	if err != nil {
		return http.StatusBadRequest, err
	}
	if status, err := hub.MayGet(r.Context(), e.hub, who, query.Key); err != nil {
		return status, err
	}
	if e.running.Load().flight == nil {
		return http.StatusNotFound, errors.New("the flight recorder of this hub is off. Try: hanse server --flight-recorder-size=256Mi")
	}
	ctx, cancel := context.WithTimeout(r.Context(), longestLook)
	defer cancel()
	select {
	case turn <- struct{}{}:
		defer func() { <-turn }()
	case <-ctx.Done():
		return http.StatusTooManyRequests, errors.New("the hub is answering other requests. Try: again in a moment")
	}
	answer := History{Object: query.Key.String(), Entries: []record.Entry{}}
	if at.IsZero() {
		var entries []record.Entry
		entries, err = record.History(ctx, e.options.FlightDir, query)
		answer.Entries = append(answer.Entries, entries...)
	} else {
		var last *record.Outcome
		if last, err = record.Decided(ctx, e.options.FlightDir, query.Key, at); last != nil {
			answer.Entries = append(answer.Entries, record.Entry{Outcome: last})
		}
	}
	if err != nil {
		return http.StatusInternalServerError, err
	}
	w.Header().Set("Content-Type", "application/json")
	return 0, json.NewEncoder(w).Encode(answer)
}
