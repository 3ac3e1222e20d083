package propagate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/authentication/user"
	apirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/klog/v2"

	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/hub"
	"github.com/hanse-dev/hanse/internal/propagate/question"
)

// PathPlan takes a PlanRequest by POST and answers with a list of Planned.
const PathPlan = "/hanse/plan"

// PathHeld, followed by the name of a Cluster, is what is held there: GET answers with a HeldList, POST
// takes one as the approval of what is in it and answers with an Approval. Both want the right to
// patch that Cluster. The worst that somebody can do who has it is to have objects deleted that came
// from a hub and that this one has no use for; hanse unjoin does more.
const PathHeld = "/hanse/held/"

const (
	// largestPlan bounds the body of a PlanRequest, in bytes, longestPlan the time that one takes, plansAtOnce how many
	// are worked on: they are decided beside the World, on forks of it, but on the same processors.
	largestPlan = 16 << 20
	longestPlan = time.Minute
	plansAtOnce = 2
	// planPatience is how long a plan waits for members whose nodes and pods nobody has needed yet.
	planPatience = 5 * time.Second
	// largestApproval bounds the body of a POST to PathHeld, in bytes: a HeldList of longestHeldList items, whose names have
	// 253 characters at most, is well below.
	largestApproval = 8 << 20
)

// Filter answers PathPlan, PathHistory, PathSurvive, PathResidency and PathHeld, and passes all other requests on. It belongs inside
// authentication and authorization. While engine returns nil, it answers 503.
func Filter(engine func() *Engine) func(http.Handler) http.Handler {
	plans, histories, survivals, censuses := make(chan struct{}, plansAtOnce), make(chan struct{}, 1), make(chan struct{}, 1), make(chan struct{}, 1)
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var serve func(*Engine, http.ResponseWriter, *http.Request) (int, error)
			switch {
			case r.URL.Path == PathPlan:
				serve = func(e *Engine, w http.ResponseWriter, r *http.Request) (int, error) { return servePlan(e, plans, w, r) }
			case r.URL.Path == PathHistory:
				serve = func(e *Engine, w http.ResponseWriter, r *http.Request) (int, error) {
					return serveHistory(e, histories, w, r)
				}
			case r.URL.Path == PathSurvive:
				serve = func(e *Engine, w http.ResponseWriter, r *http.Request) (int, error) {
					return serveSurvive(e, survivals, w, r)
				}
			case r.URL.Path == PathResidency:
				serve = func(e *Engine, w http.ResponseWriter, r *http.Request) (int, error) {
					return serveResidency(e, censuses, w, r)
				}
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
	if e == nil || e.running.Load() == nil {
		return http.StatusServiceUnavailable, errors.New("this hub does not propagate, or not yet. Try: again in a second, or ask the leading hub")
	}
	return serve(e, w, r)
}

func servePlan(e *Engine, plans chan struct{}, w http.ResponseWriter, r *http.Request) (status int, err error) {
	if r.Method != http.MethodPost {
		return http.StatusMethodNotAllowed, fmt.Errorf("%s takes a POST", PathPlan)
	}
	ctx, cancel := context.WithTimeout(r.Context(), longestPlan)
	defer cancel()
	select {
	case plans <- struct{}{}:
		defer func() { <-plans }()
	case <-ctx.Done():
		return http.StatusTooManyRequests, fmt.Errorf("%d other plans are being worked on. Try: again in a moment", plansAtOnce)
	}
	var q PlanRequest
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, largestPlan)).Decode(&q); err != nil {
		return http.StatusBadRequest, fmt.Errorf("the manifests cannot be read: %w", err)
	}
	planned, err := e.Plan(ctx, q)
	switch {
	case ctx.Err() != nil:
		return http.StatusGatewayTimeout, fmt.Errorf("the plan was not ready within %s. Try: fewer objects at once", longestPlan)
	case err != nil:
		return http.StatusUnprocessableEntity, err
	}
	w.Header().Set("Content-Type", "application/json")
	return 0, json.NewEncoder(w).Encode(planned)
}

// PlanRequest asks where objects would go, Planned is what became of one of them.
type (
	PlanRequest = question.PlanRequest
	Planned     = question.Planned
)

// Plan decides about objects as the hub itself would now, with what the members have free and what runs there, and touches
// nothing. It blocks for a few seconds at most while members are read for the first time, and otherwise for as long as it
// takes to decide; propagation goes on meanwhile. It ends with ctx.
func (e *Engine) Plan(ctx context.Context, q PlanRequest) ([]Planned, error) {
	r := e.running.Load()
	e.measurer.Want()
	// Without it a plan goes by what the members' nodes are to have.
	_ = wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, planPatience, true, func(ctx context.Context) (known bool, err error) {
		return known, r.loop.ask(ctx, func(w *decide.World, _ time.Time) { known = !w.Unmeasured() })
	})
	var fork *decide.World
	if err := r.loop.ask(ctx, func(w *decide.World, _ time.Time) { fork = w.Fork() }); err != nil {
		return nil, err
	}
	return question.Plan(ctx, fork, e.clock.Now(), q)
}

func serveHeld(e *Engine, w http.ResponseWriter, r *http.Request) (status int, err error) {
	cluster := strings.TrimPrefix(r.URL.Path, PathHeld)
	who, ok := apirequest.UserFrom(r.Context())
	if !ok {
		return http.StatusForbidden, errors.New("the request has no authenticated user")
	}
	if status, err := hub.MayPatchCluster(r.Context(), e.hub, who, cluster); err != nil {
		return status, err
	}
	var answer any
	switch r.Method {
	case http.MethodGet:
		answer, err = e.Held(cluster, longestHeldList)
	case http.MethodPost:
		answer, err = e.approve(w, r, who, cluster)
	default:
		return http.StatusMethodNotAllowed, fmt.Errorf("%s takes a GET or a POST", PathHeld)
	}
	if err != nil {
		return http.StatusUnprocessableEntity, err
	}
	w.Header().Set("Content-Type", "application/json")
	return 0, json.NewEncoder(w).Encode(answer)
}

func (e *Engine) approve(w http.ResponseWriter, r *http.Request, who user.Info, cluster string) (Approval, error) {
	var list HeldList
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, largestApproval)).Decode(&list); err != nil {
		return Approval{}, fmt.Errorf("the list cannot be read: %w", err)
	}
	switch {
	case list.Cluster != cluster:
		return Approval{}, fmt.Errorf("the list is that of cluster %q, not of %s. Try: hanse prune %s", list.Cluster, cluster, cluster)
	case len(list.Items) > longestHeldList:
		return Approval{}, fmt.Errorf("the list has %d objects, more than %d. Try: those first, then the others", len(list.Items), longestHeldList)
	}
	approval, err := e.Approve(list)
	if err == nil {
		klog.FromContext(r.Context()).Info("Deletions of held objects were approved", "cluster", cluster, "by", who.GetName(), "objects", approval.Approved, "stale", len(approval.Stale))
	}
	return approval, err
}
