package work

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/internal/guard"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

func deployments() schema.GroupResource {
	return schema.GroupResource{Group: "apps", Resource: "deployments"}
}

func TestTheQueueGoesByTier(t *testing.T) {
	q := NewQueue(nil, clock.RealClock{})
	defer q.ShutDown()
	for _, k := range []template.Key{
		{GR: schema.GroupResource{Group: "networking.k8s.io", Resource: "ingresses"}, Name: "i"},
		{GR: deployments(), Name: "one"},
		{GR: schema.GroupResource{Resource: "services"}, Name: "s"},
		{GR: deployments(), Name: "two"},
		{GR: template.Namespaces(), Name: "n"},
		{GR: schema.GroupResource{Resource: "secrets"}, Name: "c"},
	} {
		q.Add(k)
	}
	var got string
	for q.Len() > 0 {
		k, _ := q.Get()
		got += k.Name + " "
		q.Done(k)
	}
	if want := "n c s one two i "; got != want {
		t.Errorf("order %q, want %q", got, want)
	}
}

// TestWhatFailsIsToldOnce, however often it is tried, and once it does not fail any more; a panic is a failure.
func TestWhatFailsIsToldOnce(t *testing.T) {
	q := NewQueue(nil, clock.RealClock{})
	key := template.Key{GR: deployments(), Namespace: "shop", Name: "web"}
	attempts := 0
	var told []error
	panics := 0
	ctx := guard.WithCounter(t.Context(), func(component string) {
		if component == "propagation" {
			panics++
		}
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		Off(ctx, q, func(context.Context, template.Key) error {
			switch attempts++; attempts {
			case 1:
				return errors.New("refused")
			case 2:
				panic("rubbish")
			case 3:
				return errors.New("refused again")
			}
			return nil
		}, func(k template.Key, err error) {
			told = append(told, err)
			if err == nil {
				q.ShutDown()
			}
		})
	}()
	q.Add(key)
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Fatal("it is not tried until it works")
	}
	if attempts != 4 || len(told) != 2 || told[0] == nil || told[0].Error() != "refused" || told[1] != nil {
		t.Errorf("%d attempts, told %v", attempts, told)
	}
	if panics != 1 {
		t.Errorf("%d panics are counted", panics)
	}
}

func TestALoopGoesOnAfterAPanic(t *testing.T) {
	began := make(chan struct{}, 10)
	var panics atomic.Int32
	ctx, cancel := context.WithCancel(guard.WithCounter(t.Context(), func(string) { panics.Add(1) }))
	defer cancel()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		Keep(ctx, clock.RealClock{}, "test", func(context.Context) { began <- struct{}{}; panic("again") })
	}()
	for range 2 {
		select {
		case <-began:
		case <-time.After(3 * panicRest):
			t.Fatal("the loop does not begin again")
		}
	}
	cancel()
	select {
	case <-ended:
	case <-time.After(3 * panicRest):
		t.Fatal("it does not end")
	}
	if n := panics.Load(); n < 2 {
		t.Errorf("%d panics are counted", n)
	}
}
