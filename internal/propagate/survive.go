package propagate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	apirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/klog/v2"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/hub"
	"github.com/hanse-dev/hanse/internal/propagate/question"
	"github.com/hanse-dev/hanse/internal/propagate/survive"
	"github.com/hanse-dev/hanse/internal/propagate/work"
)

// PathSurvive answers a GET with a survive.Report: what would survive the loss of clusters. It wants the right to list Clusters; who
// may not list workloads and Services in all namespaces gets numbers without their names. Query parameters: cluster, for the loss of
// these at once, as often as needed; all=true, for all workloads and not only those that would not survive; of, for
// workloads of that name only.
const PathSurvive = "/hanse/survive"

const (
	// longestSurvive bounds the time that an answer takes. What was not looked at by then is said.
	longestSurvive = 12 * time.Second
	// mostLost bounds how many clusters a question names, mostRoutes how many GlobalRoutes are looked at.
	mostLost, mostRoutes = 1000, 5000
	// survivalInterval is how often at most the loss of each cluster is looked at without being asked; survivalRest times as long as
	// that took goes by until the next time, so that it takes at most 1 % of one core.
	survivalInterval = time.Minute
	survivalRest     = 100
)

// survival is what was last found out about the loss of each cluster, region and provider.
type survival struct {
	report     atomic.Pointer[survive.Report]
	conditions atomic.Pointer[map[string]*metav1.Condition] // by cluster
	changed    chan struct{}
}

func newSurvival() *survival { return &survival{changed: make(chan struct{}, 1)} }

// note says that something changed that it may depend on. It does not block.
func (s *survival) note() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// found takes over what was found out. The loop of keepSurvival alone calls it.
func (s *survival) found(r *survive.Report) {
	s.report.Store(r)
	now, before := r.Conditions(), s.conditions.Load()
	for cluster, c := range now {
		if before == nil {
			break
		}
		if was := (*before)[cluster]; was != nil && *was == *c {
			now[cluster] = was
		}
	}
	s.conditions.Store(&now)
}

// condition is that of a cluster, nil while nothing is known. It is the same pointer as long as it says the same, not to be
// changed.
func (s *survival) condition(cluster string) *metav1.Condition {
	if all := s.conditions.Load(); all != nil {
		return (*all)[cluster]
	}
	return nil
}

// Survival is what the loss of each cluster, region and provider would do, in numbers, as of the last look: some minutes old at
// most. It waits for nothing.
func (e *Engine) Survival() []survive.Figure {
	if r := e.survival.report.Load(); r != nil {
		return r.Figures()
	}
	return nil
}

// Survive says what would survive the loss of clusters, as the hub would decide now, and touches nothing. It blocks for as long as
// that takes, and for a few seconds more while members are read for the first time; propagation goes on meanwhile. What was not
// looked at when ctx ends is said in the answer.
func (e *Engine) Survive(ctx context.Context, q survive.Question) (*survive.Report, error) {
	r := e.running.Load()
	e.measurer.Want()
	_ = wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, planPatience, true, func(ctx context.Context) (known bool, err error) {
		return known, r.loop.ask(ctx, func(w *decide.World, _ time.Time) { known = !w.Unmeasured() })
	})
	var err error
	if q.Routes, err = e.globalRoutes(ctx); err != nil {
		return nil, err
	}
	fork, err := e.fork(ctx)
	if err != nil {
		return nil, err
	}
	return survive.Ask(ctx, question.NewLosses(fork, e.clock.Now()), q)
}

// fork is the World as it is now. The loop makes it between two inputs, which takes no longer than an input.
func (e *Engine) fork(ctx context.Context) (fork *decide.World, err error) {
	err = e.running.Load().loop.ask(ctx, func(w *decide.World, _ time.Time) { fork = w.Fork() })
	return fork, err
}

