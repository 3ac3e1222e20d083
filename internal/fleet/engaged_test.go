package fleet

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

// served is a link to a server that speaks HTTP/2, and from which ports that was asked.
func served(t *testing.T, handle http.HandlerFunc) (*link, v1alpha1.ClusterSpec, func() int) {
	t.Helper()
	var mu sync.Mutex
	from := map[string]bool{}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		from[r.RemoteAddr] = true
		mu.Unlock()
		handle(w, r)
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	spec := v1alpha1.ClusterSpec{Endpoint: server.URL, CABundle: pemOf(server.Certificate())}
	l, err := newLink(t.Context(), spec, &token{}, &line{clock: clock.RealClock{}, broken: func() {}})
	if err != nil {
		t.Fatal(err)
	}
	return l, spec, func() int { mu.Lock(); defer mu.Unlock(); return len(from) }
}

func clientOf(t *testing.T, cfg *rest.Config) *http.Client {
	t.Helper()
	client, err := rest.HTTPClientFor(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func TestAllTalkToAMemberByOneConnection(t *testing.T) {
	t.Parallel()
	l, spec, connections := served(t, func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer ") || r.ProtoMajor != 2 {
			w.WriteHeader(http.StatusTeapot)
		}
	})
	cfg := memberConfig(t.Context(), spec, l, func() {})
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper { return next })
	for _, client := range []*http.Client{clientOf(t, l.config), clientOf(t, cfg), clientOf(t, rest.CopyConfig(cfg))} {
		answer, err := client.Get(spec.Endpoint)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			t.Errorf("%s", answer.Status)
		}
	}
	if n := connections(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

func TestAnEngagementThatEndsLeavesNoRequest(t *testing.T) {
	t.Parallel()
	l, spec, _ := served(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/silent":
			<-r.Context().Done()
		case "/watch":
			w.WriteHeader(http.StatusOK)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	client := clientOf(t, memberConfig(ctx, spec, l, func() {}))
	watch, err := client.Get(spec.Endpoint + "/watch")
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Body.Close()
	ended := make(chan error, 2)
	go func() {
		answer, err := client.Get(spec.Endpoint + "/silent")
		if err == nil {
			answer.Body.Close()
		}
		ended <- err
	}()
	go func() {
		_, err := watch.Body.Read(make([]byte, 1))
		ended <- err
	}()
	cancel()
	for range 2 {
		if err := <-ended; err == nil {
			t.Error("a request goes on")
		}
	}
	if _, err := client.Get(spec.Endpoint); !errors.Is(err, errDisengaged) {
		t.Errorf("another begins: %v", err)
	}
	answer, err := clientOf(t, l.config).Get(spec.Endpoint)
	if err != nil {
		t.Fatalf("the fleet's own requests end, too: %v", err)
	}
	answer.Body.Close()
}

func TestWhatMayChangeSomethingIsAnnounced(t *testing.T) {
	t.Parallel()
	l, spec, _ := served(t, func(http.ResponseWriter, *http.Request) {})
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		announced := 0
		client := clientOf(t, memberConfig(t.Context(), spec, l, func() { announced++ }))
		r, err := http.NewRequestWithContext(t.Context(), method, spec.Endpoint, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if want := method != http.MethodGet; want != (announced == 1) {
			t.Errorf("%s was announced %d times", method, announced)
		}
	}
}
