package attack

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

// suite is set by TestMain, before any test runs.
var suite *fed

func TestMain(m *testing.M) {
	os.Exit(federation.Main(m, func(home *federation.Home) (err error) {
		suite, err = start(home)
		return err
	}))
}

// start makes the federation of all tests: a hub and two members, aws and azure, which are API servers alone. Objects are
// kept there and nothing happens to them.
func start(home *federation.Home) (*fed, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	specs := []federation.MemberSpec{{Name: "aws", Provider: "aws"}, {Name: "azure", Provider: "azure"}}
	f := &fed{home: home, members: map[string]*federation.Member{}, in: map[string]*person{}}
	members, errs := make([]*federation.Member, len(specs)), make([]error, len(specs)+1)
	var wg sync.WaitGroup
	wg.Go(func() { f.hub, errs[len(specs)] = home.NewHub(ctx, "attacked") })
	for i, spec := range specs {
		wg.Go(func() { members[i], errs[i] = home.NewMember(ctx, spec) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("start the federation: %w", err)
	}
	for i, m := range members {
		f.members[m.Name] = m
		wg.Go(func() { errs[i] = f.hub.Join(ctx, m) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("join the members: %w", err)
	}
	return f, f.connect()
}
