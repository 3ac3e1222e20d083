// Package e2e drives the built binary against real processes: a hub and member
// clusters on loopback. It links no API server.
//
// Most tests share one federation of two ordinary members and take namespaces
// of their own in it. Tests that kill and break things share another, of
// members that are API servers alone, and put it in order before they begin.
package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/hanse-dev/hanse/test/federation"
)

// world is what all tests share. Federations are started by the first test that
// wants them.
type world struct {
	home   *federation.Home
	shared func() (*fed, error)
	chaos  func() (*fed, error)
}

// suite is set by TestMain, before any test runs.
var suite world

func TestMain(m *testing.M) { os.Exit(federation.Main(m, prepare)) }

// prepare says how the federations are made that tests share.
func prepare(home *federation.Home) error {
	suite.home = home
	suite.shared = sync.OnceValues(func() (*fed, error) {
		return start(home, "shared", federation.MemberSpec{Name: "aws", Provider: "aws", Nodes: 2}, federation.MemberSpec{Name: "azure", Provider: "azure", Nodes: 2})
	})
	suite.chaos = sync.OnceValues(func() (*fed, error) {
		return start(home, "chaos", federation.MemberSpec{Name: "amber"}, federation.MemberSpec{Name: "basalt"},
			federation.MemberSpec{Name: "cobalt", Proxied: true})
	})
	return nil
}

// start makes a hub and members at the same time, and joins them.
func start(home *federation.Home, name string, specs ...federation.MemberSpec) (*fed, error) {
	return startWith(home, name, nil, specs...)
}

// startWith is start with further flags of the hub.
func startWith(home *federation.Home, name string, flags []string, specs ...federation.MemberSpec) (*fed, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	f := &fed{name: name, home: home, members: make([]*federation.Member, len(specs))}
	errs := make([]error, len(specs)+1)
	var wg sync.WaitGroup
	wg.Go(func() { f.hub, errs[0] = home.NewHub(ctx, name, flags...) })
	for i, spec := range specs {
		wg.Go(func() { f.members[i], errs[i+1] = home.NewMember(ctx, spec) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("start federation %s: %w", name, err)
	}
	for _, m := range f.members {
		wg.Go(func() {
			if err := f.hub.Join(ctx, m); err != nil {
				errs[0] = err
			}
		})
	}
	wg.Wait()
	if errs[0] != nil {
		return nil, fmt.Errorf("start federation %s: %w", name, errs[0])
	}
	return f, f.connect()
}
