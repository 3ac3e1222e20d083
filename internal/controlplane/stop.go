package controlplane

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"k8s.io/client-go/rest"
)

const (
	// stopTimeout bounds an orderly stop.
	stopTimeout = 10 * time.Second
	// partTimeout is how long one part may take; what is not done by then is
	// left behind, so that etcd still gets to end properly.
	partTimeout = 4 * time.Second
	// deadTimeout is the same when one of them has died: the others may wait
	// for it for ever.
	deadTimeout = time.Second
	// readyPoll is how often Start asks whether the API server is ready.
	readyPoll = 25 * time.Millisecond
)

// Stop ends the controllers, then the API server, then etcd, and gives the data
// directory back. It blocks until that is done or ctx ends, and returns an error
// when a part had to be left running, which the process should then not outlive.
// After the control plane has died it ends what it can, quickly, and the error is
// Err's alone.
func (c *ControlPlane) Stop(ctx context.Context) error {
	c.log.open.Store(false)
	patience := partTimeout
	if c.Err() != nil {
		patience = deadTimeout
	}
	var failures error
	for _, p := range slices.Backward(c.parts) {
		p.cancel()
		failures = errors.Join(failures, within(ctx, patience, p.name, p.ended))
	}
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		_ = c.db.stop()
	}()
	failures = errors.Join(failures, within(ctx, patience, "etcd", closed))
	if failures == nil {
		return c.dir.Close()
	}
	if c.Err() != nil {
		return nil
	}
	return failures
}

// within waits for ended, for as long as patience lasts.
func within(ctx context.Context, patience time.Duration, name string, ended <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s did not stop in time", name)
	}
}

// waitReady blocks until /readyz is ok apart from some checks.
func (c *ControlPlane) waitReady(ctx context.Context, excluded []string) error {
	client, err := rest.HTTPClientFor(c.RESTConfig())
	if err != nil {
		return fmt.Errorf("making a client of the API server: %w", err)
	}
	query := url.Values{}
	for _, check := range excluded {
		query.Add("exclude", check)
	}
	ticker := time.NewTicker(readyPoll)
	defer ticker.Stop()
	for {
		if ready(ctx, client, c.address+"/readyz?"+query.Encode()) {
			return nil
		}
		select {
		case <-ticker.C:
		case <-c.done:
			return c.err
		case <-ctx.Done():
			return fmt.Errorf("waiting for the API server: %w", context.Cause(ctx))
		}
	}
}

func ready(ctx context.Context, client *http.Client, url string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	response, err := client.Do(request)
	if err != nil {
		return false
	}
	return response.Body.Close() == nil && response.StatusCode == http.StatusOK
}
