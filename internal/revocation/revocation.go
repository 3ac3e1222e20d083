// Package revocation ends requests that go on though the right to them is gone. Kubernetes asks whether somebody may watch when the
// watch begins, and lets it go on for as long as half an hour whatever becomes of their rights.
//
// A Guard notes each request that is let in and is to go on for long, and asks the authorizer about all of them again soon after
// roles or bindings have changed, and now and then. Equal requests of equal users are one question, and questions take at most a
// fifth of the time of one processor. A hub without changes of RBAC asks next to nothing, however many watches there are.
package revocation

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/filters"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
)

const (
	// settle is how long after a change the questions are asked: changes come in groups.
	settle = 300 * time.Millisecond
	// share of the time is for asking: after a round of questions there is a pause of so many times its length, up to pauseLimit.
	share      = 4
	pauseLimit = 3 * time.Second
)

// errRevoked is why a request was ended.
var errRevoked = errors.New("the right to the request is gone")

// Guard ends requests. Make it with New, wrap the API server's handler by Filter, and Run it.
type Guard struct {
	clock      clock.WithTicker
	authorizer authorizer.UnconditionalAuthorizer
	every      time.Duration
	changed    chan struct{}

	mu   sync.Mutex
	open map[*going]struct{}
}

// going is a request that goes on.
type going struct {
	asks string // what is the same for all about whom the answer is the same
	attr authorizer.Attributes
	end  context.CancelCauseFunc
}

// New makes a Guard that asks a, soon after Changed and every so often besides.
func New(a authorizer.UnconditionalAuthorizer, every time.Duration, clock clock.WithTicker) *Guard {
	return &Guard{clock: clock, authorizer: a, every: every, changed: make(chan struct{}, 1), open: map[*going]struct{}{}}
}

// Changed says that somebody's rights may have changed, as the authorizer knows already. It does not block.
func (g *Guard) Changed() {
	select {
	case g.changed <- struct{}{}:
	default:
	}
}

// Filter notes the requests that long says are long. Those of system:masters are not among them: these have every right for ever.
func (g *Guard) Filter(next http.Handler, long request.LongRunningRequestCheck) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		info, ok := request.RequestInfoFrom(r.Context())
		who, known := request.UserFrom(r.Context())
		if !ok || !known || !long(r, info) || slices.Contains(who.GetGroups(), user.SystemPrivilegedGroup) {
			next.ServeHTTP(w, r)
			return
		}
		attr, err := filters.GetAuthorizerAttributes(r.Context())
		if err != nil { // it cannot have been authorized
			http.Error(w, "the hub cannot tell what is asked for", http.StatusInternalServerError)
			return
		}
		ctx, end := context.WithCancelCause(r.Context())
		defer end(nil)
		one := &going{asks: asks(attr, info), attr: attr, end: end}
		g.mu.Lock()
		g.open[one] = struct{}{}
		g.mu.Unlock()
		defer func() {
			g.mu.Lock()
			delete(g.open, one)
			g.mu.Unlock()
		}()
		// Rights that went between the authorizer's answer and here have been announced before there was anybody to ask about.
		if !g.may(ctx, attr) {
			http.Error(w, errRevoked.Error(), http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

func (g *Guard) may(ctx context.Context, a authorizer.Attributes) bool {
	decision, _, _ := g.authorizer.Authorize(ctx, a) // an error beside it changes nothing of a decision
	return decision == authorizer.DecisionAllow
}

// asks is a question in a word: whoever it is the same for gets the same answer.
func asks(a authorizer.Attributes, info *request.RequestInfo) string {
	who := a.GetUser()
	parts := []string{
		who.GetName(), who.GetUID(), strings.Join(who.GetGroups(), "\x01"), a.GetVerb(), a.GetAPIGroup(), a.GetAPIVersion(), a.GetResource(),
		a.GetSubresource(), a.GetNamespace(), a.GetName(), a.GetPath(), info.FieldSelector, info.LabelSelector,
	}
	for key, values := range who.GetExtra() { // in any order: a second question costs more than a sorted first
		parts = append(parts, key, strings.Join(values, "\x01"))
	}
	return strings.Join(parts, "\x00")
}

// Run asks until ctx ends.
func (g *Guard) Run(ctx context.Context) {
	tick := g.clock.NewTicker(g.every)
	defer tick.Stop()
	for {
		select {
		case <-g.changed:
			if !g.wait(ctx, settle) {
				return
			}
			select { // what has changed meanwhile is part of it
			case <-g.changed:
			default:
			}
		case <-tick.C():
		case <-ctx.Done():
			return
		}
		began := g.clock.Now()
		g.ask(ctx)
		if !g.wait(ctx, min(share*g.clock.Since(began), pauseLimit)) {
			return
		}
	}
}

// wait says whether ctx goes on after d.
func (g *Guard) wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	select {
	case <-g.clock.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// ask asks about all that go on, and ends what may not.
func (g *Guard) ask(ctx context.Context) {
	g.mu.Lock()
	all := make([]*going, 0, len(g.open))
	for one := range g.open {
		all = append(all, one)
	}
	g.mu.Unlock()
	answers, ended := map[string]bool{}, 0
	for _, one := range all {
		allowed, asked := answers[one.asks]
		if !asked {
			allowed = g.may(ctx, one.attr)
			answers[one.asks] = allowed
		}
		if !allowed && ctx.Err() == nil {
			one.end(errRevoked)
			ended++
		}
	}
	if ended > 0 {
		klog.FromContext(ctx).Info("Requests were ended, as the right to them is gone", "requests", ended)
	}
}
