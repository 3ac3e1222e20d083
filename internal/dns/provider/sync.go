package provider

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hanse-dev/hanse/internal/dns/steer"
)

// Options of Sync.
type Options struct {
	// Domain is the zone with a final dot.
	Domain string
	// Owner is whose sets may be touched.
	Owner string
	// DryRun changes nothing.
	DryRun bool
	// AllowDeletion is how many records (names with a type) may be deleted even if
	// they are many.
	AllowDeletion int
	// Known is Report.Known of the pass before: the zone is not read again. What
	// others changed there since makes single changes fail, never overwrites, and
	// they are then tried again with what was read. Nil: the zone is read, as it
	// should be every few minutes, or drift is not seen.
	Known []Set
}

// Report is what Sync did. The maps are by hostname with a final dot.
type Report struct {
	Zone Zone
	// Changed are the changes that were made, Pending those that are held back or
	// (DryRun) shown only; a line each.
	Changed, Pending []string
	// Held is how many deletions of records are held back: what AllowDeletion must
	// be.
	Held int
	// Settled: all servers of the provider have what was changed.
	Settled bool
	// Refused by the provider; Conflicts with others' records; Notes on what holds
	// less than one may expect; Errors of changes.
	Refused, Conflicts, Notes map[string]string
	Errors                    map[string]error
	// Known is the zone after this pass; nil if that is not certain.
	Known []Set
	// Tidying is why something beside the records could not be deleted. The next
	// pass tries again.
	Tidying error
}

// Sync makes a zone answer as hosts want: level-based, and so repeated at any time,
// after whatever was killed or failed. It blocks until the provider has answered.
// An error means that nothing was changed.
func Sync(ctx context.Context, p Provider, hosts []steer.Host, o Options) (Report, error) {
	var r Report
	if o.Owner == "" {
		return r, errors.New("an external zone needs an owner, or nothing would say which records are Hanse's. Try: spec.owner of the DNSZone")
	}
	zone, err := p.Ensure(ctx, !o.DryRun)
	missing := o.DryRun && errors.Is(err, ErrNoZone)
	if err != nil && !missing {
		return r, err
	}
	r.Zone = zone
	wanted := p.Express(hosts)
	r.Refused, r.Notes = wanted.Refused, wanted.Notes
	current := o.Known
	if missing {
		r.Pending = append(r.Pending, "create the zone "+strings.TrimSuffix(o.Domain, "."))
	} else if current == nil {
		if current, err = p.Read(ctx); err != nil {
			return r, fmt.Errorf("the records of %s could not all be read, nothing is changed: %w", strings.TrimSuffix(o.Domain, "."), err)
		}
	}
	plan := func() Result {
		res := Plan(Input{Owner: o.Owner, Zone: o.Domain, Wanted: wanted.Sets, Current: current, Keep: keep(wanted.Refused), AllowDeletion: o.AllowDeletion})
		r.Conflicts, r.Held = res.Conflicts, res.HeldRecords
		return res
	}
	todo := plan()
	for _, s := range todo.Held {
		r.Pending = append(r.Pending, "delete "+s.String()+" (held back)")
	}
	if o.DryRun {
		for _, c := range todo.Changes {
			r.Pending = append(r.Pending, c.lines()...)
		}
		return r, nil
	}
	after, certain := r.apply(ctx, p, todo.Changes, current)
	if !certain && ctx.Err() == nil { // somebody else was faster, or an answer was lost
		if current, err = p.Read(ctx); err == nil {
			after, certain = r.apply(ctx, p, plan().Changes, current)
		}
	}
	if certain {
		r.Known = after
	}
	r.finish(ctx, p, after)
	return r, nil
}

// keep are the names of refused hosts.
func keep(refused map[string]string) map[string]bool {
	names := map[string]bool{}
	for name := range refused {
		names[name] = true
	}
	return names
}

// apply makes changes, and gives the sets that there may be then; certain: are.
func (r *Report) apply(ctx context.Context, p Provider, changes []Change, current []Set) (after []Set, certain bool) {
	r.Errors = map[string]error{}
	if len(changes) == 0 {
		return current, true
	}
	sets := map[Key]Set{}
	for _, s := range current {
		sets[s.Key()] = s
	}
	var unsure []Set
	for i, err := range p.Apply(ctx, changes) {
		c := changes[i]
		if err != nil {
			r.Errors[c.Name] = err
			for _, s := range c.Steps {
				if s.New != nil {
					unsure = append(unsure, *s.New)
				}
			}
			continue
		}
		r.Changed = append(r.Changed, c.lines()...)
		for _, s := range c.Steps {
			if s.Old != nil {
				delete(sets, s.Old.Key())
			}
			if s.New != nil {
				sets[s.New.Key()] = *s.New
			}
		}
	}
	after = make([]Set, 0, len(sets)+len(unsure))
	for _, s := range sets {
		after = append(after, s)
	}
	return append(after, unsure...), len(r.Errors) == 0
}

// finish tidies, and asks whether the changes have arrived.
func (r *Report) finish(ctx context.Context, p Provider, kept []Set) {
	if t, ok := p.(Tidier); ok && ctx.Err() == nil {
		r.Tidying = t.Tidy(ctx, kept)
	}
	r.Settled = true
	if s, ok := p.(Settler); ok && ctx.Err() == nil {
		settled, err := s.Settled(ctx)
		r.Settled = settled && err == nil
	}
}

// lines are the steps but for those of the registry.
func (c Change) lines() []string {
	var lines []string
	for _, s := range c.Steps {
		switch {
		case isEntry(s.Old) || isEntry(s.New):
		case s.Old == nil:
			lines = append(lines, "create "+s.New.String())
		case s.New == nil:
			lines = append(lines, "delete "+s.Old.String())
		default:
			lines = append(lines, "change "+s.Old.String()+" to "+strings.TrimPrefix(s.New.String(), strings.TrimSuffix(s.New.Name, ".")+" "))
		}
	}
	if lines == nil && len(c.Steps) > 0 {
		lines = append(lines, "note whose "+strings.TrimSuffix(c.Name, ".")+" is")
	}
	return slices.Clip(lines)
}

// isEntry says whether s is a TXT record of the registry.
func isEntry(s *Set) bool {
	return s != nil && s.Type == "TXT" && strings.HasPrefix(s.Name, registryPrefix)
}
