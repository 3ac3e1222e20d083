package propagate

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/member"
)

// nobody is a member that does not answer.
type nobody struct{}

func (nobody) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("nobody is there")
}

// TestASessionOutlivesNews: whoever engages members may hear of a Cluster before the World does, or after it has gone and come
// again. The session is there whenever the World knows the Cluster, for as long as it is wanted.
func TestASessionOutlivesNews(t *testing.T) {
	e, err := New(&rest.Config{Host: "http://hub", Transport: nobody{}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.events.Stop)
	l := newLoop(decide.NewWorld(decide.Options{}), clock.RealClock{}, func(decide.Effect) {})
	r := &running{ctx: t.Context(), loop: l, members: member.Options{Clock: clock.RealClock{}}}
	e.running.Store(r)
	none, one := &decide.Facts{}, &decide.Facts{Clusters: map[string]*decide.Cluster{"aws": {Name: "aws"}}}
	reachable := func(why string, want bool) {
		t.Helper()
		m := e.published.member("aws")
		if got := m != nil && m.Reachable(); got != want {
			t.Errorf("%s: a session: %t, want %t", why, got, want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	e.Engage(ctx, "aws", &rest.Config{Host: "http://aws", Transport: nobody{}})
	reachable("engaged", true)
	e.publishFacts(none)
	reachable("the World has other news", true)
	e.publishFacts(one)
	reachable("the World has heard of it", true)
	e.publishFacts(none)
	reachable("it has left", false)
	e.publishFacts(one)
	reachable("it is another one of the same name", true)
	e.publishFacts(none)
	e.Engage(ctx, "aws", &rest.Config{Host: "http://aws", Transport: nobody{}})
	reachable("engaged before the World hears that there is another one", true)
	cancel()
	for deadline := time.After(10 * time.Second); e.published.member("aws") != nil; {
		select {
		case <-deadline:
			t.Fatal("it is no longer wanted, there is no such Cluster, and it is remembered")
		case <-time.After(time.Millisecond):
		}
	}
	e.publishFacts(one)
	reachable("nobody wants one", false)
}