// globalRoutes are the hub's, as far as they are looked at.
func (e *Engine) globalRoutes(ctx context.Context) (all []v1alpha1.GlobalRoute, err error) {
	list, err := e.hub.Resource(v1alpha1.Resource("globalroutes")).List(ctx, metav1.ListOptions{Limit: mostRoutes})
	if err != nil {
		return nil, fmt.Errorf("the hub's GlobalRoutes cannot be read: %w. Try: again in a moment", err)
	}
	for i := range list.Items {
		var r v1alpha1.GlobalRoute
		if runtime.DefaultUnstructuredConverter.FromUnstructured(list.Items[i].Object, &r) == nil {
			all = append(all, r)
		}
	}
	return all, nil
}

// serveSurvive answers one question at a time: others wait.
func serveSurvive(e *Engine, turn chan struct{}, w http.ResponseWriter, r *http.Request) (status int, err error) {
	if r.Method != http.MethodGet {
		return http.StatusMethodNotAllowed, fmt.Errorf("%s takes a GET", PathSurvive)
	}
	query := r.URL.Query()
	q := survive.Question{Clusters: query["cluster"], Pairs: true, All: query.Get("all") == "true", Of: query.Get("of")}
	if len(q.Clusters) > mostLost {
		return http.StatusBadRequest, fmt.Errorf("%d clusters are more than %d", len(q.Clusters), mostLost)
	}
	who, ok := apirequest.UserFrom(r.Context())
	if !ok {
		return http.StatusForbidden, errors.New("nobody is known to ask")
	}
	if status, err := hub.MayListClusters(r.Context(), e.hub, who); err != nil {
		return status, err
	}
	status, nameless := hub.MayListWorkloads(r.Context(), e.hub, who)
	if nameless != nil && (status != http.StatusForbidden || q.Of != "") {
		return status, nameless // the numbers of one workload are as good as its name
	}
	ctx, cancel := context.WithTimeout(r.Context(), longestSurvive)
	defer cancel()
	select {
	case turn <- struct{}{}:
		defer func() { <-turn }()
	case <-ctx.Done():
		return http.StatusTooManyRequests, errors.New("others are being answered. Try: again in a moment")
	}
	answer, err := e.Survive(ctx, q)
	switch {
	case err != nil && ctx.Err() != nil:
		return http.StatusGatewayTimeout, fmt.Errorf("there was no answer within %s. Try: again in a moment", longestSurvive)
	case err != nil:
		return http.StatusUnprocessableEntity, err
	case nameless != nil:
		answer = answer.Anonymous(nameless.Error())
	}
	w.Header().Set("Content-Type", "application/json")
	return 0, json.NewEncoder(w).Encode(answer)
}

// keepSurvival looks at the loss of each cluster, region and provider, when something has changed, until ctx ends.
func (e *Engine) keepSurvival(ctx context.Context) {
	rest := survivalInterval // what comes with the start is not looked at piece by piece
	for work.Rest(ctx, e.clock, rest, nil) {
		select {
		case <-ctx.Done():
			return
		case <-e.survival.changed:
		}
		began := e.clock.Now()
		report, err := e.lookAtSurvival(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			klog.FromContext(ctx).V(2).Info("What would survive the loss of a cluster is not known", "reason", err.Error())
			e.survival.note()
		case err == nil:
			e.survival.found(report)
		}
		rest = max(survivalInterval, survivalRest*e.clock.Since(began))
	}
}

// lookAtSurvival is an error while not all is known that it depends on.
func (e *Engine) lookAtSurvival(ctx context.Context) (*survive.Report, error) {
	if err := e.Synced(); err != nil {
		return nil, err
	}
	fork, err := e.fork(ctx)
	if err != nil {
		return nil, err
	}
	if fork.Unmeasured() && fork.Demands() {
		e.measurer.Want()
		return nil, errors.New("the members' nodes and pods have not been measured yet")
	}
	routes, err := e.globalRoutes(ctx)
	if err != nil {
		return nil, err
	}
	return survive.Ask(ctx, question.NewLosses(fork, e.clock.Now()), survive.Question{Routes: routes})
}
