package provider

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/hanse-dev/hanse/internal/dns/steer"
)

// fake is a provider whose zone is a box. It is a Tidier that notes what was kept.
type fake struct {
	box
	noZone    bool
	readFails error
	applied   int
	refuse    map[string]bool
	kept      []Set
}

func (f *fake) Name() string { return "Fake" }

func (f *fake) Ensure(_ context.Context, create bool) (Zone, error) {
	if f.noZone && !create {
		return Zone{}, fmt.Errorf("nothing: %w", ErrNoZone)
	}
	return Zone{ID: "Z"}, nil
}

func (f *fake) Express(hosts []steer.Host) Expressed {
	var e Expressed
	for _, h := range hosts {
		if f.refuse[h.Name] {
			e.Refused = map[string]string{h.Name: "refused"}
			continue
		}
		e.Sets = append(e.Sets, address(h.Name, "192.0.2.1"))
	}
	return e
}

func (f *fake) Read(context.Context) ([]Set, error) { return f.sets(), f.readFails }

func (f *fake) Apply(_ context.Context, changes []Change) []error {
	f.applied++
	errs := make([]error, len(changes))
	for i, c := range changes {
		before := maps.Clone(f.box)
		for _, s := range c.Steps {
			if errs[i] = f.step(s); errs[i] != nil {
				f.box = before
				break
			}
		}
	}
	return errs
}

func (f *fake) Tidy(_ context.Context, kept []Set) error {
	f.kept = kept
	return nil
}

func hosts(names ...string) []steer.Host {
	var all []steer.Host
	for _, n := range names {
		all = append(all, steer.Host{Name: n + "." + zone, Owner: "shop/web"})
	}
	return all
}

func run(t *testing.T, f *fake, o Options, names ...string) Report {
	t.Helper()
	o.Domain, o.Owner = zone, "me"
	r, err := Sync(t.Context(), f, hosts(names...), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestSyncRepeats(t *testing.T) {
	f := &fake{box: box{}}
	first := run(t, f, Options{}, "a", "b")
	if len(first.Changed) != 2 || len(first.Known) != 4 || len(f.kept) != 4 {
		t.Fatalf("%+v", first)
	}
	if again := run(t, f, Options{}, "a", "b"); len(again.Changed) > 0 || f.applied != 1 {
		t.Errorf("again %v", again.Changed)
	}
	f.readFails = errors.New("must not be read")
	known := run(t, f, Options{Known: first.Known}, "a", "c")
	if len(known.Changed) != 2 || len(known.Known) != 4 {
		t.Errorf("with what is known: %v", known.Changed)
	}
}

// TestSyncWithStaleKnowledge: what is known is not so; the second attempt knows.
func TestSyncWithStaleKnowledge(t *testing.T) {
	f := &fake{box: box{}}
	stale := run(t, f, Options{}, "a").Known
	theirs := address("b."+zone, "9.9.9.9")
	if err := f.step(Step{New: &theirs}); err != nil {
		t.Fatal(err)
	}
	r := run(t, f, Options{Known: stale}, "a", "b", "c")
	if len(r.Errors) > 0 || len(r.Conflicts) != 1 || f.box[theirs.Key()].Values[0] != "9.9.9.9" || len(f.box) != 2+1+2 {
		t.Errorf("%+v; %d sets", r, len(f.box))
	}
}

func TestSyncFailsSafely(t *testing.T) {
	f := &fake{box: box{}}
	run(t, f, Options{}, "a")
	f.readFails = errors.New("half of it")
	if _, err := Sync(t.Context(), f, nil, Options{Domain: zone, Owner: "me"}); err == nil || f.applied != 1 {
		t.Errorf("%v, applied %d times", err, f.applied)
	}
	f.readFails = nil
	if _, err := Sync(t.Context(), f, nil, Options{Domain: zone}); err == nil || !strings.Contains(err.Error(), "spec.owner") {
		t.Errorf("without an owner: %v", err)
	}
	f.refuse = map[string]bool{"a." + zone: true}
	if r := run(t, f, Options{}, "a"); len(r.Changed) > 0 || len(r.Refused) != 1 || len(f.box) != 2 {
		t.Errorf("what is refused is left as it is: %+v", r)
	}
}

func TestSyncDryRun(t *testing.T) {
	f := &fake{box: box{}, noZone: true}
	r := run(t, f, Options{DryRun: true}, "a")
	if strings.Join(r.Pending, "\n") != "create the zone example.org\ncreate a.example.org 30 A 192.0.2.1" || f.applied > 0 || f.kept != nil {
		t.Errorf("pending %q", r.Pending)
	}
}
