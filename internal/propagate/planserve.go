package propagate

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// PathPlan takes a PlanRequest by POST and answers with a list of Planned.
const PathPlan = "/hanse/plan"

// largestPlan bounds the body of a PlanRequest, in bytes.
const largestPlan = 16 << 20

// Filter answers PathPlan and PathHeld and passes all other requests on. It belongs inside
// authentication and authorization. While engine returns nil, it answers 503.
func Filter(engine func() *Engine) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var serve func(*Engine, http.ResponseWriter, *http.Request) (int, error)
			switch {
			case r.URL.Path == PathPlan:
				serve = servePlan
			case strings.HasPrefix(r.URL.Path, PathHeld):
				serve = serveHeld
			default:
				next.ServeHTTP(w, r)
				return
			}
			if status, err := serveBy(engine(), serve, w, r); err != nil {
				w.Header().Set("Content-Type", "text/plain; charset=utf-8")
				w.WriteHeader(status)
				_, _ = fmt.Fprintln(w, err) // clients show it as it is
			}
		})
	}
}

func serveBy(e *Engine, serve func(*Engine, http.ResponseWriter, *http.Request) (int, error), w http.ResponseWriter, r *http.Request) (status int, err error) {
	if e == nil {
		return http.StatusServiceUnavailable, fmt.Errorf("this hub does not propagate (yet). Try: again in a second, or the hub that leads")
	}
	return serve(e, w, r)
}

func servePlan(e *Engine, w http.ResponseWriter, r *http.Request) (status int, err error) {
	if r.Method != http.MethodPost {
		return http.StatusMethodNotAllowed, fmt.Errorf("%s takes a POST", PathPlan)
	}
	var q PlanRequest
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, largestPlan)).Decode(&q); err != nil {
		return http.StatusBadRequest, fmt.Errorf("the manifests cannot be read: %w", err)
	}
	planned, err := e.Plan(r.Context(), q)
	if err != nil {
		return http.StatusUnprocessableEntity, err
	}
	w.Header().Set("Content-Type", "application/json")
	return 0, json.NewEncoder(w).Encode(planned)
}
